"""The MLflow UI over a finished or running storage root."""

import contextlib
import time
from collections.abc import Callable, Iterator

from harness.mlflow_server import LOOPBACK, MlflowServer, is_loopback, read_record
from harness.tracking import run_pages
from studies.schema.storage import Storage

POLL_SECONDS = 1.0


def serve_ui(
    storage: Storage,
    port: int,
    host: str = LOOPBACK,
    *,
    allow_remote: bool = False,
    announce: Callable[[str], object],
) -> None:
    """Serve the store until Ctrl-C; ``announce`` gets the addresses, line by line, once it answers."""
    with contextlib.suppress(KeyboardInterrupt), ui(storage, port, host, allow_remote=allow_remote) as server:
        announce(f"MLflow is at {server.uri} (store {storage.mlflow()}); Ctrl-C ends it")
        for study, page in run_pages(server.uri).items():
            announce(f"  runs of {study}: {page}")
        while True:
            time.sleep(POLL_SECONDS)
            if not server.is_alive():
                server.start()
                server.wait_ready()
                announce(f"the MLflow server was ended and is back at {server.uri}")


@contextlib.contextmanager
def ui(storage: Storage, port: int, host: str = LOOPBACK, *, allow_remote: bool = False) -> Iterator[MlflowServer]:
    """Hold a server on the existing store; one that a study already runs is shared, whatever its port.

    Without ``allow_remote`` only loopback is served, because MLflow asks nobody for a password.
    """
    if not allow_remote and not is_loopback(host):
        raise ValueError(
            f"host {host!r} would show every run to the network without a password; serve on {LOOPBACK} and "
            "use an ssh tunnel, or say explicitly that remote access is wanted"
        )
    if not storage.mlflow_database().exists():
        raise ValueError(f"{storage.root} has no MLflow store yet; run a study there first, or check the storage root")
    server = MlflowServer(storage, port=port, host=host)
    server.start()
    try:
        record = read_record(storage)
        if record is not None and is_loopback(record.host) and not is_loopback(host):
            raise ValueError(
                f"a study serves the store at {record.uri} just now; wait for its end to serve it on {host}"
            )
        server.wait_ready()
        yield server
    finally:
        server.stop()
