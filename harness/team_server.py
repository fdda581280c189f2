"""One MLflow server for a team: runs in PostgreSQL, artifacts in one directory that only the server touches."""

import contextlib
import fcntl
import importlib.util
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from harness.addresses import check_no_secret
from harness.mlflow_server import (
    ANY_ADDRESS,
    ENVIRONMENT,
    FOREIGN,
    GRACE_SECONDS,
    LOOPBACK,
    MARK,
    START_SECONDS,
    ServerFailed,
    allowed_hosts,
    answers,
)
from harness.process_group import bind_error, end_group

WORKERS = 2
"""Processes that answer: one still does while another writes a large batch."""

POLL_SECONDS = 0.5

BACKEND_VARIABLE = "MLFLOW_BACKEND_STORE_URI"
"""How the server learns of its database: command lines are seen by every user of the machine."""


def serve_team(
    backend: str, artifacts: Path, *, host: str, port: int, names: Sequence[str], announce: Callable[[str], object]
) -> None:
    """Serve until interrupted or told to end; ``announce`` gets the address once it answers.

    Raises ValueError for a backend or an address that cannot be used, and ServerFailed when the server does not come up
    or ends by itself; what it said is on standard error.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt), team_server(backend, artifacts, host, port, names) as process:
        shown = LOOPBACK if host == ANY_ADDRESS else host
        announce(f"MLflow is at http://{shown}:{port}; Ctrl-C ends it. Studies record there with")
        announce(f"  python -m harness run STUDY --tracking-uri http://{shown}:{port}")
        while process.poll() is None:
            time.sleep(POLL_SECONDS)
        raise ServerFailed(f"the MLflow server ended with status {process.returncode}; its last lines say why")


@contextlib.contextmanager
def team_server(
    backend: str, artifacts: Path, host: str, port: int, names: Sequence[str]
) -> Iterator[subprocess.Popen[bytes]]:
    """A server that answers, as the process that leads its group; gone afterwards, also when this process is killed."""
    _check_backend(backend)
    if not artifacts.is_absolute():
        raise ValueError(f"artifacts {str(artifacts)!r} is relative; write {os.path.abspath(artifacts)!r}")
    if not port:
        raise ValueError("the server of a team needs a port that stays the same; name one above 0")
    if error := bind_error(host, port):
        raise ValueError(f"cannot serve MLflow on {host}:{port} ({error.strerror}); give another --port or --host")
    artifacts.mkdir(parents=True, exist_ok=True)
    mark = secrets.token_hex(8)
    environment = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    environment |= {**ENVIRONMENT, MARK: mark, BACKEND_VARIABLE: backend}
    with tempfile.TemporaryDirectory(prefix="harness-mlflow-") as folder:
        lock = Path(folder) / "users"
        users = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(users, fcntl.LOCK_SH)
        supervisor = (sys.executable, "-P", str(Path(__file__).with_name("supervise.py")))
        process = subprocess.Popen(
            [*supervisor, str(lock), str(GRACE_SECONDS), *_command(artifacts, host, port, names)],
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
        try:
            _wait_ready(process, host, port)
            yield process
        finally:
            end_group(process.pid, f"{MARK}={mark}")
            process.wait()
            os.close(users)


def _check_backend(backend: str) -> None:
    scheme = urlsplit(backend).scheme
    if scheme != "postgresql":
        raise ValueError(
            f"the backend of a team's server has scheme {scheme or 'none'!r}; write postgresql://USER@HOST/DATABASE "
            "(one person's runs need no such server: python -m harness ui)"
        )
    check_no_secret(backend, "PGPASSWORD, or PGPASSFILE,")
    if importlib.util.find_spec("psycopg") is None:
        raise ValueError("PostgreSQL needs a driver; python -m pip install 'psycopg[binary]'")


def _command(artifacts: Path, host: str, port: int, names: Sequence[str]) -> list[str]:
    hosts = [*allowed_hosts(host), *(spelling for name in names for spelling in (name, f"{name}:*"))]
    return [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--artifacts-destination", artifacts.as_uri(), "--serve-artifacts"),
        *("--host", host, "--port", str(port), "--workers", str(WORKERS)),
        *("--allowed-hosts", ",".join(hosts)),
    ]


def _wait_ready(process: subprocess.Popen[bytes], host: str, port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not answers(host, port):
        if process.poll() is not None:
            raise ServerFailed("the MLflow server ended while it started; its last lines say why")
        if time.monotonic() > deadline:
            raise ServerFailed(f"the MLflow server does not answer on {host}:{port} within {START_SECONDS:g} s")
        time.sleep(POLL_SECONDS)
