"""The declared study over published data, in small, through the same command as any other, with real Ray workers.

An XLM-R-shaped checkpoint with a SentencePiece tokenizer, a multi-vector teacher, Moses pairs and MIRACL's layout, all
from disk: loaded under ZeRO 3, trained, consolidated, evaluated, reported and exported.
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
from analysis.search_report import search_report
from harness.collections_read import read
from harness.drills.results import point_differences
from harness.evaluation_key import key_of
from harness.export import export
from harness.scoring import score
from harness.trials import closed
from studies.schema.cost import parameters_of
from studies.schema.record import Role
from studies.schema.run import Student
from studies.schema.search import Search
from studies.schema.state import read_state
from studies.schema.storage import Storage
from studies.schema.study import Study, expand
from studies.schema.trials import read_ledger
from tests.harness.published_study import small_search, small_study, write_world
from tests.integration.starting import Start

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

DECLARED = """
from pathlib import Path
from tests.harness.published_study import small_study

STUDY = small_study(Path({folder!r}), Path({data!r}), is_one_objective=True)
"""


SEARCHED = """
from pathlib import Path
from tests.harness.published_study import small_search

SEARCH = small_search(Path({folder!r}), Path({data!r}))
"""


@pytest.fixture
def home(tmp_path: Path, start: Start) -> tuple[Storage, Study]:
    """The study, run to its end by the command line."""
    folder, storage = tmp_path / "world", Storage.at(tmp_path / "storage")
    write_world(folder, storage.data())
    (tmp_path / "studies").mkdir()
    text = DECLARED.format(folder=str(folder), data=str(storage.data()))
    (tmp_path / "studies" / "small_miracl.py").write_text(text)
    text = SEARCHED.format(folder=str(folder), data=str(storage.data()))
    (tmp_path / "studies" / "search_small_miracl.py").write_text(text)
    for words in (("run", "small_miracl"), ("search", "search_small_miracl")):
        command = start(storage, tmp_path / "studies", *words)
        assert command.wait() == 0, command.output()
    return storage, small_study(folder, storage.data(), is_one_objective=True)


def test_study_over_published_data_comes_home(home: tuple[Storage, Study], tmp_path: Path) -> None:
    storage, study = home
    assert point_differences(storage, study) == []
    students = [point for point in expand(study) if point.role is Role.STUDENT]
    assert len(students) == 4
    for point in students:
        facts = read_state(storage, point.key).facts
        assert facts["held_weights"] < 0.75 * parameters_of(point.run).total, "a worker held all of it under ZeRO 3"
        assert all(counts["kept for tests"] for counts in facts["corpora"].values())

    page = report(declared(study), tracking_uri=f"sqlite:///{storage.mlflow_database()}", out=tmp_path / "reports")
    result = json.loads((page.parent / "result.json").read_text())
    assert result["teacher"] == dict.fromkeys(str(measure) for measure in study.measures)
    assert {effect["objective"] for effect in result["effects"]} == {"ot"}
    assert (page.parent / "levels.png").stat().st_size > 10_000

    assert_search_chose_by_other_queries(storage, study, small_search(tmp_path / "world", storage.data()), tmp_path)

    point, searched = students[0], study.retrieval[0]
    run = point.run
    assert isinstance(run, Student)
    before = load_file(Path(str(run.rung.weights)) / "model.safetensors")
    after = load_file(storage.final(point.key) / "backbone" / "model.safetensors")
    assert not np.array_equal(
        before["roberta.embeddings.word_embeddings.weight"], after["embeddings.word_embeddings.weight"]
    )
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
    folder = storage.evaluation(point.key, key_of(run, study.evaluation))
    ours = json.loads((folder / "measures.json").read_text())["measures"]
    for measure in map(str, study.measures):
        mean = np.mean([values[measure] for values in theirs.values()])
        assert mean == pytest.approx(ours[measure][searched.language], abs=1e-3)


def assert_search_chose_by_other_queries(storage: Storage, study: Study, search: Search, folder: Path) -> None:
    """Trials are scored on training queries; the one that the study has trained is read and not repeated."""
    trials = read_ledger(storage.ledger(search.name, search.version)).trials
    ends = [closed(search, storage, trial) for trial in trials]
    assert len(ends) == search.trials
    assert all(end is not None and end.score is not None for end in ends)
    assert trials[0].key in {point.key for point in expand(study)}
    run = search.base
    asked, chosen_by = (
        json.loads((storage.evaluation(str(trials[0].key), key_of(run, each)) / "measures.json").read_text())
        for each in (study.evaluation, search.evaluation)
    )
    assert asked["splits"] == dict.fromkeys(asked["queries"], "dev")
    assert chosen_by["splits"] == dict.fromkeys(asked["queries"], "train")
    address = f"sqlite:///{storage.mlflow_database()}"
    result = search_report(search, tracking_uri=address, out=folder / "reports").parent / "result.json"
    scores = {trial.key: end.score for trial, end in zip(trials, ends, strict=True) if end is not None}
    best = json.loads(result.read_text())["rungs"][0]["best"]
    assert scores[best] == max(score for score in scores.values() if score is not None)
