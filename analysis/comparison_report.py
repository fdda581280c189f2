"""Write the report of a comparison: the page, its figures as PNG and SVG, and ``result.json``."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from analysis import comparison_tables as tables
from analysis.answer import decimal
from analysis.bootstrap import Resampling
from analysis.comparison import MIN_ENTITIES, TRANSLATED, Compared, Gain, compare_systems
from analysis.comparison_result import document
from analysis.comparison_words import (
    SIGNIFICANT,
    answer,
    caveats,
    gain_text,
    losses,
    stage_name,
    system_name,
)
from analysis.declared import DeclaredComparison, completed
from analysis.figures.amounts import draw_amounts
from analysis.figures.gain import draw_gain
from analysis.figures.parts import draw_parts
from analysis.figures.ranking import draw_ranking
from analysis.page import Picture, drawn, render
from analysis.report import lay_out
from analysis.result import SCHEMA, dumps
from analysis.runs import read_frame
from analysis.tables import Table, diagnostics_table, ledger_table, runs_table
from studies.languages import LANGUAGES
from studies.schema.record import Role

TEMPLATE = "comparison.html"


def comparison_report(
    asked: DeclaredComparison,
    *,
    tracking_uri: str,
    out: Path,
    storage: str | None = None,
    resampling: Resampling | None = None,
) -> Path:
    """Read, analyse and write ``<out>/<study>/``; returns the page's path.

    Nothing is written before everything is computed, and every file replaces its predecessor at once.
    """
    frame = read_frame(tracking_uri=tracking_uri, study=asked.study, version=asked.version, storage=storage)
    found = compare_systems(asked, completed(asked, frame), LANGUAGES, resampling or Resampling())
    figures = draw(found)
    result = dumps(document(found, source=frame.source))
    return lay_out(out / asked.study, result, figures, lambda images: page(found, images))


def draw(found: Compared) -> dict[str, Figure]:
    """All figures by name; the gain only where there is a translator to compare with."""
    names = {each.code: each.name for each in LANGUAGES}
    figures = {"amounts": draw_amounts(found)} if found.asked.amounts else {}
    figures |= {"ranking": draw_ranking(found), "parts": draw_parts(found)}
    if isinstance(found.gain, Gain):
        figures["gain"] = draw_gain(found.gain, system_name(found.asked.reference), names)
    return figures


def page(found: Compared, images: Mapping[str, bytes]) -> str:
    """Render the page; ``images`` are SVG by the names of :func:`draw`."""
    asked = found.asked
    stages = found.stages
    teacher = found.teacher.get(asked.measure)
    trained = {run.key: run for run in found.runs if run.role == Role.STUDENT}
    return render(
        TEMPLATE,
        asked=asked,
        answer=answer(found),
        resampling=found.resampling,
        num_clusters=found.num_clusters,
        seeds=len(set(stages[0].seeds)),
        significant=SIGNIFICANT,
        num_rivals=len(found.stage(asked.stage).systems) - 1,
        caveats=caveats(found),
        pictures=_pictures(found, images),
        reference=system_name(asked.reference),
        losses=losses(found),
        teacher=None if teacher is None else f"{decimal(teacher, 3)} {asked.measure}",
        rankings=_rankings(found),
        gain=gain_text(found),
        compute=_compute_text(found),
        systems=[tables.systems_table(found, stage) for stage in stages],
        min_entities=MIN_ENTITIES,
        parts=[tables.parts_table(found, stage=stage.name) for stage in stages],
        measures=[tables.measures_table(found, stage=stage.name) for stage in stages],
        ledgers=[
            {
                "stage": stage_name(found, name),
                "agreed": each.agreed,
                "refused": each.refusal is not None,
                "table": ledger_table(each, consequence="no difference is reported"),
            }
            for name, each in found.ledgers.items()
        ],
        diagnostics=diagnostics_table(list(trained.values())),
        runs=runs_table(asked, found.runs),
        revisions=sorted({run.revision for run in found.runs}),
        schema=SCHEMA,
    )


def _rankings(found: Compared) -> list[Table]:
    """The ranking at every exposure: of every rung, or of all amounts side by side."""
    if found.asked.amounts:
        return [tables.amounts_table(found, exposure=str(each)) for each in found.exposures]
    order = sorted(found.asked.stages, key=lambda stage: stage != found.asked.stage)
    return [tables.ranking_table(found, stage=stage, exposure=str(each)) for stage in order for each in found.exposures]


def _compute_text(found: Compared) -> str:
    compute = found.asked.compute
    if compute is None:
        return "The study declares no matched compute: compare the steps before reading anything into a difference."
    return (
        f"At one rung all objectives are declared with the same FLOPs, to within {compute.tolerance:.0%}: the "
        "encoder's, and the objective's own with its solver. So steps differ, which the ledger shows as declared. "
        "The last column "
        "counts with the iterations that the solver really took."
    )


def _pictures(found: Compared, images: Mapping[str, bytes]) -> list[Picture]:
    asked = found.asked
    reference = system_name(asked.reference)
    captions = {
        "amounts": f"{asked.measure} by lines of bitext at full and reduced exposure. Bars are 95 % intervals; the "
        "axis of lines is logarithmic. Hollow points are flagged.",
        "ranking": f"{asked.measure} of every system by exposure. Bars are 95 % intervals of the "
        "score; differences are paired and far sharper than the bars suggest. Hollow points are flagged.",
        "parts": f"Lead of {reference} over every system by part of the queries, {stage_name(found, asked.stage)}. "
        "Bold where the 95 % interval leaves zero out.",
        "gain": f"Relative gain of {reference} over {system_name(TRANSLATED)} by language at reduced exposure.",
    }
    return [drawn(images[name], captions[name]) for name in images]
