"""The embedded MLflow server: one per storage root, on loopback, and gone when nobody uses it any more.

Every user holds a shared lock on ``server.users``; a small supervisor leads the server's process group and
ends it once nobody has held that lock for ``GRACE_SECONDS``. So a killed driver leaves nothing on a port,
and two drivers or a driver and the UI share one server and its sqlite file. Linux only (/proc).
"""

import fcntl
import http.client
import json
import logging
import os
import secrets
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.process_group import END_SECONDS, bind_error, end_group, group_members, listens
from studies.schema.lease import Lease, process_start
from studies.schema.storage import Storage, write_json_atomic

logger = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
ANY_ADDRESS = "0.0.0.0"
# How long a server outlives its last user: enough for a restarted driver to find it warm.
GRACE_SECONDS = 15.0
HEALTH_TIMEOUT_SECONDS = 2.0
# A server takes 4 to 6 s to come up on two idle cores; a busy machine gets twenty times that before it is given up.
START_SECONDS = 120.0
# Set in the server's environment, so that each of its processes can be told from a stranger with a reused pid.
MARK = "HARNESS_SERVER_MARK"

# Measured with MLflow 3.17: job execution off and one worker take 4 to 6 s and 0.5 GB, not 9 s and 2.5 GB.
ENVIRONMENT = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
# These would redirect or reconfigure the server behind our back.
FOREIGN = (
    "MLFLOW_TRACKING_URI",
    "MLFLOW_BACKEND_STORE_URI",
    "MLFLOW_RUN_ID",
    "MLFLOW_WORKERS",
    "MLFLOW_ENABLE_WORKSPACES",
)
LOOPBACK_HOSTS = ("localhost", "localhost:*", "127.0.0.1", "127.0.0.1:*")


class ServerFailed(RuntimeError):
    """The embedded server did not come up; the message ends with its last lines."""


@dataclass(frozen=True, kw_only=True)
class ServerRecord:
    """What server.json says: ``pid`` is the supervisor, which leads the group; ``started`` in ticks since boot."""

    pid: int
    pgid: int
    started: int
    host: str
    port: int
    uri: str
    mark: str


class MlflowServer:
    """A claim on the storage root's server: ``start`` it, ``wait_ready``, use ``uri``, ``stop``."""

    def __init__(
        self, storage: Storage, *, port: int = 0, host: str = LOOPBACK, grace_seconds: float = GRACE_SECONDS
    ) -> None:
        self._storage = storage
        self._port = port
        self._host = host
        self._grace_seconds = grace_seconds
        self._record: ServerRecord | None = None
        self._users: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._silent_since: float | None = None
        self._known_good = False

    @property
    def uri(self) -> str:
        """Address of the server; RuntimeError before ``start``."""
        if self._record is None:
            raise RuntimeError("the MLflow server has not been started")
        return self._record.uri

    @property
    def is_started(self) -> bool:
        return self._record is not None

    def start(self) -> None:
        """Adopt the running server or spawn one; returns at once, long before the server answers.

        ValueError when a port was asked for and is in use.
        """
        self._storage.mlflow().mkdir(parents=True, exist_ok=True)
        with Lease(self._storage.mlflow() / "server.lock", purpose="start MLflow", wait_seconds=START_SECONDS):
            self._claim()
            self._reap()
            record = read_record(self._storage)
            self._known_good = False
            self._silent_since = None
            if record is not None and process_start(record.pid) == record.started:
                self._record = record
                return
            if record is not None:
                logger.warning("the MLflow server at %s has died; starting another", record.uri)
                end_server(record)
            self._record = self._spawn(self._choose_port(record))

    def is_alive(self) -> bool:
        """Whether the server's processes are there, healthy or not yet."""
        self._reap()
        return self._record is not None and process_start(self._record.pid) == self._record.started

    def is_ready(self) -> bool:
        """Whether the server answers, and on a port that is really its own."""
        if self._record is None or not self.is_alive() or not answers(self._record.host, self._record.port):
            return False
        if not self._known_good:
            self._known_good = listens(members(self._record), self._record.port)
        return self._known_good

    def is_stuck(self) -> bool:
        """Whether the server has been asked for longer than any busy machine explains, and never answered."""
        now = time.monotonic()
        self._silent_since = None if self.is_ready() else self._silent_since or now
        return self._silent_since is not None and now - self._silent_since > START_SECONDS

    def wait_ready(self, timeout_seconds: float = START_SECONDS) -> None:
        """Wait until the server answers, starting it again at most twice if it dies; raises ServerFailed."""
        deadline = time.monotonic() + timeout_seconds
        restarts = 0
        while not self.is_ready():
            if not self.is_alive():
                if restarts == 2:
                    raise ServerFailed(f"the MLflow server ended while it started; {self._last_words()}")
                restarts += 1
                self.start()
            if time.monotonic() > deadline:
                raise ServerFailed(f"no answer from {self.uri} within {timeout_seconds:g} s; {self._last_words()}")
            time.sleep(0.1)

    def restart(self) -> None:
        """End a server that no longer answers, whoever else uses it, and start another on the same store."""
        if self._record is not None:
            end_server(self._record)
        self.start()

    def stop(self) -> None:
        """Give up the claim; the last user ends the whole process group and waits until the port is free."""
        if self._users is None:
            return
        with Lease(self._storage.mlflow() / "server.lock", purpose="stop MLflow", wait_seconds=START_SECONDS):
            fcntl.flock(self._users, fcntl.LOCK_UN)
            try:
                fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logger.info("the MLflow server is still used by another process and stays")
            else:
                record = read_record(self._storage)
                if record is not None:
                    end_server(record)
                    self._storage.server_record().unlink(missing_ok=True)
            finally:
                os.close(self._users)
                self._users = None
        self._reap()
        self._record = None

    def _claim(self) -> None:
        """Hold the users' lock, waiting while a supervisor that has given up is still ending its group."""
        if self._users is not None:
            return
        descriptor = os.open(self._storage.mlflow() / "server.users", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        deadline = time.monotonic() + 2 * END_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(descriptor)
                    raise ServerFailed("the previous MLflow server does not end; end its processes by hand") from None
                time.sleep(0.05)
            else:
                self._users = descriptor
                return

    def _choose_port(self, previous: ServerRecord | None) -> int:
        if error := bind_error(self._host, self._port):
            raise ValueError(
                f"cannot serve MLflow on {self._host}:{self._port} ({error.strerror}); "
                "give another port (0 takes any free one) and an address of this machine"
            )
        if self._port:
            return self._port
        # The address that was printed stays good when a server has to be replaced.
        if previous is not None and previous.host == self._host and not bind_error(self._host, previous.port):
            return previous.port
        with socket.socket() as probe:
            probe.bind((self._host, 0))
            return int(probe.getsockname()[1])

    def _spawn(self, port: int) -> ServerRecord:
        mark = secrets.token_hex(8)
        environment = {name: value for name, value in os.environ.items() if name not in FOREIGN}
        environment |= {**ENVIRONMENT, MARK: mark}
        users = self._storage.mlflow() / "server.users"
        supervisor = [
            sys.executable,
            "-P",
            str(Path(__file__).with_name("supervise.py")),
            str(users),
            str(self._grace_seconds),
        ]
        with self._storage.server_log().open("ab") as log:
            self._process = subprocess.Popen(
                supervisor + _command(self._storage, self._host, port),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._storage.mlflow(),
                env=environment,
                start_new_session=True,
            )
        pid = self._process.pid
        shown = LOOPBACK if self._host == ANY_ADDRESS else self._host
        record = ServerRecord(
            pid=pid,
            pgid=pid,
            started=process_start(pid) or 0,
            host=self._host,
            port=port,
            uri=f"http://{shown}:{port}",
            mark=mark,
        )
        write_json_atomic(self._storage.server_record(), asdict(record))
        return record

    def _reap(self) -> None:
        if self._process is not None and self._process.poll() is not None:
            self._process = None

    def _last_words(self) -> str:
        log = self._storage.server_log()
        lines = log.read_text(errors="replace").splitlines()[-8:] if log.exists() else []
        return f"the end of {log}:\n" + "\n".join(lines)


def read_record(storage: Storage) -> ServerRecord | None:
    """The recorded server, dead or alive; None when there is none that can be read."""
    try:
        return ServerRecord(**json.loads(storage.server_record().read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def members(record: ServerRecord) -> tuple[int, ...]:
    """Living processes of the server's group."""
    return group_members(record.pgid, f"{MARK}={record.mark}")


def end_server(record: ServerRecord) -> None:
    """End every process of the server and wait until its port is free."""
    end_group(record.pgid, f"{MARK}={record.mark}")
    deadline = time.monotonic() + END_SECONDS
    while bind_error(record.host, record.port) and time.monotonic() < deadline:
        time.sleep(0.05)


def is_loopback(host: str) -> bool:
    """Whether an address is reachable from this machine only (IPv4; the server binds to no other)."""
    return host == "localhost" or host.startswith("127.")


def allowed_hosts(host: str) -> list[str]:
    """Names under which a server at an address answers; a page in a browser that knows it by another is refused."""
    hosts = list(LOOPBACK_HOSTS)
    if not is_loopback(host):
        names = {socket.gethostname(), socket.getfqdn(), *(() if host == ANY_ADDRESS else (host,))}
        hosts += [spelling for name in sorted(names) for spelling in (name, f"{name}:*")]
        # MLflow's own default set besides loopback: private networks, where the header is an address.
        hosts += ["10.*", "192.168.*", "172.1[6-9].*", "172.2[0-9].*", "172.3[01].*"]
    return hosts


def _command(storage: Storage, host: str, port: int) -> list[str]:
    """The server's command line; a plain artifact root without proxying lets readers do without a server."""
    return [
        *(sys.executable, "-P", str(Path(__file__).with_name("serve_mlflow.py")), str(storage.mlflow_database())),
        *("--default-artifact-root", str(storage.mlflow_artifacts()), "--no-serve-artifacts"),
        *("--host", host, "--port", str(port), "--workers", "1"),
        *("--allowed-hosts", ",".join(allowed_hosts(host))),
    ]


def answers(host: str, port: int) -> bool:
    """Whether a server says that it is well."""
    reached = LOOPBACK if host == ANY_ADDRESS else host
    connection = http.client.HTTPConnection(reached, port, timeout=HEALTH_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
