"""What counts as the same numbers where another number of workers went on: rounding does, a lost step does not."""

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save

from harness.drills.nearness import journal_differences, weight_differences
from studies.schema.record import Metric

ERROR = str(Metric.TRANSPORT_MARGINAL_ERROR)
LAST = {"loss": 0.7, "gradient_norm": 0.4, "loss_held_out": 0.75, ERROR: 3.76e-5}
JOURNAL = [(5, {"loss": 0.8, "gradient_norm": 0.5}), (10, LAST)]


def with_values(**values: float) -> list[tuple[int, dict[str, float]]]:
    return [JOURNAL[0], (10, {**JOURNAL[1][1], **values})]


def test_rounding_in_a_journal_is_near() -> None:
    assert journal_differences(JOURNAL, JOURNAL) == []
    assert journal_differences(JOURNAL, with_values(loss=0.7 + 4e-8, gradient_norm=0.4 + 8e-7)) == []
    assert journal_differences(JOURNAL, with_values(**{ERROR: 3.7e-5})) == [], "one iteration of one problem"


@pytest.mark.parametrize(
    "found",
    [
        with_values(loss=0.7001),
        with_values(loss_held_out=0.7499),
        with_values(gradient_norm=0.42),
        with_values(**{ERROR: 5e-5}),
        with_values(loss=float("nan")),
        with_values(extra=1.0),
        JOURNAL[:1],
        [JOURNAL[0], (15, JOURNAL[1][1])],
    ],
)
def test_whatever_else_differs_in_a_journal_is_named(found: list[tuple[int, dict[str, float]]]) -> None:
    assert journal_differences(JOURNAL, found)


def moved(by: float, share: float) -> NDArray[np.float32]:
    """Ten thousand weights of which a share is moved."""
    weights = np.zeros(10_000, dtype=np.float32)
    weights[: round(share * len(weights))] = by
    return weights


@pytest.mark.parametrize(
    ("by", "share", "is_near"),
    [(6e-6, 1.0, True), (3e-3, 1e-3, True), (3e-3, 2e-3, False), (2e-2, 1e-4, False), (float("nan"), 1e-4, False)],
)
def test_weights_may_stray_seldom_and_never_far(by: float, share: float, is_near: bool) -> None:
    expected, found = ({"m.safetensors": save({"w": values})} for values in (moved(0.0, 0.0), moved(by, share)))
    assert bool(weight_differences(expected, found)) is not is_near


def test_tensor_that_is_missing_is_named() -> None:
    one, two = save({"w": moved(0, 0)}), save({"w": moved(0, 0), "v": moved(0, 0)})
    assert weight_differences({"m": two}, {"m": one})
