"""What holds for every test: one thread, loopback only, no user's server, the same examples each time."""

import atexit
import ipaddress
import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Set before numpy or torch is imported, and inherited by every process a test starts.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
# ir_datasets reads this when it is imported.
os.environ["IR_DATASETS_HOME"] = tempfile.mkdtemp(prefix="ir-datasets-")
os.environ["IR_DATASETS_DL_TRIES"] = os.environ["IR_DATASETS_DL_403_TRIES"] = "1"
atexit.register(shutil.rmtree, os.environ["IR_DATASETS_HOME"], ignore_errors=True)
for inherited in (
    "MLFLOW_TRACKING_URI",
    "MLFLOW_RUN_ID",
    "MLFLOW_EXPERIMENT_ID",
    "RAY_ADDRESS",
    "HARNESS_STORAGE",
):
    os.environ.pop(inherited, None)

settings.register_profile(
    "same-every-time",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("same-every-time")


def _is_loopback(host: str) -> bool:
    if host in ("localhost", ""):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_local(address: object) -> bool:
    """Whether a socket address is a Unix path or lies on loopback."""
    return not isinstance(address, tuple) or _is_loopback(str(address[0]))


@pytest.fixture(autouse=True)
def _loopback_only(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail a test whose Python code opens a stream to anything but loopback, unless it is marked ``network``.

    Datagram sockets pass: connecting one sends nothing, and Ray does so to learn its own address. Connections
    made inside C libraries are not seen.
    """
    if request.node.get_closest_marker("network"):
        return
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def refuse_beyond_loopback(sock: socket.socket, address: object) -> None:
        if sock.type == socket.SOCK_STREAM and not _is_local(address):
            pytest.fail(f"the test reached for {address!r}; only loopback is allowed, or mark it `network`")

    def guarded_connect(sock: socket.socket, address: Any) -> None:
        refuse_beyond_loopback(sock, address)
        connect(sock, address)

    def guarded_connect_ex(sock: socket.socket, address: Any) -> int:
        refuse_beyond_loopback(sock, address)
        return connect_ex(sock, address)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket.socket, "connect_ex", guarded_connect_ex)


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """An empty storage root of this test's own, as an absolute path."""
    root = (tmp_path / "storage").resolve()
    root.mkdir()
    return root
