"""A measure as a quadratic surface over what a search sampled: its maximum, how sure that is, and what mattered.

Legend: T trials, P parameters, K coefficients, B draws (row 0 is the sample itself).

Parameters are scaled to [-1, 1] over the range that the fitted trials cover, on the scale they were sampled on. The
surface holds in that box and is not read outside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from analysis.bootstrap import CONFIDENCE, Estimate, Interval, interval
from analysis.frame import Floats

SPARE_TRIALS = 3
"""Trials that a fit needs beyond its coefficients: with none left over, nothing is known about its noise."""

NUM_RESAMPLES = 1000
MOST_ON_EDGE = 0.25
"""A maximum is refused when more than this share of resamples puts it on the edge."""

_EDGE = 0.02
"""Nearer than this share of the space to its bound, what trials cover reaches the edge of the space."""


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """A sampled number with the bounds of the search's space."""

    name: str
    low: float
    high: float
    is_log: bool

    def position(self, values: Floats) -> Floats:
        """Values on the scale they were sampled on."""
        return np.asarray(np.log(values) if self.is_log else values, dtype=np.float64)

    def value(self, position: float) -> float:
        return float(np.exp(position)) if self.is_log else float(position)


@dataclass(frozen=True, kw_only=True)
class Surface:
    """A fitted surface; ``low_P`` and ``high_P`` bound, as positions, the box of the trials it was fitted to."""

    dimensions: tuple[Dimension, ...]
    low_P: Floats
    high_P: Floats
    coefficients_K: Floats
    residual: float
    num_trials: int

    def scores(self, values_TP: Floats) -> Floats:
        """The surface at points, shape [T]."""
        return design(self.scaled(values_TP)) @ self.coefficients_K

    def scaled(self, values_TP: Floats) -> Floats:
        places = np.column_stack([d.position(values_TP[:, place]) for place, d in enumerate(self.dimensions)])
        return np.asarray(2 * (places - self.low_P) / (self.high_P - self.low_P) - 1)

    def value(self, place: int, scaled: float) -> float:
        low, high = self.low_P[place], self.high_P[place]
        return self.dimensions[place].value(low + (scaled + 1) / 2 * (high - low))


@dataclass(frozen=True, kw_only=True)
class Optimum:
    """Where the surface is highest, by parameter, and how high; intervals from resampling trials."""

    values: Mapping[str, Estimate]
    score: Estimate
    on_edge: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class NoOptimum:
    """No maximum may be named; ``reason`` says why and what to do."""

    reason: str


def fit_surface(dimensions: Sequence[Dimension], values_TP: Floats, scores_T: Floats) -> Surface | NoOptimum:
    """Least squares of a full quadratic; refused with too few trials, or with all at one value."""
    needed = 1 + 2 * len(dimensions) + len(dimensions) * (len(dimensions) - 1) // 2 + SPARE_TRIALS
    if len(scores_T) < needed:
        return NoOptimum(
            reason=f"{len(scores_T)} trials were trained to their end and a surface over {len(dimensions)} parameters "
            f"needs {needed}; raise the search's trials"
        )
    places = np.column_stack([d.position(values_TP[:, place]) for place, d in enumerate(dimensions)])
    low_P, high_P = places.min(axis=0), places.max(axis=0)
    for dimension, low, high in zip(dimensions, low_P, high_P, strict=True):
        if not low < high:
            return NoOptimum(reason=f"every finished trial has the same {dimension.name}; raise the search's trials")
    matrix_TK = design(2 * (places - low_P) / (high_P - low_P) - 1)
    found = _solve(matrix_TK, scores_T)
    if found is None:
        return NoOptimum(reason="finished trials lie on a line or curve of the space; raise the search's trials")
    rest_T = scores_T - matrix_TK @ found
    return Surface(
        dimensions=tuple(dimensions),
        low_P=low_P,
        high_P=high_P,
        coefficients_K=found,
        residual=float(np.sqrt(rest_T @ rest_T / (len(scores_T) - matrix_TK.shape[1]))),
        num_trials=len(scores_T),
    )


def optimum(
    surface: Surface, values_TP: Floats, scores_T: Floats, *, rng: np.random.Generator, resamples: int = NUM_RESAMPLES
) -> Optimum | NoOptimum:
    """The maximum of the surface in its box with percentile intervals; refused when it lies on the box's edge."""
    matrix_TK = design(surface.scaled(values_TP))
    draws = [surface.coefficients_K]
    tries = 0
    while len(draws) <= resamples and tries < 4 * resamples:
        tries += 1
        chosen = rng.integers(len(scores_T), size=len(scores_T))
        found = _solve(matrix_TK[chosen], scores_T[chosen])
        if found is not None:
            draws.append(found)
    if len(draws) <= resamples:
        return NoOptimum(reason="too few different trials to resample the surface; raise the search's trials")
    peaks = [maximum(coefficients, len(surface.dimensions)) for coefficients in draws]
    peaks_BP = np.array([peak for peak, _ in peaks])
    edge_P = (np.abs(peaks_BP[1:]) == 1.0).mean(axis=0)
    for place in range(len(surface.dimensions)):
        if abs(peaks_BP[0, place]) == 1.0 or edge_P[place] > MOST_ON_EDGE:
            return NoOptimum(reason=_on_edge(surface, place, float(peaks_BP[0, place]), float(edge_P[place])))
    values = {
        dimension.name: _estimate(np.array([surface.value(place, peak) for peak in peaks_BP[:, place]]))
        for place, dimension in enumerate(surface.dimensions)
    }
    names = [dimension.name for dimension in surface.dimensions]
    return Optimum(
        values=values,
        score=_estimate(np.array([height for _, height in peaks])),
        on_edge=dict(zip(names, edge_P.tolist(), strict=True)),
    )


def importance(surface: Surface) -> dict[str, float]:
    """Shares of the surface's variance over its box, by parameter and by pair (functional ANOVA, exact).

    Over [-1, 1] a linear term varies by 1/3 of its squared coefficient, a squared one by 4/45, a product by 1/9.
    """
    names = [dimension.name for dimension in surface.dimensions]
    count = len(names)
    linear, squared = surface.coefficients_K[1 : 1 + count], surface.coefficients_K[1 + count : 1 + 2 * count]
    parts = dict(zip(names, (linear**2 / 3 + squared**2 * 4 / 45).tolist(), strict=True))
    products = surface.coefficients_K[1 + 2 * count :]
    for (one, other), coefficient in zip(combinations(names, 2), products, strict=True):
        parts[f"{one} x {other}"] = float(coefficient**2 / 9)
    total = sum(parts.values())
    return {name: part / total if total else 0.0 for name, part in parts.items()}


def maximum(coefficients_K: Floats, count: int) -> tuple[Floats, float]:
    """Where a quadratic over [-1, 1]^P is highest, and how high; exact.

    Each parameter is free or at one of its bounds; the candidates are the stationary points of all these faces.
    """
    linear_P = coefficients_K[1 : 1 + count]
    hessian_PP = np.diag(2 * coefficients_K[1 + count : 1 + 2 * count])
    for (one, other), coefficient in zip(combinations(range(count), 2), coefficients_K[1 + 2 * count :], strict=True):
        hessian_PP[one, other] = hessian_PP[other, one] = coefficient
    best, height = np.zeros(count), -np.inf
    for face in product((None, -1.0, 1.0), repeat=count):
        point_P = np.array([0.0 if bound is None else bound for bound in face])
        free = [place for place, bound in enumerate(face) if bound is None]
        if free:
            inner = hessian_PP[np.ix_(free, free)]
            if np.linalg.eigvalsh(inner).max() >= 0:
                continue
            point_P[free] = np.linalg.solve(inner, -(linear_P + hessian_PP @ point_P)[free])
            if np.abs(point_P[free]).max() >= 1:
                continue
        found = float(coefficients_K[0] + linear_P @ point_P + point_P @ hessian_PP @ point_P / 2)
        if found > height:
            best, height = point_P, found
    return best, height


def design(scaled_TP: Floats) -> Floats:
    """Columns of a full quadratic [T, K]: one, each parameter, each square, each product of two."""
    count = scaled_TP.shape[1]
    products = [scaled_TP[:, one] * scaled_TP[:, other] for one, other in combinations(range(count), 2)]
    return np.column_stack([np.ones(len(scaled_TP)), scaled_TP, scaled_TP**2, *products])


def _solve(matrix_TK: Floats, scores_T: Floats) -> Floats | None:
    """The least-squares coefficients; None when the trials do not determine them."""
    found, _, rank, _ = np.linalg.lstsq(matrix_TK, scores_T, rcond=1e-9)
    return np.asarray(found) if rank == matrix_TK.shape[1] else None


def _estimate(draws_B: Floats) -> Estimate:
    """The sample's value with its percentile interval, which is widened to hold it."""
    found = interval(draws_B)
    point = float(draws_B[0])
    return Estimate(point=point, interval=Interval(low=min(found.low, point), high=max(found.high, point)))


def _on_edge(surface: Surface, place: int, peak: float, share: float) -> str:
    dimension = surface.dimensions[place]
    low, high = (float(dimension.position(np.array([bound]))[0]) for bound in (dimension.low, dimension.high))
    side = peak if abs(peak) == 1.0 else 1.0
    covered = surface.high_P[place] if side > 0 else surface.low_P[place]
    reaches = abs(covered - (high if side > 0 else low)) < _EDGE * (high - low)
    bound = f"{dimension.value(float(covered)):.3g}"
    if abs(peak) != 1.0:
        return (
            f"{share:.0%} of resamples put the best {dimension.name} on the edge of what finished trials cover, so its "
            f"{CONFIDENCE:.0%} interval is open; raise the search's trials"
        )
    if reaches:
        return f"the best {dimension.name} lies on the edge of the space, at {bound}; widen the space and search again"
    return (
        f"the best {dimension.name} lies on the edge of what finished trials cover, at {bound}; "
        "raise the search's trials"
    )
