"""A study: checked when it is written, expanded in order, and recorded so that a change under it is seen."""

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from ir_measures import AP, RR, R, nDCG

from studies.bases import ATLAS_LANGUAGES, ATLAS_TEACHER, OPTICAL_ATLAS
from studies.ladders import ATLAS
from studies.schema.axes import Axis, Setting, cross, rotations, seeds, vary
from studies.schema.execution import Execution
from studies.schema.key import run_key
from studies.schema.lineage import embedded, needs
from studies.schema.objective import Transport
from studies.schema.record import Role
from studies.schema.run import LookUp, Student
from studies.schema.storage import RecipeChanged, Storage
from studies.schema.study import Labels, Law, Point, ResourceEffect, Scale, Study, expand, recipe

FIRST, LEFT_OUT, LAST = (rung.name for rung, _ in ATLAS.rungs[:3])
RUNGS = (FIRST, LAST)
OBJECTIVES = {"sharp": Transport(epsilon=0.01), "soft": Transport(epsilon=0.1)}


def study(**changes: Any) -> Study:
    declared: dict[str, Any] = {
        "name": "tried",
        "version": "1",
        "question": "Is it checked?",
        "base": OPTICAL_ATLAS,
        "axes": cross(
            ATLAS.axis(*RUNGS),
            vary("objective", "objective", OBJECTIVES),
            rotations(2, ATLAS_LANGUAGES, low=0.1),
            seeds(2),
        ),
        "measures": (nDCG @ 10, AP),
        "estimand": ResourceEffect(measure=nDCG @ 10),
        "law": Law.LOG_LINEAR,
        "hold_out": LAST,
    }
    return Study(**(declared | changes))


def of_role(points: tuple[Point, ...], role: Role) -> list[Point]:
    return [point for point in points if point.role is role]


def test_cross_expands_to_the_product_in_the_order_of_the_axes() -> None:
    students = of_role(expand(study()), Role.STUDENT)
    expected = product(RUNGS, OBJECTIVES, ("0", "1"), ("0", "1"))
    assert [tuple(point.labels.as_dict().values()) for point in students] == list(expected)
    for point in students:
        assert isinstance(point.run, Student)
        assert point.run.rung.name == point.labels.rung
        assert point.run.objective == OBJECTIVES[point.labels.objective]
        assert str(point.run.seed) == point.labels.seed
        rate = {rung.name: rate for rung, rate in ATLAS.rungs}[point.labels.rung]
        assert point.run.optimiser.learning_rate == rate


def test_expansion_lists_teachers_then_rivals_then_students_each_once() -> None:
    points = expand(study())
    roles = [point.role for point in points]
    order = [Role.TEACHER, Role.UNTRAINED, Role.DICTIONARY, Role.COPY_THROUGH, Role.STUDENT]
    assert [role for place, role in enumerate(roles) if role not in roles[:place]] == order
    assert roles == sorted(roles, key=order.index)
    assert [roles.count(role) for role in order] == [1, len(RUNGS) * 2, 2, 1, len(RUNGS) * len(OBJECTIVES) * 2 * 2]
    assert all(point.key == run_key(point.run) for point in points)
    assert len({point.key for point in points}) == len(points)
    assert len({(point.role, point.labels) for point in points}) == len(points)


def test_untrained_student_took_no_step_and_is_one_for_every_rung_and_seed() -> None:
    for point in of_role(expand(study()), Role.UNTRAINED):
        assert isinstance(point.run, Student)
        assert point.run.schedule.steps == 0
        assert point.labels == Labels(rung=point.run.rung.name, seed=str(point.run.seed))


def test_dictionary_reads_the_lines_of_its_rotation_and_copying_reads_none() -> None:
    points = expand(study())
    exposures = {
        point.labels.rotation: embedded(point.run)[1]
        for point in of_role(points, Role.STUDENT)
        if isinstance(point.run, Student)
    }
    for point in of_role(points, Role.DICTIONARY):
        assert point.run == LookUp(teacher=ATLAS_TEACHER, bitext=exposures[point.labels.rotation])
    (copying,) = of_role(points, Role.COPY_THROUGH)
    assert copying.run == LookUp(teacher=ATLAS_TEACHER, bitext=None)


def test_rivals_are_those_asked_for() -> None:
    roles = {point.role for point in expand(study(rivals=(Role.COPY_THROUGH,)))}
    assert roles == {Role.TEACHER, Role.COPY_THROUGH, Role.STUDENT}


def test_axis_may_vary_the_teacher_and_every_student_then_has_its_own() -> None:
    points = expand(study(axes=cross(ATLAS.axis(*RUNGS), vary("seed", "teacher.seed", {"0": 0, "1": 1}))))
    assert len(of_role(points, Role.TEACHER)) == 2
    teachers = {point.run for point in of_role(points, Role.TEACHER)}
    assert {run for point in points for run in needs(point.run)} == teachers
    assert len(of_role(points, Role.STUDENT)) == 4


def test_tied_fields_move_together() -> None:
    settings = tuple(
        Setting(label=str(steps), assign=(("schedule.steps", steps), ("schedule.warmup_steps", steps // 10)))
        for steps in (1000, 2000)
    )
    tied = cross(ATLAS.axis(*RUNGS), Axis(name="objective", settings=settings))
    for point in of_role(expand(study(axes=tied)), Role.STUDENT):
        assert isinstance(point.run, Student)
        assert point.run.schedule.warmup_steps * 10 == point.run.schedule.steps == int(point.labels.objective)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"axes": cross(ATLAS.axis(*RUNGS), vary("seed", "sede", {"0": 0}))}, "no field 'sede'.*it has .*seed"),
        ({"axes": cross(ATLAS.axis(*RUNGS), vary("seed", "seed", {"0": "0"}))}, "'seed' holds int, not str: '0'"),
        ({"axes": cross(ATLAS.axis(*RUNGS), seeds(1), seeds(2))}, "axes rung, seed, seed"),
        ({"axes": cross(ATLAS.axis(*RUNGS), vary("seed", "seed", {"a": 1, "b": 1}))}, "the same run twice"),
        ({"axes": cross(seeds(1))}, rf"held-out rung '{LAST}' is none of the study's rungs \[\]"),
        ({"hold_out": LEFT_OUT}, f"held-out rung '{LEFT_OUT}' is none of .*'{FIRST}', '{LAST}'"),
        ({"estimand": ResourceEffect(measure=RR)}, "estimand's measure RR is not among"),
        ({"measures": (nDCG @ 10, R @ 1000)}, "R@1000 looks deeper than the 100 passages"),
        ({"executions": ((LEFT_OUT, Execution()),)}, f"an execution is given for rung '{LEFT_OUT}'"),
    ],
)
def test_study_that_cannot_be_meant_is_refused_when_it_is_written(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        study(**changes)


@pytest.mark.parametrize(
    ("execution", "message"),
    [
        (Execution(workers=3), "global batch of 64 does not divide over 3 workers in calls of 21"),
        (Execution(micro_batch=48), "192 held-out examples do not divide over 2 workers in calls of at most 48"),
        (Execution(workers=1, micro_batch=96), "global batch of 256 does not divide over 1 workers in calls of 96"),
        (
            Execution(workers=4, micro_batch=16),
            "micro-batch 16, 4 workers. splits a candidate group of 32; make it a multiple",
        ),
    ],
)
def test_batch_that_does_not_divide_is_refused_with_the_arithmetic(execution: Execution, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        study(execution=execution)


def test_batch_is_checked_for_the_rung_that_has_its_own_execution() -> None:
    alone = Execution(workers=1, micro_batch=32)
    fitting = study(executions=((FIRST, alone),))
    chosen = {point.labels.rung: fitting.execution_of(point) for point in of_role(expand(fitting), Role.STUDENT)}
    assert chosen == {FIRST: alone, LAST: fitting.execution}
    with pytest.raises(ValueError, match="does not divide over 5 workers"):
        study(executions=((FIRST, Execution(workers=5)),))


@pytest.mark.parametrize(
    "change",
    [
        {"zero_stage": 4},
        {"workers": 0},
        {"micro_batch": 0},
        {"threads": 0},
        {"log_every": 0},
        {"keep_checkpoints": 0},
        {"checkpoint_every": 15},
        {"workers_min": 0},
        {"workers_min": 3},
        {"max_preemptions": -1},
    ],
    ids=str,
)
def test_execution_that_cannot_be_is_refused_naming_the_field(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(change))}.* {next(iter(change.values()))}"):
        Execution(**change)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"base": replace(OPTICAL_ATLAS, dropout=0.1)}, "base.dropout: 0.0 -> 0.1"),
        ({"base": replace(OPTICAL_ATLAS, teacher=replace(ATLAS_TEACHER, seed=1))}, "base.teacher.seed: 0 -> 1"),
        ({"measures": (nDCG @ 10, RR)}, r'measures\[1\]: "AP" -> "RR"'),
        ({"law": Law.POWER}, 'law: "log_linear" -> "power"'),
        ({"hold_out": FIRST}, f'hold_out: "{LAST}" -> "{FIRST}"'),
        ({"depth": 50}, "depth: 100 -> 50"),
        ({"estimand": ResourceEffect(measure=nDCG @ 10, scale=Scale.RAW)}, "estimand.scale"),
        ({"rivals": (Role.UNTRAINED,)}, "rivals"),
        ({"axes": cross(ATLAS.axis(*RUNGS), vary("objective", "objective", OBJECTIVES))}, "axes"),
    ],
)
def test_recipe_changed_under_its_version_is_refused_naming_the_field(
    storage: Path, changes: dict[str, Any], field: str
) -> None:
    place = Storage.at(storage)
    place.record_recipe("tried", "1", recipe(study()))
    with pytest.raises(RecipeChanged, match=field):
        place.record_recipe("tried", "1", recipe(study(**changes)))
    place.record_recipe("tried", "2", recipe(study(version="2", **changes)))


def test_recipe_stays_when_only_wording_or_execution_moves(storage: Path) -> None:
    place = Storage.at(storage)
    place.record_recipe("tried", "1", recipe(study()))
    reworded = study(question="Asked otherwise?", execution=Execution(workers=1))
    place.record_recipe("tried", "1", recipe(reworded))
    assert recipe(reworded) == recipe(study())
