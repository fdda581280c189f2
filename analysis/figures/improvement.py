"""What distillation brings in alignment by model size, objective beside objective, and how its effects differ."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.alignment import Aligned, AlignedStrand, Reading
from analysis.bootstrap import Estimate
from analysis.figures.canvas import (
    BLUE,
    GREY,
    INK,
    SOLID,
    VERMILLION,
    Dashes,
    Label,
    headline,
    hollow,
    label_right,
    sheet,
    size_axis,
    tidy,
)
from analysis.fit import fitted_curve
from analysis.gaps import NoCurve
from analysis.interaction import Interaction
from studies.schema.alignment import AlignmentMeasure
from studies.schema.estimand import Exposure

_SIDES: dict[Exposure, tuple[str, str, Dashes]] = {
    Exposure.FULL: (BLUE, "o", SOLID),
    Exposure.REDUCED: (VERMILLION, "s", (0, (5, 2))),
}


def draw_improvement(found: Aligned, measure: AlignmentMeasure) -> Figure:
    """A panel for each objective, the mean over languages at both exposures; labels stand beside the last panel."""
    figure = sheet(height=4.2)
    panels = figure.subplots(1, len(found.strands), sharey=True, squeeze=False)[0]
    for axes, strand in zip(panels, found.strands, strict=True):
        tidy(axes)
        axes.axhline(0.0, color=GREY, linewidth=0.9)
        axes.set_title(strand.objective, fontsize=10, color=INK, loc="left")
        for exposure in Exposure:
            _line(axes, strand, measure, exposure)
        size_axis(axes, strand.ladder.sizes_G)
        axes.tick_params(axis="x", labelsize=8)
    panels[0].set_ylabel("after minus before (points of 100)", fontsize=10, color=INK)
    for axes in panels:
        axes.set_xlabel("non-embedding parameters (log scale)", fontsize=9.5, color=INK)
    label_right(panels[-1], _labels(found.strands[-1], measure), line_height=0.07)
    flagged = {rung for strand in found.strands for rung in strand.ladder.flagged}
    figure.suptitle(
        f"Improvement of {measure} by model size", x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK
    )
    figure.supxlabel(f"bars: 95 % intervals{hollow(flagged)}", x=0.01, ha="left", fontsize=8.5, color=GREY)
    return figure


def _line(axes: Axes, strand: AlignedStrand, measure: AlignmentMeasure, exposure: Exposure) -> None:
    level = strand.gained[measure].levels.get((exposure, Reading.IMPROVEMENT))
    if level is None:
        return
    colour, marker, dashes = _SIDES[exposure]
    sizes = strand.ladder.sizes_G
    axes.plot(sizes, [value.point for value in level.mean], color=colour, linestyle=dashes, linewidth=1.7)
    for size, value, sound in zip(sizes, level.mean, strand.ladder.sound_G, strict=True):
        _observation(axes, float(size), value, colour, marker, is_sound=bool(sound))


def _labels(strand: AlignedStrand, measure: AlignmentMeasure) -> list[Label]:
    found = []
    for exposure, (colour, _, _) in _SIDES.items():
        level = strand.gained[measure].levels.get((exposure, Reading.IMPROVEMENT))
        if level is not None:
            last = level.mean[-1].point
            found.append(Label(text=f"{exposure} {last:.1f}", height=last, colour=colour))
    return found


def draw_difference(found: Interaction, title: str) -> Figure:
    """The difference of two objectives' effects of exposure by size, and the line fitted without the held-out rung."""
    figure = sheet(height=4.0)
    axes = figure.add_subplot()
    tidy(axes)
    if isinstance(found.curve, NoCurve):
        axes.set_axis_off()
        axes.text(0.5, 0.5, found.curve.reason, wrap=True, ha="center", va="center", fontsize=10, color=INK)
        return figure
    axes.axhline(0.0, color=GREY, linewidth=0.9)
    sizes = found.curve.sizes_G
    if found.trend.usable:
        grid = np.geomspace(sizes.min(), sizes.max(), 80)
        values_BX = fitted_curve(found.trend, grid)
        low, high = np.percentile(values_BX[1:], [2.5, 97.5], axis=0)
        axes.fill_between(grid, low, high, color=BLUE, alpha=0.12, linewidth=0)
        axes.plot(grid, values_BX[0], color=BLUE, linewidth=1.4)
    for point in found.curve.points():
        held_out = point.rung not in found.trend.rungs
        _observation(axes, point.size, point.value, BLUE, "D" if held_out else "o", is_sound=point.sound)
    size_axis(axes, sizes)
    axes.set_ylabel(f"{found.reference} minus {found.against}\n({found.curve.unit})", fontsize=10, color=INK)
    note = "effect: full minus reduced exposure, within language; bars: 95 % intervals\nline and band: trend"
    headline(axes, title, f"{note} without the diamonds{hollow(found.curve.flagged)}")
    return figure


def _observation(axes: Axes, size: float, value: Estimate, colour: str, marker: str, *, is_sound: bool) -> None:
    axes.errorbar(
        size,
        value.point,
        yerr=[[max(0.0, value.point - value.interval.low)], [max(0.0, value.interval.high - value.point)]],
        marker=marker,
        markersize=6,
        color=colour,
        markerfacecolor=colour if is_sound else "white",
        elinewidth=1.2,
        capsize=3,
        zorder=4,
    )
