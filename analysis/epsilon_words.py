"""An optimum over epsilon in words and tables: the answer with its interval, what would change it, and every curve."""

from collections.abc import Sequence

from analysis.answer import decimal, flags, with_interval
from analysis.bootstrap import Estimate
from analysis.epsilon import Contrast, EpsilonCurve, EpsilonFindings
from analysis.frame import RunRecord
from analysis.peak import GridBest, Peak
from analysis.tables import NOTHING, Table, number, table
from studies.schema.record import Metric, Role


def answer(found: EpsilonFindings) -> str:
    """One sentence on the primary contrast, or why there is none, then what epsilon is worth on either side."""
    contrast = found.primary
    upper, lower = contrast.upper, contrast.lower
    sides = f"At {_side(found, upper)}; at {_side(found, lower)}."
    provisional = (
        "Some trainings were still improving, so this is provisional. " if upper.improving or lower.improving else ""
    )
    if isinstance(contrast.difference, str):
        return (
            f"{provisional}Whether {upper.name} wants another epsilon cannot be said ({contrast.difference}). {sides}"
        )
    decades = f"{with_interval(contrast.difference)} decades of epsilon"
    if 0.0 in contrast.difference.interval:
        told = f"The best epsilon at {upper.name} cannot be told from that at {lower.name}: they differ by {decades}"
    else:
        way = "above" if contrast.difference.point > 0 else "below"
        told = f"The best epsilon at {upper.name} lies {way} that at {lower.name}, by {decades}"
    return f"{provisional}{told}, under joint students of the same {len(found.asked.languages)} pairs. {sides}"


def _side(found: EpsilonFindings, curve: EpsilonCurve) -> str:
    """Where a curve is highest and what it loses at the largest epsilon, with intervals."""
    labels = list(found.asked.epsilons)
    place = list(found.asked.epsilons.values()).index(curve.best.point)
    best, last = curve.scores[place], curve.scores[-1]
    top = f", the parabola's top at {epsilon_text(curve.peak.setting)}" if isinstance(curve.peak, Peak) else ""
    return (
        f"{curve.name} {best_text(curve.best)} is the best epsilon tried{top}, with {found.asked.measure} "
        f"{with_interval(best, 3)} against {with_interval(last, 3)} at {labels[-1]}"
    )


def change_of_mind(found: EpsilonFindings) -> str:
    """What another result would have to look like, and what this one leaves open."""
    difference = found.primary.difference
    if isinstance(difference, str):
        needed = (
            "a difference needs an optimum on both sides: scores that fall towards both ends of the grid by more than "
            "resampling moves them"
        )
    elif 0.0 in difference.interval:
        needed = (
            f"differences from {decimal(difference.interval.low)} to {decimal(difference.interval.high)} decades are "
            "all still possible; more target entities or a finer grid would narrow that"
        )
    else:
        needed = "it would take trainings that bring the two optima together"
    again = "" if found.num_seeds > 1 else "; one training per point, so another seed may move any of them"
    return (
        f"What would change this: {needed}{again}. Longer training, another rung or learning rates tuned for each pair "
        "may move every optimum and were not tried."
    )


def epsilon_text(value: Estimate) -> str:
    """An epsilon with its interval: ``0.0123 [0.0098, 0.0151]``."""
    return f"{value.point:.3g} [{value.interval.low:.3g}, {value.interval.high:.3g}]"


def best_text(best: GridBest) -> str:
    """The best epsilon that was tried, and where it lies in most resamples if not there alone."""
    return f"{best.point:g}" + ("" if best.low == best.high else f" [{best.low:g}, {best.high:g}]")


def caveats(found: EpsilonFindings) -> list[str]:
    """What could not be said, and what stands on a defect."""
    lines = [] if found.ledger.refusal is None else [f"Refused, as runs differ undeclared: {found.ledger.refusal}."]
    for curve in _curves(found):
        if curve.unsolved:
            lines.append(f"In no fit of {_title(curve)}: {', '.join(curve.unsolved)}, where a solver did not converge.")
    flagged = [run for run in found.runs if run.role == Role.STUDENT and run.flags]
    if flagged:
        names = sorted({flag for run in flagged for flag in run.flags})
        students = sum(run.role == Role.STUDENT for run in found.runs)
        lines.append(
            f"{len(flagged)} of {students} students are flagged ({flags(names)}). All have one budget, so those that "
            "were still improving are compared like with like, at that budget."
        )
    return lines


def pairs_table(found: EpsilonFindings) -> Table:
    """Every pair under every student: its optimum or that there is none, and the best epsilon that was tried."""
    rows = []
    for (bitext, code), curve in found.pairs.items():
        own = "" if bitext in found.asked.joint else "own"
        share = found.exposure[bitext, code]
        rows.append([f"{code} → en", own or bitext, f"{share:g}", *_found_cells(found, curve)])
    heading = ["pair", "student", "exposure", "optimum", "why there is none", "best tried", "score there"]
    return table("Optimum by pair and student", heading, rows, text_columns=5)


def contrasts_table(found: EpsilonFindings) -> Table:
    """The declared contrast, then those that describe."""
    rows = [
        [
            f"{_title(each.upper)} minus {_title(each.lower)}",
            "primary" if each is found.primary else "exploratory",
            *_difference_cells(each),
        ]
        for each in found.contrasts
    ]
    heading = ["contrast", "standing", "why there is none", "decades of epsilon", "p"]
    return table("Differences between optima", heading, rows, text_columns=3)


def means_table(found: EpsilonFindings) -> Table:
    """The mean curves of which contrasts are made."""
    rows = [[_title(curve), *_found_cells(found, curve)] for curve in _means(found)]
    heading = ["mean over", "optimum", "why there is none", "best tried", "score there"]
    return table("Optimum of mean curves", heading, rows, text_columns=3)


def scores_table(found: EpsilonFindings) -> Table:
    """The score of every curve at every epsilon."""
    rows = [[_title(curve), *(number(score.point) for score in curve.scores)] for curve in _curves(found)]
    return table(f"{found.asked.measure} by epsilon", ["curve", *found.asked.epsilons], rows, text_columns=1)


def solver_table(found: EpsilonFindings) -> Table:
    """What every epsilon was trained with, and how exactly its problems were solved."""
    rows = []
    for label in found.asked.epsilons:
        runs = [run for run in found.runs if run.role == Role.STUDENT and run.labels.objective == label]
        iterations = _last(runs, Metric.TRANSPORT_ITERATIONS)
        cells = [
            number(sum(iterations) / len(iterations) if iterations else None, 0),
            _exponent(max(_last(runs, Metric.TRANSPORT_MARGINAL_ERROR), default=None)),
            number(min(_least(runs, Metric.TRANSPORT_CONVERGED), default=None)),
        ]
        rows.append([label, f"{found.asked.rates[label]:g}", *cells])
    heading = [
        "epsilon",
        "learning rate",
        "last iterations, mean",
        "last mean marginal error, largest",
        "least converged",
    ]
    return table("Learning rate and solver at each epsilon", heading, rows, text_columns=1)


def _last(runs: Sequence[RunRecord], metric: str) -> list[float]:
    """Where a metric ended in each run that has it."""
    return [float(run.series[metric].values[-1]) for run in runs if metric in run.series]


def _least(runs: Sequence[RunRecord], metric: str) -> list[float]:
    """The least value of a metric in each run that has it."""
    return [float(run.series[metric].values.min()) for run in runs if metric in run.series]


def _exponent(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.1e}".replace("-", "−")


def _found_cells(found: EpsilonFindings, curve: EpsilonCurve) -> list[str]:
    """Optimum, why there is none, best tried, score there."""
    place = list(found.asked.epsilons.values()).index(curve.best.point)
    peak = curve.peak
    top, reason = (epsilon_text(peak.setting), "") if isinstance(peak, Peak) else ("refused", peak.reason)
    return [top, reason, best_text(curve.best), with_interval(curve.scores[place], 3)]


def _difference_cells(contrast: Contrast) -> list[str]:
    if isinstance(contrast.difference, str):
        return [contrast.difference, "refused", NOTHING]
    return ["", with_interval(contrast.difference), number(contrast.p)]


def _means(found: EpsilonFindings) -> list[EpsilonCurve]:
    curves = [curve for each in found.contrasts for curve in (each.upper, each.lower)]
    return list({curve.name: curve for curve in curves}.values())


def _curves(found: EpsilonFindings) -> list[EpsilonCurve]:
    return [*_means(found), *found.pairs.values()]


def _title(curve: EpsilonCurve) -> str:
    return f"{curve.name} ({curve.bitext})" if curve.bitext != curve.name else f"{curve.name} (own)"
