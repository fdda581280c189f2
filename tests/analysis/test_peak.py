"""The top of a parabola: what is planted is found, and what lies on an edge, or only levels off, is not named."""

import numpy as np
import pytest

from analysis.frame import Floats
from analysis.peak import NoPeak, Peak, best_on_grid, find_peak
from analysis.surface import maximum

SETTINGS = np.array([0.002, 0.005, 0.0126, 0.0316, 0.0794, 0.2, 0.5])
LOG = np.log10(SETTINGS)
DRAWS = 500


def drawn(values_E: Floats, *, shared: float = 0.1, own: float = 0.005, seed: int = 0) -> Floats:
    """Resamples of a curve whose points share most of their noise; row 0 is the curve itself."""
    rng = np.random.default_rng(seed)
    noise_BE = shared * rng.standard_normal((DRAWS, 1)) + own * rng.standard_normal((DRAWS, SETTINGS.size))
    return np.concatenate([values_E[None], values_E + noise_BE])


def hill(at: float, *, bend: float = 1.0) -> Floats:
    return np.asarray(-bend * (LOG - np.log10(at)) ** 2)


@pytest.mark.parametrize("at", [0.01, 0.03, 0.1])
def test_planted_top_is_found_exactly_and_lies_in_an_interval_that_noise_widens(at: float) -> None:
    widths = []
    for own in (0.002, 0.02):
        found = find_peak(SETTINGS, drawn(hill(at), own=own))
        assert isinstance(found, Peak)
        assert found.setting.point == pytest.approx(at)
        assert at in found.setting.interval
        assert found.residual == pytest.approx(0.0, abs=1e-12)
        assert found.values(LOG) == pytest.approx(hill(at))
        widths.append(found.setting.interval.high - found.setting.interval.low)
    assert widths[0] < widths[1]


def test_tops_are_those_of_the_exact_search_over_all_faces() -> None:
    values_BE = drawn(hill(0.02, bend=0.1), own=0.02)
    found = find_peak(SETTINGS, values_BE)
    assert isinstance(found, Peak)
    x_E = 2.0 * (LOG - LOG[0]) / (LOG[-1] - LOG[0]) - 1.0
    for draw in (0, 3, 77):
        # np.polyfit gives the highest power first.
        place, _ = maximum(np.polyfit(x_E, values_BE[draw], 2)[::-1], 1)
        assert found.log_B[draw] == pytest.approx(LOG[0] + (place[0] + 1.0) / 2.0 * (LOG[-1] - LOG[0]))


@pytest.mark.parametrize(
    ("values_E", "own", "reason"),
    [
        (hill(0.0005), 0.005, "on the edge of the grid, at 0.002"),
        (hill(5.0), 0.005, "on the edge of the grid, at 0.5"),
        (-hill(0.03), 0.005, "bend upwards"),
        (hill(0.0025, bend=0.3), 0.05, "reaches the edge of the grid, at 0.002"),
        (-(np.maximum(0.0, LOG - LOG[3]) ** 2), 0.005, "at the edge of the grid, 0.002, cannot be told from"),
        (np.array([0.0, 0.5, 0.2, 0.3, 0.2, 0.1, 0.0]), 0.005, "score at 0.005 is above that at 0.0126"),
    ],
)
def test_top_that_is_not_observed_is_refused_with_the_reason(values_E: Floats, own: float, reason: str) -> None:
    found = find_peak(SETTINGS, drawn(values_E, own=own))
    assert isinstance(found, NoPeak)
    assert reason in found.reason


def test_parabola_needs_settings_to_spare() -> None:
    found = find_peak(SETTINGS[:4], drawn(hill(0.01))[:, :4])
    assert isinstance(found, NoPeak)
    assert "4 settings can be fitted and a parabola needs 5" in found.reason


def test_best_of_the_grid_spans_settings_that_resamples_cannot_tell_apart() -> None:
    level = np.array([0.0, 0.0, 0.0, -0.5, -1.0, -2.0, -3.0])
    found = best_on_grid(SETTINGS, drawn(level))
    assert (found.low, found.high) == (0.002, 0.0126)
    sharp = best_on_grid(SETTINGS, drawn(hill(0.0126)))
    assert (sharp.low, sharp.point, sharp.high) == (0.0126, 0.0126, 0.0126)
