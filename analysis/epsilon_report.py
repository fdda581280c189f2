"""Write the report of an optimum over epsilon: the page, its figure as PNG and SVG, and ``result.json``."""

from pathlib import Path

from analysis import epsilon_words as words
from analysis.answer import with_interval
from analysis.bootstrap import Resampling
from analysis.declared import DeclaredOptimum, completed
from analysis.epsilon import EpsilonFindings, find_optima
from analysis.epsilon_result import document
from analysis.figures.epsilon import draw_epsilon
from analysis.page import drawn, render
from analysis.report import png, svg, write
from analysis.result import SCHEMA, dumps
from analysis.runs import read_frame
from analysis.scales import DECLARED, SCALES
from analysis.tables import ledger_table, runs_table
from studies.languages import LANGUAGES

TEMPLATE = "epsilon.html"


def epsilon_report(
    asked: DeclaredOptimum,
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
    found = find_optima(asked, completed(asked, frame), resampling or Resampling())
    figure = draw_epsilon(found, {each.code: each.name for each in LANGUAGES})
    image = svg(figure)
    files = {
        "result.json": dumps(document(found, source=frame.source)).encode(),
        "epsilon.png": png(figure),
        "epsilon.svg": image,
        "index.html": page(found, image).encode(),
    }
    folder = out / asked.study
    write(folder, files)
    return folder / "index.html"


def page(found: EpsilonFindings, image: bytes) -> str:
    """Render the page; ``image`` is the figure as SVG."""
    asked = found.asked
    return render(
        TEMPLATE,
        asked=asked,
        answer=words.answer(found),
        change_of_mind=words.change_of_mind(found),
        resampling=found.resampling,
        num_clusters=found.num_clusters,
        seeds=found.num_seeds,
        caveats=words.caveats(found),
        picture_of=drawn(
            image,
            f"{asked.measure} over epsilon by pair. Points are the mean over seeds with 95 % intervals, hollow where a "
            "training is flagged; thin is the parabola on the declared scale where it has a top, and the bar below is "
            "the interval of that top. A panel without a bar names no optimum.",
        ),
        scale=SCALES[DECLARED[asked.scale]],
        teacher=None if found.teacher is None else with_interval(found.teacher, 3),
        num_clipped=found.num_clipped,
        contrasts=words.contrasts_table(found),
        means=words.means_table(found),
        pairs=words.pairs_table(found),
        scores=words.scores_table(found),
        solver=words.solver_table(found),
        ledger=found.ledger,
        ledger_rows=ledger_table(found.ledger, consequence="no optimum is named"),
        runs=runs_table(asked, found.runs),
        revisions=sorted({run.revision for run in found.runs}),
        schema=SCHEMA,
    )
