"""The relative gain over translate-the-query, by language, beside what the paper reports of its own data."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from analysis.bootstrap import Estimate
from analysis.comparison import Gain
from analysis.comparison_words import REPORTED, REPORTED_GAIN, system_name
from analysis.figures.canvas import BLUE, GREY, INK, PALE, VERMILLION, sheet


def draw_gain(gain: Gain, reference: str, names: Mapping[str, str]) -> Figure:
    """Languages by their gain, the gain of the means last, all with 95 % intervals."""
    rows: list[tuple[str, Estimate]] = sorted(
        ((names.get(code, code), value) for code, value in zip(gain.languages, gain.by_language, strict=True)),
        key=lambda row: -row[1].point,
    )
    rows.append(("all languages", gain.overall))
    figure = sheet(height=1.8 + 0.3 * len(rows))
    axes = figure.add_subplot()
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GREY)
    axes.grid(axis="both", color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.axvline(0.0, color=GREY, linewidth=1.0)
    axes.axvline(100 * REPORTED_GAIN, color=VERMILLION, linewidth=1.3, linestyle=(0, (5, 2)))
    for height, (_, value) in enumerate(rows):
        overall = height == len(rows) - 1
        axes.errorbar(
            100 * value.point,
            height,
            xerr=[
                [max(0.0, 100 * (value.point - value.interval.low))],
                [max(0.0, 100 * (value.interval.high - value.point))],
            ],
            marker="D" if overall else "o",
            markersize=7 if overall else 6,
            color=BLUE,
            elinewidth=1.3,
            capsize=3,
        )
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.get_yticklabels()[-1].set_fontweight("bold")
    axes.set_ylim(len(rows) - 0.4, -1.0)
    axes.tick_params(colors=INK, labelsize=9, color=GREY)
    axes.tick_params(axis="y", length=0)
    axes.annotate(
        f"+{100 * REPORTED_GAIN:.1f} % {REPORTED}",
        (100 * REPORTED_GAIN, -1.0),
        xytext=(4, -2),
        textcoords="offset points",
        fontsize=8.5,
        color=VERMILLION,
        va="top",
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5},
    )
    axes.set_xlabel(
        f"{gain.measure} of {reference} over that of {system_name(gain.rival)}, per cent more", fontsize=10, color=INK
    )
    axes.set_title(
        f"Relative gain at {gain.exposure} exposure, {gain.stage}",
        loc="left",
        fontsize=12,
        color=INK,
        fontweight="bold",
    )
    return figure
