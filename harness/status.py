"""How far the runs of a study are, from files alone: no server, no worker and no tensor library is asked."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import assert_never

from harness import journal
from harness.evaluation_key import key_of
from harness.journal import JournalPoint
from studies.schema.axes import AXIS_NAMES
from studies.schema.record import Metric, State, run_name
from studies.schema.run import Preparatory, Run, System
from studies.schema.search import Search
from studies.schema.state import read_state
from studies.schema.storage import Storage, lease_owner, read_manifest
from studies.schema.study import Point, Study, expand

TAIL_BYTES = 8192
"""How much of a journal's end is read: about twenty lines, whatever the journal's length."""


class Phase(StrEnum):
    """What a person calls the state of a run; an interrupted one was running and nobody works on it now."""

    PLANNED = "planned"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    TO_EVALUATE = "to evaluate"
    FINISHED = "finished"
    FLAGGED = "flagged"
    FAILED = "failed"
    PRUNED = "pruned"

    @property
    def is_owed(self) -> bool:
        """Whether the study still waits for this run."""
        return self in (Phase.PLANNED, Phase.RUNNING, Phase.INTERRUPTED, Phase.TO_EVALUATE)


@dataclass(frozen=True, kw_only=True)
class RunStatus:
    """One run of a study as its directory shows it.

    ``step`` of ``steps`` optimiser steps; ``loss`` is the last recorded one; ``seconds`` the time that a finished
    run trained. ``held`` says whether a process works on it, ``evaluated`` whether the study's evaluation exists; what
    answers no query is asked for none.
    """

    point: Point
    state: State
    step: int
    steps: int
    loss: float | None
    steps_per_second: float | None
    seconds_left: float | None
    flags: tuple[str, ...]
    reason: str | None
    evaluated: bool
    held: bool
    seconds: float | None

    @property
    def phase(self) -> Phase:
        match self.state:
            case State.FINISHED | State.FLAGGED:
                return Phase(self.state) if self.evaluated else Phase.TO_EVALUATE
            case State.RUNNING:
                return Phase.RUNNING if self.held else Phase.INTERRUPTED
            case State.PLANNED:
                done = self.evaluated and isinstance(self.point.run, System)
                return Phase.FINISHED if done else Phase.PLANNED
            case State.FAILED | State.PRUNED:
                return Phase(self.state)
            case unknown:
                assert_never(unknown)


@dataclass(frozen=True, kw_only=True)
class TimeLeft:
    """Training time that a study still needs; a lower bound when a larger rung has yet to be timed."""

    seconds: float
    is_lower_bound: bool


def have_begun(rows: Sequence[RunStatus]) -> bool:
    """Whether a run has taken a step or has ended, so that there is something to record."""
    return any(row.step or row.state not in (State.PLANNED, State.RUNNING) for row in rows)


def statuses(study: Study, storage: Storage) -> tuple[RunStatus, ...]:
    """The status of every run of a study, in the study's order."""
    return tuple(status_of(point, study, storage) for point in expand(study))


def status_of(point: Point, study: Study | Search, storage: Storage) -> RunStatus:
    """The status of one run; a run without a directory is planned."""
    recorded = read_state(storage, point.key)
    state = recorded.state
    steps = steps_of(point.run)
    tail = read_tail(storage.journal(point.key))
    step = steps if state.has_result else min(tail[-1].step, steps) if tail else 0
    losses = [line.metrics[Metric.LOSS] for line in tail if Metric.LOSS in line.metrics]
    held = state is State.RUNNING and lease_owner(storage.run_lease(point.key)) is not None
    rate = steps_per_second(tail) if held else None
    return RunStatus(
        point=point,
        state=state,
        step=step,
        steps=steps,
        loss=losses[-1] if losses else None,
        steps_per_second=rate,
        seconds_left=(steps - step) / rate if rate else None,
        flags=recorded.flags,
        reason=recorded.reason,
        evaluated=_is_evaluated(point, study, storage),
        held=held,
        seconds=recorded.facts.get("seconds"),
    )


def _is_evaluated(point: Point, study: Study | Search, storage: Storage) -> bool:
    if isinstance(point.run, Preparatory):
        return True
    evaluation = storage.evaluation(point.key, key_of(point.run, study.evaluation))
    return read_manifest(evaluation, verify=False) is not None


def steps_of(run: Run) -> int:
    """Optimiser steps of a run; a system without training has none."""
    return 0 if isinstance(run, System) else run.schedule.steps


def read_tail(path: Path) -> tuple[JournalPoint, ...]:
    """The last complete lines of a journal, in order; empty when there is none."""
    try:
        with path.open("rb") as stream:
            start = max(0, stream.seek(0, 2) - TAIL_BYTES)
            stream.seek(start)
            # Begin with a whole line: what stands before the first line's end may be a part of one.
            offset = start + len(stream.readline()) if start else 0
    except FileNotFoundError:
        return ()
    return journal.read(path, offset)[0]


def steps_per_second(tail: Sequence[JournalPoint]) -> float | None:
    """Steps per second over the last lines: a median, so that a pause between two attempts does not count."""
    durations = [
        (after.time - before.time) / 1000 / (after.step - before.step)
        for before, after in pairwise(tail)
        if after.step > before.step and after.time > before.time
    ]
    return 1 / statistics.median(durations) if durations else None


def time_left(rows: Sequence[RunStatus]) -> TimeLeft | None:
    """Training time that the owed runs need, from the pace of their rungs; None when no run was timed.

    A rung that nobody has timed takes as long per step as the slowest one that was.
    """
    pace: dict[str, float] = {}
    for row in rows:
        rung = row.point.labels.rung
        if row.steps_per_second:
            pace[rung] = max(pace.get(rung, 0.0), 1 / row.steps_per_second)
        elif row.seconds and row.steps:
            pace.setdefault(rung, row.seconds / row.steps)
    owed = [row for row in rows if row.state in (State.PLANNED, State.RUNNING) and row.steps > row.step]
    if not pace:
        return None
    slowest = max(pace.values())
    seconds = sum((row.steps - row.step) * pace.get(row.point.labels.rung, slowest) for row in owed)
    at_once = max(1, sum(row.phase is Phase.RUNNING for row in rows))
    inferred = any(row.point.labels.rung not in pace for row in owed)
    return TimeLeft(seconds=seconds / at_once, is_lower_bound=inferred)


def names(points: Sequence[Point]) -> dict[str, str]:
    """Names for people by key: the role and the labels that tell the study's runs apart."""
    labels = [point.labels.as_dict() for point in points]
    varying = [name for name in AXIS_NAMES if len({label.get(name, "-") for label in labels} - {"-"}) > 1] + ["trial"]
    return {
        point.key: run_name(
            point.role, {name: label[name] for name in varying if label.get(name, "-") not in ("-", point.role)}
        )
        for point, label in zip(points, labels, strict=True)
    }
