"""A new MLflow store from storage alone: recipes, descriptions, journals, states and evaluations."""

import fcntl
import os
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from harness.delivery import REPLACED, Entry, forget
from harness.mlflow_server import MlflowServer, end_server, read_record
from harness.process_group import END_SECONDS
from harness.roster import rosters, without_roster
from harness.tracker import EMBEDDED, Tracker
from studies.schema.storage import Lease, Storage

DELIVERY_SECONDS = 3600.0
"""Time for one study version; thousands of runs take minutes."""


def rebuild(storage: Storage, announce: Callable[[str], object]) -> Path | None:
    """Put the present store aside and deliver everything anew; returns where the old one lies, None without one.

    Raises LeaseHeld while a study is run there, and ValueError while somebody uses the store's server, or where a run
    cannot be delivered. What was delivered by then stays, and the next driver or rebuild completes it.
    """
    for name in without_roster(storage):
        announce(f"{name} was recorded before rosters were kept; running it once more brings it into MLflow")
    with ExitStack() as held:
        for study in sorted({roster.heading.name for roster in rosters(storage)}):
            held.enter_context(storage.lease(storage.study_lease(study), purpose="rebuild MLflow"))
        _end_idle_server(storage)
        aside = _put_aside(storage)
        server = MlflowServer(storage)
        server.start()
        try:
            server.wait_ready()
            for roster in rosters(storage):
                _deliver(storage, Tracker(storage, roster.heading), tuple(roster.entries.values()))
                announce(f"{roster.heading.name} {roster.heading.version}: {len(roster.entries)} runs")
        finally:
            server.stop()
    return aside


def _deliver(storage: Storage, tracker: Tracker, entries: tuple[Entry, ...]) -> None:
    try:
        complete = tracker.flush(entries, timeout_seconds=DELIVERY_SECONDS)
    finally:
        tracker.close()
    if not complete:
        problems = "; ".join(f"{key}: {problem}" for key, problem in tracker.problems.items())
        missing = ", ".join(tracker.undelivered(entries))
        raise ValueError(
            f"{storage.mlflow()} lacks {missing} ({problems or 'MLflow took too long'}); mend or delete these runs and "
            "rebuild again"
        )


def _end_idle_server(storage: Storage) -> None:
    """End a server that outlives its last user; ValueError when it still has one."""
    storage.mlflow().mkdir(parents=True, exist_ok=True)
    with Lease(storage.mlflow() / "server.lock", purpose="rebuild MLflow", wait_seconds=END_SECONDS):
        record = read_record(storage)
        descriptor = os.open(storage.mlflow() / "server.users", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            where = f" at {record.uri}" if record else ""
            raise ValueError(
                f"the MLflow server{where} over {storage.root} is in use; end the study or the UI that uses it first"
            ) from None
        else:
            if record is not None:
                end_server(record)
                storage.server_record().unlink(missing_ok=True)
        finally:
            os.close(descriptor)


def _put_aside(storage: Storage) -> Path | None:
    """Move database and artifacts into a folder beside, each by one rename, and forget what had arrived in them."""
    parts = [*storage.mlflow().glob(f"{storage.mlflow_database().name}*"), storage.mlflow_artifacts()]
    present = [part for part in parts if part.exists()]
    if not present:
        return None
    aside = storage.mlflow() / f"{REPLACED}{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
    aside.mkdir()
    for part in present:
        part.rename(aside / part.name)
    forget(storage, EMBEDDED)
    return aside
