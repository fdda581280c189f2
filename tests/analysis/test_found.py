"""The report of a search on planted trials: pruned ones enter no fit, test scores are refused, sizes are carried."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from analysis.figures.surface import draw_surface
from analysis.found import Found, Transfer, carry, found_by, literal, trial_record, verification
from analysis.frame import Frame, Labels, RunRecord, Series
from analysis.report import svg
from analysis.search_report import answer, document, page
from analysis.surface import NoOptimum, Optimum
from studies.ladders import ATLAS
from studies.schema.cost import parameters
from studies.schema.record import Flag
from studies.schema.search import Search, Verification
from studies.schema.space import Choice, Parameter, stable
from studies.search_epsilon_lr import SEARCH

TRIALS = 24
MANY = replace(SEARCH, rungs=tuple(rung for rung, _ in ATLAS.rungs[:4]))
SIZES = {rung.name: float(parameters(rung.architecture, 64).non_embedding) for rung, _ in ATLAS.rungs}


def record(number: int, rung: str, sampled: Mapping[str, Any], **changes: Any) -> RunRecord:
    best = 0.006 * (SIZES[rung] / 1e4) ** -0.25
    height = 0.7 - 0.02 * np.log(sampled["epsilon"] / 0.05) ** 2 - 0.03 * np.log(sampled["learning_rate"] / best) ** 2
    found = RunRecord(
        key=f"{rung}-{number:04}",
        role="student",
        labels=Labels(rung=rung, objective="-", rotation="-", seed="-"),
        state="finished",
        flags=(),
        revision="planted",
        parameters={"parameters.non_embedding": str(int(SIZES[rung]))},
        measures={"nDCG@10": {"de": height - 0.1, "sw": height + 0.1}},
        exposure={},
        collection="planted",
        split="validation",
        queries=None,
        series={},
        sampled={name: value if isinstance(value, str) else f"{value:g}" for name, value in sampled.items()},
    )
    return replace(found, **changes)


def planted(search: Search) -> Frame:
    """Trials all over the space; every sixth was pruned, where its score is far too good to be true."""
    rng = np.random.default_rng(3)
    runs: dict[str, RunRecord] = {}
    for rung in search.all_rungs:
        for number in range(TRIALS):
            low, high = np.log([0.005, 0.0005]), np.log([1.0, 0.05])
            epsilon, rate = (stable(float(value)) for value in np.exp(rng.uniform(low, high)))
            made = record(number, rung.name, {"epsilon": epsilon, "learning_rate": rate})
            if number % 6 == 5:
                curve = Series(steps=np.array([100.0]), values=np.array([0.99]))
                made = replace(made, state="pruned", measures={}, split="-", series={"validation.nDCG_at_10": curve})
            runs[made.key] = made
    return Frame(study=search.name, version=search.version, source="planted", runs=runs)


@pytest.fixture(scope="module")
def found() -> Found:
    return found_by(SEARCH, planted(SEARCH))


@pytest.fixture(scope="module")
def many() -> Found:
    return found_by(MANY, planted(MANY))


def test_planted_optimum_is_found_and_pruned_trials_enter_no_fit(found: Found) -> None:
    (rung,) = found.rungs
    assert isinstance(rung.optimum, Optimum)
    assert rung.optimum.values["epsilon"].point == pytest.approx(0.05, rel=0.01)
    assert rung.best is not None
    assert rung.best.state == "finished"
    pruned = [trial for trial in rung.trials if trial.state == "pruned"]
    assert len(pruned) == TRIALS // 6
    assert {(trial.score, trial.step, trial.is_fitted) for trial in pruned} == {(0.99, 100, False)}


def test_literal_is_python_that_a_study_takes(found: Found) -> None:
    text = literal(SEARCH, found.rungs[0])
    assert f"{SEARCH.name} {SEARCH.version}" in text
    assert '("objective.epsilon", 0.05' in text.replace("0.0499", "0.05")
    compile(text, "study", "exec")


def test_scores_on_test_queries_are_refused() -> None:
    frame = planted(SEARCH)
    key, run = next(iter(frame.runs.items()))
    with pytest.raises(ValueError, match="evaluated on test queries; a search looks at validation only"):
        found_by(SEARCH, replace(frame, runs={**frame.runs, key: replace(run, split="test")}))


def test_solver_that_did_not_converge_keeps_a_trial_from_the_fit_and_still_improving_does_not() -> None:
    frame = planted(SEARCH)
    flagged = {
        key: replace(run, state="flagged", flags=(flag,))
        for flag, (key, run) in zip(
            (Flag.SOLVER_NOT_CONVERGED, Flag.STILL_IMPROVING), list(frame.runs.items())[:2], strict=True
        )
    }
    by_key = {t.key: t for t in found_by(SEARCH, replace(frame, runs={**frame.runs, **flagged})).rungs[0].trials}
    assert [by_key[key].is_fitted for key in flagged] == [False, True]


BATCH = Parameter(name="batch", path="global_batch", domain=Choice(values=(("small", 64), ("large", 128))))
BETA = Parameter(name="beta", path="optimiser.beta2", domain=Choice(values=(("slow", 0.98), ("fast", 0.9))))


def test_each_label_of_a_choice_has_an_optimum_of_its_own() -> None:
    search = replace(SEARCH, space=(*SEARCH.space, BATCH), first=())
    frame = planted(SEARCH)
    small = {key: replace(run, sampled={**run.sampled, "batch": "small"}) for key, run in frame.runs.items()}
    large = {
        f"large-{key}": replace(
            run,
            key=f"large-{key}",
            sampled={**run.sampled, "batch": "large", "learning_rate": str(2 * float(run.sampled["learning_rate"]))},
        )
        for key, run in frame.runs.items()
    }
    found = found_by(search, replace(frame, runs=small | large))
    assert [(rung.choice, len(rung.trials)) for rung in found.rungs] == [("small", TRIALS), ("large", TRIALS)]
    optima = [rung.optimum for rung in found.rungs]
    assert isinstance(optima[0], Optimum)
    assert isinstance(optima[1], Optimum)
    ratio = optima[1].values["learning_rate"].point / optima[0].values["learning_rate"].point
    assert ratio == pytest.approx(2.0, rel=1e-3)
    assert 'Setting(label="large"' in literal(search, found.rungs[1])
    images = {rung.name: svg(draw_surface(search, rung)) for rung in found.rungs}
    assert "atlas-13k, large: the optimum" in page(found, images)


def test_two_choices_have_no_surface() -> None:
    found = found_by(replace(SEARCH, space=(*SEARCH.space, BATCH, BETA), first=()), planted(SEARCH))
    assert isinstance(found.rungs[0].optimum, NoOptimum)
    assert "batch, beta is a choice" in found.rungs[0].optimum.reason


def test_a_lone_choice_is_drawn_by_score_and_no_surface_is_spoken_of() -> None:
    search = replace(SEARCH, space=(BATCH,), first=())
    frame = planted(SEARCH)
    both = list(frame.runs.items())[:2]
    runs = {
        key: replace(run, sampled={"batch": label}) for (key, run), label in zip(both, ("small", "large"), strict=True)
    }
    found = found_by(search, replace(frame, runs=runs))
    figure = draw_surface(search, found.rungs[0])
    best_last = sorted(found.rungs[0].trials, key=lambda trial: trial.score or 0.0)
    drawn = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert drawn == [trial.sampled["batch"] for trial in best_last]
    text = page(found, {found.rungs[0].name: svg(figure)})
    assert "Trials by what was tried." in text
    assert "quadratic surface" not in text


def test_search_without_a_trial_says_how_to_run_it() -> None:
    with pytest.raises(ValueError, match="python -m harness search search_epsilon_lr"):
        found_by(SEARCH, replace(planted(SEARCH), runs={}))


def test_optimum_is_carried_to_the_largest_rung_and_the_nearest_trial_says_what_that_cost(many: Found) -> None:
    carried = many.transfer
    assert isinstance(carried, Transfer)
    assert carried.rung == MANY.all_rungs[-1].name
    _, rate = carried.predictions
    assert rate.exponent == pytest.approx(-0.25, abs=0.02)
    assert rate.point == pytest.approx(0.006 * (SIZES[carried.rung] / 1e4) ** -0.25, rel=0.05)
    assert rate.interval is not None
    assert carried.regret is not None
    assert abs(carried.regret) < 0.1
    assert not carried.declared


LARGEST = MANY.all_rungs[-1]
CHECKED = replace(
    MANY,
    rungs=MANY.rungs[:-1],
    verify=(Verification(rung=LARGEST, values={"epsilon": 0.05, "learning_rate": 0.003}),),
)


def test_prediction_for_a_rung_that_nobody_searched_is_verified_by_the_one_trial_there(many: Found) -> None:
    asked = {name: float(value) for name, value in CHECKED.verify[0].values.items()}
    one = record(0, LARGEST.name, asked)
    rival = record(1, LARGEST.name, {"epsilon": 0.03, "learning_rate": 0.012})

    def carried(*runs: RunRecord) -> Transfer:
        there = replace(many.rungs[-1], trials=tuple(trial_record(CHECKED, run) for run in runs))
        found = carry(CHECKED, (*many.rungs[:-1], there))
        assert isinstance(found, Transfer)
        return found

    waiting = carried()
    assert (waiting.verified, waiting.regret, waiting.declared) == (None, None, False)
    assert f'"learning_rate": {waiting.values["learning_rate"]!r}' in verification(CHECKED, waiting)
    alone = carried(one)
    assert alone.verified is not None
    assert (alone.verified.key, alone.declared, alone.regret) == (one.key, True, None)
    beside = carried(one, rival)
    assert beside.regret is not None
    assert beside.regret < 0.0


def test_prediction_without_a_trial_of_its_own_says_how_to_verify_it(many: Found) -> None:
    text = page(many, dict.fromkeys((rung.name for rung in many.rungs), b""))
    assert "verify=(Verification(rung=..., values=" in text


@pytest.mark.parametrize("name", ["found", "many"])
def test_page_and_document_tell_what_was_found(name: str, request: pytest.FixtureRequest) -> None:
    found: Found = request.getfixturevalue(name)
    search = found.search
    images = {rung.name: svg(draw_surface(search, rung)) for rung in found.rungs}
    text = page(found, images)
    assert text.count("<img ") == len(found.rungs)
    assert ("regret of" in text) == (search is MANY)
    assert all(answer(found, rung).startswith(rung.rung) for rung in found.rungs)
    told = document(found, source="planted")
    assert [rung["rung"] for rung in told["rungs"]] == [rung.name for rung in search.all_rungs]
    assert (told["transfer"] is None) == (search is SEARCH)
