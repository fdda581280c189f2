"""A finished study is left alone, and a new question about it is answered without training."""

import resource

import pytest

from harness.drills.results import fingerprint
from harness.drills.scene import Home
from harness.drills.tiny import STEPS
from studies.schema.study import expand
from tests.integration.starting import NewStudies, Start

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


def test_second_run_starts_nothing_and_changes_no_file(home: Home, start: Start) -> None:
    before, used = fingerprint(home.storage.root), cpu_seconds()
    command = start(home.storage, home.studies, "run", "tiny")
    assert command.wait() == 0, command.output()
    assert "7 of 7 runs done" in command.output()
    assert not [name for name in command.titles if "ray" in name or "mlflow" in name]
    changed = {name for name, mark in fingerprint(home.storage.root).items() if before.get(name) != mark}
    assert changed <= {"studies/tiny/lease"}
    # Seconds of computing, not of waiting: other tests may have the machine too.
    assert cpu_seconds() - used < 15


def test_new_measure_evaluates_again_and_trains_nothing(home: Home, new_studies: NewStudies, start: Start) -> None:
    revision = home.revision
    folder = new_studies(f"tiny_study({revision!r}, version='2', steps={STEPS}, measures=(*MEASURES, Success @ 1))")
    trained = {point.key: fingerprint(home.storage.final(point.key)) for point in expand(home.study)}
    journals = {
        point.key: fingerprint(home.storage.run(point.key)).get("journal.jsonl") for point in expand(home.study)
    }
    command = start(home.storage, folder, "run", "tiny")
    assert command.wait() == 0, command.output()
    assert not command.left_behind()
    for point in expand(home.study):
        assert fingerprint(home.storage.final(point.key)) == trained[point.key]
        assert fingerprint(home.storage.run(point.key)).get("journal.jsonl") == journals[point.key]
        assert len(list(home.storage.evaluations(point.key).iterdir())) == 2


def cpu_seconds() -> float:
    """Processor time of every child that has ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
