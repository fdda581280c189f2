"""One system against all others: levels, ranks, differences with intervals and tests, computed without touching a file.

Legend: B draws (row 0 is the sample itself), N cells (a rotation and a seed of the reference), L languages, C clusters,
Q queries over all languages.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.bootstrap import Estimate, Resampling, draw_clusters, draw_seeds, estimate, p_value
from analysis.declared import DeclaredComparison
from analysis.frame import Bools, Floats, RunRecord
from analysis.ledger import Ledger, by_objective, compare
from analysis.multiplicity import holm
from analysis.systems import ALL, Stage, System, stages
from studies.schema.estimand import Exposure
from studies.schema.language import Language
from studies.schema.record import Role

MIN_ENTITIES = 20
"""A language is left out of a part of the queries in which it has fewer target entities: a resample of so few may hold
none, and its interval would say little."""

TRANSLATED = str(Role.TRANSLATED)
"""Translate-the-query, over which the relative gain is reported."""

GAIN_MEASURE = "AP"


@dataclass(frozen=True, kw_only=True)
class Draws:
    """Resamples shared by every system of a stage: of entities [B, C], and of the cells' seeds [B, N]."""

    entities_BC: Floats
    cells_BN: Floats


@dataclass(frozen=True, kw_only=True)
class Row:
    """A system at one stage and exposure, on a part of the queries, in one measure.

    ``difference`` is the reference's score minus the system's, None for the reference itself and where a comparison is
    refused; ``p`` belongs to it. ``corrected`` is that p-value after Holm's correction over the primary contrasts, and
    None for all others, which are exploratory. ``rank`` counts from the best.
    """

    stage: str
    exposure: str
    part: str
    measure: str
    system: str
    score: Estimate
    num_languages: int
    num_queries: float
    rank: int = 0
    difference: Estimate | None = None
    p: float | None = None
    corrected: float | None = None


@dataclass(frozen=True, kw_only=True)
class Gain:
    """By how much the reference's score exceeds a rival's, as a share of the rival's, by language and of the means."""

    rival: str
    measure: str
    exposure: str
    stage: str
    languages: tuple[str, ...]
    by_language: tuple[Estimate, ...]
    overall: Estimate


@dataclass(frozen=True, kw_only=True)
class NoGain:
    """There is no relative gain, and why."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What a comparison found; ``refusals`` are the confounders of a stage, in words, where there are any."""

    asked: DeclaredComparison
    resampling: Resampling
    num_clusters: int
    runs: tuple[RunRecord, ...]
    stages: tuple[Stage, ...]
    ledgers: Mapping[str, Ledger]
    rows: tuple[Row, ...]
    teacher: Mapping[str, float]
    gain: Gain | NoGain

    @property
    def refusals(self) -> Mapping[str, str]:
        return {name: each.refusal for name, each in self.ledgers.items() if each.refusal is not None}

    def stage(self, name: str) -> Stage:
        return next(each for each in self.stages if each.name == name)

    def table(self, *, stage: str, exposure: str, part: str = ALL, measure: str | None = None) -> tuple[Row, ...]:
        """All systems of one comparison, the best first; empty where the part holds no language."""
        wanted = (stage, exposure, part, measure or self.asked.measure)
        found = [row for row in self.rows if (row.stage, row.exposure, row.part, row.measure) == wanted]
        return tuple(sorted(found, key=lambda row: row.rank))

    @property
    def exposures(self) -> tuple[Exposure, ...]:
        """Exposures at which some language was compared, the primary contrasts' first."""
        compared = {row.exposure for row in self.rows}
        found = [each for each in Exposure if str(each) in compared]
        return tuple(sorted(found, key=lambda each: each != self.asked.exposure))

    @property
    def primary(self) -> tuple[Row, ...]:
        return self.table(stage=self.asked.stage, exposure=self.asked.exposure)


def compare_systems(
    asked: DeclaredComparison, runs: Sequence[RunRecord], languages: Sequence[Language], resampling: Resampling
) -> Compared:
    """Estimate everything from completed runs; raises ValueError if they cannot be compared."""
    arranged = stages(asked, runs, {language.code: language for language in languages})
    teachers = [run for run in runs if run.role == Role.TEACHER]
    ledgers = {stage.name: _ledger(asked, stage) for stage in arranged}
    rows: list[Row] = []
    gain: Gain | NoGain = NoGain(reason=f"{GAIN_MEASURE} is none of the study's measures")
    for stage in arranged:
        draws = _draw(stage, resampling)
        found = list(_rows(asked, stage, draws, is_sound=ledgers[stage.name].refusal is None))
        rows += found
        if stage.name == asked.stage and GAIN_MEASURE in asked.measures:
            gain = _gain(stage, draws, measure=GAIN_MEASURE)
    return Compared(
        asked=asked,
        resampling=resampling,
        num_clusters=len(arranged[0].entities),
        runs=tuple(runs),
        stages=arranged,
        ledgers=ledgers,
        rows=_correct(asked, rows),
        teacher={
            measure: float(np.mean([np.mean(list(run.measures[measure].values())) for run in teachers]))
            for measure in asked.measures
            if teachers
        },
        gain=gain,
    )


def _ledger(asked: DeclaredComparison, stage: Stage) -> Ledger:
    """What differs between the trained systems of a stage; their rotations and seeds are declared."""
    trained = {run.key: run for system in stage.systems if system.trained for run in system.runs}
    return compare(list(trained.values()), asked.varied, by=by_objective)


def _draw(stage: Stage, resampling: Resampling) -> Draws:
    """The same draws for every stage, so that stages are paired too as far as they have the same cells."""
    rng = np.random.default_rng(resampling.seed)
    entities_BC = draw_clusters(len(stage.entities), resamples=resampling.resamples, rng=rng)
    groups = ("all",) * len(stage.seeds)
    return Draws(
        entities_BC=entities_BC, cells_BN=draw_seeds(stage.seeds, groups, resamples=resampling.resamples, rng=rng)
    )


def exposed(stage: Stage, exposure: str) -> Bools:
    """The queries [N, Q] of languages at an exposure."""
    return stage.full_NQ if exposure == Exposure.FULL else ~stage.full_NQ


def _rows(asked: DeclaredComparison, stage: Stage, draws: Draws, *, is_sound: bool) -> Iterator[Row]:
    for exposure in Exposure:
        for part, mask_NQ in stage.parts.items():
            asking = _Asking(stage, draws, mask_NQ & exposed(stage, exposure))
            if not asking.languages:
                continue
            for measure in asked.measures if part == ALL else (asked.measure,):
                scores = {each.name: asking.means(each, measure).mean(axis=-1) for each in stage.systems}
                yield from _ranked(stage, str(exposure), part, measure, scores, asking, is_sound=is_sound)


def _ranked(
    stage: Stage,
    exposure: str,
    part: str,
    measure: str,
    scores: Mapping[str, Floats],
    asking: "_Asking",
    *,
    is_sound: bool,
) -> Iterator[Row]:
    reference = stage.reference.name
    order = sorted(scores, key=lambda name: -scores[name][0])
    for name, score_B in scores.items():
        difference_B = scores[reference] - score_B
        compared = is_sound and name != reference
        yield Row(
            stage=stage.name,
            exposure=exposure,
            part=part,
            measure=measure,
            system=name,
            score=estimate(score_B),
            num_languages=len(asking.languages),
            num_queries=asking.num_queries,
            rank=order.index(name) + 1,
            difference=estimate(difference_B) if compared else None,
            p=p_value(difference_B) if compared else None,
        )


def _correct(asked: DeclaredComparison, rows: Sequence[Row]) -> tuple[Row, ...]:
    """Rows with Holm's correction on the primary contrasts: the reference against every rival."""
    wanted = (asked.stage, asked.exposure, ALL, asked.measure)
    primary = [row for row in rows if (row.stage, row.exposure, row.part, row.measure) == wanted and row.p is not None]
    corrected = holm(np.array([row.p for row in primary], dtype=np.float64))
    by_system = {row.system: float(value) for row, value in zip(primary, corrected, strict=True)}
    return tuple(replace(row, corrected=by_system[row.system]) if row in primary else row for row in rows)


def _gain(stage: Stage, draws: Draws, *, measure: str) -> Gain | NoGain:
    """The relative gain over translate-the-query at reduced exposure."""
    rivals = [system for system in stage.systems if system.name == TRANSLATED]
    asking = _Asking(stage, draws, exposed(stage, Exposure.REDUCED))
    if not rivals:
        return NoGain(reason="the study has no system that translates the query")
    if not asking.languages:
        return NoGain(reason="no language is at reduced exposure")
    own_BL, rival_BL = asking.means(stage.reference, measure), asking.means(rivals[0], measure)
    if (rival_BL <= 0.0).any():
        return NoGain(reason=f"the translated query scores 0 in {measure} in some language or resample")
    by_language_BL = own_BL / rival_BL - 1.0
    return Gain(
        rival=TRANSLATED,
        measure=measure,
        exposure=str(Exposure.REDUCED),
        stage=stage.name,
        languages=asking.languages,
        by_language=tuple(estimate(by_language_BL[:, place]) for place in range(len(asking.languages))),
        overall=estimate(own_BL.mean(axis=-1) / rival_BL.mean(axis=-1) - 1.0),
    )


class _Asking:
    """A choice of queries [N, Q], with how many of them each draw holds; shared by all systems and measures."""

    def __init__(self, stage: Stage, draws: Draws, chosen_NQ: Bools) -> None:
        self._stage, self._draws, self._chosen_NQ = stage, draws, chosen_NQ
        held_LC = self._sums(np.ones(chosen_NQ.shape)).sum(axis=0) > 0.0
        self._kept_L = held_LC.sum(axis=-1) >= MIN_ENTITIES
        self.languages = tuple(code for code, kept in zip(stage.languages, self._kept_L, strict=True) if kept)
        ones = np.ones(chosen_NQ.shape)
        self._counts_BL = self._weighed(ones)
        self.num_queries = float(self._counts_BL[0].mean()) / len(set(stage.seeds)) if self.languages else 0.0
        if (self._counts_BL <= 0.0).any():
            raise ValueError(
                "a draw of entities holds no query of some language in a part of the queries; the collection has too "
                "few queries to resample"
            )

    def means(self, system: System, measure: str) -> Floats:
        """Mean scores [B, L] of the languages that have enough queries."""
        means: Floats = self._weighed(system.scores_NQ(measure)) / self._counts_BL
        return means

    def _weighed(self, values_NQ: Floats) -> Floats:
        """Sums of values over the drawn entities and cells, [B, L]."""
        sums_NLC = self._sums(values_NQ)[:, self._kept_L]
        num_cells, num_languages, num_clusters = sums_NLC.shape
        drawn = self._draws.entities_BC @ sums_NLC.reshape(num_cells * num_languages, num_clusters).T
        drawn_BNL = drawn.reshape(len(drawn), num_cells, num_languages)
        weighed: Floats = np.einsum("bnl,bn->bl", drawn_BNL, self._draws.cells_BN)
        return weighed

    def _sums(self, values_NQ: Floats) -> Floats:
        """Sums over the chosen queries by cell, language and entity, [N, L, C]."""
        stage, chosen_NQ = self._stage, self._chosen_NQ
        shape = (len(stage.languages), len(stage.entities))
        place_Q = stage.language_Q * shape[1] + stage.entity_Q
        return np.stack(
            [
                np.bincount(place_Q[chosen], weights=values[chosen], minlength=shape[0] * shape[1]).reshape(shape)
                for values, chosen in zip(values_NQ, chosen_NQ, strict=True)
            ]
        )
