"""What the trials of a search have come to, from files alone, and how MLflow shows them."""

import json
import statistics
from dataclasses import dataclass

from harness.delivery import Entry
from harness.evaluation_key import key_of
from harness.journal import read_all
from harness.status import RunStatus, names, status_of
from studies.schema.key import run_key
from studies.schema.record import State, validation_name
from studies.schema.run import Run
from studies.schema.search import Search
from studies.schema.state import read_state
from studies.schema.storage import Damaged, Storage, read_manifest
from studies.schema.trials import Trial, point_of, points_of, read_ledger, spell

MEASURES = "measures.json"

VALUE_LABEL = "value."
"""Before the name of what was sampled, as a label of a run."""


@dataclass(frozen=True, kw_only=True)
class Closed:
    """How a trial ended. ``score`` is that of a run trained to its end, ``reached`` those at milestones before it."""

    state: State
    score: float | None = None
    reached: tuple[float, ...] = ()


def closed(search: Search, storage: Storage, trial: Trial) -> Closed | None:
    """What a trial came to; None while it owes anything, be it only its evaluation."""
    if trial.key is None:
        return Closed(state=State.FAILED)
    state = read_state(storage, trial.key).state
    if not state.is_final or state is State.FAILED:
        return Closed(state=state) if state is State.FAILED else None
    name = validation_name(search.measure)
    journal = read_all(storage.journal(trial.key))
    reached = tuple(p.metrics[name] for p in journal if p.step in search.milestones and name in p.metrics)
    if state is State.PRUNED:
        return Closed(state=state, reached=reached)
    run = point_of(search, trial).run
    if not _is_evaluated(search, storage, run):
        return None
    return Closed(state=state, score=final_score(search, storage, run), reached=reached)


def final_score(search: Search, storage: Storage, run: Run) -> float:
    """The mean over languages of the search's measure on validation queries, from the published evaluation."""
    path = storage.evaluation(run_key(run), key_of(run, search.evaluation)) / MEASURES
    try:
        found = json.loads(path.read_text())["measures"][str(search.measure)]
        return statistics.fmean(found.values())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged(path, f"the measure {search.measure}", repr(error)) from error


def owed(search: Search, storage: Storage) -> int:
    """How many trials a search still owes, over all its rungs."""
    trials = read_ledger(storage.ledger(search.name, search.version)).trials
    ended = [trial.rung for trial in trials if closed(search, storage, trial) is not None]
    return sum(max(0, search.trials_on(rung) - ended.count(rung.name)) for rung in search.all_rungs)


def trial_statuses(search: Search, storage: Storage) -> tuple[RunStatus, ...]:
    """The status of the teacher and of every run that was asked for, in order."""
    return tuple(status_of(point, search, storage) for point in points_of(search, storage))


def impossible(search: Search, storage: Storage) -> tuple[str, ...]:
    """Points that the sampler asked for and that are no run, in words."""
    trials = read_ledger(storage.ledger(search.name, search.version)).trials
    return tuple(
        f"trial {trial.number} ({', '.join(f'{n} {spell(v)}' for n, v in trial.values.items())}): {trial.reason}"
        for trial in trials
        if trial.key is None
    )


def entries(search: Search, storage: Storage) -> tuple[Entry, ...]:
    """The runs of a search as MLflow shows them: children of one parent, with what was sampled as tags."""
    points = points_of(search, storage)
    spoken = names(points)
    sampled: dict[str, dict[str, str]] = {}
    for trial in read_ledger(storage.ledger(search.name, search.version)).trials:
        if trial.key is not None:
            values = {f"{VALUE_LABEL}{name}": spell(value) for name, value in trial.values.items()}
            sampled.setdefault(trial.key, values)
    return tuple(
        Entry(
            key=point.key,
            role=point.role,
            labels=point.labels.as_dict() | sampled.get(point.key, {}),
            name=spoken[point.key],
            primary=str(search.measure),
            evaluation=key_of(point.run, search.evaluation),
        )
        for point in points
    )


def _is_evaluated(search: Search, storage: Storage, run: Run) -> bool:
    folder = storage.evaluation(run_key(run), key_of(run, search.evaluation))
    return read_manifest(folder, verify=False) is not None
