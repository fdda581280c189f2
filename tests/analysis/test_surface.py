"""The surface over a search: what is planted is found, and what lies on an edge is not named."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.frame import Floats
from analysis.surface import (
    Dimension,
    NoOptimum,
    Optimum,
    Surface,
    design,
    fit_surface,
    importance,
    maximum,
    optimum,
)

EPSILON = Dimension(name="epsilon", low=0.005, high=1.0, is_log=True)
RATE = Dimension(name="learning_rate", low=0.0005, high=0.05, is_log=True)
SPACE = (EPSILON, RATE)


def planted(number: int, *, noise: float, at: tuple[float, float] = (0.05, 0.006)) -> tuple[Floats, Floats]:
    """Points uniform in the space's logarithms, and a hill around ``at`` with an interaction."""
    rng = np.random.default_rng(5)
    values_TP = np.column_stack([np.exp(rng.uniform(np.log(d.low), np.log(d.high), number)) for d in SPACE])
    first, second = (np.log(values_TP[:, place] / at[place]) for place in (0, 1))
    scores_T = 0.7 - 0.02 * first**2 - 0.03 * second**2 - 0.01 * first * second
    return values_TP, scores_T + noise * rng.standard_normal(number)


def fitted(values_TP: Floats, scores_T: Floats) -> Surface:
    surface = fit_surface(SPACE, values_TP, scores_T)
    assert isinstance(surface, Surface)
    return surface


def test_planted_optimum_is_found_exactly_without_noise() -> None:
    values_TP, scores_T = planted(20, noise=0.0)
    surface = fitted(values_TP, scores_T)
    found = optimum(surface, values_TP, scores_T, rng=np.random.default_rng(0), resamples=50)
    assert isinstance(found, Optimum)
    assert found.values["epsilon"].point == pytest.approx(0.05)
    assert found.values["learning_rate"].point == pytest.approx(0.006)
    assert found.score.point == pytest.approx(0.7)
    assert surface.residual == pytest.approx(0.0, abs=1e-9)
    assert surface.scores(values_TP) == pytest.approx(scores_T)


def test_planted_optimum_lies_in_an_interval_that_noise_widens() -> None:
    widths = []
    for noise in (0.002, 0.02):
        values_TP, scores_T = planted(30, noise=noise)
        found = optimum(fitted(values_TP, scores_T), values_TP, scores_T, rng=np.random.default_rng(0), resamples=300)
        assert isinstance(found, Optimum)
        for name, truth in (("epsilon", 0.05), ("learning_rate", 0.006)):
            assert truth in found.values[name].interval
        interval = found.values["epsilon"].interval
        widths.append(np.log(interval.high / interval.low))
    assert widths[1] > 2 * widths[0]


@pytest.mark.parametrize("at", [(20.0, 0.006), (0.05, 1.0)])
def test_optimum_on_the_edge_of_the_space_is_refused_by_name(at: tuple[float, float]) -> None:
    values_TP, scores_T = planted(40, noise=0.0, at=at)
    place = 0 if at[0] > 1 else 1
    values_TP[:2, place] = SPACE[place].high
    values_TP, scores_T = values_TP, _hill(values_TP, at)
    found = optimum(fitted(values_TP, scores_T), values_TP, scores_T, rng=np.random.default_rng(0), resamples=50)
    assert isinstance(found, NoOptimum)
    assert f"best {SPACE[place].name} lies on the edge of the space" in found.reason
    assert "widen the space" in found.reason


def test_optimum_beyond_what_finished_trials_cover_is_refused() -> None:
    values_TP, scores_T = planted(80, noise=0.0)
    below = values_TP[:, 0] < 0.02
    found = optimum(
        fitted(values_TP[below], scores_T[below]),
        values_TP[below],
        scores_T[below],
        rng=np.random.default_rng(0),
        resamples=50,
    )
    assert isinstance(found, NoOptimum)
    assert "epsilon lies on the edge of what finished trials cover" in found.reason


def test_valley_has_no_optimum() -> None:
    values_TP, scores_T = planted(30, noise=0.0)
    found = optimum(fitted(values_TP, -scores_T), values_TP, -scores_T, rng=np.random.default_rng(0), resamples=50)
    assert isinstance(found, NoOptimum)


def test_too_few_trials_or_one_value_are_refused() -> None:
    values_TP, scores_T = planted(8, noise=0.0)
    few = fit_surface(SPACE, values_TP, scores_T)
    assert isinstance(few, NoOptimum)
    assert "8 trials" in few.reason
    assert "needs 9" in few.reason
    values_TP, scores_T = planted(20, noise=0.0)
    values_TP[:, 1] = 0.01
    flat = fit_surface(SPACE, values_TP, scores_T)
    assert isinstance(flat, NoOptimum)
    assert "same learning_rate" in flat.reason


def test_importance_is_the_share_of_variance_that_sampling_shows() -> None:
    """Against Sobol's first-order shares by brute force over a fine grid."""
    surface = fitted(*planted(30, noise=0.01))
    grid = np.linspace(-1, 1, 401)
    grid = (grid[1:] + grid[:-1]) / 2
    first, second = np.meshgrid(grid, grid, indexing="ij")
    height = (design(np.column_stack([first.ravel(), second.ravel()])) @ surface.coefficients_K).reshape(first.shape)
    shares = importance(surface)
    assert shares["epsilon"] == pytest.approx(height.mean(axis=1).var() / height.var(), abs=1e-3)
    assert shares["learning_rate"] == pytest.approx(height.mean(axis=0).var() / height.var(), abs=1e-3)
    assert sum(shares.values()) == pytest.approx(1.0)


@given(st.lists(st.floats(min_value=-1, max_value=1), min_size=6, max_size=6))
def test_maximum_is_no_lower_than_any_point_of_a_grid(coefficients: list[float]) -> None:
    found = np.array(coefficients)
    peak, height = maximum(found, 2)
    grid = np.linspace(-1, 1, 41)
    points = np.column_stack([axis.ravel() for axis in np.meshgrid(grid, grid)])
    assert np.abs(peak).max() <= 1
    assert height >= (design(points) @ found).max() - 1e-9
    assert height == pytest.approx(float(design(peak[None, :])[0] @ found), abs=1e-9)


def _hill(values_TP: Floats, at: tuple[float, float]) -> Floats:
    first, second = (np.log(values_TP[:, place] / at[place]) for place in (0, 1))
    return np.asarray(0.7 - 0.02 * first**2 - 0.03 * second**2)
