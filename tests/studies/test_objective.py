"""Objectives: what makes no sense together is refused when written, and later fields leave earlier keys alone."""

import json
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any

import pytest

from studies.bases import ATLAS_TEACHER, OPTICAL_ATLAS
from studies.schema.added import ADDED, is_added
from studies.schema.alignment import Alignment
from studies.schema.batches import check_batches
from studies.schema.estimand import UnseenDegradation
from studies.schema.execution import Execution
from studies.schema.key import canonical, run_key
from studies.schema.objective import (
    Contrastive,
    ExactAssignment,
    Form,
    Gradient,
    GreedyAlignment,
    Marginals,
    Objective,
    PooledMSE,
    ScoreKL,
    Solver,
    Transport,
    UniformPlan,
    WeightedSum,
    group_size_of,
    uses_idf,
)
from studies.schema.parallel import ParallelText
from studies.schema.run import Student
from studies.schema.rung import Architecture

OT = Transport(epsilon=0.03)
OBJECTIVES: tuple[Objective, ...] = (
    OT,
    Transport(epsilon=0.0, solver=Solver.EXACT),
    Transport(epsilon=0.0, solver=Solver.PROXIMAL, proximal_weight=0.3),
    replace(OT, marginals=Marginals.IDF),
    replace(OT, gradient=Gradient.ENVELOPE),
    replace(OT, gradient=Gradient.UNROLLED, unrolled_iterations=20),
    replace(OT, form=Form.DIVERGENCE),
    replace(OT, form=Form.DIVERGENCE, gradient=Gradient.ENVELOPE),
    replace(OT, unbalanced=0.5),
    UniformPlan(),
    GreedyAlignment(),
    ExactAssignment(),
    PooledMSE(),
    Contrastive(group_size=32, temperature=0.05),
    ScoreKL(group_size=32, temperature=0.05),
    WeightedSum(terms=(OT, PooledMSE()), weights=(1.0, 0.5)),
    WeightedSum(terms=(OT, PooledMSE()), weights=(0.5, 1.0)),
)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epsilon": 0.0}, r"Transport\.epsilon is 0\.0; it must be above 0 .* use solver exact or proximal"),
        ({"epsilon": float("inf")}, "epsilon is inf.*UniformPlan"),
        ({"solver": Solver.EXACT}, r"Transport\.epsilon is 0\.03, and solver exact has no entropy; write 0\.0"),
        ({"solver": Solver.PROXIMAL, "proximal_weight": 0.1}, "solver proximal has no entropy"),
        ({"solver": Solver.PROXIMAL, "epsilon": 0.0}, r"proximal_weight is None; solver proximal needs it"),
        ({"solver": Solver.PROXIMAL, "epsilon": 0.0, "proximal_weight": 0.0}, "proximal_weight is 0.0"),
        ({"solver": Solver.EXACT, "epsilon": 0.0, "proximal_weight": 0.1}, "used by solver proximal alone; leave it"),
        (
            {"solver": Solver.EXACT, "epsilon": 0.0, "gradient": Gradient.UNROLLED, "unrolled_iterations": 5},
            "gradient is unrolled, which solver exact does not offer",
        ),
        ({"solver": Solver.EXACT, "epsilon": 0.0, "gradient": Gradient.ENVELOPE}, "leave the gradient out"),
        ({"solver": Solver.EXACT, "epsilon": 0.0, "form": Form.DIVERGENCE}, "form is divergence, which needs"),
        ({"solver": Solver.EXACT, "epsilon": 0.0, "unbalanced": 1.0}, "unbalanced is 1.0, which needs an entropy"),
        ({"solver": Solver.EXACT, "epsilon": 0.0, "max_iterations": 9}, "max_iterations is 9; the exact solver runs"),
        ({"gradient": Gradient.UNROLLED}, "unrolled_iterations is None; gradient unrolled needs it"),
        ({"gradient": Gradient.UNROLLED, "unrolled_iterations": 0}, "unrolled_iterations is 0"),
        ({"unrolled_iterations": 5}, "unrolled_iterations is 5, which is used by gradient unrolled alone"),
        ({"unbalanced": 0.0}, r"Transport\.unbalanced is 0\.0; it must be above 0"),
        ({"unbalanced": 1.0, "form": Form.DIVERGENCE}, "in a debiased divergence.*leave out one"),
        ({"unbalanced": 1.0, "gradient": Gradient.UNROLLED, "unrolled_iterations": 5}, "use the detached or envelope"),
    ],
)
def test_options_that_contradict_each_other_are_refused_naming_the_field(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(OT, **change)


@pytest.mark.parametrize(
    ("terms", "weights", "message"),
    [
        ((OT,), (1.0,), "at least two objectives"),
        ((OT, Transport(epsilon=0.1)), (1.0, 1.0), "each of another kind"),
        ((OT, WeightedSum(terms=(UniformPlan(), PooledMSE()), weights=(1.0, 1.0))), (1.0, 1.0), "none a sum"),
        ((OT, PooledMSE()), (1.0,), r"weights are \(1\.0,\) for 2 terms"),
        ((OT, PooledMSE()), (1.0, 0.0), r"weights holds 0\.0"),
        ((OT, PooledMSE()), (1.0, float("nan")), "weights holds nan"),
    ],
)
def test_sum_that_cannot_be_told_apart_is_refused(terms: Any, weights: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WeightedSum(terms=terms, weights=weights)


@pytest.mark.parametrize("kind", [Contrastive, ScoreKL])
def test_group_objective_needs_a_group_and_a_temperature(kind: Any) -> None:
    with pytest.raises(ValueError, match=rf"{kind.__name__}\.group_size is 1; it must be at least 2"):
        kind(group_size=1, temperature=0.1)
    with pytest.raises(ValueError, match=rf"{kind.__name__}\.temperature is 0; it must be above 0"):
        kind(group_size=2, temperature=0)


def test_every_objective_is_another_run() -> None:
    keys = {run_key(replace(OPTICAL_ATLAS, objective=objective)) for objective in OBJECTIVES}
    assert len(keys) == len(OBJECTIVES)


def test_sum_needs_groups_that_hold_those_of_all_its_terms() -> None:
    terms = (Contrastive(group_size=4, temperature=0.1), ScoreKL(group_size=6, temperature=0.1), OT)
    assert group_size_of(WeightedSum(terms=terms, weights=(1.0, 1.0, 1.0))) == 12
    assert {group_size_of(objective) for objective in OBJECTIVES} == {1, 32}


def test_only_idf_marginals_ask_for_frequencies() -> None:
    idf = replace(OT, marginals=Marginals.IDF)
    assert [objective for objective in OBJECTIVES if uses_idf(objective)] == [idf]
    assert uses_idf(WeightedSum(terms=(PooledMSE(), idf), weights=(1.0, 1.0)))


@pytest.mark.parametrize("kind", [Contrastive, ScoreKL])
def test_micro_batch_that_splits_a_student_s_group_is_refused(kind: Any) -> None:
    student = replace(OPTICAL_ATLAS, objective=kind(group_size=32, temperature=0.1))
    check_batches(student, Execution(workers=2, micro_batch=64))
    with pytest.raises(ValueError, match=r"call of 16 examples .* splits a candidate group of 32"):
        check_batches(student, Execution(workers=2, micro_batch=16))
    with pytest.raises(ValueError, match="global batch 256 does not divide into candidate groups of 48"):
        replace(OPTICAL_ATLAS, objective=kind(group_size=48, temperature=0.1))


ADDED_DEFAULTS = {
    Transport: {
        "solver": "sinkhorn",
        "marginals": "uniform",
        "gradient": "detached",
        "form": "cost",
        "unbalanced": None,
        "proximal_weight": None,
        "unrolled_iterations": None,
    },
    Architecture: {"head_size": None, "key_value_heads": None, "type_vocabulary_size": 1},
    Student: {"frozen_embeddings": False, "pretraining": None},
    ParallelText: {"exposure": [], "kept_out": [], "kept_out_text": []},
    Alignment: {"sentences": []},
    UnseenDegradation: {"apart": []},
}
"""A default that changed would silently give the keys of old runs to others."""


@pytest.mark.parametrize("kind", ADDED_DEFAULTS, ids=lambda kind: kind.__name__)
def test_defaults_of_added_fields_are_those_on_record(kind: type[Any]) -> None:
    found = {declared.name: canonical(declared.default) for declared in fields(kind) if is_added(declared)}
    assert found == ADDED_DEFAULTS[kind]


@dataclass(frozen=True, kw_only=True)
class Before:
    size: int


def test_added_field_is_left_out_at_its_default_and_only_there() -> None:
    earlier = canonical(Before(size=1))

    @dataclass(frozen=True, kw_only=True)
    class After:
        size: int
        share: float = field(default=1.0, metadata=ADDED)
        names: tuple[str, ...] = field(default=(), metadata=ADDED)

    def spelled(value: Any) -> Any:
        described = canonical(value)
        assert isinstance(described, dict)
        return described | {"type": "Before"}

    assert spelled(After(size=1)) == earlier
    others = [After(size=1, share=s, names=n) for s in (1.0, 1, True, 2.0) for n in ((), ("a",))]
    texts = {json.dumps(spelled(value), sort_keys=True) for value in others}
    assert len(texts) == len(others)


def test_added_field_without_a_default_is_refused() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Wrong:
        size: int = field(metadata=ADDED)

    assert fields(Wrong)[0].default is MISSING
    with pytest.raises(TypeError, match="size is marked as added later and has no default"):
        canonical(Wrong(size=1))


def test_key_of_a_run_declared_before_the_options_is_what_it_was() -> None:
    described = canonical(OPTICAL_ATLAS)
    assert isinstance(described, dict)
    assert described["objective"] == {"type": "Transport", "epsilon": 0.03, "tolerance": 1e-4, "max_iterations": 2000}
    assert group_size_of(ATLAS_TEACHER.objective) == 32
