"""A comparison in words: the answer with its intervals, where the reference loses, and what stands on a defect."""

from collections.abc import Sequence

from analysis.answer import decimal, flags, interval_text, spoken, with_interval
from analysis.bootstrap import Estimate
from analysis.comparison import TRANSLATED, Compared, NoGain, Row
from analysis.systems import ALL, System
from studies.schema.record import Role, State

SIGNIFICANT = 0.05
"""Corrected p-value below which a primary contrast is called a difference."""

REPORTED_GAIN = 0.137
"""Relative gain in AP over translate-the-query on low-resource languages that OPTICAL's authors report
(arXiv 2301.12566), on their own data."""

REPORTED = "reported by the paper on its own data"


def answer(found: Compared) -> str:
    """One sentence on the primary contrasts, with the interval of the closest rival that matters."""
    asked = found.asked
    refusal = found.refusals.get(asked.stage)
    if refusal is not None:
        return f"This study cannot answer its question: systems differ in what was not declared ({refusal})."
    own = next((row for row in found.primary if row.system == asked.reference), None)
    if own is None:
        return f"This study cannot answer its question: no language is at {asked.exposure} exposure."
    rivals = [row for row in found.primary if row.system != asked.reference]
    above = [row for row in rivals if is_told_apart(row) and _point(row) < 0.0]
    below = [row for row in rivals if is_told_apart(row) and _point(row) > 0.0]
    level = [row for row in rivals if not is_told_apart(row)]
    provisional = "Some trainings are flagged, so this is provisional. " if _flagged(found) else ""
    return (
        f"{provisional}At {stage_name(found, asked.stage)} and {asked.exposure} exposure {asked.reference} scores "
        f"{with_interval(own.score)} {asked.measure}, rank {own.rank} of {len(rivals) + 1}: "
        + "; ".join(
            part
            for part in (
                f"it loses to {_against(above)}" if above else "it loses to no system that can be told from it",
                f"beats {_against(below)}" if below else "beats none",
                f"and cannot be told from {_against(level)}" if level else "",
            )
            if part
        )
        + f".{_course(found)}"
    )


def _course(found: Compared) -> str:
    """How the reference moves from the least to the most bitext; nothing where stages are rungs."""
    asked = found.asked
    ends = [
        row
        for stage in sorted(asked.amounts, key=lambda stage: asked.amounts[stage])
        for row in found.table(stage=stage, exposure=asked.exposure)
        if row.system == asked.reference
    ]
    if len(ends) < 2:
        return ""
    first, last = ends[0], ends[-1]
    return (
        f" From {stage_name(found, first.stage)} to {stage_name(found, last.stage)} it goes from "
        f"{with_interval(first.score)} to {with_interval(last.score)}."
    )


def is_told_apart(row: Row) -> bool:
    """Whether a primary contrast survives the correction for the number of rivals."""
    return row.corrected is not None and row.corrected < SIGNIFICANT


def _against(rows: Sequence[Row]) -> str:
    """Rivals with by how much the reference leads them, the closest first."""
    ordered = sorted(rows, key=lambda row: abs(_point(row)))
    return ", ".join(f"{system_name(row.system)} by {_size(row.difference)}" for row in ordered if row.difference)


def _size(difference: Estimate) -> str:
    """The size of a difference with its interval, turned so that the size is above zero."""
    if difference.point >= 0.0:
        return with_interval(difference, 3)
    low, high = -difference.interval.high, -difference.interval.low
    return f"{decimal(-difference.point, 3)} [{decimal(low, 3)}, {decimal(high, 3)}]"


def _point(row: Row) -> float:
    assert row.difference is not None
    return row.difference.point


def losses(found: Compared) -> list[str]:
    """To whom the reference loses, on which part, stage and exposure: where the interval lies below zero."""
    lines = []
    for stage in found.asked.stages:
        for exposure in ("full", "reduced"):
            lost: dict[str, list[str]] = {}
            for part in found.stage(stage).parts:
                for row in found.table(stage=stage, exposure=exposure, part=part):
                    if row.difference is not None and row.difference.interval.high < 0.0:
                        lost.setdefault(row.system, []).append(f"{part} ({_size(row.difference)})")
            for system, parts in lost.items():
                lines.append(
                    f"{stage_name(found, stage)}, {exposure} exposure, to {system_name(system)}: {'; '.join(parts)}."
                )
    return lines


def caveats(found: Compared) -> list[str]:
    """Refused stages and flagged systems, in words."""
    lines = [f"Refused: {stage_name(found, stage)}: {reason}." for stage, reason in found.refusals.items()]
    for stage in found.stages:
        flagged = [_defects(system) for system in stage.systems if system.flags]
        if flagged:
            lines.append(f"Flagged at {stage_name(found, stage.name)}: {', '.join(flagged)}.")
    lines += [
        f"The teacher is flagged ({flags(run.flags)}); its score is used as it is."
        for run in found.runs
        if run.role == Role.TEACHER and run.state == State.FLAGGED
    ]
    return lines


def _defects(system: System) -> str:
    told = ", ".join(f"{flags((name,))} in {count} of {system.num_runs}" for name, count in system.flags.items())
    return f"{system_name(system.name)} ({told})"


def _flagged(found: Compared) -> bool:
    return any(system.flags for system in found.stage(found.asked.stage).systems)


def gain_text(found: Compared) -> str:
    """The relative gain over translate-the-query, or that it cannot be had."""
    reported = f"{decimal(100 * REPORTED_GAIN, 1)} %"
    gain = found.gain
    if isinstance(gain, NoGain):
        return (
            f"There is no relative gain over translate-the-query: {gain.reason}. So {reported}, as {REPORTED}, has "
            "nothing to stand beside it."
        )
    overall = f"{decimal(100 * gain.overall.point, 1)} % {_percent(gain.overall)}"
    return (
        f"Over translate-the-query {found.asked.reference} gains {overall} in {gain.measure} on the languages at "
        f"{gain.exposure} exposure; {reported} is {REPORTED}, other collections and other systems."
    )


def _percent(value: Estimate) -> str:
    return f"[{decimal(100 * value.interval.low, 1)}, {decimal(100 * value.interval.high, 1)}]"


def stage_name(found: Compared, stage: str) -> str:
    """A rung's name, or an amount with its unit."""
    lines = found.asked.amounts.get(stage)
    return stage if lines is None else f"{lines:,} lines"


def system_name(name: str) -> str:
    """A system as people write it."""
    return {"copy_through": "copy-through", TRANSLATED: "translate-the-query"}.get(name, spoken(name))


def part_name(part: str) -> str:
    return "all" if part == ALL else part


def leads(row: Row) -> str:
    """The reference's lead with its interval, or nothing for the reference itself."""
    return (
        ""
        if row.difference is None
        else f"{decimal(row.difference.point, 3)} {interval_text(row.difference.interval, 3)}"
    )
