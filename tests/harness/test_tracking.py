"""Delivery to a real MLflow server: nothing lost and nothing doubled, whatever dies."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from harness import mlflow_server
from harness.journal import read_all
from harness.mlflow_server import LOOPBACK, MlflowServer, ServerRecord, members, read_record
from harness.mlflow_ui import serve_ui, ui
from harness.process_group import bind_error
from harness.tracker import Heading, Tracker
from studies.schema.lease import Lease
from studies.schema.record import State, Tag
from studies.schema.state import write_state
from studies.schema.storage import Storage
from tests.harness.recorded import ENTRIES, EVALUATION, HEADING, KEYS, finish_run, make_run

# Each server takes 5 s to come up on an idle machine and twenty on a busy one.
pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]
WAIT_SECONDS = 60.0


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    storage = Storage.at(tmp_path / "root")
    for key in KEYS:
        make_run(storage, key)
        finish_run(storage, key)
    storage.record_recipe(HEADING.name, HEADING.version, {"law": "linear"})
    return storage


@contextmanager
def tracker_on(storage: Storage, heading: Heading = HEADING) -> Iterator[Tracker]:
    tracker = Tracker(storage, heading)
    try:
        yield tracker
    finally:
        tracker.close()


def store(storage: Storage) -> MlflowClient:
    return MlflowClient(f"sqlite:///{storage.mlflow_database()}")


def children(storage: Storage) -> dict[str, Run]:
    """Every child run that MLflow has, by key, read without a server; fails when a key occurs twice."""
    client = store(storage)
    experiment = client.get_experiment_by_name(HEADING.name)
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id], f"tags.`{Tag.KIND}` = 'run'")
    assert len({run.data.tags[Tag.KEY] for run in found}) == len(found)
    return {run.data.tags[Tag.KEY]: run for run in found}


def assert_complete(storage: Storage) -> None:
    runs = children(storage)
    assert set(runs) == set(KEYS)
    for key, run in runs.items():
        for name in ("loss", "gradient_norm"):
            history = store(storage).get_metric_history(run.info.run_id, name)
            got = sorted((point.step, point.value, point.timestamp) for point in history)
            assert got == [(point.step, point.metrics[name], point.time) for point in read_all(storage.journal(key))]
        assert len(store(storage).get_metric_history(run.info.run_id, "nDCG_at_10")) == 1


def assert_nothing_left(record: ServerRecord) -> None:
    assert members(record) == ()
    assert bind_error(LOOPBACK, record.port) is None


def record_of(storage: Storage) -> ServerRecord:
    record = read_record(storage)
    assert record is not None
    return record


def server_pids(storage: Storage) -> dict[str, int]:
    """Processes of the server by what they run: supervise, mlflow, uvicorn."""
    found = {}
    programs = {b"supervise.py": "supervise", b"serve_mlflow.py": "mlflow", b"uvicorn": "uvicorn"}
    for pid in members(record_of(storage)):
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        found[next(name for program, name in programs.items() if any(program in word for word in command[:4]))] = pid
    return found


def wait_until_gone(record: ServerRecord, seconds: float) -> float:
    start = time.monotonic()
    while members(record):
        assert time.monotonic() - start < seconds
        time.sleep(0.1)
    return time.monotonic() - start


def test_server_killed_while_it_makes_its_database_leaves_none_that_another_cannot_serve(storage: Storage) -> None:
    database = storage.mlflow_database()
    server = MlflowServer(storage)
    server.start()
    try:
        deadline = time.monotonic() + WAIT_SECONDS
        while not list(database.parent.glob(f"{database.name}.new*")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.2)
        for pid in members(record_of(storage)):
            os.kill(pid, signal.SIGKILL)
        assert not database.exists(), "the kill came too late to be one"
        server.wait_ready()
        assert store(storage).search_experiments()
    finally:
        server.stop()
    assert not list(database.parent.glob(f"{database.name}.new*"))


def test_delivery_repeated_and_rebuilt_doubles_nothing(storage: Storage) -> None:
    with tracker_on(storage) as tracker:
        assert tracker.pending(ENTRIES)
        assert tracker.flush(ENTRIES)
        record = record_of(storage)
        assert not tracker.pending(ENTRIES)
        assert_complete(storage)
        assert_shown(storage)

        # Forgetting what arrived repeats all of it.
        shutil.rmtree(storage.mlflow() / "delivered")
        assert tracker.pending(ENTRIES)
        assert tracker.flush(ENTRIES)
        assert_complete(storage)

        # A death between sending and noting repeats the last piece.
        noted = storage.delivered(HEADING.name, HEADING.version, KEYS[0])
        content = json.loads(noted.read_text())
        noted.write_text(json.dumps({**content, "offset": 0, "is_described": False, "evaluation": None}))
        assert tracker.flush(ENTRIES)
        assert_complete(storage)

        # Deleted in the UI: made again from storage once something new is owed.
        store(storage).delete_run(content["run_id"])
        write_state(storage, KEYS[0], State.FINISHED)
        assert tracker.flush(ENTRIES)
        assert_complete(storage)
        assert children(storage)[KEYS[0]].info.run_id != content["run_id"]

        # A run that was made afresh replaces its copy.
        storage.journal(KEYS[1]).unlink()
        time.sleep(0.002)
        make_run(storage, KEYS[1], steps=20)
        assert tracker.pending(ENTRIES)
        assert tracker.flush(ENTRIES)
        finish_run(storage, KEYS[1])
        assert tracker.flush(ENTRIES)
        assert_complete(storage)
    assert_nothing_left(record)

    with tracker_on(storage) as tracker:
        assert not tracker.pending(ENTRIES)
        assert tracker.flush(ENTRIES)
        assert tracker.uri is None, "nothing is owed, so no server is needed"

        # The whole store deleted: everything is owed again, and no two runs come of it.
        storage.mlflow_database().unlink()
        assert tracker.pending(ENTRIES)
        assert tracker.flush(ENTRIES)
        assert_complete(storage)
        record = record_of(storage)
    assert_nothing_left(record)


def assert_shown(storage: Storage) -> None:
    """What people and the analysis read of a run and of the study is all there."""
    runs = children(storage)
    run = runs[KEYS[0]]
    tags: dict[str, Any] = run.data.tags
    assert run.info.run_name == ENTRIES[0].name
    assert run.info.status == "FINISHED"
    assert (tags[Tag.STATE], tags[Tag.FLAGS], tags[Tag.RUNG], tags[Tag.EVALUATION]) == (
        "flagged",
        "undertrained",
        "rung-1",
        EVALUATION,
    )
    assert Tag.label("none") not in tags
    assert run.data.params == {
        "objective.type": "Transport",
        "objective.epsilon": "0.03",
        "languages": "de sw",
        "parameters.non_embedding": "3000",
        "parameters.total": "9000",
    }
    metrics = run.data.metrics
    assert (metrics["nDCG_at_10"], metrics["AP"]) == (0.5, 0.25)
    assert (metrics["nDCG_at_10.high"], metrics["nDCG_at_10.low"]) == (0.75, 0.375)
    # Artifacts are plain files, so that a reader on this machine needs no server.
    artifacts = Path(run.info.artifact_uri)
    assert artifacts.is_relative_to(storage.mlflow_artifacts())
    assert (artifacts / "evaluation" / "per_query.parquet").read_bytes() == b"PAR1"
    assert (artifacts / "run.json").exists()
    parent = store(storage).get_run(tags["mlflow.parentRunId"])
    assert parent.info.run_name == "gap 1"
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["mlflow.note.content"] == HEADING.question
    assert (Path(parent.info.artifact_uri) / "study.json").exists()


def test_server_killed_in_the_middle_of_delivering_loses_nothing(storage: Storage) -> None:
    noted = storage.delivered(HEADING.name, HEADING.version, KEYS[0])
    with tracker_on(storage) as tracker:
        tracker.tick(ENTRIES)
        second = record_of(storage)
        for supervised in (False, True):
            first = second
            shutil.rmtree(storage.mlflow() / "delivered", ignore_errors=True)
            deliver_a_part(tracker, noted)
            pids = server_pids(storage)
            for name in ("supervise",) if supervised else sorted(pids.keys() - {"supervise"}):
                os.kill(pids[name], signal.SIGKILL)
            assert tracker.flush(ENTRIES)
            assert_complete(storage)
            second = record_of(storage)
            assert second.uri == first.uri, "the address that was printed stays good"
            # What a supervisor leaves behind may answer for as long as it takes to notice.
            assert supervised or (second.mark != first.mark and not members(first))
    assert_nothing_left(second)


def deliver_a_part(tracker: Tracker, noted: Path) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not (noted.exists() and json.loads(noted.read_text())["offset"]):
        assert time.monotonic() < deadline
        tracker.tick(ENTRIES, budget_seconds=0)
        time.sleep(0.05)
    assert tracker.pending(ENTRIES)


DRIVE = """
import sys, time
from harness.mlflow_server import MlflowServer
from studies.schema.storage import Storage
server = MlflowServer(Storage.at(sys.argv[1]), grace_seconds=float(sys.argv[2]))
server.start()
server.wait_ready()
print("ready", flush=True)
time.sleep(300)
"""


def start_driver(storage: Storage, grace_seconds: float) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", DRIVE, str(storage.root), str(grace_seconds)]
    driver = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    assert driver.stdout.readline() == "ready\n"
    driver.stdout.close()
    return driver


def kill_driver(driver: subprocess.Popen[str]) -> None:
    driver.kill()
    driver.wait(10)


def test_server_of_a_killed_driver_is_adopted_and_ends_with_its_last_user(tmp_path: Path) -> None:
    storage = Storage.at(tmp_path)
    kill_driver(start_driver(storage, grace_seconds=4))
    record = record_of(storage)

    # The next driver finds it warm; a third and the UI share it.
    server = MlflowServer(storage)
    server.start()
    assert server.is_ready()
    assert server.uri == record.uri
    with ui(storage, 0) as shown:
        assert shown.uri == record.uri
        server.stop()
        driver = start_driver(storage, grace_seconds=4)
    assert members(record)
    assert record_of(storage) == record

    kill_driver(driver)
    wait_until_gone(record, seconds=15)
    assert_nothing_left(record)


def test_port_in_use_is_one_clear_error(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = MlflowServer(Storage.at(tmp_path), port=port)
        with pytest.raises(ValueError, match=rf"{LOOPBACK}:{port} \(Address already in use\); give another port"):
            server.start()
        server.stop()


def test_server_is_stuck_when_it_stays_silent_and_not_when_it_once_is_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow_server, "START_SECONDS", 2 * mlflow_server.HEALTH_TIMEOUT_SECONDS)
    server = MlflowServer(Storage.at(tmp_path))
    server.start()
    try:
        server.wait_ready()
        time.sleep(mlflow_server.START_SECONDS)
        record = read_record(Storage.at(tmp_path))
        assert record is not None
        os.killpg(record.pgid, signal.SIGSTOP)
        try:
            assert not server.is_stuck()
            time.sleep(mlflow_server.START_SECONDS)
            assert server.is_stuck()
        finally:
            os.killpg(record.pgid, signal.SIGCONT)
        server.wait_ready()
        assert not server.is_stuck()
    finally:
        server.stop()


def test_tracking_server_that_does_not_answer_is_one_clear_error_soon(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        uri = f"http://{LOOPBACK}:{probe.getsockname()[1]}"
    start = time.monotonic()
    with pytest.raises(ValueError, match=f"no MLflow server can be used at {uri}.*leave it out"):
        Tracker(Storage.at(tmp_path), HEADING, uri).check()
    assert time.monotonic() - start < 20


def test_ui_shows_nothing_to_the_network_unless_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="without a password"):
        serve_ui(Storage.at(tmp_path), 0, "0.0.0.0", announce=str)
    with pytest.raises(ValueError, match="no MLflow store yet"):
        serve_ui(Storage.at(tmp_path), 0, announce=str)


def test_run_that_cannot_be_delivered_is_named_and_holds_up_no_other_but_a_lease_does(
    storage: Storage, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (storage.evaluation(KEYS[0], EVALUATION) / "measures.json").write_text("{}")
    database = tmp_path / "other.db"
    tracker = Tracker(storage, HEADING, f"sqlite:///{database}")
    with Lease(storage.deliver_lease()):
        tracker.tick(ENTRIES)
        assert not tracker.problems, "another process delivers, and this one leaves it to that"
    assert not tracker.flush(ENTRIES)
    assert set(tracker.problems) == {KEYS[0]}
    assert tracker.undelivered(ENTRIES) == (KEYS[0],)
    assert "measures.json is damaged" in tracker.problems[KEYS[0]]
    assert len([record for record in caplog.records if "cannot be delivered" in record.message]) == 1
    assert tracker.pending(ENTRIES)
    client = MlflowClient(f"sqlite:///{database}")
    experiment = client.get_experiment_by_name(HEADING.name)
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id], f"tags.`{Tag.EVALUATION}` = '{EVALUATION}'")
    assert run.data.tags[Tag.KEY] == KEYS[1]
