"""Bring a search to its end: the driver beside which Tune works, showing and recording what storage says."""

import time
from collections.abc import Sequence
from dataclasses import replace

from harness import fleet
from harness.available import check_available
from harness.data.atlas import open_atlas
from harness.delivery import Heading
from harness.description import describe
from harness.leaving import saving
from harness.outcome import Outcome
from harness.progress import View
from harness.revision import code_revision
from harness.runner import FREE_BYTES, SPARE_BYTES, TICK_SECONDS
from harness.search import Crew
from harness.status import Phase, RunStatus, have_begun
from harness.tracker import Tracker
from harness.trials import entries, impossible, owed, trial_statuses
from studies.schema.lineage import collection_of
from studies.schema.search import Search, recipe
from studies.schema.storage import Storage
from studies.schema.trials import LedgerWriter, points_of


def run_search(search: Search, storage: Storage, *, tracking_uri: str | None = None, view: View) -> Outcome:
    """Ask for the trials that a search still owes; none that has ended is repeated.

    Raises ValueError for bad input, RecipeChanged for a changed recipe under an old version, and LeaseHeld when
    another driver works on the search: all before any device is used.
    """
    storage.check_writable(FREE_BYTES)
    storage.record_recipe(search.name, search.version, recipe(search))
    with storage.room_needed(), storage.lease(storage.study_lease(search.name), purpose=f"search {search.name}"):
        storage.stop_request(search.name).unlink(missing_ok=True)
        writer = LedgerWriter(storage.ledger(search.name, search.version))
        describe(storage, points_of(search, storage))
        heading = Heading(name=search.name, version=search.version, question=search.question, revision=code_revision())
        tracker = Tracker(storage, heading, tracking_uri)
        try:
            return _work(search, storage, writer, tracker, view)
        finally:
            tracker.close()


def _work(search: Search, storage: Storage, writer: LedgerWriter, tracker: Tracker, view: View) -> Outcome:
    began = time.monotonic()
    before = {row.point.key: row.seconds or 0.0 for row in trial_statuses(search, storage)}
    messages: list[str] = []
    if owed(search, storage):
        tracker.check()
        messages += _bring_home(search, storage, writer, tracker, view)
    shown = entries(search, storage)
    tracker.flush(shown)
    rows = trial_statuses(search, storage)
    view.update(rows)
    phases = [row.phase for row in rows]
    return Outcome(
        finished=phases.count(Phase.FINISHED),
        flagged=phases.count(Phase.FLAGGED),
        failed=phases.count(Phase.FAILED),
        undelivered=len(tracker.undelivered(shown)),
        messages=(*messages, *impossible(search, storage), *_failures(rows)),
        tracking=tracker.uri or f"sqlite:///{storage.mlflow_database()}",
        seconds=time.monotonic() - began,
        training_seconds=sum((row.seconds or 0.0) - before.get(row.point.key, 0.0) for row in rows),
    )


def _bring_home(search: Search, storage: Storage, writer: LedgerWriter, tracker: Tracker, view: View) -> list[str]:
    """Watch the crew until it ends; returns what a person must know."""
    embedded = collection_of(search.base)
    if embedded is not None:
        open_atlas(storage, embedded)
    check_available(storage, [replace(search.base, rung=rung) for rung in search.all_rungs], search.evaluation)
    with fleet.connected():
        crew = Crew(search, storage, writer)
        try:
            with saving(crew, storage, search.name, view):
                while crew.is_working:
                    fleet.check_ray()
                    storage.check_room(SPARE_BYTES)
                    rows = trial_statuses(search, storage)
                    view.update(rows)
                    if have_begun(rows):
                        tracker.tick(entries(search, storage), more=True)
                    time.sleep(TICK_SECONDS)
        except fleet.RayEnded as ended:
            return [*crew.problems, str(ended)]
        if storage.stop_request(search.name).exists():
            return [*crew.problems, "stopped on request; the same command goes on from here"]
        return crew.problems


def _failures(rows: Sequence[RunStatus]) -> list[str]:
    return [f"{row.point.key}: {row.reason}" for row in rows if row.reason and row.phase is Phase.FAILED]
