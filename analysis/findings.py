"""From runs to findings: every number of a report, computed without touching a file.

Legend: B draws (row 0 is the sample itself), R runs, L languages, C clusters, G rungs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.baselines import Baseline, Part, baselines, parts
from analysis.bootstrap import Estimate, Resampling, design_effect, draw_clusters, draw_seeds, estimate
from analysis.declared import Declared
from analysis.fit import Fit, Status, fit, refused
from analysis.forecast import HeldOut, Origin, forecast_held_out, rolling_origin
from analysis.frame import Floats, RunRecord
from analysis.gaps import Curve, Ladder, NoCurve, arrange, class_gap, levels, resource_effect
from analysis.interaction import Interaction, interact
from analysis.laws import LAWS, Law
from analysis.ledger import Ledger, compare
from analysis.scales import DECLARED, SCALES
from analysis.scores import Cluster, by_entity, by_query, cluster_names, cluster_sums
from studies.schema.language import Language
from studies.schema.record import Role


@dataclass(frozen=True, kw_only=True)
class Levels:
    """Raw scores at one exposure: the mean over languages per rung, and the sample's score of each language [G, L]."""

    mean: tuple[Estimate, ...]
    by_language_GL: Floats


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One measure along one ladder. ``contrasts`` are named ``effect.logit``, ``effect.raw``, ``gap.logit`` ...

    ``teacher`` is None where the study asks the teacher nothing.
    """

    measure: str
    teacher: Estimate | None
    num_queries_L: Floats
    full: Levels | None
    reduced: Levels | None
    contrasts: Mapping[str, Curve | NoCurve]


@dataclass(frozen=True, kw_only=True)
class FitReport:
    """A fit of one law; ``held_out`` is None for a refused fit and for a fit that saw every rung."""

    measure: str
    saw_every_rung: bool
    fit: Fit
    held_out: HeldOut | None


@dataclass(frozen=True, kw_only=True)
class Strand:
    """Everything found for the students of one objective."""

    objective: str
    runs: tuple[RunRecord, ...]
    ladder: Ladder
    ledger: Ledger
    measured: Mapping[str, Measured]
    fits: tuple[FitReport, ...]
    origins: tuple[Origin, ...]
    design_effects: Mapping[str, float | None]
    parts: tuple[Part, ...]

    def contrast(self, measure: str, target: str) -> Curve | NoCurve:
        return self.measured[measure].contrasts[target]

    def report(self, measure: str, target: str, law: str, *, saw_every_rung: bool = False) -> FitReport:
        wanted = (measure, target, law, saw_every_rung)
        for each in self.fits:
            if (each.measure, each.fit.target, each.fit.law.name, each.saw_every_rung) == wanted:
                return each
        raise KeyError(f"no fit of {law} to {target} of {measure}")


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What a study found. ``primary`` names the one declared contrast; all others are exploratory.

    With an ``interaction`` that contrast is read there: the difference between two objectives' effects.
    """

    asked: Declared
    resampling: Resampling
    num_clusters: int
    primary: str
    runs: tuple[RunRecord, ...]
    classes: Mapping[str, str]
    strands: tuple[Strand, ...]
    baselines: tuple[Baseline, ...]
    interaction: Interaction | None = None


def find(asked: Declared, runs: Sequence[RunRecord], languages: Sequence[Language], resampling: Resampling) -> Findings:
    """Estimate everything from completed runs; raises ValueError if they contradict one another."""
    students = [run for run in runs if run.role == Role.STUDENT]
    is_asked = asked.scale != "raw" or any(run.role == Role.TEACHER for run in runs)
    teacher = only_teacher(runs) if is_asked else None
    if not students:
        raise ValueError(f"study {asked.study} declares no student, so there is nothing to compare; give it a ladder")
    rng = np.random.default_rng(resampling.seed)
    clusters = cluster_names(runs, by_entity)
    weights_BC = draw_clusters(len(clusters), resamples=resampling.resamples, rng=rng)
    by_code = {language.code: language for language in languages}
    strands = []
    for objective in dict.fromkeys(run.labels.objective for run in students):
        chosen = [run for run in students if run.labels.objective == objective]
        strands.append(_strand(asked, objective, chosen, teacher, by_code, clusters, weights_BC, resampling))
    rivals = [run for run in runs if run.role not in (Role.STUDENT, Role.TEACHER)]
    return Findings(
        asked=asked,
        resampling=resampling,
        num_clusters=len(clusters),
        primary=f"effect.{DECLARED[asked.scale]}",
        runs=tuple(runs),
        classes={code: str(by_code[code].resource_class) for code in strands[0].ladder.languages if code in by_code},
        strands=tuple(strands),
        baselines=baselines(
            rivals,
            _largest(strands[0]),
            measures=asked.measures,
            languages=by_code,
            clusters=clusters,
            weights=weights_BC,
        ),
        interaction=_interaction(asked, strands),
    )


def _interaction(asked: Declared, strands: Sequence[Strand]) -> Interaction | None:
    """The primary contrast of a study of two objectives; None where the study declares none."""
    if asked.reference is None or asked.against is None:
        return None
    of = {strand.objective: strand for strand in strands}
    both = [of[asked.reference], of[asked.against]]
    target = f"effect.{DECLARED[asked.scale]}"
    return interact(
        asked,
        *(strand.contrast(asked.measure, target) for strand in both),
        ledger=compare([run for strand in both for run in strand.runs], asked.varied),
    )


def only_teacher(runs: Sequence[RunRecord]) -> RunRecord:
    """The one teacher of a study; ValueError where there is none, or another."""
    teachers = [run for run in runs if run.role == Role.TEACHER]
    if len(teachers) != 1:
        raise ValueError(
            f"the study has {len(teachers)} teachers; shares of a teacher's score need exactly one, split the study"
        )
    return teachers[0]


def _largest(strand: Strand) -> list[RunRecord]:
    return [run for run in strand.runs if run.labels.rung == strand.ladder.rungs[-1]]


def _strand(
    asked: Declared,
    objective: str,
    runs: list[RunRecord],
    teacher: RunRecord | None,
    by_code: Mapping[str, Language],
    clusters: tuple[str, ...],
    weights_BC: Floats,
    resampling: Resampling,
) -> Strand:
    ladder = arrange(runs)
    # A generator of its own: adding an objective must not change the seeds drawn for another.
    rng = np.random.default_rng([resampling.seed, 1])
    weights_BR = draw_seeds(ladder.seeds, ladder.rung_of_run, resamples=resampling.resamples, rng=rng)
    classes = {code: str(by_code[code].resource_class) for code in ladder.languages if code in by_code}
    measured = {
        measure: _measure(measure, runs, teacher, ladder, classes, clusters, weights_BC, weights_BR, by_entity)
        for measure in asked.measures
    }
    ledger = compare(runs, asked.varied)
    fits = tuple(
        report
        for contrast in measured[asked.measure].contrasts.values()
        for report in _fits(asked, contrast, ladder, ledger)
    )
    primary = measured[asked.measure].contrasts[f"effect.{DECLARED[asked.scale]}"]
    origins = rolling_origin(tuple(LAWS.values()), primary) if isinstance(primary, Curve) and not ledger.refusal else ()
    queries = cluster_names(runs if teacher is None else [*runs, teacher], by_query)
    blind_BC = draw_clusters(
        len(queries), resamples=resampling.resamples, rng=np.random.default_rng([resampling.seed, 2])
    )
    blind = _measure(asked.measure, runs, teacher, ladder, classes, queries, blind_BC, weights_BR, by_query)
    return Strand(
        objective=objective,
        runs=tuple(runs),
        ladder=ladder,
        ledger=ledger,
        measured=measured,
        fits=fits,
        origins=origins,
        design_effects=_design_effects(primary, blind.contrasts[f"effect.{DECLARED[asked.scale]}"]),
        parts=parts(runs, ladder, measure=asked.measure),
    )


def _measure(
    measure: str,
    runs: Sequence[RunRecord],
    teacher: RunRecord | None,
    ladder: Ladder,
    classes: Mapping[str, str],
    clusters: tuple[str, ...],
    weights_BC: Floats,
    weights_BR: Floats,
    cluster: Cluster,
) -> Measured:
    """One measure's levels and contrasts under given draws of clusters and seeds."""
    teacher_B = None if teacher is None else _of_teacher(measure, teacher, clusters, weights_BC, cluster)
    sums = cluster_sums(runs, measure=measure, languages=ladder.languages, clusters=clusters, cluster=cluster)
    scores_BRL, num_queries_L = sums.means(weights_BC), sums.num_queries_RL.min(axis=0)
    contrasts: dict[str, Curve | NoCurve] = {}
    for scale in SCALES.values():
        if teacher_B is None and scale.needs_teacher:
            contrasts |= {target: _without_teacher(target) for target in (f"effect.{scale.name}", f"gap.{scale.name}")}
            continue
        scaled = scale.apply(scores_BRL, teacher_B, num_queries_L)
        effect = resource_effect(scaled, ladder, weights_BR, scale=scale.name, unit=scale.unit)
        gap = class_gap(scaled, ladder, weights_BR, classes, scale=scale.name, unit=scale.unit)
        contrasts |= {effect.target: effect, gap.target: gap}
    raw = SCALES["raw"].apply(scores_BRL, teacher_B, num_queries_L)
    return Measured(
        measure=measure,
        teacher=None if teacher_B is None else estimate(teacher_B),
        num_queries_L=num_queries_L,
        full=_levels(levels(raw, ladder, weights_BR, full=True)),
        reduced=_levels(levels(raw, ladder, weights_BR, full=False)),
        contrasts=contrasts,
    )


def _of_teacher(
    measure: str, teacher: RunRecord, clusters: tuple[str, ...], weights_BC: Floats, cluster: Cluster
) -> Floats:
    """The teacher's score in English, [B]."""
    english = sorted(teacher.measures[measure])
    sums = cluster_sums([teacher], measure=measure, languages=english, clusters=clusters, cluster=cluster)
    scores_B: Floats = sums.means(weights_BC).mean(axis=(1, 2))
    return scores_B


def _without_teacher(target: str) -> NoCurve:
    return NoCurve(target=target, reason="the study asks the teacher nothing, so that no share of its score exists")


def _levels(by_language_BGL: Floats | None) -> Levels | None:
    if by_language_BGL is None:
        return None
    mean_BG = by_language_BGL.mean(axis=-1)
    means = tuple(estimate(mean_BG[:, place]) for place in range(mean_BG.shape[1]))
    return Levels(mean=means, by_language_GL=by_language_BGL[0])


def _fits(asked: Declared, contrast: Curve | NoCurve, ladder: Ladder, ledger: Ledger) -> list[FitReport]:
    """Every law on one contrast: without the held-out rung (which it then forecasts), and on all rungs."""
    reports = []
    for law in LAWS.values():
        for saw_every_rung in (False, True):
            rungs = [rung for rung in ladder.rungs if saw_every_rung or rung != asked.hold_out]
            fitted = _fit(law, contrast, rungs, ledger)
            forecasts = fitted.usable and not saw_every_rung and isinstance(contrast, Curve)
            reports.append(
                FitReport(
                    measure=asked.measure,
                    saw_every_rung=saw_every_rung,
                    fit=fitted,
                    held_out=forecast_held_out(fitted, contrast, asked.hold_out)
                    if forecasts and isinstance(contrast, Curve)
                    else None,
                )
            )
    return reports


def _fit(law: Law, contrast: Curve | NoCurve, rungs: Sequence[str], ledger: Ledger) -> Fit:
    if isinstance(contrast, NoCurve):
        return refused(law, contrast.target, Status.NO_CURVE, contrast.reason)
    if ledger.refusal is not None:
        return refused(law, contrast.target, Status.CONFOUNDED, ledger.refusal, rungs)
    return fit(law, contrast, rungs=rungs)


def _design_effects(clustered: Curve | NoCurve, blind: Curve | NoCurve) -> dict[str, float | None]:
    if isinstance(clustered, NoCurve) or isinstance(blind, NoCurve):
        return {}
    return {
        rung: design_effect(clustered.values_BG[:, place], blind.values_BG[:, place])
        for place, rung in enumerate(clustered.rungs)
    }
