"""Scores over epsilon, where each curve is highest, and how far two of them differ: computed without touching a file.

Legend: B draws (row 0 is the sample itself), R runs, L languages, E epsilons in rising order, S bitexts, G = S x E.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.bootstrap import Estimate, Resampling, draw_clusters, draw_seeds, estimate, p_value
from analysis.declared import DeclaredOptimum
from analysis.findings import only_teacher
from analysis.frame import Bools, Floats, RunRecord
from analysis.gaps import mean_by_rung
from analysis.ledger import Ledger, by_objective, compare
from analysis.peak import GridBest, NoPeak, Peak, best_on_grid, find_peak, joined
from analysis.scales import DECLARED, SCALES
from analysis.scores import by_entity, cluster_names, cluster_sums
from studies.schema.record import FULL_EXPOSURE, Flag, Role, State

Cell = tuple[str, str]
"""A bitext and a language."""

REDUCED, FULL = "reduced exposure", "full exposure"
LOW, OTHERS = "low-resource languages", "other languages"
OWN = "students of one pair"


@dataclass(frozen=True, kw_only=True)
class EpsilonCurve:
    """The mean over some cells by epsilon. ``scores`` are raw, ``peak`` and ``best`` are read on the declared scale.

    ``unsolved`` are labels of epsilons that no fit may see, because a solver did not converge; ``improving`` those
    where a training has another stated defect.
    """

    name: str
    bitext: str
    scores: tuple[Estimate, ...]
    peak: Peak | NoPeak
    best: GridBest
    unsolved: tuple[str, ...]
    improving: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """How far the top of one curve lies above another's, in decades of epsilon; words where it cannot be had."""

    upper: EpsilonCurve
    lower: EpsilonCurve
    difference: Estimate | str
    p: float | None = None


@dataclass(frozen=True, kw_only=True)
class EpsilonFindings:
    """What a study over epsilon found. The first of ``contrasts`` is primary; all else is exploratory.

    ``pairs`` are single languages under each bitext that has lines of them.
    """

    asked: DeclaredOptimum
    resampling: Resampling
    num_clusters: int
    num_clipped: int
    runs: tuple[RunRecord, ...]
    ledger: Ledger
    exposure: Mapping[Cell, float]
    teacher: Estimate | None
    pairs: Mapping[Cell, EpsilonCurve]
    contrasts: tuple[Contrast, ...]

    @property
    def primary(self) -> Contrast:
        return self.contrasts[0]

    @property
    def num_seeds(self) -> int:
        return len({run.labels.seed for run in self.runs if run.role == Role.STUDENT})


def find_optima(asked: DeclaredOptimum, runs: Sequence[RunRecord], resampling: Resampling) -> EpsilonFindings:
    """Estimate everything from completed runs; raises ValueError if they contradict one another."""
    students = [run for run in runs if run.role == Role.STUDENT]
    exposure = {(run.labels.bitext, code): run.exposure[code] for run in students for code in asked.languages}
    ledger = compare(students, asked.varied, by=by_objective)
    clusters = cluster_names(runs, by_entity)
    rng = np.random.default_rng(resampling.seed)
    weights_BC = draw_clusters(len(clusters), resamples=resampling.resamples, rng=rng)
    scale = SCALES[DECLARED[asked.scale]]
    teacher_B = _of_teacher(asked, runs, clusters, weights_BC) if scale.needs_teacher else None
    sums = cluster_sums(students, measure=asked.measure, languages=asked.languages, clusters=clusters)
    raw_BRL = sums.means(weights_BC)
    scaled = scale.apply(raw_BRL, teacher_B, sums.num_queries_RL.min(axis=0))
    cells = _Cells(asked, students, resampling, rng)
    read = _Reading(asked, students, ledger, cells.means(raw_BRL), cells.means(scaled.values_BRL))
    return EpsilonFindings(
        asked=asked,
        resampling=resampling,
        num_clusters=len(clusters),
        num_clipped=scaled.num_clipped,
        runs=tuple(runs),
        ledger=ledger,
        exposure=exposure,
        teacher=None if teacher_B is None else estimate(teacher_B),
        pairs={cell: read.curve(cell[1], [cell]) for cell, share in exposure.items() if share > 0.0},
        contrasts=_contrasts(asked, exposure, read),
    )


def _of_teacher(
    asked: DeclaredOptimum, runs: Sequence[RunRecord], clusters: Sequence[str], weights_BC: Floats
) -> Floats:
    """The teacher's score in English, [B]."""
    teacher = only_teacher(runs)
    english = sorted(teacher.measures[asked.measure])
    sums = cluster_sums([teacher], measure=asked.measure, languages=english, clusters=clusters)
    mean_B: Floats = sums.means(weights_BC).mean(axis=(1, 2))
    return mean_B


def _contrasts(asked: DeclaredOptimum, exposure: Mapping[Cell, float], read: "_Reading") -> tuple[Contrast, ...]:
    """The primary contrast, then the descriptive ones."""

    def chosen(wanted: Callable[[Cell], bool]) -> list[Cell]:
        return [cell for cell, share in exposure.items() if share > 0.0 and wanted(cell)]

    def is_full(cell: Cell) -> bool:
        return exposure[cell] >= FULL_EXPOSURE

    first = asked.joint[0]
    shared = chosen(lambda cell: cell[0] in asked.joint)
    reduced = read.curve(REDUCED, [cell for cell in shared if not is_full(cell)])
    full = read.curve(FULL, [cell for cell in shared if is_full(cell)])
    low = read.curve(LOW, chosen(lambda cell: cell[0] == first and not is_full(cell)))
    others = read.curve(OTHERS, chosen(lambda cell: cell[0] == first and is_full(cell)))
    contrasts = [_contrast(reduced, full), _contrast(low, others)]
    if alone := chosen(lambda cell: cell[0] not in asked.joint):
        contrasts.append(_contrast(read.curve(OWN, alone), full))
    return tuple(contrasts)


def _contrast(upper: EpsilonCurve, lower: EpsilonCurve) -> Contrast:
    """The difference of two tops draw by draw, so that what a draw does to both falls out."""
    if isinstance(upper.peak, Peak) and isinstance(lower.peak, Peak):
        difference_B = upper.peak.log_B - lower.peak.log_B
        return Contrast(upper=upper, lower=lower, difference=estimate(difference_B), p=p_value(difference_B))
    reasons = [f"{each.name}: {each.peak.reason}" for each in (upper, lower) if isinstance(each.peak, NoPeak)]
    return Contrast(upper=upper, lower=lower, difference=joined(reasons))


class _Cells:
    """Which runs stand at a bitext and an epsilon, and how often each draw counts their seeds."""

    def __init__(
        self,
        asked: DeclaredOptimum,
        students: Sequence[RunRecord],
        resampling: Resampling,
        rng: np.random.Generator,
    ) -> None:
        places = [(run.labels.bitext, run.labels.objective) for run in students]
        grid = [(bitext, epsilon) for bitext in asked.bitexts for epsilon in asked.epsilons]
        self._shape = (len(asked.bitexts), len(asked.epsilons), len(asked.languages))
        self._member_GR: Bools = np.array([[place == one for place in places] for one in grid], dtype=np.bool_)
        # All runs of one seed are drawn together: they begin alike and see the same lines in the same order.
        seeds = [run.labels.seed for run in students]
        self._weights_BR = draw_seeds(seeds, ["all"] * len(seeds), resamples=resampling.resamples, rng=rng)

    def means(self, values_BRL: Floats) -> Floats:
        """Means over seeds, [B, S, E, L]."""
        every_RL = np.ones(values_BRL.shape[1:], dtype=np.bool_)
        means_BGL = mean_by_rung(values_BRL, every_RL, self._weights_BR, self._member_GR)
        return means_BGL.reshape(len(values_BRL), *self._shape)


class _Reading:
    """Scores [B, S, E, L] from which curves over any cells are read."""

    def __init__(
        self,
        asked: DeclaredOptimum,
        students: Sequence[RunRecord],
        ledger: Ledger,
        raw_BSEL: Floats,
        scaled_BSEL: Floats,
    ) -> None:
        self._asked, self._students, self._ledger = asked, students, ledger
        self._raw_BSEL, self._scaled_BSEL = raw_BSEL, scaled_BSEL

    def curve(self, name: str, cells: Sequence[Cell]) -> EpsilonCurve:
        """The mean curve of cells; ValueError where there is none."""
        if not cells:
            raise ValueError(f"no language stands at {name}; see the exposures of {', '.join(self._asked.bitexts)}")
        bitexts = tuple(dict.fromkeys(bitext for bitext, _ in cells))
        labels = tuple(self._asked.epsilons)
        flags = {label: self._flags(label, bitexts) for label in labels}
        unsolved = tuple(label for label in labels if Flag.SOLVER_NOT_CONVERGED in flags[label])
        sound_E = np.array([label not in unsolved for label in labels])
        settings_E, values_BE = np.array(list(self._asked.epsilons.values())), self._mean(self._scaled_BSEL, cells)
        raw_BE = self._mean(self._raw_BSEL, cells)
        refusal = self._ledger.refusal
        peak = find_peak(settings_E[sound_E], values_BE[:, sound_E]) if refusal is None else NoPeak(reason=refusal)
        return EpsilonCurve(
            name=name,
            bitext=", ".join(bitexts),
            scores=tuple(estimate(raw_BE[:, place]) for place in range(len(labels))),
            peak=peak,
            best=best_on_grid(settings_E, values_BE),
            unsolved=unsolved,
            improving=tuple(label for label in labels if flags[label] - {Flag.SOLVER_NOT_CONVERGED}),
        )

    def _mean(self, values_BSEL: Floats, cells: Sequence[Cell]) -> Floats:
        """The mean over cells, [B, E]."""
        places = [(self._asked.bitexts.index(bitext), self._asked.languages.index(code)) for bitext, code in cells]
        mean: Floats = np.mean([values_BSEL[:, bitext, :, code] for bitext, code in places], axis=0)
        return mean

    def _flags(self, label: str, bitexts: Sequence[str]) -> frozenset[str]:
        """Stated defects of the runs at an epsilon under any of the bitexts."""
        here = [run for run in self._students if run.labels.objective == label and run.labels.bitext in bitexts]
        return frozenset(flag for run in here if run.state == State.FLAGGED for flag in run.flags or ("flagged",))
