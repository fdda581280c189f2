"""A run in short texts: nothing that tells two runs apart is lost, and what another run says is not repeated."""

from dataclasses import replace

import pytest

from harness.delivery import MAX_PARAMETER_CHARACTERS, parameters
from harness.description import described, flattened
from studies.bases import ATLAS_BITEXT, ATLAS_TEACHER, OPTICAL_ATLAS
from studies.schema.key import Json, canonical, run_key
from studies.schema.objective import Contrastive, PooledMSE, Transport, WeightedSum
from studies.schema.run import LookUp, Run

TEACHER = ATLAS_TEACHER


def texts(run: Run) -> dict[str, str]:
    choices = canonical(run)
    assert isinstance(choices, dict)
    return described(choices)


def test_student_is_told_in_few_texts_with_its_teacher_by_key() -> None:
    found = texts(OPTICAL_ATLAS)
    assert len(found) < 40
    assert found["teacher"] == run_key(TEACHER)
    assert not any(name.startswith("teacher.") for name in found)
    assert found["objective.type"] == "Transport"
    assert found["bitext.collection.languages"] == " ".join(ATLAS_BITEXT.collection.languages)
    assert found["dropout"] == "0"
    assert found["rung.weights"] == "none"


def test_exposure_reads_as_language_and_share() -> None:
    shares: Json = [["de", 1.0], ["ru", 0.1]]
    assert dict(flattened(shares, "exposure")) == {"exposure": "de=1, ru=0.1"}


@pytest.mark.parametrize("value", [["a b", "c"], [["de", "a=b"], ["ru", "c"]], ["a,", "b"]])
def test_list_whose_items_hold_a_separator_is_not_joined(value: Json) -> None:
    assert dict(flattened(value, "names")) == {"names": str(value)}


@pytest.mark.parametrize(
    "other",
    [
        replace(OPTICAL_ATLAS, seed=1),
        replace(OPTICAL_ATLAS, teacher=replace(TEACHER, seed=1)),
        replace(OPTICAL_ATLAS, teacher=replace(TEACHER, objective=Contrastive(group_size=32, temperature=0.06))),
        replace(OPTICAL_ATLAS, bitext=replace(ATLAS_BITEXT, exposure=ATLAS_BITEXT.exposure[::-1])),
        replace(OPTICAL_ATLAS, objective=Transport(epsilon=0.03 + 1e-12)),
        LookUp(teacher=TEACHER, bitext=ATLAS_BITEXT),
        LookUp(teacher=TEACHER, bitext=None),
        TEACHER,
    ],
)
def test_other_run_has_other_texts(other: Run) -> None:
    assert texts(other) != texts(OPTICAL_ATLAS)


def test_terms_of_a_sum_stand_by_their_place() -> None:
    terms = (Transport(epsilon=0.1), PooledMSE())
    found = texts(replace(OPTICAL_ATLAS, objective=WeightedSum(terms=terms, weights=(1.0, 0.5))))
    assert found["objective.terms.0.type"] == "Transport"
    assert found["objective.terms.0.epsilon"] == "0.1"
    assert found["objective.terms.1.type"] == "PooledMSE"
    assert found["objective.weights"] == "1 0.5"


def test_parameter_too_long_for_mlflow_is_refused_not_cut() -> None:
    name = "x" * (MAX_PARAMETER_CHARACTERS + 1)
    with pytest.raises(ValueError, match=r"rung\.name has 6001 characters"):
        parameters({"run": {"rung": {"name": name}}, "parameters": {"total": 1}})
