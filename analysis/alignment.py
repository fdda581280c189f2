"""How much alignment distillation brings, by exposure, objective and size; computed without touching a file.

A measure of alignment is a function of means over sentences, so a draw of entities gives it before and after at once.

Legend: B draws (row 0 is the sample itself), R runs, L languages, C clusters, G rungs in order of size.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from analysis.bootstrap import Estimate, Resampling, draw_clusters, draw_seeds, estimate
from analysis.declared import DeclaredAlignment
from analysis.frame import Floats, RunRecord
from analysis.gaps import Curve, Ladder, NoCurve, arrange, class_gap, levels, resource_effect
from analysis.interaction import Interaction, interact
from analysis.ledger import Ledger, compare
from analysis.scales import Scaled
from analysis.scores import by_entity, cluster_names, cluster_sums, evaluated
from studies.schema.alignment import (
    COLUMNS,
    TOKEN_OT_RANDOM,
    TOKEN_OT_RAW,
    AlignmentMeasure,
    Stage,
    column_name,
    corrected,
)
from studies.schema.estimand import Exposure
from studies.schema.language import Language
from studies.schema.record import Role

POINTS = 100.0
"""Alignment is told in points, of which whole alignment has 100."""


class Reading(StrEnum):
    """What is read off a student's alignment: after minus before, that as a share of what was missing, or a level."""

    BEFORE = "before"
    AFTER = "after"
    IMPROVEMENT = "improvement"
    SHARE = "share"


UNITS: Mapping[Reading, str] = {
    Reading.IMPROVEMENT: "points of alignment",
    Reading.SHARE: "% of what alignment was missing",
}
"""Readings on which exposure has an effect."""


@dataclass(frozen=True, kw_only=True)
class Level:
    """One reading at one exposure by rung: the mean over languages, and every language."""

    mean: tuple[Estimate, ...]
    by_language: Mapping[str, tuple[Estimate, ...]]


@dataclass(frozen=True, kw_only=True)
class Gained:
    """One measure under one objective. Contrasts are named ``effect.improvement``, ``gap.share`` ..."""

    levels: Mapping[tuple[Exposure, Reading], Level]
    contrasts: Mapping[str, Curve | NoCurve]


@dataclass(frozen=True, kw_only=True)
class AlignedStrand:
    """Everything found for the students of one objective."""

    objective: str
    runs: tuple[RunRecord, ...]
    ladder: Ladder
    ledger: Ledger
    gained: Mapping[AlignmentMeasure, Gained]


@dataclass(frozen=True, kw_only=True)
class Aligned:
    """What a study of alignment found; one of the ``interactions`` is the declared contrast, the others exploratory."""

    asked: DeclaredAlignment
    resampling: Resampling
    num_clusters: int
    runs: tuple[RunRecord, ...]
    classes: Mapping[str, str]
    strands: tuple[AlignedStrand, ...]
    interactions: Mapping[tuple[AlignmentMeasure, Reading], Interaction]

    @property
    def primary(self) -> Interaction:
        return self.interactions[AlignmentMeasure(self.asked.aligned), Reading.IMPROVEMENT]

    def strand(self, objective: str) -> AlignedStrand:
        return next(strand for strand in self.strands if strand.objective == objective)


def find_alignment(
    asked: DeclaredAlignment, runs: Sequence[RunRecord], languages: Sequence[Language], resampling: Resampling
) -> Aligned:
    """Estimate everything from completed runs; raises ValueError where alignment was not measured of one."""
    students = [_read_on_sentences(run) for run in runs if run.role == Role.STUDENT]
    for run in students:
        _check_measured(run)
    clusters = cluster_names(students, by_entity)
    rng = np.random.default_rng(resampling.seed)
    weights_BC = draw_clusters(len(clusters), resamples=resampling.resamples, rng=rng)
    classes = {language.code: str(language.resource_class) for language in languages}
    strands = tuple(
        _strand(
            asked,
            objective,
            [run for run in students if run.labels.objective == objective],
            classes,
            clusters,
            weights_BC,
            resampling,
        )
        for objective in dict.fromkeys(run.labels.objective for run in students)
    )
    of = {strand.objective: strand for strand in strands}
    assert asked.reference is not None
    assert asked.against is not None
    ledger = compare([run for name in (asked.reference, asked.against) for run in of[name].runs], asked.varied)
    return Aligned(
        asked=asked,
        resampling=resampling,
        num_clusters=len(clusters),
        runs=tuple(runs),
        classes={code: classes[code] for code in strands[0].ladder.languages if code in classes},
        strands=strands,
        interactions={
            (measure, reading): interact(
                asked,
                of[asked.reference].gained[measure].contrasts[f"effect.{reading}"],
                of[asked.against].gained[measure].contrasts[f"effect.{reading}"],
                ledger=ledger,
            )
            for measure in AlignmentMeasure
            for reading in UNITS
        },
    )


def _read_on_sentences(run: RunRecord) -> RunRecord:
    """The run with the sentences that its alignment was measured on in the place of queries, which else are they."""
    return run if run.sentences is None else replace(run, queries=run.sentences)


def _check_measured(run: RunRecord) -> None:
    queries = evaluated(run)
    absent = [
        name for column in COLUMNS for stage in Stage if (name := column_name(column, stage)) not in queries.scores
    ]
    if absent:
        raise ValueError(f"run {run.key} was evaluated without {', '.join(absent)}; run the study again to measure it")


def _strand(
    asked: DeclaredAlignment,
    objective: str,
    runs: Sequence[RunRecord],
    classes: Mapping[str, str],
    clusters: tuple[str, ...],
    weights_BC: Floats,
    resampling: Resampling,
) -> AlignedStrand:
    ladder = arrange(runs)
    # A generator of its own: adding an objective must not change the seeds drawn for another.
    rng = np.random.default_rng([resampling.seed, 1])
    weights_BR = draw_seeds(ladder.seeds, ladder.rung_of_run, resamples=resampling.resamples, rng=rng)
    gained = {}
    for measure in AlignmentMeasure:
        before_BRL, after_BRL = (
            _values(runs, measure, stage, ladder.languages, clusters, weights_BC)
            for stage in (Stage.BEFORE, Stage.AFTER)
        )
        gained[measure] = _gained(before_BRL, after_BRL, ladder, weights_BR, classes)
    return AlignedStrand(
        objective=objective, runs=tuple(runs), ladder=ladder, ledger=compare(runs, asked.varied), gained=gained
    )


def _values(
    runs: Sequence[RunRecord],
    measure: AlignmentMeasure,
    stage: Stage,
    languages: tuple[str, ...],
    clusters: tuple[str, ...],
    weights_BC: Floats,
) -> Floats:
    """A measure at one stage, [B, R, L]."""

    def means(column: str) -> Floats:
        name = column_name(column, stage)
        return cluster_sums(runs, measure=name, languages=languages, clusters=clusters).means(weights_BC)

    if measure is AlignmentMeasure.TOKEN_OT:
        return corrected(means(TOKEN_OT_RAW), means(TOKEN_OT_RANDOM))
    return means(measure)


def _gained(
    before_BRL: Floats, after_BRL: Floats, ladder: Ladder, weights_BR: Floats, classes: Mapping[str, str]
) -> Gained:
    """Levels and contrasts of one measure; without a share where some language had nothing missing."""
    improvement_BRL, missing_BRL = after_BRL - before_BRL, 1.0 - before_BRL
    readings = {Reading.BEFORE: before_BRL, Reading.AFTER: after_BRL, Reading.IMPROVEMENT: improvement_BRL}
    if (missing_BRL > 0.0).all():
        readings[Reading.SHARE] = improvement_BRL / missing_BRL
    scaled = {name: Scaled(values_BRL=POINTS * values, num_clipped=0) for name, values in readings.items()}
    found: dict[tuple[Exposure, Reading], Level] = {}
    for reading, values in scaled.items():
        for exposure in Exposure:
            by_language_BGL = levels(values, ladder, weights_BR, full=exposure is Exposure.FULL)
            if by_language_BGL is not None:
                found[exposure, reading] = _level(by_language_BGL, ladder.languages)
    contrasts: dict[str, Curve | NoCurve] = {}
    for reading, unit in UNITS.items():
        if reading not in scaled:
            reason = "some language was wholly aligned before distillation, so it had no share to gain"
            contrasts |= {name: NoCurve(target=name, reason=reason) for name in (f"effect.{reading}", f"gap.{reading}")}
            continue
        effect = resource_effect(scaled[reading], ladder, weights_BR, scale=reading, unit=unit)
        gap = class_gap(scaled[reading], ladder, weights_BR, classes, scale=reading, unit=unit)
        contrasts |= {effect.target: effect, gap.target: gap}
    return Gained(levels=found, contrasts=contrasts)


def _level(by_language_BGL: Floats, languages: Sequence[str]) -> Level:
    def by_rung(values_BG: Floats) -> tuple[Estimate, ...]:
        return tuple(estimate(values_BG[:, rung]) for rung in range(values_BG.shape[1]))

    return Level(
        mean=by_rung(by_language_BGL.mean(axis=-1)),
        by_language={code: by_rung(by_language_BGL[..., place]) for place, code in enumerate(languages)},
    )
