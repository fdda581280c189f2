"""The report's tables: rows of text made from findings."""

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.answer import decimal, flags, interval_text, spoken, with_interval
from analysis.declared import Asked
from analysis.findings import Findings, FitReport, Strand
from analysis.frame import RunRecord
from analysis.gaps import NoCurve
from analysis.ledger import Difference, Ledger
from analysis.result import by_exposure
from analysis.scales import DECLARED, SCALES
from studies.schema.record import Metric, Role, State

NOTHING = "–"
_LONGEST_VALUE = 40


@dataclass(frozen=True, kw_only=True)
class Table:
    """A caption, a heading and rows of cells; ``numeric`` columns are set flush right."""

    caption: str
    heading: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int]


def table(caption: str, heading: Sequence[str], rows: Sequence[Sequence[str]], *, text_columns: int) -> Table:
    """A table whose columns after the first ``text_columns`` are numbers."""
    return Table(
        caption=caption,
        heading=tuple(heading),
        rows=tuple(tuple(row) for row in rows),
        numeric=frozenset(range(text_columns, len(heading))),
    )


def number(value: float | None, digits: int = 3) -> str:
    return NOTHING if value is None else decimal(value, digits)


def count(value: int | None) -> str:
    return NOTHING if value is None else f"{value:,}"


def runs_table(asked: Asked, runs: Sequence[RunRecord]) -> Table:
    """Every declared run with its state, size and scores."""
    primary = asked.measure
    others = [measure for measure in asked.measures if measure != primary]
    heading = [
        "run",
        "key",
        "state",
        "parameters",
        "in total",
        f"{primary} full",
        f"{primary} reduced",
        f"{primary} all",
    ]
    rows = []
    for run in runs:
        sides = by_exposure(run, run.measures[primary])
        scores = [number(sides["high"]), number(sides["low"]), number(_mean(run, primary))]
        state = run.state + (f": {flags(run.flags)}" if run.flags else "")
        name = " · ".join(part for part in (spoken(run.role), str(run.labels)) if part)
        sizes = [count(run.non_embedding), count(run.total)]
        rows.append([name, run.key, state, *sizes, *scores, *(number(_mean(run, measure)) for measure in others)])
    return table("Runs", [*heading, *others], rows, text_columns=3)


def _mean(run: RunRecord, measure: str) -> float:
    scores = run.measures[measure]
    return sum(scores.values()) / len(scores)


def effects_table(findings: Findings, strand: Strand) -> Table:
    """The contrasts of the primary measure at each rung."""
    names = ("effect.logit", "effect.raw", "effect.error", "gap.logit", "gap.raw")
    heading = [
        "size",
        "parameters",
        "effect, logit",
        "effect, raw",
        "effect, error",
        "CC-100 gap, logit",
        "CC-100 gap, raw",
    ]
    columns = [_column(strand, findings.asked.measure, name) for name in names]
    rows = []
    for place, rung in enumerate(strand.ladder.rungs):
        design = strand.design_effects.get(rung)
        defects = flags(strand.ladder.flagged.get(rung, ()))
        cells = [count(int(strand.ladder.sizes_G[place])), *(column[place] for column in columns), number(design, 2)]
        rows.append([rung + (f" ({defects})" if defects else ""), *cells])
    return table(f"Contrasts in {findings.asked.measure} by size", [*heading, "design effect"], rows, text_columns=1)


def _column(strand: Strand, measure: str, target: str) -> list[str]:
    contrast = strand.contrast(measure, target)
    if isinstance(contrast, NoCurve):
        return ["refused"] * len(strand.ladder.rungs)
    return [with_interval(point.value) for point in contrast.points()]


def other_measures_table(findings: Findings, strand: Strand) -> Table:
    """The effect in every measure, exploratory but for the primary one."""
    rows = []
    for measure, measured in strand.measured.items():
        column = _column(strand, measure, findings.primary)
        teacher = measured.teacher
        rows.append([measure, NOTHING if teacher is None else number(teacher.point), *column])
    heading = ["measure", "teacher", *strand.ladder.rungs]
    unit = SCALES[DECLARED[findings.asked.scale]].unit
    return table(f"Effect ({unit}) in every measure", heading, rows, text_columns=1)


def fits_table(findings: Findings, strand: Strand, *, target: str, saw_every_rung: bool) -> Table:
    """What became of every law on one contrast."""
    rows = [_fit_cells(findings, each) for each in _fits_of(strand, target, saw_every_rung)]
    caption = "Fitted to all rungs" if saw_every_rung else "Fitted without the held-out rung"
    return table(caption, ["law", "formula", "what happened", "parameters", "AICc"], rows, text_columns=4)


def held_out_table(findings: Findings, strand: Strand, *, target: str) -> Table:
    """What each fitted law said about the held-out rung."""
    rows = []
    for report in _fits_of(strand, target, False):
        held_out = report.held_out
        if held_out is not None:
            inside = {True: "yes", False: "no", None: "no fair test: flagged"}[held_out.inside]
            forecast = f"{decimal(held_out.forecast)} {interval_text(held_out.interval)}"
            numbers = [forecast, with_interval(held_out.observed), with_interval(held_out.miss)]
            rows.append([_law_name(findings, report), held_out.label, inside, *numbers])
    heading = ["law", "the band is", "observed inside", "forecast", "observed", "observed minus forecast"]
    return table(f"Forecasts of {findings.asked.hold_out}", heading, rows, text_columns=3)


def forecast_spread(strand: Strand, *, target: str) -> str:
    """How far the fitted laws' forecasts of the held-out rung lie apart, in words."""
    forecasts = [each.held_out.forecast for each in _fits_of(strand, target, False) if each.held_out is not None]
    if len(forecasts) < 2:
        return ""
    return (
        f"The forecasts of {len(forecasts)} laws lie between {decimal(min(forecasts))} and {decimal(max(forecasts))}."
    )


def _fits_of(strand: Strand, target: str, saw_every_rung: bool) -> list[FitReport]:
    return [each for each in strand.fits if each.fit.target == target and each.saw_every_rung == saw_every_rung]


def _fit_cells(findings: Findings, report: FitReport) -> list[str]:
    fitted = report.fit
    intervals = fitted.intervals
    parameters = "; ".join(
        f"{name} = {decimal(value)} {interval_text(intervals[name])}" for name, value in fitted.parameters.items()
    )
    return [
        _law_name(findings, report),
        fitted.law.formula,
        fitted.message,
        parameters or NOTHING,
        number(fitted.aicc, 1),
    ]


def _law_name(findings: Findings, report: FitReport) -> str:
    name = report.fit.law.name
    return spoken(name) + (" (declared)" if name == findings.asked.law else "")


def baselines_table(findings: Findings, strand: Strand) -> Table:
    """What the students have to beat, in the primary measure, after the teacher and the largest student."""
    measure = findings.asked.measure
    teacher = strand.measured[measure].teacher
    known = NOTHING if teacher is None else with_interval(teacher)
    rows = [["teacher on English", NOTHING, known, NOTHING, NOTHING]]
    for row in findings.baselines:
        if row.measure == measure:
            name = spoken(row.role) + (f" · {row.rung}" if row.rung != "-" else "")
            rows.append(
                [name, row.exposure, with_interval(row.mean), number(row.latin, 2), number(row.other_scripts, 2)]
            )
    heading = ["system", "exposure", f"mean {measure}", "Latin script", "other scripts"]
    return table("Teacher and baselines", heading, rows, text_columns=2)


def parts_table(strand: Strand) -> Table:
    """Levels on parts of the queries."""
    rows = [
        [row.part, row.rung, row.exposure, number(row.score, 2), str(row.num_languages), f"{row.num_queries:.0f}"]
        for row in strand.parts
        if row.rung in (strand.ladder.rungs[0], strand.ladder.rungs[-1])
    ]
    heading = ["queries with", "size", "exposure", "mean score", "languages", "queries per language"]
    return table("Parts of the queries, smallest and largest size", heading, rows, text_columns=3)


def diagnostics_table(runs: Sequence[RunRecord]) -> Table:
    """Where training and the solver ended."""
    rows = []
    for run in runs:
        ends = [_last(run, metric) for metric in (Metric.LOSS, Metric.LOSS_HELD_OUT, Metric.TRANSPORT_ITERATIONS)]
        converged = run.series.get(Metric.TRANSPORT_CONVERGED)
        least = None if converged is None or not converged.values.size else float(converged.values.min())
        cells = [number(ends[0], 4), number(ends[1], 4), number(ends[2], 0)]
        rows.append([str(run.labels), flags(run.flags) or "none", *cells, number(least)])
    heading = ["run", "flags", "last loss", "last held-out loss", "last iterations", "least share converged"]
    return table("Training and solver", heading, rows, text_columns=2)


def _last(run: RunRecord, metric: str) -> float | None:
    series = run.series.get(metric)
    return None if series is None or not series.values.size else float(series.values[-1])


def origins_table(strand: Strand) -> Table:
    """The rolling origin: each rung forecast from all smaller ones."""
    rows = [
        [
            spoken(step.law),
            f"{step.rungs[0]} to {step.rungs[-1]}",
            step.rung,
            number(step.forecast, 2),
            number(step.observed, 2),
            number(step.observed - step.forecast, 2),
        ]
        for step in strand.origins
    ]
    heading = ["law", "fitted on", "forecast of", "forecast", "observed", "observed minus forecast"]
    return table("Rolling origin", heading, rows, text_columns=3)


def ledger_table(ledger: Ledger, *, consequence: str = "no law is fitted") -> Table:
    """What differs between the points that are compared, and what a difference that was not declared entails."""
    declared = [[each.field, "declared by the study", _values(each)] for each in ledger.declared]
    confounders = [[each.field, f"confounder: {consequence}", _values(each)] for each in ledger.confounders]
    return table("Confounder ledger", ["field", "standing", "values"], [*confounders, *declared], text_columns=3)


def _values(difference: Difference) -> str:
    if any(len(value) > _LONGEST_VALUE for value in difference.values):
        return f"{len(difference.values)} different values"
    return "; ".join(f"{value} ({', '.join(rungs)})" for value, rungs in difference.values.items())


def caveats(findings: Findings, strand: Strand) -> list[str]:
    """What could not be said, and what stands on a defect, in words."""
    contrasts = strand.measured[findings.asked.measure].contrasts.values()
    refused = [f"Refused: {each.target}: {each.reason}." for each in contrasts if isinstance(each, NoCurve)]
    rungs = [f"Flagged, so in no fit: {rung} ({flags(each)})." for rung, each in strand.ladder.flagged.items()]
    others = [
        f"The {spoken(run.role)} {run.labels.rung} is flagged ({flags(run.flags)}); its score is used as it is."
        for run in findings.runs
        if run.role != Role.STUDENT and run.state == State.FLAGGED
    ]
    return [*refused, *rungs, *others]


def clipped(findings: Findings, strand: Strand) -> list[str]:
    """How many scores had to be kept off the ends of a scale, contrast by contrast."""
    contrasts = strand.measured[findings.asked.measure].contrasts.values()
    return [
        f"{each.target}: {each.num_clipped} of {len(strand.runs) * len(strand.ladder.languages)}"
        for each in contrasts
        if not isinstance(each, NoCurve) and each.target.startswith("effect.")
    ]


def one_seed(strand: Strand) -> bool:
    return len(set(strand.ladder.seeds)) == 1
