"""Scores over epsilon, a panel for each pair and one for their means, with the optimum where there is one."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.epsilon import FULL, OWN, REDUCED, EpsilonCurve, EpsilonFindings
from analysis.figures.canvas import (
    BLUE,
    DASHED,
    GREEN,
    INK,
    SOLID,
    VERMILLION,
    Dashes,
    Label,
    label_right,
    sheet,
    tidy,
)
from analysis.frame import Floats
from analysis.peak import Peak
from analysis.scales import DECLARED
from studies.schema.record import FULL_EXPOSURE

COLUMNS = 4


@dataclass(frozen=True, kw_only=True)
class _Style:
    """How the curve of one kind of student is drawn.

    ``beside`` is by what its epsilons are multiplied, so that intervals stand side by side; ``bar`` is the height of
    its optimum's interval, as a share of the panel.
    """

    text: str
    colour: str
    marker: str
    dashes: Dashes
    beside: float
    bar: float


_STYLES: Mapping[str, _Style] = {
    FULL: _Style(text="joint, all lines", colour=BLUE, marker="o", dashes=SOLID, beside=1.0, bar=0.11),
    REDUCED: _Style(text="joint, fewer lines", colour=VERMILLION, marker="s", dashes=DASHED[0], beside=0.85, bar=0.07),
    OWN: _Style(text="own student", colour=GREEN, marker="^", dashes=DASHED[1], beside=1.18, bar=0.03),
}


def draw_epsilon(found: EpsilonFindings, names: Mapping[str, str]) -> Figure:
    """Panels share both axes; labels stand beside the last one, which holds the means over pairs."""
    count = len(found.asked.languages) + 1
    rows = -(-count // COLUMNS)
    figure = sheet(height=1.0 + 2.1 * rows)
    panels = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False).flatten()
    for axes, code in zip(panels, found.asked.languages, strict=False):
        _panel(axes, found, f"{names.get(code, code)} → English", _curves_of(found, code))
    last = panels[count - 1]
    means = {each.name: each for pair in found.contrasts for each in (pair.upper, pair.lower) if each.name in _STYLES}
    _panel(last, found, "mean over pairs", means)
    for axes in panels[count:]:
        axes.set_visible(False)
    heights = [score.interval.high for curve in (*found.pairs.values(), *means.values()) for score in curve.scores]
    last.set_ylim(0.0, min(1.02, 1.1 * max(heights)))
    label_right(
        last,
        [
            Label(text=style.text, height=means[name].scores[-1].point, colour=style.colour)
            for name, style in _STYLES.items()
            if name in means
        ],
        line_height=0.11,
    )
    figure.supxlabel("epsilon, in units of the cost 1 − cos (log scale)", fontsize=10, color=INK)
    figure.supylabel(f"{found.asked.measure} (0 to 1)", fontsize=10, color=INK)
    flagged = any(curve.improving or curve.unsolved for curve in found.pairs.values())
    figure.suptitle(
        f"{found.asked.measure} by epsilon" + ("; hollow: flagged" if flagged else ""),
        x=0.01,
        ha="left",
        fontsize=12,
        fontweight="bold",
        color=INK,
    )
    return figure


def _curves_of(found: EpsilonFindings, code: str) -> dict[str, EpsilonCurve]:
    """The curves of one language by kind of student; of two joint ones at one exposure the first."""
    curves: dict[str, EpsilonCurve] = {}
    for (bitext, language), curve in found.pairs.items():
        if language == code:
            kind = FULL if found.exposure[bitext, code] >= FULL_EXPOSURE else REDUCED
            curves.setdefault(kind if bitext in found.asked.joint else OWN, curve)
    return curves


def _panel(axes: Axes, found: EpsilonFindings, title: str, curves: Mapping[str, EpsilonCurve]) -> None:
    tidy(axes)
    axes.set_title(title, fontsize=9, color=INK, loc="left")
    axes.set_xscale("log")
    settings_E = np.array(list(found.asked.epsilons.values()))
    shown = settings_E[::3]
    axes.set_xticks(shown, [f"{value:g}" for value in shown], fontsize=8)
    axes.set_xticks([], minor=True)
    for name, curve in curves.items():
        _draw(axes, found, curve, _STYLES[name], settings_E)


def _draw(axes: Axes, found: EpsilonFindings, curve: EpsilonCurve, style: _Style, settings_E: Floats) -> None:
    points = np.array([score.point for score in curve.scores])
    ends = np.array([[score.interval.low, score.interval.high] for score in curve.scores])
    places = style.beside * settings_E
    flagged = np.array([label in {*curve.unsolved, *curve.improving} for label in found.asked.epsilons])
    axes.vlines(places, ends[:, 0], ends[:, 1], color=style.colour, linewidth=0.9)
    axes.plot(places, points, color=style.colour, linestyle=style.dashes, linewidth=1.2)
    for chosen, face in ((~flagged, style.colour), (flagged, "white")):
        axes.plot(
            places[chosen],
            points[chosen],
            style.marker,
            markersize=3.5,
            color=style.colour,
            markerfacecolor=face,
            zorder=4,
        )
    if isinstance(curve.peak, Peak):
        _draw_peak(axes, found, curve.peak, style)


def _draw_peak(axes: Axes, found: EpsilonFindings, peak: Peak, style: _Style) -> None:
    """The parabola, and below the curves where its top lies."""
    log_E = np.linspace(peak.low, peak.high, 60)
    axes.plot(10.0**log_E, _score(found, peak.values(log_E)), color=style.colour, linewidth=0.7, alpha=0.6)
    setting, across = peak.setting, axes.get_xaxis_transform()
    axes.plot(
        [setting.interval.low, setting.interval.high],
        [style.bar] * 2,
        color=style.colour,
        linewidth=2,
        transform=across,
    )
    axes.plot([setting.point], [style.bar], color=style.colour, marker="|", markersize=8, transform=across)


def _score(found: EpsilonFindings, values_E: Floats) -> Floats:
    """From the declared scale back to a score."""
    if DECLARED[found.asked.scale] == "raw":
        return values_E
    assert found.teacher is not None
    return np.asarray(found.teacher.point / (1.0 + np.exp(-values_E)))
