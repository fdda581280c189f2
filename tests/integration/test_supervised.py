"""A teacher and two rivals trained to retrieve, and students of that teacher, by one command with real Ray workers.

Triples as texts, as ids in two languages, and judgments from links, from files in their published layouts: trained
under ZeRO 3 on two workers, consolidated, evaluated beside the students, reported and exported.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from ir_measures import ScoredDoc
from safetensors.numpy import load_file
from sentence_transformers import MultiVectorEncoder

from analysis.declared import declared
from analysis.report import report
from harness.collections_read import read
from harness.drills.results import point_differences
from harness.evaluation_key import key_of
from harness.export import export
from harness.journal import read_all
from harness.scoring import score
from studies.schema.cost import parameters_of
from studies.schema.record import Metric, Role
from studies.schema.run import HELD_OUT_QUERIES, Supervised
from studies.schema.state import read_state
from studies.schema.storage import Storage
from studies.schema.study import expand
from tests.harness.supervised_study import planted, supervised_study, write_supervised_world
from tests.integration.starting import Start

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]

DECLARED = """
from pathlib import Path
from tests.harness.supervised_study import supervised_study

STUDY = supervised_study(Path({folder!r}), Path({data!r}))
"""


def test_retrievers_are_trained_consolidated_and_evaluated_as_students_are(tmp_path: Path, start: Start) -> None:
    folder, storage = tmp_path / "world", Storage.at(tmp_path / "storage")
    write_supervised_world(folder, storage.data())
    (tmp_path / "studies").mkdir()
    text = DECLARED.format(folder=str(folder), data=str(storage.data()))
    (tmp_path / "studies" / "small_supervised.py").write_text(text)
    command = start(storage, tmp_path / "studies", "run", "small_supervised")
    assert command.wait(1_000) == 0, command.output()
    study = supervised_study(folder, storage.data())
    assert point_differences(storage, study) == []

    trained = {point.role: point for point in expand(study) if isinstance(point.run, Supervised)}
    assert list(trained) == [Role.TEACHER, Role.TRANSLATE_TRAIN, Role.SYNTHETIC_TRAIN]
    for point in (point for point in expand(study) if isinstance(point.run, Supervised)):
        facts = read_state(storage, point.key).facts
        assert facts["held_weights"] < 0.75 * parameters_of(point.run).total, "a worker held all of it under ZeRO 3"
        assert all(counts["query kept for tests"] >= len(planted()) for counts in facts["sources"].values())
        assert facts["watched"] == HELD_OUT_QUERIES
        watched = [
            line.metrics[Metric.LOSS_HELD_OUT]
            for line in read_all(storage.journal(point.key))
            if Metric.LOSS_HELD_OUT in line.metrics
        ]
        assert watched[-1] < watched[0], "a query is made of words of its passage, which ten steps begin to tell"

    page = report(declared(study), tracking_uri=f"sqlite:///{storage.mlflow_database()}", out=tmp_path / "reports")
    result = json.loads((page.parent / "result.json").read_text())
    rivals = {(row["role"], row["rung"], row["exposure"]) for row in result["baselines"]}
    assert {
        (role, rung, "any") for role in trained if role is not Role.TEACHER for rung in ("xlm-r-16", "xlm-r-32")
    } < rivals

    point, searched = trained[Role.TRANSLATE_TRAIN], study.retrieval[1]
    run = point.run
    assert isinstance(run, Supervised)
    before = load_file(Path(str(run.rung.weights)) / "model.safetensors")
    after = load_file(storage.final(point.key) / "backbone" / "model.safetensors")
    name = "embeddings.word_embeddings.weight"
    assert not np.array_equal(before[f"roberta.{name}"], after[name])
    reader = MultiVectorEncoder(str(export(storage, study, point, tmp_path / "model")), device="cpu")
    asked = read(storage, searched)
    passages = [passage for block in asked.passages(100) for passage in block]
    similarity = reader.similarity(
        reader.encode_query(list(asked.topics.values())), reader.encode_document([each.text for each in passages])
    )
    ranking = [
        ScoredDoc(query, passage.id, float(similarity[row, column]))
        for row, query in enumerate(asked.topics)
        for column, passage in enumerate(passages)
    ]
    theirs = score(study.measures, asked.qrels, ranking)
    summary = json.loads((storage.evaluation(point.key, key_of(run, study.evaluation)) / "measures.json").read_text())
    for measure in map(str, study.measures):
        mean = np.mean([values[measure] for values in theirs.values()])
        assert mean == pytest.approx(summary["measures"][measure][searched.language], abs=1e-3)
