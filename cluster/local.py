"""A real Ray cluster on this machine: on loopback, behind a token, and ended without touching any other Ray."""

import contextlib
import http.client
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from cluster.processes import MARK, end, family
from studies.schema.lease import Lease, process_start
from studies.schema.storage import write_json_atomic

LOOPBACK = "127.0.0.1"
DASHBOARD_PORT = 8265
START_SECONDS = 120.0
"""Six seconds were seen on two idle cores; a busy machine gets twenty times that."""

OBJECT_STORE_BYTES = 128 * 2**20
"""Everything large goes through storage, so the smallest comfortable store does."""

RAY = {
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Ray takes 127.0.0.1 for a slip and listens on every interface instead, unless it is told that this is no cluster.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "GLOO_SOCKET_IFNAME": "lo",
    # Ray starts its workers at nice 15; on one machine that puts training behind everything else that runs there.
    "RAY_worker_niceness": "0",
    # A process per worker group that waits for notice that a node will be taken away; this machine gets none.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
}
"""Environment of the cluster, inherited by every job on it."""

FOREIGN = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "RAY_AUTH_TOKEN", "MLFLOW_RUN_ID")
"""These would redirect a job, or give the cluster another token than its own."""

_PORTS_OF_WORKERS = range(10002, 20000)
"""Ray keeps these for its workers and refuses any of them for something else."""


@dataclass(frozen=True, kw_only=True)
class LocalRecord:
    """What ``cluster.json`` says of a running cluster; ``started`` of the leader in ticks since boot.

    ``temporary`` is the folder of Ray's sockets and logs. The token is in a file beside, never in here.
    """

    pid: int
    started: int
    mark: str
    port: int
    temporary: str
    python: str

    @property
    def address(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"


class State:
    """The folder of one local cluster: its record, token, log and lock, for its user alone."""

    def __init__(self, name: str) -> None:
        given = os.environ.get("XDG_STATE_HOME", "")
        base = Path(given) if os.path.isabs(given) else Path.home() / ".local" / "state"
        self.folder = base / "clir-scaling-harness" / name
        self.record = self.folder / "cluster.json"
        self.token = self.folder / "token"
        self.log = self.folder / "ray.log"

    def read(self) -> LocalRecord | None:
        """The recorded cluster if its leader lives."""
        try:
            record = LocalRecord(**json.loads(self.record.read_bytes()))
        except (FileNotFoundError, ValueError, TypeError):
            return None
        return record if process_start(record.pid) == record.started else None

    @contextlib.contextmanager
    def locked(self, purpose: str) -> Iterator[None]:
        """Make the folder and hold its lock."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        with Lease(self.folder / "lock", purpose=purpose, wait_seconds=START_SECONDS):
            yield


def up(name: str, *, port: int = DASHBOARD_PORT, cpus: int | None = None) -> tuple[LocalRecord, bool]:
    """Start a cluster, or find the one that runs; says which of the two it was by True for a new one.

    Raises ValueError when the port is taken, and RuntimeError with Ray's last words when it does not come up.
    """
    state = State(name)
    with state.locked("start Ray"):
        running = state.read()
        if running is not None:
            return running, False
        _clear(state)
        _check_free(port)
        _write_token(state.token)
        record = _start(state, port, cpus)
        write_json_atomic(state.record, asdict(record))
        try:
            _wait_until_it_answers(state, record)
        except BaseException:
            _clear(state)
            raise
        return record, True


def down(name: str) -> bool:
    """End what ``up`` started, and nothing else; says whether there was anything."""
    state = State(name)
    if not state.folder.exists():
        return False
    with state.locked("stop Ray"):
        return _clear(state)


def _clear(state: State) -> bool:
    """End the recorded cluster, whether or not its leader lives, and remove its token, sockets and record."""
    try:
        record = LocalRecord(**json.loads(state.record.read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        state.token.unlink(missing_ok=True)
        return False
    was_running = bool(family(record.mark))
    end(record.mark, record.pid)
    shutil.rmtree(record.temporary, ignore_errors=True)
    state.token.unlink(missing_ok=True)
    state.record.unlink(missing_ok=True)
    return was_running


def _write_token(path: Path) -> None:
    """256 random bits, readable by the user alone from the first moment on."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(secrets.token_hex(32))


def _start(state: State, port: int, cpus: int | None) -> LocalRecord:
    mark = secrets.token_hex(8)
    # Ray opens its own folder to everybody, so it gets one inside a closed one. Short: a socket's path has 107 bytes.
    temporary = Path(tempfile.mkdtemp(prefix="ray-"))
    python = Path(sys.executable)
    environment = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    environment |= RAY
    environment |= {"RAY_AUTH_TOKEN_PATH": str(state.token), MARK: mark}
    # A job's ``python`` is the first on the head's PATH.
    environment["PATH"] = f"{python.parent}{os.pathsep}{environment.get('PATH', os.defpath)}"
    command = [
        *(str(python), "-m", "ray.scripts.scripts", "start", "--head", "--block", "--disable-usage-stats"),
        *("--node-ip-address", LOOPBACK, "--port", "0"),
        *("--dashboard-host", LOOPBACK, "--dashboard-port", str(port), "--dashboard-agent-listen-port", "0"),
        *("--ray-client-server-port", str(_free_port()), "--object-store-memory", str(OBJECT_STORE_BYTES)),
        *("--temp-dir", str(temporary / "ray")),
        *(("--num-cpus", str(cpus)) if cpus is not None else ()),
    ]
    (temporary / "ray").mkdir()
    with state.log.open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=temporary,
            env=environment,
            start_new_session=True,
        )
    return LocalRecord(
        pid=process.pid,
        started=process_start(process.pid) or 0,
        mark=mark,
        port=port,
        temporary=str(temporary),
        python=str(python),
    )


def _wait_until_it_answers(state: State, record: LocalRecord) -> None:
    deadline = time.monotonic() + START_SECONDS
    token = state.token.read_text()
    while not _answers(record.port, token):
        if process_start(record.pid) != record.started or time.monotonic() > deadline:
            words = "\n".join(state.log.read_text(errors="replace").splitlines()[-8:])
            raise RuntimeError(f"Ray did not come up at {record.address}; the end of its log:\n{words}")
        time.sleep(0.2)


def _answers(port: int, token: str) -> bool:
    """Whether jobs can be submitted; the list of jobs is the last thing that comes up."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", "/api/jobs/", headers={"Authorization": f"Bearer {token}"})
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise ValueError(
                f"port {port} on {LOOPBACK} is in use ({error.strerror}), perhaps by another Ray; give another --port"
            ) from None


def _free_port() -> int:
    while True:
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            port = int(probe.getsockname()[1])
        if port not in _PORTS_OF_WORKERS:
            return port
