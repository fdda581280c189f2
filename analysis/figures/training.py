"""How training and the transport solver went, step by step."""

from collections.abc import Mapping

import matplotlib
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.canvas import DASHED, GREY, INK, SOLID, Dashes, sheet, short_count, tidy
from analysis.findings import Strand
from studies.schema.record import Metric

_LOSSES = (
    (Metric.LOSS, "training loss per example", False),
    (Metric.LOSS_HELD_OUT, "held-out loss per example", False),
)
_SOLVER = (
    (Metric.TRANSPORT_ITERATIONS, "solver iterations per batch", False),
    (Metric.TRANSPORT_MARGINAL_ERROR, "solver's mean L1 marginal error", True),
)
_TOLERANCE = "objective.tolerance"


def draw_training(strand: Strand) -> Figure:
    """One line per run: colour and dashes tell the rung, rotations and seeds share them."""
    solves = any(metric in run.series for run in strand.runs for metric, *_ in _SOLVER)
    title = "Losses and solver by step" if solves else "Losses by step"
    figure = sheet(height=5.6 if solves else 3.4)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
    grid = figure.subplots(2 if solves else 1, 2, sharex=True, squeeze=False)
    scale = matplotlib.colormaps["viridis"]
    number = len(strand.ladder.rungs)
    styles = {
        rung: (to_hex(scale(0.85 * place / max(1, number - 1))), (SOLID, *DASHED)[place % (len(DASHED) + 1)])
        for place, rung in enumerate(strand.ladder.rungs)
    }
    for axes, (metric, title, logarithmic) in zip(grid.flat, (*_LOSSES, *_SOLVER) if solves else _LOSSES, strict=True):
        tidy(axes)
        axes.set_title(title, loc="left", fontsize=10, color=INK)
        drawn = _lines(axes, strand, metric, styles)
        if not drawn:
            axes.text(0.5, 0.5, "not recorded", transform=axes.transAxes, ha="center", color=GREY)
        elif logarithmic:
            axes.set_yscale("log")
            _tolerance(axes, strand)
    for axes in grid[-1]:
        axes.set_xlabel("optimiser steps", fontsize=10, color=INK)
    handles = [Line2D([], [], color=colour, linestyle=dashes, linewidth=2) for colour, dashes in styles.values()]
    names = [short_count(size) for size in strand.ladder.sizes_G]
    figure.legend(
        handles, names, loc="outside lower center", ncols=number, frameon=False, fontsize=9,
        title="non-embedding parameters", title_fontsize=9, handlelength=3.2,
    )  # fmt: skip
    return figure


def _lines(axes: Axes, strand: Strand, metric: str, styles: Mapping[str, tuple[str, Dashes]]) -> int:
    drawn = 0
    for run in strand.runs:
        series = run.series.get(metric)
        if series is not None and series.steps.size:
            colour, dashes = styles[run.labels.rung]
            axes.plot(series.steps, series.values, color=colour, linestyle=dashes, linewidth=1.2)
            drawn += 1
    return drawn


def _tolerance(axes: Axes, strand: Strand) -> None:
    tolerances = {run.parameters[_TOLERANCE] for run in strand.runs if _TOLERANCE in run.parameters}
    for tolerance in tolerances:
        # two decades at least, or ticks between powers of ten are spelt out
        low, high = axes.get_ylim()
        axes.set_ylim(min(low, float(tolerance) / 30), max(high, 4 * float(tolerance)))
        axes.axhline(float(tolerance), color=GREY, linewidth=0.9, linestyle=":")
        axes.text(
            0.01,
            float(tolerance),
            " tolerance",
            transform=axes.get_yaxis_transform(),
            fontsize=8,
            color=GREY,
            va="bottom",
        )
