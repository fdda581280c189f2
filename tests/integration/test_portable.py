"""What one layout saved, every other goes on with: other numbers of workers, other ZeRO stages, to the same losses."""

from pathlib import Path

import numpy as np
import pytest

from tests.integration.relay import SAVED, STEPS, Leg, files, losses, relay, variants

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

SAME = 1e-5
"""Largest difference of two fp32 losses that count as the same."""

STAGES = (0, 1, 2, 3)
RUNS = variants()
WHOLE = [Leg(name=f"fp32 {stage} by 2", stage=stage) for stage in STAGES] + [
    Leg(name=f"{name} {stage} by 2", stage=stage, run=RUNS[name])
    for name, stage in (("dropout", 2), ("bf16", 0), ("bf16", 2), ("bf16", 3), ("frozen", 2), ("frozen", 3))
]


def after(leg: Leg, workers: int, stage: int, *, micro_batch: int = 16) -> Leg:
    """The second half of a leg by other workers or under another stage."""
    return Leg(
        name=f"{leg.name}, {stage} by {workers}", stage=stage, after=leg.name, run=leg.run, micro_batch=micro_batch
    )


AGAIN = [after(leg, 2, leg.stage) for leg in WHOLE]
ACROSS = [after(leg, 2, 3 - leg.stage) for leg in WHOLE[:4]]
FEWER = [after(leg, 1, leg.stage) for leg in WHOLE if leg.run != RUNS["dropout"]] + [after(WHOLE[2], 1, 3)]
ALONE = [Leg(name=f"fp32 {stage} by 1", stage=stage, micro_batch=32) for stage in (1, 3)]
MORE = [after(leg, 2, leg.stage, micro_batch=8) for leg in ALONE]
DROPPED = after(WHOLE[4], 1, 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every leg, run by three groups of processes."""
    folder = tmp_path_factory.mktemp("relay")
    relay(folder, 2, WHOLE)
    relay(folder, 1, [*FEWER, *ALONE, DROPPED])
    relay(folder, 2, AGAIN + ACROSS + MORE)
    return folder


@pytest.mark.parametrize("leg", AGAIN, ids=lambda leg: leg.name)
def test_same_layout_goes_on_to_the_same_bits(folder: Path, leg: Leg) -> None:
    assert leg.after is not None
    np.testing.assert_array_equal(losses(folder, leg.name), losses(folder, leg.after)[SAVED:])
    found = files(folder, leg.name)
    assert len(found) == 3
    assert found == files(folder, leg.after)


@pytest.mark.parametrize("leg", FEWER + ACROSS + MORE, ids=lambda leg: leg.name)
def test_another_layout_goes_on_to_the_same_losses(folder: Path, leg: Leg) -> None:
    assert leg.after is not None
    whole, rest = losses(folder, leg.after), losses(folder, leg.name)
    assert len(rest) == STEPS - SAVED
    # Sums over ranks are rounded to bfloat16; with two addends no difference was seen.
    np.testing.assert_allclose(rest, whole[SAVED:], rtol=0, atol=1e-3 if leg.run == RUNS["bf16"] else SAME)
    assert whole[-1] < 0.95 * whole[0], "it learned nothing, so equal losses say nothing"


def test_with_dropout_another_number_of_workers_goes_on_with_other_draws(folder: Path) -> None:
    rest, whole = losses(folder, DROPPED.name), losses(folder, WHOLE[4].name)[SAVED:]
    assert not np.array_equal(rest, whole)
    np.testing.assert_allclose(rest, whole, rtol=0, atol=0.1)
