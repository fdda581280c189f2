"""Fits recover what was planted, refuse what they cannot know, and say so."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.fit import Status, corrected_akaike, fit, fitted_curve, solve
from analysis.frame import Floats
from analysis.laws import LAWS, predict
from studies.schema.study import Law as DeclaredLaw
from tests.analysis.conftest import curve_of

SIZES = np.array([3e3, 1e4, 3e4, 8e4, 2.4e5, 7e5])
RUNGS = tuple(f"rung-{place}" for place in range(SIZES.size))

amplitudes = st.floats(0.2, 2.0)
exponents = st.floats(0.1, 1.2)


def _rows(values: Floats, draws: int = 4) -> Floats:
    return np.repeat(values[None], draws, axis=0)


def _planted(name: str, a: float, b: float, k: float) -> Floats:
    n = SIZES / np.exp(np.log(SIZES).mean())
    parameters = {
        "constant": [a],
        "log_linear": [a, -b],
        "power": [a, k],
        "saturating": [b, a, k],
        "log_quadratic": [a, -b, 0.3 * b],
    }[name]
    planted: Floats = predict(LAWS[name], n, np.array([parameters]))[0]
    return planted


def test_laws_every_declarable_form_exists() -> None:
    assert {law.value for law in DeclaredLaw} <= set(LAWS)


@given(name=st.sampled_from([law.value for law in DeclaredLaw]), a=amplitudes, b=amplitudes, k=exponents)
def test_fit_without_noise_recovers_the_planted_law(name: str, a: float, b: float, k: float) -> None:
    values = _planted(name, a, b, k)
    fitted = fit(LAWS[name], curve_of(SIZES, _rows(values)), rungs=RUNGS)
    assert fitted.status is Status.SUCCESS
    np.testing.assert_allclose(fitted_curve(fitted, SIZES)[0], values, atol=1e-6)
    if LAWS[name].exponent is not None:
        assert fitted.parameters["k"] == pytest.approx(k, abs=1e-4)


def test_fit_shared_exponent_without_noise_recovers_both_levels() -> None:
    n = SIZES / np.exp(np.log(SIZES).mean())
    upper, lower = 2.0 - 0.8 * n**-0.4, 1.5 - 1.6 * n**-0.4
    fitted = fit(LAWS["shared_exponent"], curve_of(SIZES, _rows(upper), _rows(lower)), rungs=RUNGS)
    expected = {"c1": 2.0, "a1": -0.8, "c0": 1.5, "a0": -1.6, "k": 0.4}
    assert fitted.parameters == pytest.approx(expected, abs=1e-5)
    np.testing.assert_allclose(fitted_curve(fitted, SIZES)[0], upper - lower, atol=1e-6)


@given(unit=st.sampled_from([1e-3, 1e3, 1e6]), name=st.sampled_from(sorted(LAWS)))
def test_fit_in_another_unit_of_size_says_the_same(unit: float, name: str) -> None:
    rng = np.random.default_rng(2)
    upper, lower = (level + 0.05 * rng.standard_normal((5, SIZES.size)) for level in (1.5, 0.7))
    first = fit(LAWS[name], curve_of(SIZES, upper, lower), rungs=RUNGS)
    second = fit(LAWS[name], curve_of(SIZES * unit, upper, lower), rungs=RUNGS)
    np.testing.assert_allclose(fitted_curve(first, SIZES), fitted_curve(second, SIZES * unit), atol=1e-6)


@pytest.mark.parametrize("name", sorted(LAWS))
def test_fit_one_rung_short_is_refused_in_words(name: str) -> None:
    law = LAWS[name]
    curve = curve_of(SIZES, _rows(np.linspace(1.0, 0.5, SIZES.size)))
    refused = fit(law, curve, rungs=RUNGS[: law.minimum_rungs - 1])
    assert refused.status is Status.TOO_FEW_RUNGS
    assert not refused.usable
    assert refused.parameters == {}
    assert f"need {law.minimum_rungs} rungs" in refused.message
    assert fit(law, curve, rungs=RUNGS[: law.minimum_rungs]).usable


def test_fit_four_sizes_refuse_three_parameters() -> None:
    """With four sizes and three parameters AICc is undefined and the residual has one degree of freedom."""
    curve = curve_of(SIZES, _rows(np.linspace(1.0, 0.5, SIZES.size)))
    assert [name for name in sorted(LAWS) if fit(LAWS[name], curve, rungs=RUNGS[:4]).usable] == [
        "constant",
        "log_linear",
        "power",
        "shared_exponent",
    ]


def test_fit_flagged_rung_is_left_out_and_named() -> None:
    values = np.array([1.0, 0.9, 0.8, 0.7, 0.6, 9.9])
    curve = replace(curve_of(SIZES, _rows(values)), sound_G=np.array([True] * 5 + [False]))
    fitted = fit(LAWS["log_linear"], curve, rungs=RUNGS)
    assert fitted.rungs == RUNGS[:5]
    assert "rung-5 left out because flagged" in fitted.message


def test_fit_equal_sizes_are_refused() -> None:
    curve = curve_of(np.full(6, 1e4), _rows(np.arange(6.0)))
    assert fit(LAWS["log_linear"], curve, rungs=RUNGS).status is Status.NOT_IDENTIFIED


def test_fit_steeper_than_the_bound_is_no_success() -> None:
    n = SIZES / SIZES[0]
    fitted = fit(LAWS["power"], curve_of(SIZES, _rows(n**-5.0)), rungs=RUNGS)
    assert fitted.status is Status.AT_BOUND
    assert "bound" in fitted.message


def test_fit_line_in_logarithm_shows_no_saturation() -> None:
    fitted = fit(LAWS["saturating"], curve_of(SIZES, _rows(2.0 - 0.3 * np.log10(SIZES))), rungs=RUNGS)
    assert fitted.status is Status.AT_BOUND


def test_fit_order_of_rungs_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    curve = curve_of(SIZES, 1.0 + 0.1 * rng.standard_normal((20, SIZES.size)))
    one, other = (fit(LAWS["power"], curve, rungs=order) for order in (RUNGS, RUNGS[::-1]))
    assert one.parameters == pytest.approx(other.parameters, abs=1e-9)


@pytest.mark.parametrize("name", ["log_linear", "power"])
def test_fit_interval_over_repetitions_covers_the_planted_slope(name: str) -> None:
    """Draws scatter around each sample as samples do around the truth; the percentile interval then covers 95 %."""
    rng = np.random.default_rng(7)
    repetitions, draws, noise = 240, 100, 0.04
    truth = _planted(name, 1.0, 0.4, 0.25)
    slope = -0.4 if name == "log_linear" else 0.25
    samples = truth + noise * rng.standard_normal((repetitions, 1, SIZES.size))
    resampled = samples + noise * rng.standard_normal((repetitions, draws, SIZES.size))
    n = SIZES / np.exp(np.log(SIZES).mean())
    parameters, _ = solve(LAWS[name], n, resampled.reshape(-1, SIZES.size))
    slopes = parameters[:, -1].reshape(repetitions, draws)
    low, high = np.percentile(slopes, [2.5, 97.5], axis=1)
    assert 0.91 <= float(np.mean((low <= slope) & (slope <= high))) <= 0.985


def test_corrected_akaike_small_sample_equals_its_formula() -> None:
    rss, num, k = 0.3, 6, 3
    expected = num * np.log(rss / num) + 2 * k + 2 * k * (k + 1) / (num - k - 1)
    assert corrected_akaike(rss, num, k - 1) == pytest.approx(expected)


def test_corrected_akaike_without_spare_observations_is_undefined() -> None:
    assert corrected_akaike(0.3, 4, 2) is None
