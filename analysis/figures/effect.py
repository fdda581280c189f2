"""The primary contrast by model size, the laws fitted to it, and the forecast of the held-out rung."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.canvas import (
    BLUE,
    DASHED,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    SOLID,
    VERMILLION,
    Label,
    headline,
    hollow,
    label_right,
    sheet,
    size_axis,
    tidy,
)
from analysis.findings import Findings, FitReport, Strand
from analysis.fit import Status, fitted_curve
from analysis.gaps import Curve, NoCurve

_COLOURS = (GREEN, PURPLE, ORANGE, SKY, GREY)
_BESIDE = 1.12
"""A forecast's band stands this factor to the left of its rung, so that it does not cover the observation."""


def draw_effect(findings: Findings, strand: Strand) -> Figure:
    """Observations with 95 % intervals, the laws that could be fitted, the declared law's forecast with its band."""
    contrast = strand.contrast(findings.asked.measure, findings.primary)
    figure = sheet()
    axes = figure.add_subplot()
    tidy(axes)
    if isinstance(contrast, NoCurve):
        axes.set_axis_off()
        axes.text(0.5, 0.5, contrast.reason, wrap=True, ha="center", va="center", fontsize=10, color=INK)
        return figure
    axes.axhline(0.0, color=GREY, linewidth=0.9)
    labels = _laws(axes, findings, strand, contrast)
    _observations(axes, findings, contrast)
    forecast = strand.report(findings.asked.measure, findings.primary, findings.asked.law)
    _forecast(axes, contrast, forecast)
    size_axis(axes, contrast.sizes_G)
    axes.set_ylabel(f"full minus reduced exposure\n({contrast.unit})", fontsize=10, color=INK)
    note = f"95 % intervals{hollow(contrast.flagged)}; lines: laws fitted without the held-out rung (diamond)"
    if forecast.held_out is not None:
        note += f"\ngrey band: the declared law's forecast, {forecast.held_out.label}"
    headline(axes, f"Effect of exposure on {findings.asked.measure}, within language", note)
    label_right(axes, labels)
    return figure


def _observations(axes: Axes, findings: Findings, contrast: Curve) -> None:
    for point in contrast.points():
        held_out = point.rung == findings.asked.hold_out
        value = point.value
        axes.errorbar(
            point.size,
            value.point,
            yerr=[[max(0.0, value.point - value.interval.low)], [max(0.0, value.interval.high - value.point)]],
            marker="D" if held_out else "o",
            markersize=8 if held_out else 7,
            color=BLUE,
            markerfacecolor=BLUE if point.sound else "white",
            elinewidth=1.3,
            capsize=3,
            zorder=4,
        )


def _laws(axes: Axes, findings: Findings, strand: Strand, contrast: Curve) -> list[Label]:
    sizes_X = np.geomspace(contrast.sizes_G.min(), contrast.sizes_G.max(), 120)
    labels = []
    drawn = [
        each
        for each in strand.fits
        if each.fit.target == findings.primary and each.fit.status is Status.SUCCESS and not each.saw_every_rung
    ]
    for place, report in enumerate(drawn):
        declared = report.fit.law.name == findings.asked.law
        colour = VERMILLION if declared else _COLOURS[place % len(_COLOURS)]
        dashes = SOLID if declared else DASHED[place % len(DASHED)]
        values_X = fitted_curve(report.fit, sizes_X)[0]
        axes.plot(sizes_X, values_X, color=colour, linestyle=dashes, linewidth=2.0 if declared else 1.2, zorder=3)
        name = report.fit.law.name.replace("_", "-") + (" (declared)" if declared else "")
        labels.append(Label(text=name, height=float(values_X[-1]), colour=colour))
    return labels


def _forecast(axes: Axes, contrast: Curve, report: FitReport) -> None:
    held_out = report.held_out
    if held_out is None:
        return
    size = contrast.sizes_G[contrast.place(held_out.rung)] / _BESIDE
    axes.plot(
        [size, size], [held_out.interval.low, held_out.interval.high], color=INK, linewidth=5, alpha=0.28, zorder=2
    )
    axes.plot(size, held_out.forecast, marker="_", markersize=11, markeredgewidth=2.2, color=INK, zorder=4)
    high = max(held_out.interval.high, held_out.observed.interval.high)
    low = min(held_out.interval.low, held_out.observed.interval.low)
    place = contrast.place(held_out.rung)
    name = "observed" if contrast.sound_G[place] else "observed,\nflagged"
    for text, x, y, points, anchor, colour in (
        ("forecast", size, high, 4, "bottom", INK),
        (name, float(contrast.sizes_G[place]), low, -4, "top", BLUE),
    ):
        axes.annotate(
            text, (x, y), xytext=(0, points), textcoords="offset points", fontsize=8.5, color=colour, ha="center",
            va=anchor, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.5}, zorder=3.5,
        )  # fmt: skip
