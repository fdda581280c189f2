"""From the runs of a search to what it found: every number of its report, computed without touching a file.

Legend: T trials, P parameters, G rungs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.frame import Floats, Frame, RunRecord
from analysis.surface import Dimension, NoOptimum, Optimum, Surface, fit_surface, importance, optimum
from analysis.transfer import Prediction, predict, regret
from studies.schema.record import Flag, Role, State, validation_name
from studies.schema.search import Choice, LogUniform, Search, stable

SEED = 0


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """One trial. ``score`` is its last on validation queries, ``step`` where that was taken; None before the first."""

    key: str
    rung: str
    size: float
    sampled: Mapping[str, str]
    state: str
    flags: tuple[str, ...]
    score: float | None
    step: int

    @property
    def is_fitted(self) -> bool:
        """Whether a surface may see it: trained to its end with a solver that converged.

        All trials have one budget, so one that still improves at its end is compared like with like.
        """
        return self.is_finished and Flag.SOLVER_NOT_CONVERGED not in self.flags

    @property
    def is_finished(self) -> bool:
        return self.state in {state.value for state in State if state.has_result} and self.score is not None


@dataclass(frozen=True, kw_only=True)
class RungFound:
    """What was found on one rung; ``best`` is None while no trial has been trained to its end."""

    rung: str
    trials: tuple[TrialRecord, ...]
    surface: Surface | NoOptimum
    optimum: Optimum | NoOptimum
    importance: Mapping[str, float]
    best: TrialRecord | None


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """The optimum of the largest rung as predicted from the smaller ones, and the trial that comes nearest to it."""

    rung: str
    predictions: tuple[Prediction, ...]
    verified: TrialRecord
    regret: float


@dataclass(frozen=True, kw_only=True)
class Found:
    """A search's outcome. ``transfer`` is None for a search of one rung, words where it cannot be had."""

    search: Search
    teacher: float | None
    rungs: tuple[RungFound, ...]
    transfer: Transfer | str | None
    revisions: tuple[str, ...]


def found_by(search: Search, frame: Frame, *, seed: int = SEED) -> Found:
    """Analyse a search's recorded runs; ValueError for scores on queries that a search may not see."""
    trials = [trial_record(search, run) for run in frame.runs.values() if run.role == Role.STUDENT]
    if not trials:
        raise ValueError(f"no trial of {search.name} is recorded; run it with: python -m harness search {search.name}")
    rungs = tuple(
        _on_rung(search, rung.name, [trial for trial in trials if trial.rung == rung.name], seed)
        for rung in search.all_rungs
    )
    teachers = [run.measures for run in frame.runs.values() if run.role == Role.TEACHER and run.measures]
    return Found(
        search=search,
        teacher=float(np.mean(list(teachers[0][str(search.measure)].values()))) if teachers else None,
        rungs=rungs,
        transfer=carry(search, rungs) if len(rungs) > 1 else None,
        revisions=tuple(sorted({run.revision for run in frame.runs.values()})),
    )


def trial_record(search: Search, run: RunRecord) -> TrialRecord:
    """A trial as it was recorded: its final evaluation where there is one, else its last milestone."""
    if run.measures and run.split != search.split:
        raise ValueError(f"trial {run.key} was evaluated on {run.split} queries; a search looks at {search.split} only")
    curve = run.series.get(validation_name(search.measure))
    score, step = None, 0
    if run.measures:
        score, step = float(np.mean(list(run.measures[str(search.measure)].values()))), search.base.schedule.steps
    elif curve is not None and curve.steps.size:
        score, step = float(curve.values[-1]), int(curve.steps[-1])
    return TrialRecord(
        key=run.key,
        rung=run.labels.rung,
        size=float(run.non_embedding or 0),
        sampled=run.sampled,
        state=run.state,
        flags=run.flags,
        score=score,
        step=step,
    )


def dimensions(search: Search) -> tuple[Dimension, ...] | NoOptimum:
    """The sampled numbers; refused where a choice is sampled too, which has no place on a surface."""
    chosen = [parameter.name for parameter in search.space if isinstance(parameter.domain, Choice)]
    if chosen:
        return NoOptimum(reason=f"a surface is over numbers, and {', '.join(chosen)} is a choice; compare the trials")
    return tuple(
        Dimension(name=p.name, low=p.domain.low, high=p.domain.high, is_log=isinstance(p.domain, LogUniform))
        for p in search.space
        if not isinstance(p.domain, Choice)
    )


def literal(search: Search, rung: RungFound) -> str:
    """The optimum as a setting to paste into a study, with its source; empty when there is none."""
    if isinstance(rung.optimum, NoOptimum):
        return ""
    lines = [f"# {search.name} {search.version}, {rung.rung}: {search.measure} on {search.split} queries"]
    paths = {parameter.name: parameter.path for parameter in search.space}
    assigned = []
    for name, value in rung.optimum.values.items():
        lines.append(f"# {name}: 95 % interval {value.interval.low:.3g} to {value.interval.high:.3g}")
        assigned.append(f'("{paths[name]}", {stable(value.point)!r})')
    return "\n".join([*lines, f'Setting(label="tuned", assign=({", ".join(assigned)}))'])


def carry(search: Search, rungs: Sequence[RungFound]) -> Transfer | str:
    """Predict the largest rung's optimum from the others', and score the trial there that comes nearest."""
    *smaller, largest = sorted(rungs, key=lambda rung: max((trial.size for trial in rung.trials), default=0.0))
    known = [(rung, rung.optimum) for rung in smaller if isinstance(rung.optimum, Optimum)]
    finished = [trial for trial in largest.trials if trial.is_fitted]
    if len(known) < 2 or not finished:
        return (
            f"{len(known)} of the {len(smaller)} smaller rungs have an optimum and {len(finished)} trials of "
            f"{largest.rung} were trained to their end; a transfer needs two and one"
        )
    space = dimensions(search)
    assert not isinstance(space, NoOptimum)
    sizes_G = np.array([rung.trials[0].size for rung, _ in known])
    predictions = tuple(
        predict(each.name, sizes_G, np.array([best.values[each.name].point for _, best in known]), finished[0].size)
        for each in space
    )
    verified = min(finished, key=lambda trial: _distance(space, trial, predictions))
    best = max(_score(trial) for trial in finished)
    return Transfer(
        rung=largest.rung, predictions=predictions, verified=verified, regret=regret(best, _score(verified))
    )


def values_of(space: Sequence[Dimension], trials: Sequence[TrialRecord]) -> Floats:
    """What was sampled, shape [T, P]."""
    return np.array([[float(trial.sampled[each.name]) for each in space] for trial in trials]).reshape(-1, len(space))


def _on_rung(search: Search, rung: str, trials: Sequence[TrialRecord], seed: int) -> RungFound:
    finished = [trial for trial in trials if trial.is_fitted]
    space = dimensions(search)
    surface, best = _surface(space, finished, seed)
    return RungFound(
        rung=rung,
        trials=tuple(sorted(trials, key=lambda trial: (trial.step, trial.score or 0.0), reverse=True)),
        surface=surface,
        optimum=best,
        importance=importance(surface) if isinstance(surface, Surface) else {},
        best=max(finished, key=_score, default=None),
    )


def _surface(
    space: tuple[Dimension, ...] | NoOptimum, finished: Sequence[TrialRecord], seed: int
) -> tuple[Surface | NoOptimum, Optimum | NoOptimum]:
    if isinstance(space, NoOptimum):
        return space, space
    values_TP, scores_T = values_of(space, finished), np.array([_score(trial) for trial in finished])
    surface = fit_surface(space, values_TP, scores_T)
    if isinstance(surface, NoOptimum):
        return surface, surface
    return surface, optimum(surface, values_TP, scores_T, rng=np.random.default_rng(seed))


def _score(trial: TrialRecord) -> float:
    assert trial.score is not None
    return trial.score


def _distance(space: Sequence[Dimension], trial: TrialRecord, predictions: Sequence[Prediction]) -> float:
    """Distance of a trial from a prediction, as a share of the space in each direction."""
    total = 0.0
    for each, prediction in zip(space, predictions, strict=True):
        here, there, low, high = each.position(
            np.array([float(trial.sampled[each.name]), prediction.point, each.low, each.high])
        )
        total += ((here - there) / (high - low)) ** 2
    return float(total)
