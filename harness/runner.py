"""Bring a study to its end: what is done, owed and running; training, evaluation and delivery, overlapped.

The driver decides from storage alone what is owed, so the same command continues whatever was interrupted.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness import fleet
from harness.delivery import Entry, Heading
from harness.description import describe
from harness.evaluation_key import key_of
from harness.leaving import saving
from harness.outcome import Outcome
from harness.plan import misfits, plan
from harness.progress import View
from harness.revision import code_revision
from harness.status import Phase, RunStatus, have_begun, names, statuses
from harness.tracker import Tracker
from studies.catalogue import select
from studies.schema.key import run_key
from studies.schema.lineage import needs
from studies.schema.record import State
from studies.schema.run import Preparatory, System
from studies.schema.state import read_state, write_state
from studies.schema.storage import Storage
from studies.schema.study import Point, Study, expand, recipe

logger = logging.getLogger(__name__)

TICK_SECONDS = 2.0
"""How often the driver looks at storage: an evaluation starts and a metric arrives at most this late."""

FREE_BYTES = 500_000_000
"""Disk that must be free before a study starts; checkpoints, vectors and the tracking database need some."""

SPARE_BYTES = 100_000_000
"""Disk that must stay free: below it a study ends while what it has can still be written."""


def run_study(
    study: Study, storage: Storage, *, only: str | None = None, tracking_uri: str | None = None, view: View
) -> Outcome:
    """Train, evaluate and record what a study still owes; nothing that is finished is done again.

    Raises ValueError for bad input, RecipeChanged for a changed recipe under an old version, and LeaseHeld when
    another driver works on the study: all before any device is used.
    """
    points = _chosen(study, only)
    storage.check_writable(FREE_BYTES)
    _refuse_misfits(study, storage, points)
    storage.record_recipe(study.name, study.version, recipe(study))
    with storage.room_needed(), storage.lease(storage.study_lease(study.name), purpose=f"run {study.name}"):
        storage.stop_request(study.name).unlink(missing_ok=True)
        describe(storage, points)
        _resume_pruned(storage, points)
        if only is not None:
            _revive(storage, points)
        heading = Heading(name=study.name, version=study.version, question=study.question, revision=code_revision())
        tracker = Tracker(storage, heading, tracking_uri)
        try:
            return _work(study, storage, points, tracker, view)
        finally:
            tracker.close()


def _work(study: Study, storage: Storage, points: Sequence[Point], tracker: Tracker, view: View) -> Outcome:
    began = time.monotonic()
    entries = _entries(study, points)
    keys = {point.key for point in points}
    messages: list[str] = []
    before = _rows(study, storage, keys)
    if any(row.phase.is_owed for row in before):
        tracker.check()
        messages += _bring_home(study, storage, points, entries, tracker, view)
    tracker.flush(entries)
    rows = _rows(study, storage, keys)
    view.update(rows)
    phases = [row.phase for row in rows]
    return Outcome(
        finished=phases.count(Phase.FINISHED),
        flagged=phases.count(Phase.FLAGGED),
        failed=phases.count(Phase.FAILED),
        undelivered=len(tracker.undelivered(entries)),
        messages=(*messages, *(f"{row.point.key}: {row.reason}" for row in rows if row.reason)),
        tracking=tracker.uri or f"sqlite:///{storage.mlflow_database()}",
        seconds=time.monotonic() - began,
        training_seconds=sum(
            (row.seconds or 0.0) - (old.seconds or 0.0) for old, row in zip(before, rows, strict=True)
        ),
    )


def _bring_home(
    study: Study,
    storage: Storage,
    points: Sequence[Point],
    entries: Sequence[Entry],
    tracker: Tracker,
    view: View,
) -> list[str]:
    """Run trainers and evaluator until nothing is owed or nothing moves; returns what a person must know."""
    with fleet.open_fleet(study, storage, points) as crew:
        try:
            with saving(crew, storage, study.name, view):
                _watch(study, storage, points, entries, crew, tracker, view)
        except fleet.RayEnded as ended:
            return [*crew.problems, str(ended)]
        if storage.stop_request(study.name).exists():
            return [*crew.problems, "stopped on request; the same command goes on from here"]
        return crew.problems


def _watch(
    study: Study,
    storage: Storage,
    points: Sequence[Point],
    entries: Sequence[Entry],
    crew: fleet.Fleet,
    tracker: Tracker,
    view: View,
) -> None:
    """Show, evaluate and record what storage says, until trainers and evaluator have ended."""
    keys = {point.key for point in points}
    working = True
    while working:
        fleet.check_ray()
        storage.check_room(SPARE_BYTES)
        # Asked before storage is read: what the trainers leave last is then still seen and evaluated.
        training = crew.is_training
        rows = _rows(study, storage, keys)
        crew.evaluate(_ready(storage, rows))
        view.update(rows)
        if have_begun(rows):
            tracker.tick(entries)
        working = training or crew.is_evaluating
        time.sleep(TICK_SECONDS if working else 0)
    storage.check_room(SPARE_BYTES)


def _ready(storage: Storage, rows: Sequence[RunStatus]) -> list[Point]:
    """Runs whose evaluation is owed and possible: trained, or without training beside what they need trained."""
    return [
        row.point
        for row in rows
        if not row.evaluated and (row.state.has_result or _is_system_ready(storage, row.point))
    ]


def _is_system_ready(storage: Storage, point: Point) -> bool:
    if not isinstance(point.run, System):
        return False
    return all(read_state(storage, run_key(needed)).state.has_result for needed in needs(point.run))


def _chosen(study: Study, only: str | None) -> tuple[Point, ...]:
    """The points to run: all, or those that ``only`` names together with the runs they need."""
    if only is None:
        return expand(study)
    selected = select(study, only)
    needed = {point.key for point in selected} | {run_key(run) for point in selected for run in needs(point.run)}
    return tuple(point for point in expand(study) if point.key in needed)


def _refuse_misfits(study: Study, storage: Storage, points: Sequence[Point]) -> None:
    """Raise ValueError where what is owed cannot fit its devices, as ``plan`` does."""
    planned, keys = plan(study, storage), {point.key for point in points}
    owed = tuple(run for run in planned.owed if run.point.key in keys)
    if found := misfits(replace(planned, runs=owed)):
        raise ValueError("; ".join(found))


def _resume_pruned(storage: Storage, points: Sequence[Point]) -> None:
    """Plan runs again that a search gave up: a study wants them trained to their end, from where they stand."""
    _plan_again(storage, points, State.PRUNED)


def _revive(storage: Storage, points: Sequence[Point]) -> None:
    """Plan failed runs again that the user named one by one."""
    _plan_again(storage, points, State.FAILED)


def _plan_again(storage: Storage, points: Sequence[Point], state: State) -> None:
    for point in points:
        if read_state(storage, point.key).state is state:
            with storage.lease(storage.run_lease(point.key), purpose="plan again"):
                write_state(storage, point.key, State.PLANNED)


def _rows(study: Study, storage: Storage, keys: set[str]) -> tuple[RunStatus, ...]:
    return tuple(row for row in statuses(study, storage) if row.point.key in keys)


def _entries(study: Study, points: Sequence[Point]) -> tuple[Entry, ...]:
    spoken: Mapping[str, str] = names(points)
    return tuple(
        Entry(
            key=point.key,
            role=point.role,
            labels=point.labels.as_dict(),
            name=spoken[point.key],
            primary=str(study.estimand.measure),
            evaluation=None if isinstance(point.run, Preparatory) else key_of(point.run, study.evaluation),
        )
        for point in points
    )
