"""Each language is withheld once, at the same number of lines, or the study is refused when it is written."""

from dataclasses import replace
from typing import Any

import pytest
from ir_measures import nDCG

from studies.bases import ATLAS_SEVEN
from studies.schema.axes import Axis, cross, rotations, vary, withheld
from studies.schema.cost import training_flops
from studies.schema.estimand import UnseenDegradation
from studies.schema.lineage import embedded
from studies.schema.record import Role
from studies.schema.run import Student
from studies.schema.study import bitexts, expand
from studies.schema.withheld import withheld_by
from studies.unseen_pairs import LINES, STUDY

LANGUAGES = ATLAS_SEVEN.languages
OBJECTIVES = next(axis for axis in STUDY.axes if axis.name == "objective")
ENGLISH_ALONE = UnseenDegradation(measure=nDCG @ 10, reference="ot", against="pooled-mse", trained="all")


def test_every_rotation_has_the_same_lines_and_withholds_another_language() -> None:
    by_rotation = bitexts(expand(STUDY))
    assert {bitext.total_lines for bitext in by_rotation.values()} == {LINES}
    estimand = STUDY.estimand
    assert isinstance(estimand, UnseenDegradation)
    assert withheld_by(estimand, by_rotation, STUDY.pairs) == {
        f"without-{language}": language for language in LANGUAGES
    }


def test_arms_differ_in_bitext_alone_and_the_translator_sees_what_the_student_sees() -> None:
    points = expand(STUDY)
    students = [point for point in points if point.role is Role.STUDENT]
    for label in ("ot", "pooled-mse"):
        alike = {
            replace(point.run, bitext=STUDY.base.bitext, seed=0)
            for point in students
            if (point.labels.objective == label and point.labels.rotation != "direct")
            and isinstance(point.run, Student)
        }
        assert len(alike) == 1
    read = {(point.labels.rotation, point.labels.seed): point.run for point in students}
    for point in points:
        if point.role is Role.TRANSLATOR:
            assert point.run.bitext == read[point.labels.rotation, point.labels.seed].bitext  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        (rotations(2, LANGUAGES, low=0.1), "the estimand's trained is 'all', the rotation axis has 0, 1"),
        (
            Axis(name="rotation", settings=withheld(LANGUAGES, lines=LINES).settings[:1]),
            "the rotation axis has all alone",
        ),
        (
            vary("rotation", "bitext.exposure", {
                "all": tuple((language, 1.0) for language in LANGUAGES),
                "without-sw": tuple((language, float(language != "sw")) for language in LANGUAGES),
            }),
            "rotation without-sw has 24012 lines in all, all has 28014",
        ),
        (
            vary("rotation", "bitext.lines", {"all": 4002, "fewer": 4001}),
            "rotation fewer withholds no language; all withholds none and every other rotation exactly one",
        ),
    ],
)  # fmt: skip
def test_rotations_that_withhold_nothing_or_change_the_budget_are_refused(axis: Axis, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(STUDY, axes=cross(OBJECTIVES, axis), ties=(), pairs=(), estimand=ENGLISH_ALONE)


def test_direct_lines_are_those_of_the_studys_pairs_and_nowhere_else() -> None:
    with pytest.raises(
        ValueError, match=r"rotation direct has direct lines of sw-te, .* where those of no pair are asked"
    ):
        replace(STUDY, pairs=())
    with pytest.raises(ValueError, match="rotation direct withholds no language"):
        replace(STUDY, estimand=ENGLISH_ALONE)
    with pytest.raises(ValueError, match="pair sw-en is not of two languages of the embedded collection"):
        replace(STUDY, pairs=(("sw", "en"),))


def test_direct_students_are_charged_for_reading_the_other_side_and_take_fewer_steps() -> None:
    steps = {
        point.labels.rotation: point.run.schedule.steps
        for point in expand(STUDY)
        if isinstance(point.run, Student) and point.role is Role.STUDENT and point.labels.objective == "ot"
    }
    bitext = bitexts(expand(STUDY))["direct"]
    assert bitext.direct_lines == LINES // 2
    plain = training_flops(STUDY.base, tokens_per_example=9.0)
    assert training_flops(replace(STUDY.base, bitext=bitext), tokens_per_example=9.0) == pytest.approx(plain * 7 / 6)
    assert steps["direct"] < steps["all"] == steps["without-sw"]


@pytest.mark.parametrize(
    ("direct", "message"),
    [
        ((("sw", "sw"),), "pairs sw with sw; pair a language of"),
        ((("sw", "en"),), "pairs sw with en"),
        ((("sw", "te"), ("sw", "mr")), "with one other"),
        ((("so", "te"),), "one of them has exposure 0"),
    ],
)
def test_direct_pairs_are_of_two_languages_with_lines(direct: tuple[tuple[str, str], ...], message: str) -> None:
    exposure = tuple((language, float(language != "so")) for language in LANGUAGES)
    with pytest.raises(ValueError, match=message):
        replace(embedded(STUDY.base)[1], exposure=exposure, direct=direct)


@pytest.mark.parametrize(("languages", "lines"), [(("sw",), 42), (LANGUAGES, 28_000)])
def test_lines_that_cannot_be_shared_out_are_refused(languages: tuple[str, ...], lines: int) -> None:
    with pytest.raises(ValueError, match="cannot be shared out evenly"):
        withheld(languages, lines=lines)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"against": "ot"}, "read against that under the same objective"),
        ({"against": "greedy"}, "against is 'greedy', the objective axis has ot, pooled-mse"),
    ],
)
def test_estimand_names_two_objectives_of_the_study(changes: dict[str, Any], message: str) -> None:
    declared: dict[str, Any] = {"measure": nDCG @ 10, "reference": "ot", "against": "pooled-mse", "trained": "all"}
    with pytest.raises(ValueError, match=message):
        replace(STUDY, estimand=UnseenDegradation(**(declared | changes)))
