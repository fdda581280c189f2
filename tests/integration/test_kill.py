"""SIGKILL of a worker, the tracking server or the driver at any moment changes no final number and leaves nothing."""

import random
from pathlib import Path

import pytest

from harness.mlflow_server import members, read_record
from studies.schema.record import Role
from studies.schema.storage import Storage
from studies.schema.study import Study, expand
from tests.integration.command import STEPS, Command, Home, Start
from tests.integration.results import assert_mlflow_equals_journals, fingerprint, last_step, results

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

SEED = 20261120
"""When to kill: arbitrary, and the same every time."""


def test_killed_worker_and_killed_tracking_server_change_nothing(home: Home, tmp_path: Path, start: Start) -> None:
    storage, moments = Storage.at(tmp_path / "storage"), random.Random(SEED)
    first, second = students(home.study)
    command = start(storage, home.studies, "run", "tiny")
    reach(command, storage, first, moments.randrange(10, STEPS - 20))
    moments.choice(command.train_workers()).kill()
    reach(command, storage, second, moments.randrange(10, STEPS - 20))
    kill_tracking_server(command, storage)
    assert command.wait() == 0, command.output()
    command.assert_nothing_left()
    assert results(storage, home.study) == results(home.storage, home.study)
    assert_mlflow_equals_journals(storage, home.study)


def test_killed_driver_goes_on_from_the_newest_whole_checkpoint(home: Home, tmp_path: Path, start: Start) -> None:
    storage, moments = Storage.at(tmp_path / "storage"), random.Random(SEED)
    first, second = students(home.study)
    command = start(storage, home.studies, "run", "tiny")
    reach(command, storage, first, moments.randrange(10, STEPS - 20))
    command.kill()
    follower = start(storage, home.studies, "run", "tiny")
    reach(follower, storage, second, moments.randrange(65, STEPS - 30))
    # Workers outlive their driver by seconds, which would be enough to finish so small a run.
    follower.end()
    cut_short = truncate_newest_checkpoint(storage, second)
    last = start(storage, home.studies, "run", "tiny")
    assert last.wait() == 0, last.output()
    (warning,) = [line for line in last.output().splitlines() if "is damaged" in line]
    assert str(cut_short) in warning
    assert "goes on from the checkpoint before it" in warning
    for ended in (command, follower, last):
        ended.assert_nothing_left()
    assert results(storage, home.study) == results(home.storage, home.study)
    assert_mlflow_equals_journals(storage, home.study)


def test_nothing_is_compiled_under_a_lock_that_a_killed_worker_would_leave_for_ever(home: Home) -> None:
    assert not home.command.compiled.exists()


def test_undisturbed_study_is_in_mlflow_point_by_point_and_was_on_loopback_only(home: Home) -> None:
    assert_mlflow_equals_journals(home.storage, home.study)
    # The store in which torch's workers find each other listens everywhere and cannot be told otherwise.
    assert home.command.exposed <= {"ray::RayTrainWorker"}


def students(study: Study) -> list[str]:
    return [point.key for point in expand(study) if point.role is Role.STUDENT]


def reach(command: Command, storage: Storage, key: str, step: int) -> None:
    command.wait_until(lambda: last_step(storage, key) >= step)
    assert last_step(storage, key) < STEPS, "the run ended before anything could be killed"


def kill_tracking_server(command: Command, storage: Storage) -> None:
    """Kill MLflow's parent process and the child that answers, as the kernel does when memory is short."""
    command.wait_until(lambda: read_record(storage) is not None)
    record = read_record(storage)
    assert record is not None
    killed = [process for process in command.family if process.pid in members(record) and process.pid != record.pid]
    assert len(killed) >= 2, "the server has a parent and a child"
    for process in killed:
        process.kill()


def truncate_newest_checkpoint(storage: Storage, key: str) -> Path:
    """Cut the largest file of the newest checkpoint in half."""
    newest = max(path for path in storage.checkpoints(key).glob("[0-9]*"))
    largest = max(fingerprint(newest), key=lambda name: (newest / name).stat().st_size)
    content = (newest / largest).read_bytes()
    (newest / largest).write_bytes(content[: len(content) // 2])
    return newest / largest
