"""Alignment in words and tables: the answer with its intervals, what would change it, and every level behind it."""

from analysis import interaction_words
from analysis.alignment import UNITS, Aligned, Level, Reading
from analysis.answer import flags, with_interval
from analysis.bootstrap import Estimate
from analysis.gaps import NoCurve
from analysis.tables import NOTHING, Table, table
from studies.schema.alignment import AlignmentMeasure
from studies.schema.estimand import Exposure
from studies.schema.record import Role, State

NAMES = {
    AlignmentMeasure.TOKEN_OT: "chance-corrected token transport",
    AlignmentMeasure.MEXA: "mutual nearest sentences",
    AlignmentMeasure.RANKC: "agreement of rankings",
}


def answer(found: Aligned) -> str:
    """How the difference moves with size, then what distillation brings at the largest rung under each objective."""
    flagged = any(strand.ladder.flagged for strand in found.strands)
    provisional = "Some trainings are flagged, so this is provisional. " if flagged else ""
    improvement = f"the improvement of {found.asked.aligned}"
    return f"{provisional}{interaction_words.answer(found.primary, improvement)} {_brought(found)}"


def _brought(found: Aligned) -> str:
    """What was gained at the largest rung at both exposures."""
    parts = []
    for strand in found.strands:
        levels = strand.gained[AlignmentMeasure(found.asked.aligned)].levels
        sides = [
            f"{with_interval(level.mean[-1], 1)} at {exposure} exposure"
            for exposure in Exposure
            if (level := levels.get((exposure, Reading.IMPROVEMENT))) is not None
        ]
        if sides:
            parts.append(f"under {strand.objective} {' and '.join(sides)}")
    if not parts:
        return ""
    return f"At that size distillation brings, in points of 100, {'; '.join(parts)}."


def caveats(found: Aligned) -> list[str]:
    """What could not be said, and what stands on a defect, in words."""
    lines = []
    for strand in found.strands:
        for measure, gained in strand.gained.items():
            lines += [
                f"Refused: {strand.objective}, {measure}, {each.target}: {each.reason}."
                for each in gained.contrasts.values()
                if isinstance(each, NoCurve)
            ]
        lines += [
            f"Flagged, so in no fit: {strand.objective} at {rung} ({flags(each)})."
            for rung, each in strand.ladder.flagged.items()
        ]
    lines += [
        f"The teacher is flagged ({flags(run.flags)}); its vectors were used as they are."
        for run in found.runs
        if run.role == Role.TEACHER and run.state == State.FLAGGED
    ]
    return lines


def slopes_table(found: Aligned) -> Table:
    """The difference between the objectives' effects in every measure and reading: its slope and its last value."""
    rows = []
    for (measure, reading), each in found.interactions.items():
        is_primary = each is found.primary
        slope = NOTHING if each.slope is None else with_interval(each.slope)
        every = NOTHING
        if each.every_rung.usable:
            fitted = each.every_rung
            every = with_interval(Estimate(point=fitted.parameters["b"], interval=fitted.intervals["b"]))
        last = NOTHING if isinstance(each.curve, NoCurve) else with_interval(each.curve.points()[-1].value)
        standing = "primary" if is_primary else "exploratory"
        rows.append([f"{measure}, {reading}", UNITS[reading], standing, each.trend.message, slope, every, last])
    heading = [
        "measure",
        "unit",
        "standing",
        "fit",
        "slope per tenfold size",
        "slope, every rung",
        "at the largest size",
    ]
    caption = f"Effect of exposure under {found.asked.reference} minus that under {found.asked.against}"
    return table(caption, heading, rows, text_columns=4)


def levels_table(found: Aligned, measure: AlignmentMeasure) -> Table:
    """Alignment before and after, and what was gained, by size and exposure under every objective."""
    rows = []
    for strand in found.strands:
        for place, rung in enumerate(strand.ladder.rungs):
            for exposure in Exposure:
                levels = strand.gained[measure].levels
                cells = [_cell(levels.get((exposure, reading)), place) for reading in Reading]
                defects = flags(strand.ladder.flagged.get(rung, ()))
                rows.append([strand.objective, rung + (f" ({defects})" if defects else ""), str(exposure), *cells])
    heading = ["objective", "size", "exposure", "before", "after", "improvement", "% of what was missing"]
    return table(f"{measure}: {NAMES[measure]}, points of 100", heading, rows, text_columns=3)


def contrasts_table(found: Aligned, measure: AlignmentMeasure) -> Table:
    """What exposure is worth within a language, and how far CC-100's classes lie apart, by size."""
    rows = []
    for strand in found.strands:
        for target, contrast in strand.gained[measure].contrasts.items():
            if isinstance(contrast, NoCurve):
                cells = ["refused"] * len(strand.ladder.rungs)
            else:
                cells = [with_interval(point.value) for point in contrast.points()]
            rows.append([strand.objective, target, *cells])
    heading = ["objective", "contrast", *found.strands[0].ladder.rungs]
    return table(f"{measure}: contrasts by size", heading, rows, text_columns=2)


def languages_table(found: Aligned) -> Table:
    """The primary measure at the largest size, language by language."""
    measure = AlignmentMeasure(found.asked.aligned)
    rows = []
    for code in found.strands[0].ladder.languages:
        for exposure in Exposure:
            cells = []
            for strand in found.strands:
                for reading in (Reading.BEFORE, Reading.IMPROVEMENT, Reading.SHARE):
                    level = strand.gained[measure].levels.get((exposure, reading))
                    cells.append(NOTHING if level is None else with_interval(level.by_language[code][-1], 1))
            rows.append([code, found.classes.get(code, NOTHING), str(exposure), *cells])
    heading = ["language", "CC-100 class", "exposure"]
    for strand in found.strands:
        heading += [f"before ({strand.objective})", f"improvement ({strand.objective})", f"share ({strand.objective})"]
    caption = f"{measure} by language at {found.strands[0].ladder.rungs[-1]}"
    return table(caption, heading, rows, text_columns=3)


def _cell(level: Level | None, place: int) -> str:
    return NOTHING if level is None else with_interval(level.mean[place], 1)
