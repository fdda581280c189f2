"""Scores of every language at every size, at full and at reduced exposure."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.figures.canvas import INK, sheet, short_count
from analysis.findings import Findings, Levels, Strand

_BRIGHT = 0.55
"""Share of the colour scale from which cividis is bright enough for dark text."""


def draw_languages(findings: Findings, strand: Strand, names: Mapping[str, str]) -> Figure:
    """Rows are languages, best at the largest size first; columns are rungs; the number is the score."""
    measured = strand.measured[findings.asked.measure]
    sides = [
        (name, side) for name, side in (("full", measured.full), ("reduced", measured.reduced)) if side is not None
    ]
    figure = sheet(height=1.5 + 0.32 * len(strand.ladder.languages))
    figure.suptitle(
        f"{findings.asked.measure} by language and model size",
        x=0.01,
        ha="left",
        fontsize=12,
        fontweight="bold",
        color=INK,
    )
    if not sides:
        figure.text(0.5, 0.5, "no language is observed at both exposures", ha="center", color=INK)
        return figure
    order = np.argsort(-sides[0][1].by_language_GL[-1], kind="stable")
    top = max(float(side.by_language_GL.max()) for _, side in sides)
    colours = Normalize(0.0, top)
    all_axes = figure.subplots(1, len(sides), sharey=True, squeeze=False)[0]
    for axes, (name, side) in zip(all_axes, sides, strict=True):
        axes.imshow(side.by_language_GL.T[order], cmap="cividis", norm=colours, aspect="auto")
        _write_cells(axes, side, order, top)
        axes.set_title(f"{name} exposure", fontsize=10, color=INK)
        axes.set_xticks(range(len(strand.ladder.rungs)), [short_count(size) for size in strand.ladder.sizes_G])
        axes.set_yticks(range(order.size), [names.get(strand.ladder.languages[place], "") for place in order])
        axes.tick_params(length=0, labelsize=9, colors=INK)
        for spine in axes.spines.values():
            spine.set_visible(False)
    figure.supxlabel("non-embedding parameters", fontsize=10, color=INK)
    bar = figure.colorbar(ScalarMappable(norm=colours, cmap="cividis"), ax=list(all_axes), shrink=0.8, pad=0.015)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, length=0, colors=INK)
    return figure


def _write_cells(axes: Axes, side: Levels, order: NDArray[np.intp], top: float) -> None:
    for row, place in enumerate(order):
        for column, score in enumerate(side.by_language_GL[:, place]):
            colour = "black" if score > _BRIGHT * top else "white"
            axes.text(
                column,
                row,
                f"{score:.2f}"[1 if score < 1 else 0 :],
                ha="center",
                va="center",
                fontsize=8.5,
                color=colour,
            )
