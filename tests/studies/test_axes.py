"""Axes: a path is checked where it is written, and rotations are fair to every language."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.bases import ATLAS_TEACHER, OPTICAL_ATLAS
from studies.ladders import ATLAS, XLM_R, Ladder
from studies.schema.axes import Axis, Setting, assign, cross, rotations, seeds, vary
from studies.schema.objective import Transport
from studies.schema.rung import Precision


@pytest.mark.parametrize(
    ("path", "misspelt", "alternative"),
    [
        ("sede", "sede", "seed"),
        ("optimiser.learning_rat", "learning_rat", "learning_rate"),
        ("teacher.rung.architecture.hidden", "hidden", "hidden_size"),
        ("objective.group_size", "group_size", "epsilon"),
        ("seed.value", "value", ""),
        ("", "", "seed"),
    ],
)
def test_misspelt_path_is_refused_naming_field_and_alternatives(path: str, misspelt: str, alternative: str) -> None:
    with pytest.raises(ValueError, match=f"has no field '{misspelt}'.*{alternative}"):
        assign(OPTICAL_ATLAS, path, 1)


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("seed", 1.0, "int"),
        ("seed", True, "int"),
        ("optimiser.learning_rate", 1, "float"),
        ("optimiser.learning_rate", "1e-3", "float"),
        ("bitext.exposure", [("de", 1.0)], "tuple"),
        ("objective", OPTICAL_ATLAS.schedule, "Transport"),
        ("precision", "bf16", "Precision"),
        ("rung.weights", 3, "str or NoneType"),
    ],
)
def test_value_of_another_type_is_refused_naming_the_field(path: str, value: object, expected: str) -> None:
    with pytest.raises(ValueError, match=f"{re.escape(path.split('.')[-1])}' holds {expected}"):
        assign(OPTICAL_ATLAS, path, value)


def test_assignment_changes_one_field_and_leaves_the_original() -> None:
    changed = assign(OPTICAL_ATLAS, "teacher.rung.weights", "somewhere")
    assert changed.teacher.rung.weights == "somewhere"
    assert assign(changed, "teacher.rung.weights", None) == OPTICAL_ATLAS
    assert ATLAS_TEACHER.rung.weights is None
    assert assign(OPTICAL_ATLAS, "precision", Precision.BF16).precision is Precision.BF16


def test_assignment_checks_the_value_that_it_makes() -> None:
    with pytest.raises(ValueError, match=r"Transport\.epsilon is 0\.0"):
        assign(OPTICAL_ATLAS, "objective.epsilon", 0.0)


@given(
    half=st.integers(1, 6),
    languages=st.lists(st.text("abcdefgh", min_size=2, max_size=3), min_size=1, max_size=30, unique=True),
    low=st.floats(0, 0.99),
)
def test_rotations_put_every_language_high_and_low_equally_often(half: int, languages: list[str], low: float) -> None:
    axis = rotations(2 * half, languages, low=low)
    seen: dict[str, list[float]] = {language: [] for language in languages}
    for setting in axis.settings:
        ((path, exposure),) = setting.assign
        assert path == "bitext.exposure"
        assert [language for language, _ in exposure] == languages
        for language, share in exposure:
            seen[language].append(share)
        if len(languages) % (2 * half) == 0:
            assert sum(share == 1.0 for _, share in exposure) * 2 == len(languages)
    for shares in seen.values():
        assert sorted(shares) == sorted([1.0] * half + [low] * half)


def test_two_rotations_put_neighbours_on_opposite_sides() -> None:
    languages = [f"l{place}" for place in range(8)]
    for setting in rotations(2, languages, low=0.25).settings:
        shares = [share for _, share in setting.assign[0][1]]
        assert all(one != other for one, other in pairwise(shares))


@pytest.mark.parametrize("number", [-2, 0, 1, 3, 7])
def test_number_of_rotations_that_is_unfair_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match=f"{number} rotations .* even number"):
        rotations(number, ["de", "sw"], low=0.1)


def test_cross_keeps_the_axes_in_order_and_seeds_count_from_zero() -> None:
    first, second = seeds(3), vary("objective", "objective.epsilon", {"small": 0.01, "large": 0.1})
    assert cross(first, second) == (first, second)
    assert [setting.assign for setting in first.settings] == [(("seed", number),) for number in range(3)]


@pytest.mark.parametrize("ladder", [ATLAS, XLM_R], ids=lambda ladder: ladder.name)
def test_axis_of_a_ladder_ties_the_learning_rate_to_the_rung(ladder: Ladder) -> None:
    rates = []
    for (rung, rate), setting in zip(ladder.rungs, ladder.axis().settings, strict=True):
        assert setting == Setting(label=rung.name, assign=(("rung", rung), ("optimiser.learning_rate", rate)))
        rates.append(rate)
    assert rates == sorted(rates, reverse=True)
    assert ladder.axis().settings[-1].label == ladder.largest


def test_axis_of_a_ladder_takes_rungs_in_the_order_asked_and_refuses_others() -> None:
    first, second, *_ = [rung.name for rung, _ in ATLAS.rungs]
    assert [setting.label for setting in ATLAS.axis(second, first).settings] == [second, first]
    with pytest.raises(ValueError, match=f"no rung 'atlas-0k'; it has {first}, {second}"):
        ATLAS.axis("atlas-0k")


def test_axis_without_a_place_in_the_report_is_refused() -> None:
    with pytest.raises(ValueError, match="'colour' is none of rung, objective, bitext, rotation, seed"):
        vary("colour", "seed", {"red": 0})


@pytest.mark.parametrize("labels", [[], ["one", "one"]])
def test_axis_needs_settings_with_distinct_labels(labels: list[str]) -> None:
    settings = tuple(Setting(label=label, assign=(("objective", Transport(epsilon=0.1)),)) for label in labels)
    with pytest.raises(ValueError, match="axis objective needs settings with distinct labels"):
        Axis(name="objective", settings=settings)
