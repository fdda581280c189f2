"""Every system's score at both exposures, best first."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.comparison import Compared
from analysis.comparison_words import stage_name, system_name
from analysis.figures.canvas import BLUE, GREEN, GREY, INK, ORANGE, PALE, VERMILLION, sheet

_LOOKS = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "D"))
"""Colour and marker of a rung; the primary one comes first."""

_APART = 0.2
"""Distance between two rungs of one system, as a share of a row."""


def draw_ranking(found: Compared) -> Figure:
    """Dots with 95 % intervals, a panel for each exposure; rows are ordered by the primary contrasts' scores."""
    asked = found.asked
    shown = sorted(asked.stages, key=lambda stage: stage != asked.stage)
    shown = shown[:1] if asked.amounts else shown[: len(_LOOKS)]
    order = [row.system for row in found.primary] or [system.name for system in found.stages[0].systems]
    exposures = found.exposures
    figure = sheet(height=1.7 + 0.33 * len(order))
    all_axes = figure.subplots(1, len(exposures), sharey=True, sharex=True, squeeze=False)[0]
    for axes, exposure in zip(all_axes, exposures, strict=True):
        _frame(axes, f"{exposure} exposure")
        for place, stage in enumerate(shown):
            _dots(axes, found, stage, str(exposure), order, place, len(shown))
        axes.set_xlim(-0.02, 1.02)
        axes.set_xlabel(f"{asked.measure} (0 to 1)", fontsize=10, color=INK)
    first = all_axes[0]
    first.set_yticks(range(len(order)), [system_name(name) for name in order])
    first.set_ylim(len(order) - 0.5, -0.5)
    for label, name in zip(first.get_yticklabels(), order, strict=True):
        if name == asked.reference:
            label.set_fontweight("bold")
    handles, labels = first.get_legend_handles_labels()
    if len(shown) > 1:
        all_axes[-1].legend(
            handles, labels, loc="lower right", facecolor="white", framealpha=1.0, edgecolor="none", fontsize=8.5
        )
    _headline(figure, found, shown)
    return figure


def _headline(figure: Figure, found: Compared, shown: Sequence[str]) -> None:
    flagged = any(system.flags for stage in shown for system in found.stage(stage).systems)
    at = "" if len(shown) > 1 else f", {stage_name(found, shown[0])}"
    note = "95 % intervals of the scores; leads are paired and sharper" + ("; hollow: flagged" if flagged else "")
    figure.suptitle(
        f"{found.asked.measure} of every system{at}", x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK
    )
    figure.supxlabel(note, fontsize=8.5, color=GREY, x=0.01, ha="left")


def _frame(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=10, color=INK, loc="left")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GREY)
    axes.tick_params(colors=INK, labelsize=9, color=GREY)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="both", color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)


def _dots(
    axes: Axes, found: Compared, stage: str, exposure: str, order: Sequence[str], place: int, num_stages: int
) -> None:
    colour, marker = _LOOKS[place]
    by_system = {row.system: row for row in found.table(stage=stage, exposure=exposure)}
    flagged = {system.name for system in found.stage(stage).systems if system.flags}
    label: str | None = stage_name(found, stage)
    for height, name in enumerate(order):
        if name not in by_system:
            continue
        score = by_system[name].score
        edge = VERMILLION if name == found.asked.reference and num_stages == 1 else colour
        axes.errorbar(
            score.point,
            height + _APART * (place - (num_stages - 1) / 2) * 2,
            xerr=[[max(0.0, score.point - score.interval.low)], [max(0.0, score.interval.high - score.point)]],
            marker=marker,
            markersize=6,
            color=edge,
            markerfacecolor="white" if name in flagged else edge,
            elinewidth=1.2,
            capsize=2.5,
            linestyle="none",
            label=label,
        )
        label = None
