"""Keeps MLflow up to date with storage while a study runs, and sees to the server it needs.

Storage is the truth, MLflow its readable copy. A small record per run says how far delivery came, so a
study that has arrived needs no server to know it. Training never waits for any of this: what cannot be
delivered stays owed.
"""

import logging
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.addresses import check_no_secret
from harness.delivery import PARENT, Delivered, Entry, Heading, Unavailable, forget, is_owed, read_delivered
from harness.mlflow_server import LOOPBACK, MlflowServer, ServerFailed
from harness.roster import enter
from studies.schema.lease import Lease, LeaseHeld
from studies.schema.record import State
from studies.schema.state import read_state
from studies.schema.storage import Damaged, Storage

if TYPE_CHECKING:
    from harness.tracking import Ledger

__all__ = ["Entry", "Heading", "Tracker"]

logger = logging.getLogger(__name__)

EMBEDDED = "embedded"
# The driver's loop must not stand still for long, nor hammer a server that is away.
TICK_BUDGET_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
POLL_SECONDS = 0.2


class Tracker:
    """Delivers the runs of one study version; call ``tick`` often, ``flush`` at the end, ``close`` at last.

    With a tracking URI that server is used, otherwise the storage root's own, which starts when something
    is owed. MLflow is imported then too: 3 s of a core that a study which has just begun spends better.
    """

    def __init__(self, storage: Storage, heading: Heading, tracking_uri: str | None = None, *, port: int = 0) -> None:
        if tracking_uri is not None:
            check_no_secret(tracking_uri, "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD")
        self._storage = storage
        self._heading = heading
        self._tracking_uri = tracking_uri
        self._store = tracking_uri or EMBEDDED
        self._server = None if tracking_uri else MlflowServer(storage, port=port)
        self._ledger: Ledger | None = None
        self._problems: dict[str, str] = {}
        self._failures = 0
        self._not_before = 0.0
        self._entered: tuple[Entry, ...] = ()
        if self._server is not None:
            _bypass_proxies()

    @property
    def uri(self) -> str | None:
        """Where MLflow is; None for the storage root's own server while it has not been started."""
        if self._server is None:
            return self._tracking_uri
        return self._server.uri if self._server.is_started else None

    @property
    def problems(self) -> dict[str, str]:
        """What keeps runs from being delivered, by run key; waiting will not help these."""
        return dict(self._problems)

    def check(self) -> None:
        """Raise ValueError where a server was named and does not answer."""
        if self._tracking_uri is not None:
            from harness.tracking import check_reachable

            check_reachable(self._tracking_uri)

    def pending(self, entries: Sequence[Entry]) -> bool:
        """Whether anything of the study has not arrived yet, by the files alone; give it all the study's entries."""
        return bool(self._owed(entries)) or self._parent_owed(entries)

    def undelivered(self, entries: Sequence[Entry]) -> tuple[str, ...]:
        """Keys of the runs of which something has not arrived yet."""
        return tuple(entry.key for entry in self._owed(entries))

    def tick(
        self, entries: Sequence[Entry], *, budget_seconds: float = TICK_BUDGET_SECONDS, more: bool = False
    ) -> None:
        """Deliver some of what is owed, for about that long; never raises for a server that is away.

        ``more`` says that further entries will come, so that the study is not finished yet whatever these are.
        """
        self._enter(entries)
        self._step(entries, time.monotonic() + budget_seconds, more=more)

    def flush(self, entries: Sequence[Entry], *, timeout_seconds: float = 180.0) -> bool:
        """Deliver everything that storage holds by now; says whether it all arrived, and logs why not."""
        self._enter(entries)
        deadline = time.monotonic() + timeout_seconds
        self._problems.clear()
        self._not_before = 0.0
        while self.pending(entries):
            self._step(entries, deadline)
            if self._problems and all(entry.key in self._problems for entry in self._owed(entries)):
                return False
            if not self.pending(entries):
                break
            if time.monotonic() > deadline:
                logger.warning("MLflow has not got everything within %g s; run the command again", timeout_seconds)
                return False
            time.sleep(POLL_SECONDS)
        return True

    def close(self) -> None:
        """Give up the server; it ends here unless somebody else still uses it."""
        self._ledger = None
        if self._server is not None:
            self._server.stop()

    def _enter(self, entries: Sequence[Entry]) -> None:
        """Keep in storage what is to be shown, so that it can be shown again without the study's declaration."""
        if tuple(entries) == self._entered:
            return
        try:
            enter(self._storage, self._heading, entries)
        except OSError as error:
            logger.warning("what MLflow shows is not kept in storage yet: %s", error)
        else:
            self._entered = tuple(entries)

    def _owed(self, entries: Sequence[Entry]) -> list[Entry]:
        owed = []
        for entry in entries:
            try:
                if is_owed(self._storage, entry, self._delivered(entry.key)):
                    owed.append(entry)
            except (Damaged, OSError) as error:
                self._report(entry.key, error)
                owed.append(entry)
        return owed

    def _parent_owed(self, entries: Sequence[Entry]) -> bool:
        delivered = self._delivered(PARENT)
        if delivered is None or delivered.state == State.FINISHED:
            return False
        return all(read_state(self._storage, entry.key).state.is_final for entry in entries)

    def _delivered(self, key: str) -> Delivered | None:
        if self._server is not None and not self._storage.mlflow_database().exists():
            return None
        return read_delivered(self._storage.delivered(self._heading.name, self._heading.version, key), self._store)

    def _step(self, entries: Sequence[Entry], deadline: float, *, more: bool = False) -> None:
        if time.monotonic() < self._not_before:
            return
        owed = [entry for entry in self._owed(entries) if entry.key not in self._problems]
        if not owed and (self._problems or more or not self._parent_owed(entries)):
            return
        try:
            ledger = self._connect()
            if ledger is None:
                return
            with Lease(self._storage.deliver_lease(), purpose=f"deliver {self._heading.name}"):
                self._deliver(ledger, owed, deadline)
                if not more and not self._owed(entries) and self._parent_owed(entries):
                    ledger.finish()
        except LeaseHeld:
            return
        except (Unavailable, ServerFailed, OSError, ValueError) as error:
            self._back_off(error)
        else:
            self._failures = 0

    def _connect(self) -> "Ledger | None":
        """The way to a server that answers; None while the root's own is still coming up."""
        if self._server is not None and not self._see_to(self._server):
            return None
        uri = self._tracking_uri or (self._server.uri if self._server is not None else "")
        if self._ledger is None or self._ledger.uri != uri:
            from harness.tracking import Ledger

            self._ledger = Ledger(
                self._storage, self._heading, uri=uri, store=self._store, is_embedded=self._server is not None
            )
        return self._ledger

    def _see_to(self, server: MlflowServer) -> bool:
        """Start the server, or start it again where it died or hangs; says whether it answers now."""
        if not server.is_alive():
            if server.is_started:
                logger.warning("the MLflow server at %s has ended; starting it again", server.uri)
            # The server makes a missing database anew, and then nothing in it would show that runs are owed again.
            if not self._storage.mlflow_database().exists():
                forget(self._storage, self._store)
            server.start()
        if server.is_stuck():
            logger.warning("the MLflow server at %s does not answer; starting it again", server.uri)
            server.restart()
        return server.is_ready()

    def _deliver(self, ledger: "Ledger", owed: Sequence[Entry], deadline: float) -> None:
        """Deliver run after run; what is wrong with one is reported and does not hold up the others."""
        for entry in owed:
            try:
                ledger.deliver(entry, deadline)
            except (ValueError, KeyError, FileNotFoundError) as error:
                self._report(entry.key, error)
            if time.monotonic() > deadline:
                return

    def _back_off(self, error: Exception) -> None:
        self._failures += 1
        self._not_before = time.monotonic() + min(0.5 * 2**self._failures, LONGEST_PAUSE_SECONDS)
        if self._failures == 1:
            logger.warning("MLflow at %s cannot be used, metrics stay in storage: %s", self.uri, _first_line(error))

    def _report(self, key: str, error: Exception) -> None:
        message = _first_line(error)
        if message not in self._problems.values():
            logger.warning("run %s cannot be delivered to MLflow: %s", key, message)
        self._problems[key] = message


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def _bypass_proxies() -> None:
    """Reach our own server directly where a proxy is set for everything else."""
    if not any(os.environ.get(name) for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")):
        return
    for name in ("no_proxy", "NO_PROXY"):
        present = [host for host in os.environ.get(name, "").split(",") if host]
        if LOOPBACK not in present:
            os.environ[name] = ",".join([*present, LOOPBACK, "localhost"])
