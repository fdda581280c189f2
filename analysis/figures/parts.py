"""The reference's lead over every system, by part of the queries."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from analysis.comparison import Compared, Row
from analysis.comparison_words import stage_name, system_name
from analysis.figures.canvas import GREY, INK, sheet
from analysis.systems import ALL, COGNATE, IN_LATIN, NOT_COGNATE, OTHER_SCRIPT, SEEN, UNSEEN

_SHORT = {
    ALL: "all",
    SEEN: "seen\nnames",
    UNSEEN: "unseen\nnames",
    COGNATE: "as\nEnglish",
    NOT_COGNATE: "unlike\nEnglish",
    IN_LATIN: "Latin\nscript",
    OTHER_SCRIPT: "other\nscripts",
}

_LEAST = 0.05
"""End of the colour scale, in points of score, where trained systems are closer than that; those that train nothing
may lie beyond it."""

_DARK = 0.65
"""Share of the scale from which the map is dark enough for white text."""


def draw_parts(found: Compared) -> Figure:
    """Rows are rivals, the best first; columns are parts; the number is the lead, bold where its interval leaves 0."""
    asked = found.asked
    rivals = [row.system for row in found.primary if row.system != asked.reference]
    exposures = found.exposures
    cells = {
        (str(exposure), part, row.system): row
        for exposure in exposures
        for part in _SHORT
        for row in found.table(stage=asked.stage, exposure=str(exposure), part=part)
        if row.difference is not None
    }
    figure = sheet(height=1.9 + 0.34 * max(1, len(rivals)))
    figure.suptitle(
        f"Lead of {system_name(asked.reference)} in {asked.measure}, {stage_name(found, asked.stage)}",
        x=0.01,
        ha="left",
        fontsize=12,
        fontweight="bold",
        color=INK,
    )
    if not cells:
        figure.text(0.5, 0.5, "no difference is reported, see the page", ha="center", color=INK)
        return figure
    trained = {system.name for system in found.stage(asked.stage).systems if system.trained}
    leads = [abs(row.difference.point) for row in cells.values() if row.difference and row.system in trained]
    most = max([_LEAST, *leads])
    colours = Normalize(-most, most, clip=True)
    all_axes = figure.subplots(1, len(exposures), sharey=True, squeeze=False)[0]
    for axes, exposure in zip(all_axes, exposures, strict=True):
        _panel(axes, [[cells.get((str(exposure), part, name)) for part in _SHORT] for name in rivals], colours)
        axes.set_title(f"{exposure} exposure", fontsize=10, color=INK, loc="left")
    all_axes[0].set_yticks(range(len(rivals)), [system_name(name) for name in rivals])
    figure.supxlabel(
        "above zero: the reference is better; bold: the 95 % interval leaves zero out; empty: too few queries",
        fontsize=8.5,
        color=GREY,
        x=0.01,
        ha="left",
    )
    bar = figure.colorbar(
        ScalarMappable(norm=colours, cmap="PuOr"), ax=list(all_axes), shrink=0.8, pad=0.015, extend="both"
    )
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, length=0, colors=INK)
    return figure


def _panel(axes: Axes, rows: list[list[Row | None]], colours: Normalize) -> None:
    leads = np.array([[np.nan if row is None or row.difference is None else row.difference.point for row in line]
                      for line in rows])  # fmt: skip
    axes.imshow(leads, cmap="PuOr", norm=colours, aspect="auto")
    axes.set_xticks(range(len(_SHORT)), list(_SHORT.values()))
    axes.tick_params(length=0, labelsize=7, colors=INK)
    axes.tick_params(axis="y", labelsize=9)
    for spine in axes.spines.values():
        spine.set_visible(False)
    for height, line in enumerate(rows):
        for place, row in enumerate(line):
            if row is None or row.difference is None:
                continue
            lead = row.difference.point
            sure = 0.0 not in row.difference.interval
            axes.text(
                place,
                height,
                f"{lead:+.2f}".replace("-", "−").replace("0.", "."),
                ha="center",
                va="center",
                fontsize=7.5,
                fontweight="bold" if sure else "normal",
                color="white" if abs(lead) > _DARK * float(colours.vmax or 1.0) else "black",
            )
