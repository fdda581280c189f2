"""What all figures share: sheet, colours, size axis, labels beside their lines.

Colours are of Okabe and Ito's palette, told apart by the colour-blind; markers and line styles tell the same things
apart in greyscale.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from analysis.frame import Floats

WIDTH, HEIGHT = 7.2, 4.6  # inches
BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#AA4A88", "#B97A00", "#56B4E9"
INK, GREY, PALE = "#222222", "#666666", "#DDDDDD"
Dashes = tuple[int, tuple[float, ...]]
SOLID: Dashes = (0, ())
DASHED: Sequence[Dashes] = ((0, (5, 2)), (0, (1.2, 1.6)), (0, (7, 2, 1.2, 2)), (0, (3, 3)), (0, (9, 3)))

_ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True)
class Label:
    """Text that wants to stand at a height of the y axis."""

    text: str
    height: float
    colour: str


def sheet(*, height: float = HEIGHT) -> Figure:
    """An empty figure that lays itself out."""
    return Figure(figsize=(WIDTH, height), layout="constrained", facecolor="white")


def tidy(axes: Axes) -> None:
    """Leave only the lines that carry information."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GREY)
    axes.tick_params(colors=INK, labelsize=9, color=GREY)
    axes.grid(axis="y", color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)


def headline(axes: Axes, title: str, note: str) -> None:
    """A title and, below it, a line or two that say what is shown."""
    axes.set_title(title, loc="left", fontsize=12, color=INK, fontweight="bold", pad=11 + 11 * (1 + note.count("\n")))
    axes.text(0.0, 1.025, note, transform=axes.transAxes, fontsize=8.5, color=GREY, va="bottom")


def hollow(flagged: Collection[str]) -> str:
    """What to say of hollow markers, if there are any."""
    return "; hollow: flagged, in no fit" if flagged else ""


def size_axis(axes: Axes, sizes_G: Floats) -> None:
    """A logarithmic axis of model size with a tick at every rung."""
    axes.set_xscale("log")
    axes.set_xticks(sizes_G, [short_count(size) for size in sizes_G])
    axes.set_xticks([], minor=True)
    axes.set_xlim(sizes_G.min() / 1.25, sizes_G.max() * 1.25)
    axes.set_xlabel("non-embedding parameters (log scale)", fontsize=10, color=INK)


def plain_ticks(axis: Axis) -> None:
    """Ticks of a logarithmic axis at 1, 2 and 5 of every decade, as plain numbers."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def short_count(count: float) -> str:
    """A number of parameters in three digits: 3.28k, 224k, 85.1M."""
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= unit:
            return f"{count / unit:.3g}{name}"
    return f"{count:.0f}"


def label_right(axes: Axes, labels: Sequence[Label], *, line_height: float = 0.052) -> None:
    """Write labels beside the right edge, each as near to its height as the others allow.

    ``line_height`` is the distance between two labels as a share of the axis. Call it when the limits are final.
    """
    if not labels:
        return
    low, high = axes.get_ylim()
    order = sorted(labels, key=lambda label: label.height)
    wanted = np.array([(label.height - low) / (high - low) for label in order])
    for label, at, place in zip(order, wanted, spread(wanted, line_height), strict=True):
        axes.annotate(
            label.text,
            xy=(1.0, at),
            xytext=(1.035, place),
            xycoords="axes fraction",
            textcoords="axes fraction",
            fontsize=8.5,
            color=label.colour,
            va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": label.colour, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 0},
        )


def spread(wanted: Floats, distance: float) -> Floats:
    """Positions in the order of ``wanted`` (ascending), at least ``distance`` apart and near to what was wanted.

    Neighbours that would overlap are joined into a group until no two groups touch (pooling of adjacent violators).
    """
    groups: list[list[float]] = []
    for value in wanted:
        groups.append([float(value)])
        while len(groups) > 1 and _bottom(groups[-1], distance) < _top(groups[-2], distance) + distance - _ROUNDING:
            last = groups.pop()
            groups[-1] += last
    return np.array([_bottom(group, distance) + place * distance for group in groups for place in range(len(group))])


def _bottom(group: list[float], distance: float) -> float:
    return sum(group) / len(group) - distance * (len(group) - 1) / 2


def _top(group: list[float], distance: float) -> float:
    return _bottom(group, distance) + distance * (len(group) - 1)
