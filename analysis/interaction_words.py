"""The difference between two objectives' effects in words and as a table: the answer, and what would change it."""

from analysis.answer import decimal, flags, interval_text, spoken, with_interval
from analysis.bootstrap import Estimate
from analysis.gaps import Curve, NoCurve
from analysis.interaction import Interaction
from analysis.result import Document, estimate_document, interval_document
from analysis.tables import Table, table


def answer(found: Interaction, measure: str) -> str:
    """One sentence on how the difference moves with size, then its value at the largest rung and the forecast of it."""
    if isinstance(found.curve, NoCurve):
        return f"This study cannot answer its question: {found.curve.reason}."
    last = found.curve.points()[-1]
    size = f"{last.rung}, {last.size:,} non-embedding parameters"
    return (
        f"{_trend(found, measure)} At the largest size ({size}) the difference is {with_interval(last.value)} "
        f"{found.curve.unit}{'' if last.sound else ', of a flagged rung'}.{_forecast(found)}"
    )


def _trend(found: Interaction, measure: str) -> str:
    what = (
        f"what exposure is worth in {measure} within a language under {spoken(found.reference)}, beyond what it is "
        f"worth under {spoken(found.against)},"
    )
    slope = found.slope
    if slope is None:
        return f"How {what} moves with size cannot be stated ({found.trend.message})."
    assert isinstance(found.curve, Curve)
    band = f"{with_interval(slope)} {found.curve.unit} per tenfold size"
    if 0.0 in slope.interval:
        return f"No change with size can be told from zero in {what} at {band}."
    return f"With size {what} {'grows' if slope.point > 0 else 'shrinks'}: {band}."


def _forecast(found: Interaction) -> str:
    held_out = found.held_out
    if held_out is None:
        return f" The declared law forecasts nothing: {found.declared.message}."
    return (
        f" The declared law had forecast {decimal(held_out.forecast)} {interval_text(held_out.interval)} for it "
        f"({held_out.label})."
    )


def change_of_mind(found: Interaction) -> str:
    """What another result would have to look like, and what this one leaves open."""
    slope = found.slope
    if slope is None or isinstance(found.curve, NoCurve):
        return "A change of mind needs a trend first: more sound rungs under both objectives."
    if 0.0 in slope.interval:
        needed = (
            f"slopes from {decimal(slope.interval.low)} to {decimal(slope.interval.high)} are all still possible; more "
            "target entities or a longer ladder would narrow that, and an interval without zero would be the answer"
        )
    else:
        other = "below" if slope.point > 0 else "above"
        needed = f"it would take further rungs that bring the slope to zero or {other}"
    trained = len(found.curve.by_seed_SG)
    again = "" if trained > 1 else "; one training per point, so another seed may move any of them"
    return f"What would change this: {needed}{again}. Other languages, bitext or learning rates are not spoken of."


def rungs_table(found: Interaction) -> Table:
    """Both effects and their difference at every rung."""
    heading = ["size", "parameters", found.reference, found.against, "difference"]
    rows: list[list[str]] = []
    if isinstance(found.curve, Curve):
        for place, point in enumerate(found.curve.points()):
            defects = flags(found.curve.flagged.get(point.rung, ()))
            sides = (found.curve.upper_BG[0, place], found.curve.lower_BG[0, place])
            name = point.rung + (f" ({defects})" if defects else "")
            rows.append(
                [name, f"{point.size:,}", *(decimal(float(side)) for side in sides), with_interval(point.value)]
            )
    return table("Effect of exposure under each objective, and their difference", heading, rows, text_columns=1)


def interaction_document(found: Interaction) -> Document:
    """The difference as JSON values; status and message say how its trend was had."""
    refused = isinstance(found.curve, NoCurve)
    slope, held_out = found.slope, found.held_out
    return {
        "reference": found.reference,
        "against": found.against,
        "target": found.curve.target,
        "status": found.trend.status.code,
        "message": found.trend.message,
        "unit": None if isinstance(found.curve, NoCurve) else found.curve.unit,
        "slope_per_tenfold_size": None if slope is None else estimate_document(slope),
        "slope_over_every_rung": _slope(found),
        "rungs": []
        if isinstance(found.curve, NoCurve)
        else [
            {"rung": point.rung, "non_embedding": point.size, **estimate_document(point.value), "sound": point.sound}
            for point in found.curve.points()
        ],
        "held_out": None
        if held_out is None or refused
        else {
            "rung": held_out.rung,
            "forecast": held_out.forecast,
            "interval": interval_document(held_out.interval),
            "label": held_out.label,
            **{"observed": held_out.observed.point, "inside": held_out.inside},
        },
    }


def _slope(found: Interaction) -> Document | None:
    if not found.every_rung.usable:
        return None
    fitted = found.every_rung
    return estimate_document(Estimate(point=fitted.parameters["b"], interval=fitted.intervals["b"]))
