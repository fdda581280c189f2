"""An optimum that follows a power law of size is carried to a size that was never searched."""

import numpy as np
import pytest

from analysis.transfer import predict, regret

SIZES = np.array([3e3, 1.3e4, 2.8e4, 7.8e4])


def test_planted_power_law_is_carried_exactly() -> None:
    found = predict("learning_rate", SIZES, 0.02 * (SIZES / 1e4) ** -0.4, 2.24e5)
    assert found.point == pytest.approx(0.02 * 22.4**-0.4)
    assert found.exponent == pytest.approx(-0.4)
    assert found.interval is not None
    assert found.interval.high == pytest.approx(found.interval.low)


def test_interval_holds_a_new_optimum_as_often_as_it_says() -> None:
    rng = np.random.default_rng(11)
    size, truth, held, tries = 2.24e5, 0.02 * 22.4**-0.4, 0, 400
    for _ in range(tries):
        optima = 0.02 * (SIZES / 1e4) ** -0.4 * np.exp(0.1 * rng.standard_normal(len(SIZES)))
        found = predict("learning_rate", SIZES, optima, size)
        assert found.interval is not None
        held += truth * np.exp(0.1 * rng.standard_normal()) in found.interval
    # Standard error of a share of 95 % in 400 tries is 1.1 points.
    assert held / tries == pytest.approx(0.95, abs=0.035)


def test_two_rungs_give_a_point_without_an_interval_and_one_gives_nothing() -> None:
    assert predict("epsilon", SIZES[:2], np.array([0.03, 0.03]), 1e6).point == pytest.approx(0.03)
    assert predict("epsilon", SIZES[:2], np.array([0.03, 0.03]), 1e6).interval is None
    with pytest.raises(ValueError, match="two or more rungs"):
        predict("epsilon", SIZES[:1], np.array([0.03]), 1e6)
    with pytest.raises(ValueError, match="above 0"):
        predict("epsilon", SIZES[:2], np.array([0.03, -0.03]), 1e6)


def test_regret_is_what_the_guess_lost() -> None:
    assert regret(0.75, 0.5) == 0.25
