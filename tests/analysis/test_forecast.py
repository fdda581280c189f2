"""Forecasts of a rung that no fit saw: exact without noise, honest with it."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.fit import fit
from analysis.forecast import ACROSS_SEEDS, CONDITIONAL, forecast_held_out, rolling_origin
from analysis.laws import LAWS
from tests.analysis.conftest import curve_of

SIZES = np.array([3e3, 1e4, 3e4, 8e4, 2.4e5])
FITTED = tuple(f"rung-{place}" for place in range(4))
HELD_OUT = "rung-4"


def test_forecast_one_seed_is_labelled_conditional_on_the_models() -> None:
    rng = np.random.default_rng(0)
    values = 2.0 - 0.2 * np.log10(SIZES) + 0.02 * rng.standard_normal((500, 5))
    curve = curve_of(SIZES, values)
    held_out = forecast_held_out(fit(LAWS["log_linear"], curve, rungs=FITTED), curve, HELD_OUT)
    assert held_out.label == CONDITIONAL == "conditional on these trained models"
    assert held_out.inside is True
    assert held_out.miss.point == pytest.approx(held_out.observed.point - held_out.forecast)


def test_forecast_exact_law_misses_nothing() -> None:
    curve = curve_of(SIZES, np.repeat((2.0 - 0.2 * np.log10(SIZES))[None], 3, axis=0))
    held_out = forecast_held_out(fit(LAWS["log_linear"], curve, rungs=FITTED), curve, HELD_OUT)
    assert held_out.forecast == pytest.approx(held_out.observed.point, abs=1e-12)


def test_forecast_broken_law_is_outside_its_band() -> None:
    values = 2.0 - 0.2 * np.log10(SIZES) + 0.002 * np.random.default_rng(0).standard_normal((500, 5))
    values[:, 4] += 1.0
    curve = curve_of(SIZES, values)
    assert forecast_held_out(fit(LAWS["log_linear"], curve, rungs=FITTED), curve, HELD_OUT).inside is False


def test_forecast_of_flagged_rung_is_no_fair_test() -> None:
    curve = curve_of(SIZES, np.repeat((2.0 - 0.2 * np.log10(SIZES))[None], 3, axis=0))
    flagged = replace(curve, sound_G=np.array([True] * 4 + [False]), flagged={HELD_OUT: ("still improving",)})
    assert forecast_held_out(fit(LAWS["log_linear"], flagged, rungs=FITTED), flagged, HELD_OUT).inside is None


def test_forecast_never_sees_the_held_out_rung() -> None:
    values = np.repeat((2.0 - 0.2 * np.log10(SIZES))[None], 3, axis=0)
    moved = values.copy()
    moved[:, 4] = 100.0
    first, second = (
        forecast_held_out(fit(LAWS["power"], curve, rungs=FITTED), curve, HELD_OUT)
        for curve in (curve_of(SIZES, values), curve_of(SIZES, moved))
    )
    assert first.forecast == second.forecast
    assert first.interval == second.interval


@pytest.mark.parametrize("name", ["constant", "log_linear"])
def test_forecast_several_seeds_covers_another_training(name: str) -> None:
    """The t interval covers the mean of three new trainings in at least 95 % of repetitions."""
    rng = np.random.default_rng(5)
    repetitions, seeds, noise = 400, 3, 0.1
    slope = 0.0 if name == "constant" else -0.2
    hits = 0
    for _ in range(repetitions):
        by_seed = 2.0 + slope * np.log10(SIZES) + noise * rng.standard_normal((seeds, 5))
        curve = curve_of(SIZES, np.repeat(by_seed.mean(axis=0)[None], 3, axis=0), by_seed_SG=by_seed)
        held_out = forecast_held_out(fit(LAWS[name], curve, rungs=FITTED), curve, HELD_OUT)
        assert held_out.label == ACROSS_SEEDS
        hits += bool(held_out.inside)
    assert 0.94 <= hits / repetitions <= 1.0


def test_rolling_origin_forecasts_each_rung_that_enough_smaller_ones_precede() -> None:
    curve = curve_of(SIZES, np.repeat((2.0 - 0.2 * np.log10(SIZES))[None], 3, axis=0))
    steps = rolling_origin((LAWS["constant"], LAWS["log_linear"], LAWS["saturating"]), curve)
    assert [(step.law, step.rung) for step in steps] == [
        ("constant", "rung-3"),
        ("constant", "rung-4"),
        ("log_linear", "rung-4"),
    ]
    assert steps[-1].forecast == pytest.approx(steps[-1].observed, abs=1e-9)
