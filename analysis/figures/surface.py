"""A measure over two sampled parameters: the fitted surface, the trials, and the optimum with its interval."""

from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.canvas import BLUE, GREY, INK, PALE, VERMILLION, headline, plain_ticks, sheet, tidy
from analysis.found import RungFound, dimensions, values_of
from analysis.surface import Dimension, NoOptimum, Optimum, Surface
from studies.schema.record import State
from studies.schema.search import Search

LEVELS = 9
_GRID = 80
_ROOM = 0.03  # of the range, at either end


def draw_surface(search: Search, rung: RungFound) -> Figure:
    """Contours where finished trials lie, the trials by how they ended, and the optimum's cross.

    With one parameter the scores themselves over it, and the fitted curve; with one choice the scores by choice.
    """
    space = dimensions(search)
    alone = isinstance(space, NoOptimum) and len(search.space) == 1
    figure = sheet(height=1.4 + 0.3 * len(rung.trials) if alone else 5.2)
    axes = figure.add_subplot()
    if alone:
        _choices(axes, search, rung)
        return figure
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
    _scale(axes, "x", space[0])
    _scale(axes, "y", space[1])
    note = "full: trained to the end, larger is better; ring: flagged solver, in no fit; x: pruned; +: failed"
    if isinstance(rung.optimum, NoOptimum):
        note += "\nno optimum is named, see below"
    headline(axes, f"{search.measure} on {search.split} queries, {rung.name}", note)
    return figure


def _choices(axes: Axes, search: Search, rung: RungFound) -> None:
    """Every trial's last score beside what was chosen, the best on top."""
    tidy(axes)
    axes.grid(axis="x", color=PALE, linewidth=0.6)
    (chosen,) = search.space
    scored = sorted((trial for trial in rung.trials if trial.score is not None), key=lambda trial: trial.score or 0.0)
    for height, trial in enumerate(scored):
        axes.scatter(trial.score or 0.0, height, s=52, color=BLUE, marker="o" if trial.is_finished else "x", zorder=4)
        place = (trial.score or 0.0, height)
        axes.annotate(f"{trial.score:.3f}", place, (8, 0), textcoords="offset points", va="center", fontsize=8.5)
    axes.set_yticks(range(len(scored)), [trial.sampled.get(chosen.name, "") for trial in scored])
    axes.set_xlabel(str(search.measure), fontsize=10, color=INK)
    axes.margins(x=0.12)
    note = f"{chosen.name}; full: trained to the end; x: pruned, at its last milestone"
    headline(axes, f"{search.measure} on {search.split} queries, {rung.name}", note)


def _scores(axes: Axes, search: Search, along: Dimension, rung: RungFound) -> None:
    """Every trial's last score over the only parameter."""
    tidy(axes)
    for trial, (x,) in zip(rung.trials, values_of((along,), rung.trials), strict=True):
        if trial.score is not None:
            ended = trial.is_finished
            axes.scatter(x, trial.score, s=48, marker="o" if ended else "x", color=BLUE if ended else GREY, zorder=4)
    if isinstance(rung.surface, Surface):
        at = np.linspace(-1, 1, _GRID)
        values = np.array([rung.surface.value(0, each) for each in at])
        axes.plot(values, rung.surface.scores(values[:, None]), color=GREY, linewidth=1.2, zorder=2)
    if isinstance(rung.optimum, Optimum):
        best = rung.optimum.values[along.name]
        height = axes.get_ylim()[0]
        sides = [[best.point - best.interval.low], [best.interval.high - best.point]]
        axes.errorbar(best.point, height, xerr=sides, color=VERMILLION, marker="D", capsize=4, clip_on=False, zorder=5)
        axes.set_ylim(bottom=height)
    _scale(axes, "x", along)
    axes.set_ylabel(str(search.measure), fontsize=10, color=INK)
    note = "full: trained to the end; x: pruned, at its last milestone; line: the fitted curve; diamond: its optimum"
    headline(axes, f"{search.measure} on {search.split} queries, {rung.name}", note)


def _scale(axes: Axes, which: Literal["x", "y"], along: Dimension) -> None:
    """An axis over all that is searched, with room for markers at the bounds."""
    low, high = along.position(np.array([along.low, along.high]))
    limits = along.value(low - _ROOM * (high - low)), along.value(high + _ROOM * (high - low))
    axes.set(**{f"{which}scale": "log" if along.is_log else "linear", f"{which}lim": limits})
    axis = axes.xaxis if which == "x" else axes.yaxis
    if along.is_log:
        plain_ticks(axis)
    axis.set_label_text(f"{along.name}{' (log scale)' if along.is_log else ''}", fontsize=10, color=INK)


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
