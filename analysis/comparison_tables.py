"""The tables of a comparison: rows of text made from what was found."""

from analysis.answer import decimal, flags, with_interval
from analysis.comparison import Compared, Row
from analysis.comparison_result import spent
from analysis.comparison_words import leads, part_name, stage_name, system_name
from analysis.systems import Stage
from analysis.tables import NOTHING, Table, number, table
from studies.schema.estimand import Exposure


def ranking_table(found: Compared, *, stage: str, exposure: str) -> Table:
    """All systems, the best first, with the reference's lead over each."""
    rows = []
    flagged = {system.name for system in found.stage(stage).systems if system.flags}
    for row in found.table(stage=stage, exposure=exposure):
        mark = " (flagged)" if row.system in flagged else ""
        cells = [with_interval(row.score, 3), leads(row) or NOTHING, _p(row.p), _p(row.corrected)]
        rows.append([str(row.rank), system_name(row.system) + mark, *cells])
    reference = system_name(found.asked.reference)
    heading = ["rank", "system", found.asked.measure, f"lead of {reference}", "p", "p, Holm"]
    caption = f"{stage_name(found, stage)}, {exposure} exposure"
    return table(caption, heading, rows, text_columns=2)


def systems_table(found: Compared, stage: Stage) -> Table:
    """What each trained system of a stage took, and how its trainings ended."""
    rows = []
    for system in stage.systems:
        if system.trained:
            cost = spent(found, system)
            defects = ", ".join(f"{flags((name,))} in {number_of}" for name, number_of in system.flags.items())
            rows.append(
                [
                    system_name(system.name),
                    defects or "none",
                    str(system.num_runs),
                    number(cost.steps, 0),
                    NOTHING if cost.learning_rate is None else f"{cost.learning_rate:g}",
                    _flops(cost.flops),
                    _flops(cost.observed),
                ]
            )
    heading = ["system", "flags", "runs", "steps", "learning rate", "FLOPs, declared", "with observed iterations"]
    return table(f"Trained systems, {stage_name(found, stage.name)}", heading, rows, text_columns=2)


def parts_table(found: Compared, *, stage: str) -> Table:
    """The reference's lead over every system on every part of the queries."""
    rows = []
    for exposure in Exposure:
        for part in found.stage(stage).parts:
            for row in found.table(stage=stage, exposure=str(exposure), part=part):
                asked = [str(row.num_languages), f"{row.num_queries:.0f}"]
                scores = [str(row.rank), with_interval(row.score, 3), leads(row) or NOTHING, _p(row.p)]
                rows.append([part_name(part), str(exposure), system_name(row.system), *asked, *scores])
    reference = system_name(found.asked.reference)
    heading = ["queries", "exposure", "system", "languages", "queries per language", "rank", found.asked.measure]
    caption = f"Parts of the queries, {stage_name(found, stage)}"
    return table(caption, [*heading, f"lead of {reference}", "p"], rows, text_columns=3)


def measures_table(found: Compared, *, stage: str) -> Table:
    """Scores in every measure."""
    rows = []
    for exposure in Exposure:
        by_measure = {
            measure: {row.system: row for row in found.table(stage=stage, exposure=str(exposure), measure=measure)}
            for measure in found.asked.measures
        }
        for system in by_measure[found.asked.measure]:
            cells = [with_interval(each[system].score, 3) for each in by_measure.values()]
            rows.append([system_name(system), str(exposure), *cells])
    caption = f"Every measure, {stage_name(found, stage)}"
    return table(caption, ["system", "exposure", *found.asked.measures], rows, text_columns=2)


def amounts_table(found: Compared, *, exposure: str) -> Table:
    """The primary measure of every system at every stage, and the reference's lead below it."""
    names = [row.system for row in found.primary]
    by_stage = {
        stage: {row.system: row for row in found.table(stage=stage, exposure=exposure)} for stage in found.asked.stages
    }
    rows = []
    for name in names:
        rows.append([system_name(name), "score", *(_score(each.get(name)) for each in by_stage.values())])
        if name != found.asked.reference:
            cells = [leads(each[name]) if name in each else NOTHING for each in by_stage.values()]
            rows.append([system_name(name), f"lead of {system_name(found.asked.reference)}", *cells])
    heading = ["system", "", *(stage_name(found, stage) for stage in found.asked.stages)]
    return table(f"{found.asked.measure}, {exposure} exposure", heading, rows, text_columns=2)


def _score(row: Row | None) -> str:
    return NOTHING if row is None else with_interval(row.score, 3)


def _p(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:.1e}" if value < 0.001 else decimal(value, 3)


def _flops(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3g}"
