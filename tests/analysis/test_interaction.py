"""The difference between two objectives' effects: loops over the definition, planted slopes, refusals in words."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.declared import Declared
from analysis.frame import Floats
from analysis.gaps import Curve, NoCurve
from analysis.interaction import difference, interact
from analysis.interaction_words import answer, change_of_mind, interaction_document, rungs_table
from analysis.ledger import Difference, Ledger
from tests.analysis.conftest import curve_of

SIZES = np.array([3e3, 7e3, 13e3, 28e3, 78e3])
AGREED = Ledger(agreed=(), declared=(), confounders=())
DRAWS = 400


@pytest.fixture(scope="module")
def contrasted(asked: Declared) -> Declared:
    return replace(asked, reference="ot", against="pooled-mse", hold_out="rung-4")


def effects(slope: float, *, shared: float, own: float, seed: int) -> tuple[Curve, Curve]:
    """Effects under two objectives whose difference has a planted slope; draws share most of their noise."""
    rng = np.random.default_rng(seed)
    common_BG: Floats = shared * rng.standard_normal((DRAWS, SIZES.size))
    mine_BG: Floats = own * rng.standard_normal((DRAWS, SIZES.size))
    line_G = np.log10(SIZES / 1e4)
    return curve_of(SIZES, 1.0 + slope * line_G + common_BG + mine_BG), curve_of(SIZES, 0.8 + common_BG)


def test_difference_is_taken_draw_by_draw_so_that_shared_noise_falls_out() -> None:
    upper, lower = effects(0.3, shared=5.0, own=0.01, seed=0)
    found = difference(upper, lower)
    assert isinstance(found, Curve)
    for draw in (0, 17):
        for place in range(SIZES.size):
            assert found.values_BG[draw, place] == upper.values_BG[draw, place] - lower.values_BG[draw, place]
    assert found.values_BG.std(axis=0).max() < 0.02


@pytest.mark.parametrize(("slope", "word"), [(0.3, "grows"), (-0.3, "shrinks")])
def test_planted_slope_is_found_without_the_held_out_rung(contrasted: Declared, slope: float, word: str) -> None:
    upper, lower = effects(slope, shared=1.0, own=0.02, seed=1)
    odd = replace(upper, upper_BG=upper.upper_BG + np.array([0.0, 0, 0, 0, 9]))
    for each in (upper, odd):
        found = interact(contrasted, each, lower, ledger=AGREED)
        assert found.slope is not None
        assert found.slope.point == pytest.approx(slope, abs=0.08)
        assert slope in found.slope.interval
        assert word in answer(found, "nDCG@10")
        assert "further rungs" in change_of_mind(found)


def test_slope_that_cannot_be_told_from_zero_is_said_to_be_so(contrasted: Declared) -> None:
    upper, lower = effects(0.0, shared=0.1, own=0.5, seed=2)
    found = interact(contrasted, upper, lower, ledger=AGREED)
    assert found.slope is not None
    assert 0.0 in found.slope.interval
    assert answer(found, "nDCG@10").startswith("No change with size can be told from zero")
    assert "still possible" in change_of_mind(found)


def test_rung_that_is_flagged_under_either_objective_enters_no_fit(contrasted: Declared) -> None:
    upper, lower = effects(0.3, shared=0.1, own=0.02, seed=3)
    sound = np.array([True, False, True, True, True])
    found = interact(
        contrasted, upper, replace(lower, sound_G=sound, flagged={"rung-1": ("still_improving",)}), ledger=AGREED
    )
    assert found.slope is None
    assert "rung-1 left out because flagged" in answer(found, "nDCG@10")
    assert "rung-1 (still improving)" in {row[0] for row in rungs_table(found).rows}


def test_difference_that_cannot_be_had_says_why(contrasted: Declared) -> None:
    upper, lower = effects(0.3, shared=0.1, own=0.02, seed=4)
    nothing = NoCurve(target="effect.logit", reason="de has no control of its own")
    assert "de has no control" in answer(interact(contrasted, upper, nothing, ledger=AGREED), "nDCG@10")
    other = replace(lower, rungs=("a", "b", "c", "d", "e"))
    assert "train both objectives at the same rungs" in answer(
        interact(contrasted, upper, other, ledger=AGREED), "nDCG@10"
    )
    confounded = Ledger(agreed=(), declared=(), confounders=(Difference(field="dropout", values={"0": ("rung-0",)}),))
    assert "dropout" in answer(interact(contrasted, upper, lower, ledger=confounded), "nDCG@10")


def test_document_holds_the_numbers_of_the_answer(contrasted: Declared) -> None:
    upper, lower = effects(0.3, shared=0.1, own=0.02, seed=5)
    found = interact(contrasted, upper, lower, ledger=AGREED)
    document = interaction_document(found)
    assert found.slope is not None
    assert document["slope_per_tenfold_size"]["value"] == found.slope.point
    assert [row["rung"] for row in document["rungs"]] == list(upper.rungs)
    assert document["held_out"]["rung"] == "rung-4"
