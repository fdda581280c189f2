"""Paired cluster bootstrap: one draw of clusters serves every language, rung, rotation, seed and the teacher.

Legend: B draws, of which row 0 is the sample as it is and the others are resamples; C clusters; R runs.
Clusters are the entities that queries ask for. Percentile intervals (Efron and Tibshirani 1993, chapter 13).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.frame import Floats

NUM_RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Resampling:
    """How many resamples are drawn, from which seed."""

    resamples: int = NUM_RESAMPLES
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A percentile interval at the confidence :data:`CONFIDENCE`."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number with its interval."""

    point: float
    interval: Interval


def draw_clusters(num_clusters: int, *, resamples: int, rng: np.random.Generator) -> Floats:
    """How often each cluster is drawn: weights [B, C], B = resamples + 1, row 0 all ones."""
    if num_clusters < 2:
        raise ValueError(f"{num_clusters} cluster of queries cannot be resampled; the collection needs more entities")
    drawn = rng.multinomial(num_clusters, np.full(num_clusters, 1.0 / num_clusters), size=resamples)
    return np.concatenate([np.ones((1, num_clusters)), drawn.astype(np.float64)])


def draw_seeds(seeds: Sequence[str], groups: Sequence[str], *, resamples: int, rng: np.random.Generator) -> Floats:
    """How often each run counts: weights [B, R] from drawing seeds with replacement within each group (a rung).

    All runs of one seed in a group, one per rotation, are drawn together. With one seed per group the weights are
    ones: nothing is known about the spread over trainings. A bootstrap over few seeds S understates their variance
    by (S - 1) / S; forecasts use a t interval instead.
    """
    weights = np.ones((resamples + 1, len(seeds)))
    for group in sorted(set(groups)):
        members = [place for place, name in enumerate(groups) if name == group]
        names = sorted({seeds[place] for place in members})
        if len(names) > 1:
            drawn = rng.multinomial(len(names), np.full(len(names), 1.0 / len(names)), size=resamples)
            for place in members:
                weights[1:, place] = drawn[:, names.index(seeds[place])]
    return weights


def interval(draws: Floats) -> Interval:
    """Percentile interval of draws [B]; row 0, the sample itself, is not a resample."""
    if not np.isfinite(draws).all():
        raise ValueError(f"{int((~np.isfinite(draws)).sum())} of {draws.size} resampled values are not finite numbers")
    tail = 50.0 * (1.0 - CONFIDENCE)
    low, high = np.percentile(draws[1:], [tail, 100.0 - tail])
    return Interval(low=float(low), high=float(high))


def estimate(draws: Floats) -> Estimate:
    """The sample's value with its interval, from draws [B]."""
    return Estimate(point=float(draws[0]), interval=interval(draws))


def p_value(draws: Floats) -> float:
    """Two-sided p-value of the hypothesis that the truth is 0, from draws [B].

    Twice the share of resamples on the far side of 0, the sample counted in (Davison and Hinkley 1997, section 4.2), so
    never 0; it is below 0.05 about where the 95 % interval leaves 0 out.
    """
    resampled = draws[1:]
    beyond = min(int((resampled <= 0.0).sum()), int((resampled >= 0.0).sum()))
    return min(1.0, 2.0 * (beyond + 1) / (resampled.size + 1))


def design_effect(clustered: Floats, independent: Floats) -> float | None:
    """Variance under resampling of clusters over variance under resampling of single queries, from draws [B] each.

    None when the value does not vary at all.
    """
    denominator = float(np.var(independent[1:]))
    return float(np.var(clustered[1:])) / denominator if denominator > 0.0 else None
