"""FLOPs of objectives: what is counted grows as it should, and what must be known is asked for."""

from dataclasses import replace

import pytest

from studies.schema.objective import Contrastive, Form, Objective, PooledMSE, ScoreKL, Transport, WeightedSum
from studies.schema.objective_cost import SCALING, objective_flops
from tests.studies.test_objective import OBJECTIVES, OT


def flops(objective: Objective, n: float = 10, m: float = 15, iterations: float | None = 30) -> float:
    return objective_flops(objective, student_tokens=n, teacher_tokens=m, token_size=64, iterations=iterations)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda objective: type(objective).__name__)
def test_every_objective_costs_more_for_more_tokens(objective: Objective) -> None:
    assert 0 < flops(objective) < flops(objective, n=11) < flops(objective, n=11, m=16)


def test_iterations_of_the_solver_are_in_the_count() -> None:
    assert flops(OT, iterations=40) - flops(OT, iterations=30) == 10 * SCALING * 10 * 15
    assert flops(PooledMSE(), iterations=None) == flops(PooledMSE(), iterations=30)
    with pytest.raises(ValueError, match="solver sinkhorn depend on its iterations"):
        flops(OT, iterations=None)


def test_sum_costs_what_its_terms_cost() -> None:
    terms = (OT, PooledMSE())
    assert flops(WeightedSum(terms=terms, weights=(1.0, 3.0))) == sum(flops(term) for term in terms)


def test_divergence_costs_three_plans_and_a_group_its_candidates() -> None:
    assert 2 * flops(OT, n=12, m=12) < flops(replace(OT, form=Form.DIVERGENCE), n=12, m=12) < 4 * flops(OT, n=12, m=12)
    small, large = (flops(Contrastive(group_size=size, temperature=0.1)) for size in (8, 16))
    assert 1.9 < large / small < 2
    assert flops(ScoreKL(group_size=8, temperature=0.1)) > small
    assert flops(Transport(epsilon=0.03, unbalanced=1.0)) > flops(OT)
