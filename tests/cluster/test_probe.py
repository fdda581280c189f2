"""What a probe reads of storage and of the way to a server, without a cluster."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.probe import look, owed
from studies.first_look import STUDY
from studies.schema.record import State
from studies.schema.run import System
from studies.schema.state import write_state
from studies.schema.storage import Storage
from studies.schema.study import expand


def evaluate(storage: Storage, key: str) -> None:
    with storage.publish(storage.evaluation(key, "e1")) as folder:
        (folder / "measures.json").write_text("{}")


def test_run_is_owed_until_it_is_trained_and_evaluated_or_has_failed(tmp_path: Path) -> None:
    storage = Storage.at(tmp_path)
    points = expand(STUDY)
    assert owed(STUDY, storage) == len(points)
    trained = [point for point in points if not isinstance(point.run, System)]
    for point in trained:
        write_state(storage, point.key, State.FINISHED)
    assert owed(STUDY, storage) == len(points)
    for point in points:
        evaluate(storage, point.key)
    assert owed(STUDY, storage) == 0
    write_state(storage, trained[0].key, State.RUNNING)
    assert owed(STUDY, storage) == 1
    write_state(storage, trained[0].key, State.FAILED, reason="loss is not a number")
    assert owed(STUDY, storage) == 0


def test_evaluation_without_a_manifest_does_not_count(tmp_path: Path) -> None:
    storage = Storage.at(tmp_path)
    point = next(point for point in expand(STUDY) if isinstance(point.run, System))
    storage.evaluation(point.key, "e1").mkdir(parents=True)
    assert owed(STUDY, storage) == len(expand(STUDY))


def test_storage_that_lacks_what_the_head_wrote_is_another_one(tmp_path: Path) -> None:
    (tmp_path / "nonce").write_text("x")
    assert look(str(tmp_path), None, "nonce")["storage_error"] is None
    assert "another directory here" in look(str(tmp_path), None, "another")["storage_error"]
    assert "cannot be written" in look("/proc/none", None, "nonce")["storage_error"]


class Answers(http.server.BaseHTTPRequestHandler):
    """Healthy under one path, forbidden under every other."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 403)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as served:
        thread = threading.Thread(target=served.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()
        thread.join()


def test_tracking_server_is_healthy_forbidden_or_silent(server: str, tmp_path: Path) -> None:
    (tmp_path / "n").write_text("x")
    assert look(str(tmp_path), server, "n")["tracking_error"] is None
    assert look(str(tmp_path), f"{server}/elsewhere", "n")["tracking_error"] == f"{server}/elsewhere answers 403"
    assert "does not answer" in look(str(tmp_path), "http://127.0.0.1:9", "n")["tracking_error"]
