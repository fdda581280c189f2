"""The top of a parabola over a grid of settings with its interval, or why none may be named.

A parabola has a top wherever scores bend down, also where they merely stop rising: such a top is an artefact of the
form. So it is named only if the scores observed at both ends of the grid are below the one observed next to it.

Legend: B draws (row 0 is the sample itself), E settings in rising order, K coefficients.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.bootstrap import CONFIDENCE, Estimate, estimate, interval
from analysis.frame import Floats
from analysis.surface import design

NUM_SETTINGS = 5
"""Settings that a fit needs: a parabola's three coefficients and two to spare."""


@dataclass(frozen=True, kw_only=True)
class Peak:
    """Where a parabola over the logarithm (base 10) is highest: draws of it [B], and the setting with its interval.

    ``coefficients_K`` are the sample's, over positions that :attr:`low` and :attr:`high` put at -1 and 1. ``residual``
    is what its fit leaves, as a standard deviation in the unit of the values.
    """

    log_B: Floats
    low: float
    high: float
    coefficients_K: Floats
    residual: float

    @property
    def setting(self) -> Estimate:
        return estimate(np.asarray(10.0**self.log_B))

    def values(self, log_E: Floats) -> Floats:
        """The parabola at logarithms of settings."""
        return design(_scaled(log_E, self.low, self.high)[:, None]) @ self.coefficients_K


@dataclass(frozen=True, kw_only=True)
class NoPeak:
    """No top may be named; ``reason`` says why."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class GridBest:
    """The best setting of those that were tried, and between which ones it lies in the middle 95 % of resamples."""

    point: float
    low: float
    high: float


def find_peak(settings_E: Floats, values_BE: Floats) -> Peak | NoPeak:
    """Fit a parabola to each draw over the logarithm of the settings, which rise and are above 0.

    Refused with too few settings, where the sample does not bend down, where the top or its interval lies on the edge
    of the grid, where an end of the grid cannot be told from what was observed next to the top, and where another
    setting was observed to be better than that.
    """
    if settings_E.size < NUM_SETTINGS:
        return NoPeak(reason=f"{settings_E.size} settings can be fitted and a parabola needs {NUM_SETTINGS}; try more")
    log_E = np.log10(settings_E)
    low, high = float(log_E[0]), float(log_E[-1])
    matrix_EK = design(_scaled(log_E, low, high)[:, None])
    coefficients_BK = values_BE @ np.linalg.pinv(matrix_EK).T
    top_B = _tops(coefficients_BK)
    if coefficients_BK[0, 2] >= 0.0:
        return NoPeak(reason="scores bend upwards over the grid, so that the parabola has a lowest point and no top")
    if abs(top_B[0]) == 1.0:
        return NoPeak(reason=f"the top lies on the edge of the grid, at {settings_E[0 if top_B[0] < 0 else -1]:g}")
    band = interval(top_B)
    if band.low == -1.0 or band.high == 1.0:
        ends = [f"{settings_E[place]:g}" for place, open_ in ((0, band.low == -1.0), (-1, band.high == 1.0)) if open_]
        return NoPeak(reason=f"its {CONFIDENCE:.0%} interval reaches the edge of the grid, at {' and at '.join(ends)}")
    refused = _unsupported(settings_E, values_BE, int(np.abs(_scaled(log_E, low, high) - top_B[0]).argmin()))
    if refused is not None:
        return NoPeak(reason=refused)
    rest_E = values_BE[0] - matrix_EK @ coefficients_BK[0]
    return Peak(
        log_B=low + (top_B + 1.0) / 2.0 * (high - low),
        low=low,
        high=high,
        coefficients_K=coefficients_BK[0],
        residual=float(np.sqrt(rest_E @ rest_E / (log_E.size - matrix_EK.shape[1]))),
    )


def best_on_grid(settings_E: Floats, values_BE: Floats) -> GridBest:
    """The best of the settings that were tried; it needs no form, and is as coarse as the grid."""
    best_B = values_BE.argmax(axis=1)
    tail = 50.0 * (1.0 - CONFIDENCE)
    low, high = np.percentile(best_B[1:], [tail, 100.0 - tail], method="inverted_cdf").astype(np.intp)
    return GridBest(point=float(settings_E[best_B[0]]), low=float(settings_E[low]), high=float(settings_E[high]))


def joined(reasons: Sequence[str]) -> str:
    """Reasons as one, each said once."""
    return "; ".join(dict.fromkeys(reasons))


def _tops(coefficients_BK: Floats) -> Floats:
    """Where each parabola is highest on [-1, 1]: its stationary point, or the higher end."""
    linear_B, squared_B = coefficients_BK[:, 1], coefficients_BK[:, 2]
    inside_B = (squared_B < 0.0) & (np.abs(linear_B) < -2.0 * squared_B)
    ends_B = np.where(linear_B < 0.0, -1.0, 1.0)
    return np.divide(-linear_B, 2.0 * squared_B, out=ends_B, where=inside_B)


def _unsupported(settings_E: Floats, values_BE: Floats, nearest: int) -> str | None:
    """Why what was observed does not bear a top next to the setting at place ``nearest``; None where it does."""
    beside = f"{settings_E[nearest]:g}, next to the top of the parabola"
    for place in (0, settings_E.size - 1):
        if nearest == place or interval(values_BE[:, nearest] - values_BE[:, place]).low <= 0.0:
            return (
                f"the score at the edge of the grid, {settings_E[place]:g}, cannot be told from that at {beside}, so "
                "scores may only level off there"
            )
    best = int(values_BE[0].argmax())
    if best != nearest and interval(values_BE[:, best] - values_BE[:, nearest]).low > 0.0:
        return f"the score at {settings_E[best]:g} is above that at {beside}, so a parabola is no description of it"
    return None


def _scaled(log_E: Floats, low: float, high: float) -> Floats:
    return np.asarray(2.0 * (log_E - low) / (high - low) - 1.0)
