"""What a study may conclude from: labels that exist, no law where there is no curve, and FLOPs that agree."""

from dataclasses import replace
from typing import Any

import pytest
from ir_measures import AP, nDCG

from studies.bases import ATLAS_COMPUTE, ATLAS_EPSILONS, ATLAS_LANGUAGES, ATLAS_OBJECTIVES, OPTICAL_ATLAS
from studies.bitext_amount import STUDY as AMOUNTS
from studies.clca_by_size import STUDY as CLCA
from studies.entities_by_size import STUDY as ENTITIES
from studies.epsilon_by_pair import STUDY as BY_PAIR
from studies.gap_by_size import STUDY as GAP
from studies.ladders import ATLAS
from studies.objectives_compared import STUDY as COMPARED
from studies.schema.alignment import Alignment
from studies.schema.axes import Tie, cross, rotations, vary
from studies.schema.cost import training_flops
from studies.schema.estimand import (
    AlignmentImprovement,
    DataCurve,
    EpsilonOptimum,
    ResourceEffect,
    SystemComparison,
    check_compute,
)
from studies.schema.key import run_key
from studies.schema.objective import Contrastive, Solver, Transport, UniformPlan
from studies.schema.optimiser import Schedule
from studies.schema.record import Role
from studies.schema.run import Student
from studies.schema.search import run_of
from studies.schema.study import Law, Study, expand, recipe
from studies.search_epsilon_by_pair import SEARCH

OBJECTIVES = {label: ATLAS_OBJECTIVES[label] for label in ("ot", "greedy")}
IMPROVED = AlignmentImprovement(measure=AP, alignment=Alignment(epsilon=0.01), reference="ot", against="greedy")
CURVE = {"law": Law.LOG_LINEAR, "hold_out": "atlas-13k"}
SHORT = Schedule(steps=100, warmup_steps=10)


def study(**changes: Any) -> Study:
    declared: dict[str, Any] = {
        "name": "compared",
        "version": "1",
        "question": "Which is best?",
        "base": OPTICAL_ATLAS,
        "axes": cross(
            ATLAS.axis("atlas-3k", "atlas-13k"),
            vary("objective", "objective", OBJECTIVES),
            rotations(2, ATLAS_LANGUAGES, low=0.1),
        ),
        "measures": (nDCG @ 10, AP),
        "estimand": SystemComparison(measure=AP, reference="ot", rung="atlas-13k"),
    }
    return Study(**(declared | changes))


def students(declared: Study) -> dict[str, Student]:
    return {point.key: point.run for point in expand(declared) if isinstance(point.run, Student)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"law": Law.POWER}, "fits no curve over size, and law power .* leave both out"),
        ({"hold_out": "atlas-13k"}, "leave both out"),
        ({"estimand": ResourceEffect(measure=AP)}, "declare its law and the rung it holds out"),
        ({"estimand": SystemComparison(measure=AP, reference="mse", rung="atlas-13k")}, "'mse', .* has ot, greedy"),
        ({"estimand": SystemComparison(measure=AP, reference="ot", rung="atlas-1M")}, "'atlas-1M', .* has atlas-3k"),
        ({"estimand": DataCurve(measure=AP, reference="ot", amount="500")}, "bitext axis has no setting"),
        ({"estimand": IMPROVED}, "declare its law and the rung it holds out"),
        ({**CURVE, "estimand": replace(IMPROVED, against="mse")}, "against is 'mse', .* has ot, greedy"),
        ({**CURVE, "estimand": replace(IMPROVED, alignment=Alignment(epsilon=0.03))}, "ot .* give Alignment another"),
        (
            {"axes": cross(ATLAS.axis("atlas-13k"), vary("objective", "objective", {"ot": OBJECTIVES["ot"]}))},
            "has ot alone, so there is nothing to compare",
        ),
        ({"ties": (Tie(where=(("objective", "mse"),), assign=(("schedule", SHORT),)),)}, "a tie stands at objective"),
        ({"ties": (Tie(where=(), assign=(("shedule", SHORT),)),)}, "no field 'shedule'.*did you mean schedule"),
    ],
)
def test_study_that_cannot_conclude_is_refused_when_it_is_written(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        study(**changes)


def test_improvement_asks_every_evaluation_for_the_alignment_it_declares() -> None:
    declared = study(**CURVE, estimand=IMPROVED)
    assert declared.evaluation.alignment == IMPROVED.alignment
    assert study().evaluation.alignment is None
    assert recipe(declared) != recipe(study(**CURVE, estimand=replace(IMPROVED, alignment=Alignment(epsilon=0.02))))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epsilon": 0.0}, "epsilon is 0.0; it must be above 0"),
        ({"tolerance": 1.0}, "marginal error between 0 and 1"),
        ({"depth": 0}, "Alignment.depth is 0; it must be at least 1"),
    ],
)
def test_alignment_that_cannot_be_measured_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(Alignment(epsilon=0.01), **change)


def test_improvement_under_one_objective_is_not_read_against_itself() -> None:
    with pytest.raises(ValueError, match="read against itself; name two objectives"):
        replace(IMPROVED, against="ot")


@pytest.mark.parametrize("other", [CLCA, ENTITIES], ids=lambda other: other.name)
def test_study_that_reads_the_runs_of_gap_by_size_trains_nothing_that_it_does_not(other: Study) -> None:
    shared = {point.key: point for point in expand(GAP)}
    assert all(shared[point.key] == point for point in expand(other))


def test_tie_assigns_where_all_of_its_labels_meet_and_nowhere_else() -> None:
    tie = Tie(where=(("rung", "atlas-3k"), ("objective", "greedy")), assign=(("schedule", SHORT),))
    tied = study(ties=(tie,))
    short = {
        (point.labels.rung, point.labels.objective)
        for point in expand(tied)
        if isinstance(point.run, Student) and point.role is Role.STUDENT and point.run.schedule == SHORT
    }
    assert short == {("atlas-3k", "greedy")}
    assert "ties" not in recipe(study())
    assert recipe(tied) != recipe(study())


def test_flops_are_the_encoders_and_the_objectives_and_grow_with_steps() -> None:
    run = OPTICAL_ATLAS
    flops = ATLAS_COMPUTE.flops(run)
    assert flops > training_flops(run, tokens_per_example=ATLAS_COMPUTE.student_tokens)
    half = replace(run, schedule=Schedule(steps=run.schedule.steps // 2, warmup_steps=0))
    assert ATLAS_COMPUTE.flops(half) == pytest.approx(flops / 2)
    assert ATLAS_COMPUTE.flops(run, iterations=100.0) > flops


@pytest.mark.parametrize("label", ATLAS_OBJECTIVES)
def test_matched_steps_have_the_flops_of_the_other_to_half_a_step(label: str) -> None:
    run = replace(OPTICAL_ATLAS, objective=ATLAS_OBJECTIVES[label])
    steps = ATLAS_COMPUTE.steps(run, as_much_as=OPTICAL_ATLAS)
    matched = replace(run, schedule=Schedule(steps=steps, warmup_steps=0))
    assert ATLAS_COMPUTE.flops(matched) == pytest.approx(ATLAS_COMPUTE.flops(OPTICAL_ATLAS), rel=0.5 / steps + 1e-9)
    check_compute(ATLAS_COMPUTE, {"ot": OPTICAL_ATLAS, label: matched})


def test_unmatched_flops_are_refused_when_a_study_is_written() -> None:
    with pytest.raises(ValueError, match=r"atlas-13k: .* is trained with .*more than 1% apart"):
        replace(COMPARED, ties=())


def test_compared_objectives_see_the_same_bitext_and_differ_only_as_declared() -> None:
    trained = [point for point in expand(COMPARED) if point.role is Role.STUDENT]
    by_cell: dict[tuple[str, str, str], list[Student]] = {}
    for point in trained:
        assert isinstance(point.run, Student)
        cell = (point.labels.rung, point.labels.rotation, point.labels.seed)
        by_cell.setdefault(cell, []).append(point.run)
    for runs in by_cell.values():
        assert len(runs) == len(ATLAS_OBJECTIVES)
        assert len({(run.bitext, run.global_batch, run.teacher, run.precision, run.seed) for run in runs}) == 1


def test_candidate_groups_cost_steps_and_the_reference_keeps_its_own() -> None:
    steps = {
        point.labels.objective: point.run.schedule.steps
        for point in expand(COMPARED)
        if isinstance(point.run, Student) and point.role is Role.STUDENT and point.labels.rung == "atlas-28k"
    }
    assert steps["ot"] == 600
    assert all(steps[label] < 600 for label, each in ATLAS_OBJECTIVES.items() if isinstance(each, Contrastive))


def test_amounts_are_labels_of_runs_and_other_studies_have_no_such_label() -> None:
    amounts = {point.labels.bitext for point in expand(AMOUNTS) if point.role in (Role.STUDENT, Role.DICTIONARY)}
    assert amounts == {"250", "500", "1000", "2000", "4000"}
    for point in expand(AMOUNTS):
        if isinstance(point.run, Student) and point.role is Role.STUDENT:
            assert point.run.bitext.lines == int(point.labels.bitext)
    assert all("bitext" not in point.labels.as_dict() for point in expand(COMPARED))


def over_epsilon(**changes: Any) -> Study:
    """A study over five epsilons, two joint students and one of a single language."""
    first = ATLAS_LANGUAGES[0]
    half = tuple((language, 1.0 if language == first else 0.1) for language in ATLAS_LANGUAGES)
    swapped = tuple((language, 0.1 if language == first else 1.0) for language in ATLAS_LANGUAGES)
    alone = tuple((language, float(language == first)) for language in ATLAS_LANGUAGES)
    bitexts = {"joint": half, "swapped": swapped, first: alone} | changes.pop("bitexts", {})
    epsilons = {str(each): Transport(epsilon=each) for each in (0.01, 0.02, 0.04, 0.08, 0.16)}
    axes = cross(
        vary("objective", "objective", epsilons | changes.pop("epsilons", {})),
        vary("bitext", "bitext.exposure", bitexts),
    )
    optimum = EpsilonOptimum(measure=AP, joint=("joint", "swapped"), search="search_it")
    return study(**({"axes": axes, "estimand": optimum, "rivals": ()} | changes))


def test_optimum_over_epsilon_is_declared_with_its_controls() -> None:
    assert isinstance(over_epsilon().estimand, EpsilonOptimum)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"law": Law.POWER}, "a EpsilonOptimum fits no curve over size"),
        ({"estimand": EpsilonOptimum(measure=AP, joint=("joint", "both"), search="search_it")}, "joint is 'both'"),
        ({"epsilons": {"0.16": UniformPlan()}}, "'0.16' is UniformPlan.*needs Sinkhorn's"),
        ({"epsilons": {"0.16": Transport(epsilon=0.0, solver=Solver.EXACT)}}, "a curve over epsilon needs Sinkhorn's"),
        ({"epsilons": {"0.16": Transport(epsilon=0.16, tolerance=1e-3)}}, "let epsilon alone differ"),
        ({"bitexts": {"sw": tuple((language, 1.0) for language in ATLAS_LANGUAGES)}}, "named after the one language"),
        (
            {"bitexts": {"swapped": tuple((language, 0.2) for language in ATLAS_LANGUAGES)}},
            "ru, ar, .* have one exposure alone between joint, swapped",
        ),
        (
            {"ties": (Tie(where=(("bitext", "joint"),), assign=(("optimiser.learning_rate", 0.5),)),)},
            "has two epsilons or learning rates",
        ),
    ],
)
def test_curve_over_epsilon_that_cannot_conclude_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        over_epsilon(**changes)


def test_parabola_needs_epsilons_to_spare() -> None:
    axes = cross(
        vary("objective", "objective", {str(each): Transport(epsilon=each) for each in (0.01, 0.02, 0.04, 0.08)}),
        vary("bitext", "bitext.lines", {"joint": 100, "swapped": 200}),
    )
    with pytest.raises(ValueError, match="has 4 epsilons, and a parabola needs 5"):
        over_epsilon(axes=axes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"joint": ("joint",)}, "read from joint bitexts joint; name two or more"),
        ({"joint": ("joint", "joint")}, "name two or more"),
        ({"search": "first_look"}, "'first_look' is no search"),
    ],
)
def test_optimum_without_control_or_tuning_is_no_estimand(changes: dict[str, Any], message: str) -> None:
    declared: dict[str, Any] = {"measure": AP, "joint": ("joint", "swapped"), "search": "search_it"}
    with pytest.raises(ValueError, match=message):
        EpsilonOptimum(**(declared | changes))


def test_joint_students_are_those_that_the_search_of_their_rates_trained() -> None:
    rung = SEARCH.all_rungs[0]
    tried = {run_key(run_of(SEARCH, rung, values)): values for values in SEARCH.first}
    joint = [point for point in expand(BY_PAIR) if point.labels.bitext == "joint" and point.labels.seed == "0"]
    assert [tried[point.key]["epsilon"] for point in joint] == list(ATLAS_EPSILONS)
    assert SEARCH.trials == len(tried)
    assert isinstance(BY_PAIR.estimand, EpsilonOptimum)
    assert BY_PAIR.estimand.search == SEARCH.name
