"""A measure over two sampled parameters: the fitted surface, the trials, and the optimum with its interval."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.canvas import BLUE, GREY, INK, VERMILLION, headline, sheet, tidy
from analysis.found import RungFound, dimensions, values_of
from analysis.surface import Dimension, NoOptimum, Optimum, Surface
from studies.schema.record import State
from studies.schema.search import Search

LEVELS = 9
_GRID = 80


def draw_surface(search: Search, rung: RungFound) -> Figure:
    """Contours where finished trials lie, the trials by how they ended, and the optimum's cross.

    With one parameter the scores themselves, over it.
    """
    figure = sheet(height=5.2)
    axes = figure.add_subplot()
    space = dimensions(search)
    if not isinstance(space, NoOptimum) and len(space) == 1:
        _scores(axes, search, space[0], rung)
        return figure
    if isinstance(space, NoOptimum) or len(space) != 2:
        axes.set_axis_off()
        reason = space.reason if isinstance(space, NoOptimum) else f"{len(space)} parameters; a map shows two"
        axes.text(0.5, 0.5, reason, wrap=True, ha="center", va="center", fontsize=10, color=INK)
        return figure
    tidy(axes)
    axes.grid(visible=False)
    if isinstance(rung.surface, Surface):
        _contours(axes, figure, search, rung.surface)
    _trials(axes, space, rung)
    if isinstance(rung.optimum, Optimum):
        _cross(axes, space, rung.optimum)
    for each, set_scale, set_limits, set_label in (
        (space[0], axes.set_xscale, axes.set_xlim, axes.set_xlabel),
        (space[1], axes.set_yscale, axes.set_ylim, axes.set_ylabel),
    ):
        set_scale("log" if each.is_log else "linear")
        set_limits(each.low, each.high)
        set_label(f"{each.name}{' (log scale)' if each.is_log else ''}", fontsize=10, color=INK)
    note = "full: trained to the end, larger is better; ring: flagged solver, in no fit; x: pruned; +: failed"
    if isinstance(rung.optimum, NoOptimum):
        note += "\nno optimum is named, see below"
    headline(axes, f"{search.measure} on {search.split} queries, {rung.name}", note)
    return figure


def _scores(axes: Axes, search: Search, along: Dimension, rung: RungFound) -> None:
    """Every trial's last score over the only parameter."""
    tidy(axes)
    for trial, (x,) in zip(rung.trials, values_of((along,), rung.trials), strict=True):
        if trial.score is not None:
            ended = trial.is_finished
            axes.scatter(x, trial.score, s=48, marker="o" if ended else "x", color=BLUE if ended else GREY, zorder=4)
    axes.set_xscale("log" if along.is_log else "linear")
    axes.set_xlim(along.low, along.high)
    axes.set_xlabel(f"{along.name}{' (log scale)' if along.is_log else ''}", fontsize=10, color=INK)
    axes.set_ylabel(str(search.measure), fontsize=10, color=INK)
    note = "full: trained to the end; x: pruned, at its last milestone"
    headline(axes, f"{search.measure} on {search.split} queries, {rung.name}", note)


def _contours(axes: Axes, figure: Figure, search: Search, surface: Surface) -> None:
    """The surface within the box of the trials it was fitted to."""
    along = [np.array([surface.value(place, at) for at in np.linspace(-1, 1, _GRID)]) for place in (0, 1)]
    first, second = np.meshgrid(*along)
    scores = surface.scores(np.column_stack([first.ravel(), second.ravel()])).reshape(first.shape)
    drawn = axes.contourf(first, second, scores, levels=LEVELS, cmap="cividis", alpha=0.75, zorder=1)
    bar = figure.colorbar(drawn, ax=axes, pad=0.02)
    bar.set_label(f"fitted {search.measure}", fontsize=9, color=INK)
    bar.ax.tick_params(labelsize=8, colors=INK)


def _trials(axes: Axes, space: tuple[Dimension, ...], rung: RungFound) -> None:
    scores = [trial.score for trial in rung.trials if trial.is_fitted and trial.score is not None]
    low, high = min(scores, default=0.0), max(scores, default=1.0)
    for trial, (x, y) in zip(rung.trials, values_of(space, rung.trials), strict=True):
        if trial.is_finished:
            share = ((trial.score or 0.0) - low) / (high - low) if high > low else 1.0
            face, edge = (BLUE, "white") if trial.is_fitted else ("none", BLUE)
            axes.scatter(x, y, s=18 + 70 * max(0.0, share), facecolors=face, edgecolors=edge, linewidths=0.8, zorder=4)
        else:
            marker = "+" if trial.state == State.FAILED else "x"
            axes.scatter(x, y, s=28, marker=marker, color=GREY, linewidths=1.2, zorder=4)


def _cross(axes: Axes, space: tuple[Dimension, ...], best: Optimum) -> None:
    x, y = (best.values[each.name] for each in space)
    axes.errorbar(
        x.point,
        y.point,
        xerr=[[x.point - x.interval.low], [x.interval.high - x.point]],
        yerr=[[y.point - y.interval.low], [y.interval.high - y.point]],
        color=VERMILLION,
        marker="D",
        markersize=7,
        elinewidth=1.8,
        capsize=4,
        zorder=5,
    )
