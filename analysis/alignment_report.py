"""Write the report of a study of alignment: the page, its figures as PNG and SVG, and ``result.json``."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from analysis import alignment_words as words
from analysis.alignment import Aligned, find_alignment
from analysis.alignment_result import document
from analysis.bootstrap import Resampling
from analysis.declared import DeclaredAlignment, completed
from analysis.figures.improvement import draw_difference, draw_improvement
from analysis.interaction_words import change_of_mind, rungs_table
from analysis.page import Picture, drawn, render
from analysis.report import lay_out
from analysis.result import SCHEMA, dumps
from analysis.runs import read_frame
from analysis.tables import diagnostics_table, ledger_table, runs_table
from studies.languages import LANGUAGES
from studies.schema.alignment import AlignmentMeasure
from studies.schema.record import Role

TEMPLATE = "alignment.html"


def alignment_report(
    asked: DeclaredAlignment,
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
    found = find_alignment(asked, completed(asked, frame), LANGUAGES, resampling or Resampling())
    figures = draw(found)
    result = dumps(document(found, source=frame.source))
    return lay_out(out / asked.study, result, figures, lambda images: page(found, images))


def draw(found: Aligned) -> dict[str, Figure]:
    """All figures by name, that of the primary measure first."""
    title = f"Effect of exposure on the improvement of {found.asked.aligned}"
    return {_figure(found.asked.aligned): draw_improvement(found, AlignmentMeasure(found.asked.aligned))} | {
        "difference": draw_difference(found.primary, title),
        **{_figure(each): draw_improvement(found, each) for each in AlignmentMeasure if each != found.asked.aligned},
    }


def _figure(measure: str) -> str:
    return f"improvement-{measure.removeprefix('clca_')}"


def page(found: Aligned, images: Mapping[str, bytes]) -> str:
    """Render the page; ``images`` are SVG by the names of :func:`draw`."""
    students = [run for run in found.runs if run.role == Role.STUDENT]
    return render(
        TEMPLATE,
        asked=found.asked,
        answer=words.answer(found),
        change_of_mind=change_of_mind(found.primary),
        resampling=found.resampling,
        num_clusters=found.num_clusters,
        conditional=len({run.labels.seed for run in students}) == 1,
        caveats=words.caveats(found),
        pictures=_pictures(images),
        interaction=rungs_table(found.primary),
        slopes=words.slopes_table(found),
        levels=[words.levels_table(found, measure) for measure in AlignmentMeasure],
        contrasts=[words.contrasts_table(found, measure) for measure in AlignmentMeasure],
        languages=words.languages_table(found),
        classes=found.classes,
        ledger=ledger_table(found.primary.ledger),
        agreed=found.primary.ledger.agreed,
        refused=found.primary.ledger.refusal is not None,
        diagnostics=diagnostics_table(students),
        runs=runs_table(found.asked, found.runs),
        revisions=sorted({run.revision for run in found.runs}),
        schema=SCHEMA,
    )


def _pictures(images: Mapping[str, bytes]) -> list[Picture]:
    captions = {
        "difference": "Difference between the two objectives' effects of exposure, by model size, with the fitted "
        "trend. Diamonds are rungs that the trend did not see; hollow points are flagged.",
        **{
            _figure(measure): f"Improvement of {measure} by model size at full and reduced exposure, objective beside "
            "objective. After minus before distillation, mean over languages, in points of 100; bars: 95 % intervals. "
            "Hollow points are flagged."
            for measure in AlignmentMeasure
        },
    }
    return [drawn(image, captions[name]) for name, image in images.items()]
