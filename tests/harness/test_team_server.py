"""A team's MLflow over a real PostgreSQL: many deliver at once, some die, and no point is lost or doubled."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient

from harness.journal import read_all
from studies.schema.record import Kind, Tag
from studies.schema.sources import TOP
from studies.schema.storage import Storage
from tests.harness.recorded import EVALUATION, HEADING, KEYS, finish_run, make_run

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

PASSWORD = "pass-5d1f"
WAIT_SECONDS = 100.0
MEMBERS = 3
STEPS = 300

DELIVER = """
import sys
from harness.tracker import Tracker
from studies.schema.storage import Storage
from tests.harness.recorded import ENTRIES, HEADING
tracker = Tracker(Storage.at(sys.argv[1]), HEADING, sys.argv[2])
sys.exit(not tracker.flush(ENTRIES, timeout_seconds=90))
"""


@dataclass(frozen=True, kw_only=True)
class Database:
    """A PostgreSQL of this test: its address without the password, which is in ``environment``."""

    uri: str
    environment: Mapping[str, str]


@pytest.fixture
def database() -> Iterator[Database]:
    """A cluster in a folder of its own, run by a user other than root because PostgreSQL refuses root."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        pytest.skip("PostgreSQL is not installed (Debian's package postgresql)")
    with tempfile.TemporaryDirectory(prefix="harness-postgres-") as place:
        folder = Path(place)
        secret = folder / "password"
        secret.write_text(PASSWORD)
        user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        for path in (folder, secret):
            shutil.chown(path, user)
        port = free_port()

        def postgres(program: str, *words: str) -> None:
            command = [str(programs[-1] / program), *words]
            runner = ["runuser", "-u", user, "--"] if os.geteuid() == 0 else []
            subprocess.run(
                [*runner, *command], check=True, cwd=folder, capture_output=True, timeout=60, env=environment
            )

        environment = os.environ | {"PGPASSWORD": PASSWORD, "PGHOST": "127.0.0.1", "PGPORT": str(port)}
        asked = ("--auth=scram-sha-256", f"--pwfile={secret}", "--username=team", "--no-sync", "--encoding=UTF8")
        postgres("initdb", f"--pgdata={folder}/data", *asked)
        settings = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder} -c fsync=off"
        control = ("pg_ctl", f"--pgdata={folder}/data", "--wait")
        postgres(*control, f"--log={folder}/log", f"--options={settings}", "start")
        try:
            postgres("createdb", "--username=team", "runs")
            yield Database(uri=f"postgresql://team@127.0.0.1:{port}/runs", environment={"PGPASSWORD": PASSWORD})
        finally:
            postgres(*control, "--mode=immediate", "stop")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def served(database: Database, artifacts: Path, port: int, log: Path) -> Iterator[str]:
    """The documented command; told to end afterwards, and then gone."""
    words = ["--backend", database.uri, "--artifacts", str(artifacts), "--port", str(port)]
    with log.open("ab") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "harness", "serve", *words],
            cwd=TOP,
            env={**os.environ, "PYTHONPATH": str(TOP), **database.environment},
            stdout=output,
            stderr=output,
        )
    try:
        wait_until(lambda: "MLflow is at" in log.read_text() or server.poll() is not None)
        assert server.poll() is None, log.read_text()
        yield f"http://127.0.0.1:{port}"
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0, log.read_text()
        log.unlink()


def wait_until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def deliverer(storage: Storage, uri: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", DELIVER, str(storage.root), uri]
    return subprocess.Popen(command, cwd=TOP, env={**os.environ, "PYTHONPATH": str(TOP)})


def assert_delivered_once(client: MlflowClient, storages: list[Storage], scratch: Path) -> None:
    experiment = client.get_experiment_by_name(HEADING.name)
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id], f"tags.`{Tag.KIND}` = '{Kind.RUN}'")
    wanted = sorted((storage.identity(), key) for storage in storages for key in KEYS)
    assert sorted((run.data.tags[Tag.STORAGE], run.data.tags[Tag.KEY]) for run in found) == wanted
    roots = {storage.identity(): storage for storage in storages}
    for run in found:
        points = read_all(roots[run.data.tags[Tag.STORAGE]].journal(run.data.tags[Tag.KEY]))
        for name in ("loss", "gradient_norm"):
            history = client.get_metric_history(run.info.run_id, name)
            assert sorted((m.step, m.value, m.timestamp) for m in history) == [
                (point.step, point.metrics[name], point.time) for point in points
            ]
        assert run.data.tags[Tag.EVALUATION] == EVALUATION
        assert run.info.artifact_uri.startswith("mlflow-artifacts:")
        assert PASSWORD not in str(run.to_dictionary())
    # What went through the server comes back through it.
    folder = client.download_artifacts(found[0].info.run_id, "evaluation", str(scratch))
    assert (Path(folder) / "per_query.parquet").read_bytes() == b"PAR1"


def test_many_deliver_at_once_and_nothing_is_lost_or_doubled_when_server_and_deliverer_die(
    database: Database, tmp_path: Path
) -> None:
    storages = [Storage.at(tmp_path / f"member-{number}") for number in range(MEMBERS)]
    for storage in storages:
        for key in KEYS:
            make_run(storage, key, steps=STEPS)
            finish_run(storage, key)
    port, artifacts, log = free_port(), tmp_path / "artifacts", tmp_path / "log"
    noted = storages[0].delivered(HEADING.name, HEADING.version, KEYS[0])
    with served(database, artifacts, port, log) as uri:
        working = [deliverer(storage, uri) for storage in storages]
        wait_until(noted.exists)
        working[0].kill()
        working[0].wait()
        said = log.read_text()
    # The server is gone while two deliver; they wait, and a third begins anew.
    working[0] = deliverer(storages[0], uri)
    with served(database, artifacts, port, log):
        assert [process.wait(WAIT_SECONDS) for process in working] == [0] * MEMBERS
        (tmp_path / "scratch").mkdir()
        assert_delivered_once(MlflowClient(uri), storages, tmp_path / "scratch")
        said += log.read_text()
    assert PASSWORD not in said
    assert not [path for storage in storages for path in storage.root.rglob("*.json") if PASSWORD in path.read_text()]
