"""From the score where trained on to the score where never seen, by language, for every system."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.bootstrap import Estimate
from analysis.comparison_words import system_name
from analysis.falls import UNSEEN_LANGUAGE, UNSEEN_PAIR
from analysis.figures.canvas import BLUE, GREY, INK, ORANGE, PALE, VERMILLION, sheet
from analysis.unseen import Unseen

_LOOKS = ((VERMILLION, "o"), (BLUE, "s"), (ORANGE, "D"))
"""Colour and marker of a system; the reference comes first."""


def draw_falls(found: Unseen, names: Mapping[str, str]) -> Figure:
    """A panel for each system: filled is trained on, hollow never seen, the tick is copying the query through."""
    order = _order(found)
    systems = found.systems
    figure = sheet(height=2.0 + 0.33 * len(order))
    all_axes = figure.subplots(1, len(systems), sharey=True, sharex=True, squeeze=False)[0]
    for place, (axes, system) in enumerate(zip(all_axes, systems, strict=True)):
        colour, marker = _LOOKS[place % len(_LOOKS)]
        _frame(axes)
        axes.set_title(system_name(system), fontsize=10, color=INK, loc="left")
        for height, code in enumerate(order):
            row = found.fall(system, code)
            axes.plot([row.unseen.point, row.trained.point], [height, height], color=colour, linewidth=1.6, alpha=0.5)
            _dot(axes, row.trained, height, colour, marker, filled=True)
            _dot(axes, row.unseen, height, colour, marker, filled=False)
            if code in found.floor:
                axes.plot([found.floor[code]], [height], marker="|", markersize=11, color=GREY, linestyle="none")
        axes.set_xlim(-0.02, 1.02)
        axes.set_xlabel(found.asked.measure, fontsize=10, color=INK)
    _rows(all_axes[0], order, names)
    _headline(
        figure,
        f"{found.asked.measure} on queries of a language, with and without its lines",
        "filled: trained on; hollow: never seen; grey tick: query copied through; bars: 95 % intervals",
    )
    return figure


def draw_contrast(found: Unseen, names: Mapping[str, str]) -> Figure:
    """The degradation of every language under the two contrasted objectives, and their means last."""
    order = _order(found)
    shown = (found.asked.reference, found.asked.against)
    figure = sheet(height=2.0 + 0.36 * (len(order) + 1))
    axes = figure.add_subplot()
    _frame(axes)
    axes.axvline(0.0, color=GREY, linewidth=1.0)
    for place, system in enumerate(shown):
        colour, marker = _LOOKS[place]
        mean = found.mean(system)
        assert mean is not None
        rows = [*(found.fall(system, code).degradation for code in order), mean.degradation]
        for height, value in enumerate(rows):
            _dot(axes, value, height + 0.24 * (place - 0.5), colour, marker, filled=True, label=system_name(system)
                 if height == 0 else None)  # fmt: skip
    _rows(axes, order, names, last="mean")
    axes.set_xlabel(f"degradation of {found.asked.measure}: trained on minus never seen", fontsize=10, color=INK)
    axes.legend(loc="lower right", fontsize=8.5, facecolor="white", framealpha=1.0, edgecolor="none")
    _headline(
        figure,
        f"What is lost on a language never seen, {' against '.join(system_name(each) for each in shown)}",
        "bars: 95 % intervals; differences between the two are paired and sharper than the bars suggest",
    )
    return figure


def draw_pairs(found: Unseen, names: Mapping[str, str]) -> Figure:
    """A panel for each objective: filled is a trained pair, grey an unseen one, hollow an unseen language."""
    shown = (found.asked.reference, found.asked.against)
    pairs = found.asked.pairs
    figure = sheet(height=2.0 + 0.36 * len(pairs))
    all_axes = figure.subplots(1, len(shown), sharey=True, sharex=True, squeeze=False)[0]
    for place, (axes, system) in enumerate(zip(all_axes, shown, strict=True)):
        colour, marker = _LOOKS[place]
        _frame(axes)
        axes.set_title(system_name(system), fontsize=10, color=INK, loc="left")
        for height, (x, y) in enumerate(pairs):
            pair, language = (found.fall(system, x, y, level) for level in (UNSEEN_PAIR, UNSEEN_LANGUAGE))
            for step, (value, look, filled) in enumerate(
                ((pair.trained, colour, True), (pair.unseen, GREY, True), (language.unseen, colour, False))
            ):
                _dot(axes, value, height + 0.22 * (step - 1), look, marker, filled=filled)
        axes.set_xlim(-0.02, 1.02)
        axes.set_xlabel(found.asked.measure, fontsize=10, color=INK)
    labels = [f"{names.get(x, x)} → {names.get(y, y)}" for x, y in pairs]
    _rows(all_axes[0], labels, {})
    _headline(
        figure,
        f"{found.asked.measure} between other languages than English",
        "filled: lines of the pair; grey: lines of both with English alone; hollow: no line of the queries' language",
    )
    return figure


def _order(found: Unseen) -> list[str]:
    """Languages, the one that the reference loses most on first."""
    codes = list(found.asked.withheld.values())
    return sorted(codes, key=lambda code: -found.fall(found.asked.reference, code).degradation.point)


def _dot(
    axes: Axes, value: Estimate, height: float, colour: str, marker: str, *, filled: bool, label: str | None = None
) -> None:
    axes.errorbar(
        value.point,
        height,
        xerr=[[max(0.0, value.point - value.interval.low)], [max(0.0, value.interval.high - value.point)]],
        marker=marker,
        markersize=6,
        color=colour,
        markerfacecolor=colour if filled else "white",
        elinewidth=1.2,
        capsize=2.5,
        linestyle="none",
        label=label,
    )


def _rows(axes: Axes, order: Sequence[str], names: Mapping[str, str], *, last: str | None = None) -> None:
    labels = [names.get(code, code) for code in order] + ([last] if last else [])
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    if last:
        axes.get_yticklabels()[-1].set_fontweight("bold")


def _frame(axes: Axes) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GREY)
    axes.tick_params(colors=INK, labelsize=9, color=GREY)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="both", color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)


def _headline(figure: Figure, title: str, note: str) -> None:
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
    figure.supxlabel(note, fontsize=8.5, color=GREY, x=0.01, ha="left")
