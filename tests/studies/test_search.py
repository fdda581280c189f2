"""A search is checked when it is written, looks at validation queries alone, and samples numbers that last."""

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.bases import ATLAS_OBJECTIVES
from studies.catalogue import every_search, find, find_any, find_search
from studies.ladders import ATLAS
from studies.schema.evaluation import Split
from studies.schema.execution import Execution
from studies.schema.key import run_key
from studies.schema.objective import Transport
from studies.schema.search import Halving, Search, Verification, recipe, run_of
from studies.schema.space import Choice, LogUniform, Parameter, Uniform, stable
from studies.search_epsilon_lr import SEARCH

EPSILON, RATE = SEARCH.space


def test_search_on_test_queries_is_refused() -> None:
    with pytest.raises(ValueError, match=r"choose by test queries.*leave split at validation"):
        replace(SEARCH, split=Split.TEST)


@pytest.mark.parametrize("search", every_search(), ids=lambda search: search.name)
def test_every_search_asks_validation_queries_and_has_a_milestone_before_its_end(search: Search) -> None:
    assert search.evaluation.split is Split.VALIDATION
    assert all(step < search.base.schedule.steps for step in search.milestones)
    assert bool(search.milestones) == (search.halving is not None)
    assert json.dumps(recipe(search), allow_nan=False)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"space": (replace(EPSILON, path="objective.epsilo"),)}, "no field 'epsilo'.*did you mean epsilon"),
        ({"space": (EPSILON, replace(RATE, path=EPSILON.path))}, "distinct names and paths"),
        ({"space": (EPSILON, replace(EPSILON, path=RATE.path))}, "distinct names and paths"),
        ({"space": ()}, "distinct names and paths"),
        ({"space": (replace(EPSILON, name="Epsilon"),)}, "small letters"),
        ({"space": (replace(EPSILON, path="global_batch"),)}, "holds int"),
        ({"space": (replace(EPSILON, path="rung.name"),)}, "name sizes in rungs"),
        ({"space": (Parameter(name="seed", path="seed", domain=Choice(values=(("a", 1), ("b", 2.0)))),)}, "holds int"),
        ({"first": ({"epsilon": 0.1},)}, "a value for each of"),
        ({"first": ({"epsilon": "much", "learning_rate": 0.1},)}, "is a number"),
        ({"first": ({"epsilon": -1.0, "learning_rate": 0.1},)}, "must be above 0"),
        ({"name": "epsilon"}, "must be named 'search_epsilon'"),
        ({"trials": 0, "first": ()}, "0 trials"),
        ({"halving": Halving(first=400, factor=2)}, "put it earlier"),
        ({"execution": Execution(workers=1, zero_stage=3)}, "zero_stage 0, 1 or 2"),
        ({"execution": Execution(workers=3)}, "does not divide over 3 workers"),
        ({"rungs": (SEARCH.base.rung, SEARCH.base.rung)}, "names a rung twice"),
        ({"depth": 5}, "looks deeper"),
    ],
)
def test_search_that_cannot_be_run_is_refused_when_it_is_written(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(SEARCH, **change)


@pytest.mark.parametrize(
    ("kind", "low", "high", "said"),
    [
        (LogUniform, 0.0, 1.0, "above 0"),
        (LogUniform, 1.0, 1.0, "is empty"),
        (Uniform, 2.0, 1.0, "is empty"),
        (Uniform, 0.0, 0.123456, "write 0.1235"),
    ],
)
def test_range_without_numbers_in_it_is_refused(kind: type[Uniform], low: float, high: float, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        kind(low=low, high=high)


@given(st.floats(min_value=1e-6, max_value=1e6))
def test_sampled_number_is_the_same_when_written_and_read_back(value: float) -> None:
    kept = stable(value)
    assert stable(kept) == kept == json.loads(json.dumps(kept))
    assert kept == pytest.approx(value, rel=1e-3)


@given(st.floats(min_value=0.005, max_value=1.0))
def test_sampled_number_stays_within_its_range(value: float) -> None:
    assert isinstance(EPSILON.domain, LogUniform)
    assert EPSILON.domain.low <= stable(value) <= EPSILON.domain.high


def test_points_that_differ_beyond_the_kept_digits_are_one_run() -> None:
    near = run_of(SEARCH, SEARCH.base.rung, {"epsilon": 0.12344, "learning_rate": 0.01})
    same = run_of(SEARCH, SEARCH.base.rung, {"epsilon": 0.1234, "learning_rate": 0.01})
    assert run_key(near) == run_key(same)
    assert isinstance(near.objective, Transport)
    assert near.objective.epsilon == 0.1234


def test_milestones_are_powers_of_the_factor_below_the_end() -> None:
    assert Halving(first=100, factor=2).milestones(400) == (100, 200)
    assert Halving(first=10, factor=3).milestones(100) == (10, 30, 90)
    assert Halving(first=10, factor=3).milestones(91) == (10, 30, 90)


def test_more_trials_are_the_same_recipe_and_another_measure_is_not() -> None:
    assert recipe(replace(SEARCH, trials=99)) == recipe(SEARCH)
    assert recipe(replace(SEARCH, seed=1)) != recipe(SEARCH)


def test_verifying_trial_is_added_where_nothing_is_searched_and_is_no_part_of_the_recipe() -> None:
    (searched,), larger = SEARCH.all_rungs, ATLAS.rungs[3][0]
    point = {"epsilon": 0.05, "learning_rate": 0.003}
    checked = replace(SEARCH, verify=(Verification(rung=larger, values=point),))
    assert checked.all_rungs == (searched, larger)
    assert [checked.trials_on(rung) for rung in checked.all_rungs] == [SEARCH.trials, 1]
    assert checked.points_by_hand(larger) == (point,)
    assert recipe(checked) == recipe(SEARCH)
    with pytest.raises(ValueError, match="a value for each of"):
        replace(SEARCH, verify=(Verification(rung=larger, values={"epsilon": 0.05}),))


def test_rivals_of_objectives_compared_get_the_same_trials() -> None:
    search = find_search("search_objectives")
    asked = Counter(str(values["objective"]) for values in search.first)
    assert set(asked.values()) == {search.trials // len(ATLAS_OBJECTIVES)}
    assert set(asked) == set(ATLAS_OBJECTIVES)
    assert len(search.first) == search.trials


def test_catalogue_says_which_is_a_search_and_which_a_study() -> None:
    assert find_any("search_epsilon_lr") is SEARCH
    assert find_search("search_epsilon_lr") is SEARCH
    with pytest.raises(ValueError, match=r"is a search, not a study.*python -m harness search search_epsilon_lr"):
        find("search_epsilon_lr")
    with pytest.raises(ValueError, match=r"is a study, not a search.*python -m harness run first_look"):
        find_search("first_look")
    with pytest.raises(ValueError, match="did you mean search_epsilon_lr"):
        find_any("search_epsilon_rl")
