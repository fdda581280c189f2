"""Write the report of a degradation on unseen languages: the page, its figures, and ``result.json``."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from analysis import unseen_words as words
from analysis.answer import decimal
from analysis.bootstrap import Resampling
from analysis.comparison_words import system_name
from analysis.declared import DeclaredUnseen, completed
from analysis.figures.falls import draw_contrast, draw_falls, draw_pairs
from analysis.page import drawn, render
from analysis.report import lay_out
from analysis.result import SCHEMA, dumps
from analysis.runs import read_frame
from analysis.tables import diagnostics_table, ledger_table, runs_table
from analysis.unseen import Unseen, find_unseen
from analysis.unseen_result import document
from studies.languages import LANGUAGES
from studies.schema.record import Role

TEMPLATE = "unseen.html"
NAMES = {each.code: each.name for each in LANGUAGES}


def unseen_report(
    asked: DeclaredUnseen,
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
    found = find_unseen(asked, completed(asked, frame), LANGUAGES, resampling or Resampling())
    figures = draw(found)
    result = dumps(document(found, source=frame.source))
    return lay_out(out / asked.study, result, figures, lambda images: page(found, images))


def draw(found: Unseen) -> dict[str, Figure]:
    """All figures by name."""
    figures = {"contrast": draw_contrast(found, NAMES), "falls": draw_falls(found, NAMES)}
    return figures | ({"pairs": draw_pairs(found, NAMES)} if found.asked.pairs else {})


def page(found: Unseen, images: Mapping[str, bytes]) -> str:
    """Render the page; ``images`` are SVG by the names of :func:`draw`."""
    asked = found.asked
    teacher = found.teacher.get(asked.measure)
    captions = {
        "contrast": f"Degradation of {asked.measure} on a language never seen, under both objectives. Bars are 95 % "
        "intervals of each; their difference is paired.",
        "falls": f"{asked.measure} of every system where it was trained on a language and where not. The grey tick is "
        "what the query scores as it is written, without any training.",
        "pairs": f"{asked.measure} between other languages at three levels: lines of the pair, of both languages with "
        "English, none of the queries' language. The student reads queries and passages.",
    }
    return render(
        TEMPLATE,
        asked=asked,
        answer=words.answer(found),
        change_of_mind=words.change_of_mind(found),
        levels=words.levels(found),
        pairs=words.pairs_table(found) if asked.pairs else None,
        kinship=words.kinship(found),
        resampling=found.resampling,
        num_clusters=found.num_clusters,
        seeds=len(found.seeds),
        reference=system_name(asked.reference),
        against=system_name(asked.against),
        caveats=words.caveats(found),
        pictures=[drawn(images[name], captions[name]) for name in images],
        teacher=None if teacher is None else f"{decimal(teacher, 3)} {asked.measure}",
        means=[words.means_table(found, measure) for measure in asked.measures],
        languages=words.languages_table(found, NAMES),
        agreed=found.ledger.agreed,
        refused=found.ledger.refusal is not None,
        ledger=ledger_table(found.ledger, consequence="no difference is reported"),
        diagnostics=diagnostics_table([run for run in found.runs if run.role == Role.STUDENT]),
        runs=runs_table(asked, found.runs),
        revisions=sorted({run.revision for run in found.runs}),
        schema=SCHEMA,
    )
