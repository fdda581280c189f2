"""Scores by the number of bitext lines, a line for each system."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.comparison import Compared
from analysis.comparison_words import system_name
from analysis.figures.canvas import (
    BLUE,
    DASHED,
    GREEN,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    SOLID,
    VERMILLION,
    Dashes,
    Label,
    label_right,
    sheet,
    tidy,
)
from studies.schema.estimand import Exposure

_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
_MARKERS = ("o", "s", "^", "D", "v", "P")

_APART = 0.04
"""Systems stand side by side at an amount, this share of it apart, so that their intervals can be told apart."""


def draw_amounts(found: Compared) -> Figure:
    """Panels for full and reduced exposure; labels stand beside the right one, at its heights."""
    asked = found.asked
    figure = sheet(height=4.4)
    all_axes = figure.subplots(1, len(Exposure), sharey=True, squeeze=False)[0]
    systems = [system.name for system in found.stages[0].systems]
    top = 0.0
    labels: list[Label] = []
    for axes, exposure in zip(all_axes, Exposure, strict=True):
        tidy(axes)
        axes.set_title(f"{exposure} exposure", fontsize=10, color=INK, loc="left")
        labels = []
        for place, name in enumerate(systems):
            dashes = SOLID if name == asked.reference else DASHED[place % len(DASHED)]
            colour = _COLOURS[place % len(_COLOURS)]
            beside = 1.0 + _APART * (place - (len(systems) - 1) / 2)
            heights = _line(axes, found, str(exposure), name, colour, _MARKERS[place % len(_MARKERS)], dashes, beside)
            if heights:
                labels.append(Label(text=f"{system_name(name)} {heights[-1]:.2f}", height=heights[-1], colour=colour))
                top = max(top, *heights)
        lines = [asked.amounts[stage] for stage in asked.stages]
        axes.set_xscale("log")
        axes.set_xticks(lines, [f"{each:,}" for each in lines])
        axes.set_xticks([], minor=True)
    all_axes[0].set_ylim(0.0, min(1.02, 1.15 * top))
    all_axes[0].set_ylabel(f"{asked.measure} (0 to 1)", fontsize=10, color=INK)
    label_right(all_axes[-1], labels, line_height=0.06)
    figure.supxlabel("lines of a language at full exposure (log scale)", fontsize=10, color=INK)
    flagged = any(system.flags for stage in found.stages for system in stage.systems)
    figure.suptitle(
        f"{asked.measure} by amount of bitext" + ("; hollow: flagged" if flagged else ""),
        x=0.01,
        ha="left",
        fontsize=12,
        fontweight="bold",
        color=INK,
    )
    return figure


def _line(
    axes: Axes, found: Compared, exposure: str, name: str, colour: str, marker: str, dashes: Dashes, beside: float
) -> list[float]:
    """Draw one system's scores where it has any, its amounts times ``beside``; returns their heights."""
    heights, lines = [], []
    for stage in found.stages:
        for row in found.table(stage=stage.name, exposure=exposure):
            if row.system == name:
                score = row.score
                sound = not next(system for system in stage.systems if system.name == name).flags
                lines.append(beside * found.asked.amounts[stage.name])
                axes.errorbar(
                    lines[-1],
                    score.point,
                    yerr=[[max(0.0, score.point - score.interval.low)], [max(0.0, score.interval.high - score.point)]],
                    marker=marker,
                    markersize=5.5,
                    color=colour,
                    markerfacecolor=colour if sound else "white",
                    elinewidth=1.1,
                    capsize=2.5,
                    zorder=4,
                )
                heights.append(score.point)
    axes.plot(lines, heights, color=colour, linestyle=dashes, linewidth=1.6 if name == found.asked.reference else 1.2)
    return heights
