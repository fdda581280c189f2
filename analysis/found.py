"""From the runs of a search to what it found: every number of its report, computed without touching a file.

Legend: T trials, P parameters, G rungs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.frame import Floats, Frame, RunRecord
from analysis.surface import Dimension, NoOptimum, Optimum, Surface, fit_surface, importance, optimum
from analysis.transfer import Prediction, predict, regret
from studies.schema.cost import parameters
from studies.schema.record import Flag, Role, State, validation_name
from studies.schema.search import Search
from studies.schema.space import Choice, LogUniform, Value, stable

SEED = 0


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """One trial. ``score`` is its last on validation queries, ``step`` where that was taken; None before the first."""

    key: str
    rung: str
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
    """What was found on one rung, for one label where the search has a choice; ``best`` is None while none finished.

    Trials of another label are none of its.
    """

    rung: str
    choice: str | None = None
    trials: tuple[TrialRecord, ...]
    surface: Surface | NoOptimum
    optimum: Optimum | NoOptimum
    importance: Mapping[str, float]
    best: TrialRecord | None

    @property
    def name(self) -> str:
        return self.rung if self.choice is None else f"{self.rung}-{self.choice}"


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """The optimum of the largest rung as predicted from the smaller ones.

    ``values`` is the prediction as a point of the space, moved to its bounds where it lies outside. ``verified`` is
    the trial at that point, or the nearest one where the search has no such trial (``declared`` is then False); None
    while none was trained to its end. ``regret`` is what it lost against the best other trial of the rung, None where
    there is none.
    """

    rung: str
    predictions: tuple[Prediction, ...]
    values: Mapping[str, float]
    verified: TrialRecord | None
    declared: bool
    regret: float | None


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
    choice, labels = _choice(search)
    rungs = tuple(
        _on_rung(
            search,
            rung.name,
            label,
            [t for t in trials if t.rung == rung.name and (label is None or t.sampled.get(choice) == label)],
            seed,
        )
        for rung in search.all_rungs
        for label in labels
    )
    teachers = [run.measures for run in frame.runs.values() if run.role == Role.TEACHER and run.measures]
    return Found(
        search=search,
        teacher=float(np.mean(list(teachers[0][str(search.measure)].values()))) if teachers else None,
        rungs=rungs,
        transfer=carry(search, rungs) if len(search.all_rungs) > 1 else None,
        revisions=tuple(sorted({run.revision for run in frame.runs.values()})),
    )


def trial_record(search: Search, run: RunRecord) -> TrialRecord:
    """A trial as it was recorded: its final evaluation where there is one, else its last milestone."""
    asked = ", ".join(sorted({each.split for each in search.retrieval})) or str(search.split)
    if run.measures and run.split != asked:
        raise ValueError(f"trial {run.key} was evaluated on {run.split} queries; a search looks at {asked} only")
    curve = run.series.get(validation_name(search.measure))
    score, step = None, 0
    if run.measures:
        score, step = float(np.mean(list(run.measures[str(search.measure)].values()))), search.base.schedule.steps
    elif curve is not None and curve.steps.size:
        score, step = float(curve.values[-1]), int(curve.steps[-1])
    return TrialRecord(
        key=run.key,
        rung=run.labels.rung,
        sampled=run.sampled,
        state=run.state,
        flags=run.flags,
        score=score,
        step=step,
    )


def dimensions(search: Search) -> tuple[Dimension, ...] | NoOptimum:
    """The sampled numbers; refused where there are none, or several choices, of which one alone splits the trials."""
    chosen = [parameter.name for parameter in search.space if isinstance(parameter.domain, Choice)]
    if len(chosen) > 1 or len(chosen) == len(search.space):
        return NoOptimum(reason=f"a surface is over numbers, and {', '.join(chosen)} is a choice; compare the trials")
    return tuple(
        Dimension(name=p.name, low=p.domain.low, high=p.domain.high, is_log=isinstance(p.domain, LogUniform))
        for p in search.space
        if not isinstance(p.domain, Choice)
    )


def _choice(search: Search) -> tuple[str, tuple[str | None, ...]]:
    """The one choice beside numbers and its labels, for each of which an optimum is looked for; else no label."""
    chosen = [(p.name, p.domain) for p in search.space if isinstance(p.domain, Choice)]
    if len(chosen) != 1 or len(search.space) == 1:
        return "", (None,)
    ((name, domain),) = chosen
    return name, tuple(label for label, _ in domain.values)


def literal(search: Search, rung: RungFound) -> str:
    """The optimum as a setting to paste into a study, with its source; empty when there is none."""
    if isinstance(rung.optimum, NoOptimum):
        return ""
    of = "" if rung.choice is None else f", {rung.choice}"
    lines = [f"# {search.name} {search.version}, {rung.rung}{of}: {search.measure} on {search.split} queries"]
    paths = {parameter.name: parameter.path for parameter in search.space}
    assigned = []
    for name, value in rung.optimum.values.items():
        lines.append(f"# {name}: 95 % interval {value.interval.low:.3g} to {value.interval.high:.3g}")
        assigned.append(f'("{paths[name]}", {stable(value.point)!r})')
    label = rung.choice or "tuned"
    return "\n".join([*lines, f'Setting(label="{label}", assign=({", ".join(assigned)},))'])


def verification(search: Search, carried: Transfer) -> str:
    """The prediction as a line to paste into its search, so that one trial verifies it."""
    values = ", ".join(f'"{name}": {value!r}' for name, value in carried.values.items())
    return f"verify=(Verification(rung=..., values={{{values}}}),),  # rung {carried.rung}, predicted by {search.name}"


def carry(search: Search, rungs: Sequence[RungFound]) -> Transfer | str:
    """Predict the largest rung's optimum from the others', and say what the trial that verifies it came to."""
    space = dimensions(search)
    if isinstance(space, NoOptimum) or any(rung.choice is not None for rung in rungs):
        return "an optimum is carried over numbers alone, and this search has a choice"
    sizes = {rung.name: float(parameters(rung.architecture, 1).non_embedding) for rung in search.all_rungs}
    *smaller, largest = sorted(rungs, key=lambda rung: sizes[rung.rung])
    known = [(rung, rung.optimum) for rung in smaller if isinstance(rung.optimum, Optimum)]
    if len(known) < 2:
        return (
            f"{len(known)} of the {len(smaller)} smaller rungs have an optimum; two are needed to carry one to "
            f"{largest.rung}: raise the search's trials, or name more rungs"
        )
    sizes_G = np.array([sizes[rung.rung] for rung, _ in known])
    predictions = tuple(
        predict(each.name, sizes_G, np.array([best.values[each.name].point for _, best in known]), sizes[largest.rung])
        for each in space
    )
    values = {
        each.name: stable(min(max(prediction.point, each.low), each.high))
        for each, prediction in zip(space, predictions, strict=True)
    }
    return _verified(search, largest, space, predictions, values)


def _verified(
    search: Search,
    largest: RungFound,
    space: Sequence[Dimension],
    predictions: tuple[Prediction, ...],
    values: Mapping[str, float],
) -> Transfer:
    """The transfer with the trial that was declared to verify it, or the nearest one."""
    asked = [each.values for each in search.verify if each.rung.name == largest.rung]
    finished = [trial for trial in largest.trials if trial.is_fitted]
    exact = [trial for trial in finished if any(_is_at(trial, point) for point in asked)]
    among = exact or ([] if asked else finished)
    verified = min(among, key=lambda trial: _distance(space, trial, values), default=None)
    others = [_score(trial) for trial in finished if verified is not None and trial.key != verified.key]
    return Transfer(
        rung=largest.rung,
        predictions=predictions,
        values=values,
        verified=verified,
        declared=bool(exact),
        regret=None if verified is None or not others else regret(max(others), _score(verified)),
    )


def _is_at(trial: TrialRecord, point: Mapping[str, Value]) -> bool:
    """Whether a trial was sampled at a point; what a tag spells keeps six digits, a point four."""
    return all(stable(float(trial.sampled[name])) == stable(float(value)) for name, value in point.items())


def values_of(space: Sequence[Dimension], trials: Sequence[TrialRecord]) -> Floats:
    """What was sampled, shape [T, P]."""
    return np.array([[float(trial.sampled[each.name]) for each in space] for trial in trials]).reshape(-1, len(space))


def _on_rung(search: Search, rung: str, choice: str | None, trials: Sequence[TrialRecord], seed: int) -> RungFound:
    finished = [trial for trial in trials if trial.is_fitted]
    space = dimensions(search)
    surface, best = _surface(space, finished, seed)
    return RungFound(
        rung=rung,
        choice=choice,
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


def _distance(space: Sequence[Dimension], trial: TrialRecord, values: Mapping[str, float]) -> float:
    """Distance of a trial from a point, as a share of the space in each direction."""
    total = 0.0
    for each in space:
        here, there, low, high = each.position(
            np.array([float(trial.sampled[each.name]), values[each.name], each.low, each.high])
        )
        total += ((here - there) / (high - low)) ** 2
    return float(total)
