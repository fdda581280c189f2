"""What the harness records in MLflow is what the analysis reads there, whichever way it gets in."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.declared import declared
from analysis.frame import RunRecord
from analysis.ledger import compare
from analysis.runs import read_frame
from harness.delivery import Entry, Heading
from harness.evaluation_key import key_of
from harness.journal import Journal
from harness.tracker import Tracker
from studies.schema.cost import parameters_of
from studies.schema.key import canonical, run_key
from studies.schema.lineage import embedded
from studies.schema.record import Flag, Metric, Role, State
from studies.schema.run import Student
from studies.schema.state import write_state
from studies.schema.storage import Storage, write_json_atomic
from studies.schema.study import Labels, Point, expand
from tests.harness.small_study import MEASURES, small_study

STUDY = small_study()
STEPS = (10, 20, 30)
QUERIES = 4

# A server takes 5 s to come up on an idle machine and twenty on a busy one.
pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


def chosen() -> list[Point]:
    """Two students of one teacher, one of another, and both teachers."""
    students = [p for p in expand(STUDY) if p.role is Role.STUDENT and p.labels.rotation == "0"]
    run = students[-1].run
    assert isinstance(run, Student)
    odd = replace(run, teacher=replace(embedded(run)[0], seed=1))
    students.append(replace(students[-1], key=run_key(odd), run=odd))
    labels = Labels(rung="teacher")
    teachers = [
        Point(key=run_key(teacher), run=teacher, role=Role.TEACHER, labels=labels)
        for teacher in (run.teacher, odd.teacher)
    ]
    return [*teachers, *students]


def planted(place: int, language: str, query: int, measure: int) -> float:
    return (1 + place + 2 * query + 5 * measure + (language == "de")) / 20


def leave(storage: Storage, point: Point, place: int) -> None:
    """What a trained and evaluated run leaves in storage."""
    counts = parameters_of(point.run)
    write_json_atomic(
        storage.description(point.key),
        {
            "schema": 1,
            "key": point.key,
            "run": canonical(point.run),
            "parameters": {"non_embedding": counts.non_embedding, "total": counts.total},
        },
    )
    with Journal(storage.journal(point.key)) as journal:
        for step in STEPS:
            journal.append(step, dict.fromkeys(Metric, place + 1 / step))
    write_state(storage, point.key, State.FLAGGED, flags=(Flag.STILL_IMPROVING,))
    names = [str(measure) for measure in MEASURES]
    rows = [
        {
            "language": language,
            "query": f"q{query}",
            "entity": f"e{query % 2}",
            "seen": query > 0,
            "cognate": query == 0,
        }
        | {name: planted(place, language, query, measure) for measure, name in enumerate(names)}
        for language in ("de", "sw")
        for query in range(QUERIES)
    ]
    means = {
        name: {
            language: math.fsum(float(row[name]) for row in rows if row["language"] == language) / QUERIES
            for language in ("de", "sw")
        }
        for name in names
    }
    evaluation = key_of(point.run, STUDY.evaluation)
    with storage.publish(storage.evaluation(point.key, evaluation)) as folder:
        summary = {
            "schema": 1,
            "collection": "c",
            "split": "test",
            "measures": means,
            "exposure": {"de": 1.0, "sw": 0.1},
        }
        (folder / "measures.json").write_text(json.dumps(summary))
        pq.write_table(pa.Table.from_pylist(rows), folder / "per_query.parquet")


def entry(point: Point) -> Entry:
    return Entry(
        key=point.key,
        role=point.role,
        labels=point.labels.as_dict(),
        name=point.key,
        primary=str(STUDY.estimand.measure),
        evaluation=key_of(point.run, STUDY.evaluation),
    )


def read(uri: str, storage: Storage) -> dict[str, RunRecord]:
    frame = read_frame(tracking_uri=uri, study=STUDY.name, version=STUDY.version, storage=storage.identity())
    return dict(frame.runs)


def assert_read_as_planted(run: RunRecord, point: Point, place: int) -> None:
    counts = parameters_of(point.run)
    assert (run.role, run.labels.rung, run.labels.rotation) == (point.role, point.labels.rung, point.labels.rotation)
    assert (run.state, run.flags, run.revision) == ("flagged", (Flag.STILL_IMPROVING,), "abc1234")
    assert (run.non_embedding, run.total) == (counts.non_embedding, counts.total)
    assert (run.collection, run.split, run.exposure) == ("c", "test", {"de": 1.0, "sw": 0.1})
    assert set(run.series) == set(Metric)
    for series in run.series.values():
        assert series.steps.tolist() == list(STEPS)
        assert series.values.tolist() == [place + 1 / step for step in STEPS]
    assert run.queries is not None
    assert set(run.measures) == set(run.queries.scores) == {str(measure) for measure in MEASURES}
    where = zip(run.queries.language.tolist(), run.queries.query.tolist(), strict=True)
    expected = [
        [planted(place, language, int(query[1:]), m) for m in range(len(MEASURES))] for language, query in where
    ]
    found = [run.queries.scores[str(measure)].tolist() for measure in MEASURES]
    assert [list(row) for row in zip(*found, strict=True)] == expected


def test_analysis_reads_what_the_harness_wrote_and_compares_every_choice(tmp_path: Path) -> None:
    storage = Storage.at(tmp_path / "root")
    points = chosen()
    for place, point in enumerate(points):
        leave(storage, point, place)
    heading = Heading(name=STUDY.name, version=STUDY.version, question=STUDY.question, revision="abc1234")
    tracker = Tracker(storage, heading)
    try:
        assert tracker.flush([entry(point) for point in points])
        assert tracker.uri is not None
        served = read(tracker.uri, storage)
    finally:
        tracker.close()
    runs = read(f"sqlite:///{storage.mlflow_database()}", storage)
    assert {key: run.parameters for key, run in served.items()} == {key: run.parameters for key, run in runs.items()}
    assert set(runs) == {point.key for point in points}
    for place, point in enumerate(points):
        assert_read_as_planted(runs[point.key], point, place)
        assert_read_as_planted(served[point.key], point, place)

    first, second, odd = (runs[point.key] for point in points if point.role is Role.STUDENT)
    varied = declared(STUDY).varied
    ledger = compare([first, second], varied)
    assert ledger.refusal is None
    assert {"rung.name", "rung.architecture.hidden_size", "optimiser.learning_rate"} <= {
        d.field for d in ledger.declared
    }
    assert {"objective.type", "objective.epsilon", "schedule.steps", "teacher.objective.temperature"} <= set(
        ledger.agreed
    )
    # Another teacher is told by the choice in which it is another, not only by its key.
    assert [each.field for each in compare([first, odd], varied).confounders] == ["teacher.seed"]
