"""Carry an optimum from small models to a large one: fit it over size, predict, and say what the guess cost.

Legend: G rungs.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from analysis.bootstrap import CONFIDENCE, Interval
from analysis.frame import Floats


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """The optimum of one parameter at a size nobody has searched; ``interval`` is None with two rungs, a mere line."""

    parameter: str
    size: float
    point: float
    interval: Interval | None
    exponent: float


def predict(parameter: str, sizes_G: Floats, optima_G: Floats, size: float) -> Prediction:
    """Extend a power law in size, fitted to the optima of at least two rungs, to another size.

    The interval is that of a new observation about the line in log-log coordinates, by Student's t. ValueError for
    fewer than two sizes or a number that is not above 0.
    """
    if len(set(sizes_G.tolist())) < 2 or len(sizes_G) != len(optima_G):
        raise ValueError(f"an optimum at {len(sizes_G)} size cannot be carried to another; search at two or more rungs")
    if min(sizes_G.min(), optima_G.min(), size) <= 0:
        raise ValueError(f"sizes and optima of {parameter} lie above 0; a power law has no others")
    x_G, y_G, at = np.log(sizes_G), np.log(optima_G), float(np.log(size))
    line = stats.linregress(x_G, y_G)
    centre = float(line.intercept + line.slope * at)
    freedom = len(x_G) - 2
    found = None
    if freedom > 0:
        rest_G = y_G - line.intercept - line.slope * x_G
        spread_G = x_G - x_G.mean()
        leverage = 1 + 1 / len(x_G) + (at - x_G.mean()) ** 2 / float(spread_G @ spread_G)
        half = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) * float(np.sqrt(rest_G @ rest_G / freedom * leverage))
        found = Interval(low=float(np.exp(centre - half)), high=float(np.exp(centre + half)))
    return Prediction(
        parameter=parameter, size=size, point=float(np.exp(centre)), interval=found, exponent=float(line.slope)
    )


def regret(best: float, verified: float) -> float:
    """What a verifying trial lost against the best that is known at its size, in the measure's unit.

    Below 0 where the guess beat what was searched, which happens: a search is finite.
    """
    return best - verified
