"""Scores by model size at full and at reduced exposure, between what is trivial and what the teacher does."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.bootstrap import Estimate
from analysis.figures.canvas import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PURPLE,
    VERMILLION,
    Label,
    headline,
    hollow,
    label_right,
    sheet,
    size_axis,
    tidy,
)
from analysis.findings import Findings, Strand
from studies.schema.record import Role

_REFERENCES = (
    (Role.DICTIONARY, "full", "dictionary, full", GREEN, (0, (6, 2))),
    (Role.DICTIONARY, "reduced", "dictionary, reduced", GREEN, (0, (2, 2))),
    (Role.COPY_THROUGH, "any", "copy-through", PURPLE, (0, (1, 1.5))),
)


def draw_levels(findings: Findings, strand: Strand) -> Figure:
    """Mean over languages with 95 % intervals; hollow markers are flagged rungs."""
    measured = strand.measured[findings.asked.measure]
    figure = sheet()
    axes = figure.add_subplot()
    tidy(axes)
    labels = []
    sides = (
        (measured.full, "full exposure", BLUE, "o", "-"),
        (measured.reduced, "reduced exposure", VERMILLION, "s", "--"),
    )
    for side, name, colour, marker, line in sides:
        if side is not None:
            _line(axes, strand, side.mean, colour, marker, line)
            labels.append(Label(text=f"{name} {side.mean[-1].point:.2f}", height=side.mean[-1].point, colour=colour))
    labels += _references(axes, findings, strand)
    if (teacher := measured.teacher) is not None:
        axes.axhline(teacher.point, color=INK, linewidth=1.2)
        labels.append(Label(text=f"teacher, English {teacher.point:.2f}", height=teacher.point, colour=INK))
    size_axis(axes, strand.ladder.sizes_G)
    axes.set_ylim(0.0, 1.02)
    axes.set_ylabel(f"{findings.asked.measure} (0 to 1)", fontsize=10, color=INK)
    queries = measured.num_queries_L
    asked = f"{queries.min():.0f}" if queries.min() == queries.max() else f"{queries.min():.0f} to {queries.max():.0f}"
    note = f"mean over {len(strand.ladder.languages)} languages, {asked} test queries each; bars: 95 % intervals"
    headline(axes, "Score by model size", note + hollow(strand.ladder.flagged))
    label_right(axes, labels)
    return figure


def _line(axes: Axes, strand: Strand, means: Sequence[Estimate], colour: str, marker: str, line: str) -> None:
    sizes = strand.ladder.sizes_G
    points = np.array([mean.point for mean in means])
    ends = np.array([[mean.point - mean.interval.low, mean.interval.high - mean.point] for mean in means]).T
    axes.plot(sizes, points, color=colour, linestyle=line, linewidth=1.8)
    axes.errorbar(sizes, points, yerr=np.maximum(ends, 0.0), fmt="none", ecolor=colour, elinewidth=1.2, capsize=3)
    for size, point, sound in zip(sizes, points, strand.ladder.sound_G, strict=True):
        axes.plot(size, point, marker=marker, markersize=7, color=colour, markerfacecolor=colour if sound else "white")


def _references(axes: Axes, findings: Findings, strand: Strand) -> list[Label]:
    rows = [row for row in findings.baselines if row.measure == findings.asked.measure]
    labels = []
    for role, exposure, name, colour, dashes in _REFERENCES:
        for row in rows:
            if (row.role, row.exposure) == (role, exposure):
                axes.axhline(row.mean.point, color=colour, linewidth=1.1, linestyle=dashes)
                labels.append(Label(text=f"{name} {row.mean.point:.2f}", height=row.mean.point, colour=colour))
    untrained = {row.rung: row.mean.point for row in rows if row.role == Role.UNTRAINED}
    places = [place for place, rung in enumerate(strand.ladder.rungs) if rung in untrained]
    if places:
        heights = [untrained[strand.ladder.rungs[place]] for place in places]
        axes.plot(
            strand.ladder.sizes_G[places], heights, color=ORANGE, marker="x", markersize=5, linewidth=1, linestyle=":"
        )
        labels.append(Label(text=f"untrained {heights[-1]:.2f}", height=heights[-1], colour=ORANGE))
    return labels
