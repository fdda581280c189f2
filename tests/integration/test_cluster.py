"""From nothing to a finished study on a real cluster of this machine, and back to nothing."""

import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest

from cluster.local import LocalRecord
from cluster.local import State as LocalState
from cluster.processes import family
from harness.drills.command import WAIT_SECONDS, shared_memory
from harness.drills.results import fingerprint
from harness.drills.tiny import tiny_study
from studies.schema.record import State
from studies.schema.run import System
from studies.schema.state import read_state
from studies.schema.storage import Storage
from studies.schema.study import expand
from tests.integration.checkout import command, make_checkout

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

BAD_INPUT = 2
UNFINISHED = 1
STEPS = 120


@dataclass(frozen=True, kw_only=True)
class Desk:
    """Where a person sits: a checkout with a study named tiny, an environment, and storage that the cluster sees."""

    checkout: Path
    environment: dict[str, str]
    storage: Storage
    record: LocalRecord
    token: Path

    def cluster(self, *words: str) -> subprocess.CompletedProcess[str]:
        return command(self.checkout, self.environment, *words)

    def tiny(self, word: str, *words: str) -> subprocess.CompletedProcess[str]:
        """A command about the study; those that name a storage get it."""
        place = ("--storage", str(self.storage.root)) if word in ("submit", "preflight") else ()
        return self.cluster(word, "tiny", "--target", "local", *place, *words)


@pytest.fixture(scope="module")
def desk(revision: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A local cluster that is up; when it is down again, nothing may be left of it."""
    folder = tmp_path_factory.mktemp("desk")
    checkout = folder / "checkout"
    make_checkout(checkout, f"tiny_study({revision!r}, steps={STEPS})")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"PYTHONPATH": str(checkout), "XDG_STATE_HOME": str(folder / "state")}
    before = shared_memory()
    try:
        started = command(checkout, environment, "up", "local", "--port", str(port))
        assert started.returncode == 0, started.stderr
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_STATE_HOME", str(folder / "state"))
            state = LocalState("local")
        record = state.read()
        assert record is not None
        storage = Storage.at(folder / "storage")
        yield Desk(checkout=checkout, environment=environment, storage=storage, record=record, token=state.token)
    finally:
        ended = command(checkout, environment, "down", "local")
    assert ended.stdout == "local is down\n", ended.stderr
    assert family(record.mark) == {}
    assert not Path(record.temporary).exists()
    assert not state.token.exists()
    assert state.read() is None
    assert shared_memory() <= before
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
    assert command(checkout, environment, "down", "local").stdout == "local was not up\n"


def test_local_cluster_listens_on_loopback_alone_and_asks_for_its_token(desk: Desk) -> None:
    listening = set()
    for pid in family(desk.record.mark):
        listening |= {c.laddr.ip for c in psutil.Process(pid).net_connections("tcp") if c.status == "LISTEN"}
    assert {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}
    assert desk.token.stat().st_mode & 0o777 == 0o600
    assert desk.token.parent.stat().st_mode & 0o777 == 0o700
    for beside in ("cluster.json", "ray.log"):
        assert desk.token.read_text() not in (desk.token.parent / beside).read_text()
    with pytest.raises(urllib.error.HTTPError, match="401") as refusal:
        urllib.request.urlopen(f"{desk.record.address}/api/jobs/", timeout=10)
    refusal.value.close()
    assert "already running" in desk.cluster("up", "local").stdout


def test_token_of_another_cluster_is_refused_with_the_remedy(desk: Desk, tmp_path: Path) -> None:
    # A copy of what is known of the cluster: Ray's own processes read the true file whenever one of them starts.
    known = tmp_path / "state" / desk.token.parent.relative_to(desk.environment["XDG_STATE_HOME"])
    shutil.copytree(desk.token.parent, known)
    (known / desk.token.name).write_text("0" * 64)
    stale = replace(desk, environment=desk.environment | {"XDG_STATE_HOME": str(tmp_path / "state")})
    result, submitted = stale.tiny("preflight"), stale.tiny("submit", "--no-preflight")
    assert result.returncode == UNFINISHED
    assert "does not accept our token" in result.stdout
    assert "python -m cluster down local" in result.stdout
    assert submitted.returncode == BAD_INPUT
    assert submitted.stderr.startswith("error: ")
    assert desk.token.read_text() not in result.stdout + result.stderr + submitted.stderr


def test_storage_that_nodes_cannot_write_and_a_silent_tracking_server_fail_in_preflight(desk: Desk) -> None:
    words = ("--storage", "/proc/none", "--tracking-uri", "http://127.0.0.1:9")
    result = desk.cluster("preflight", "tiny", "--target", "local", *words)
    assert result.returncode == UNFINISHED, result.stderr
    lines = {name: line for line in result.stdout.splitlines() for name in ("storage", "tracking") if name in line[:9]}
    assert "FAIL" in lines["storage"]
    assert "FAIL" in lines["tracking"]
    assert "--allowed-hosts" in result.stdout
    assert not desk.storage.root.exists()


def test_study_that_is_submitted_twice_or_stopped_goes_on_and_is_brought_home_once(desk: Desk, revision: str) -> None:
    stray = desk.checkout / "studies" / "stray.py"
    stray.write_text("")
    refused = desk.tiny("submit")
    stray.unlink()
    assert refused.returncode == BAD_INPUT
    assert "studies/stray.py not committed" in refused.stdout
    assert desk.tiny("status").stdout == "local knows of no attempt at tiny\n"

    study = tiny_study(revision, steps=STEPS)
    first = desk.tiny("submit")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "submitted tiny-1-1 (first attempt)" in first.stdout
    attached = desk.tiny("submit")
    assert attached.stdout.startswith("tiny-1-1 is "), attached.stdout + attached.stderr
    wait_until(lambda: desk.storage.journal(expand(study)[0].key).exists())
    assert desk.tiny("stop").stdout == "tiny-1-1 saved and ended\n"
    trained = [point for point in expand(study) if not isinstance(point.run, System)]
    assert State.PLANNED in {read_state(desk.storage, point.key).state for point in trained}

    second = desk.tiny("submit", "--follow")
    assert second.returncode == 0, second.stdout + second.stderr
    assert "submitted tiny-1-2 (tiny-1-1 ended as FAILED; finished runs are kept)" in second.stdout
    assert second.stdout.endswith("tiny-1-2 SUCCEEDED\n")
    assert second.stdout.count("all training loops together") == 1
    assert {read_state(desk.storage, point.key).state for point in trained} <= {State.FINISHED, State.FLAGGED}

    before = fingerprint(desk.storage.runs())
    third = desk.tiny("submit", "--follow")
    assert third.returncode == 0, third.stderr
    assert third.stdout.startswith("nothing to do: tiny-1-2 succeeded")
    assert fingerprint(desk.storage.runs()) == before
    assert [line.split()[:2] for line in desk.tiny("status").stdout.splitlines()] == [
        ["tiny-1-1", "FAILED"],
        ["tiny-1-2", "SUCCEEDED"],
    ]
    assert "all training loops together" in desk.tiny("logs").stdout
    assert "is not running: SUCCEEDED" in desk.tiny("stop").stdout
    assert desk.token.read_text() not in first.stdout + second.stdout + second.stderr


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.1)
