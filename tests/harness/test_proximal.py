"""Proximal points against the linear program, and the guarantee at which they stop."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.transport.exact import exact
from harness.transport.problem import Problem, uniform_problem
from harness.transport.proximal import proximal
from tests.oracles import linear_program_cost
from tests.strategies import Clouds, alone, clouds, uneven

WEIGHTS = st.sampled_from((0.03, 0.3, 3.0))


@settings(max_examples=12)
@given(clouds(max_tokens=6), st.integers(0, 2**31), st.sampled_from((1e-2, 1e-3)))
def test_proximal_cost_is_within_its_tolerance_of_the_linear_program(
    drawn: Clouds, seed: int, tolerance: float
) -> None:
    problem = uneven(drawn.problem(), seed)
    plan = proximal(problem, weight=0.3, tolerance=tolerance, max_iterations=3_000)
    assert bool(plan.converged_B.all())
    for b in range(len(problem.cost_BNM)):
        single = alone(problem, b)
        program = linear_program_cost(
            *(side[0].numpy() for side in (single.cost_BNM, single.source_BN, single.target_BM))
        )
        assert -1e-9 <= float(plan.cost_B[b]) - program <= tolerance + 1e-9


@settings(max_examples=8)
@given(clouds(max_tokens=6), WEIGHTS)
def test_whatever_was_reached_meets_its_marginals_and_never_costs_less_than_the_optimum(
    drawn: Clouds, weight: float
) -> None:
    problem = drawn.problem()
    least_B = exact(problem, tolerance=1e-9).cost_B
    for steps in (1, 7, 60):
        plan = proximal(problem, weight=weight, tolerance=1e-12, max_iterations=steps)
        assert bool((plan.marginal_error_B < 1e-12).all())
        assert bool((plan.cost_B >= least_B - 1e-9).all())
        assert bool((plan.iterations_B <= steps).all())


def test_cost_approaches_the_exact_one_as_steps_grow() -> None:
    problem = uniform_problem(
        torch.rand(20, 12, 15, generator=torch.Generator().manual_seed(1), dtype=torch.float64),
        torch.ones(20, 12, dtype=torch.bool),
        torch.ones(20, 15, dtype=torch.bool),
    )
    least_B = exact(problem, tolerance=1e-9).cost_B
    excess = [
        float((proximal(problem, weight=0.3, tolerance=1e-12, max_iterations=steps).cost_B - least_B).max())
        for steps in (10, 100, 1_000)
    ]
    assert all(later < 0.3 * sooner for sooner, later in pairwise(excess))
    assert excess[-1] < 1e-4


def test_problem_out_of_steps_is_not_converged_and_the_others_are() -> None:
    cost = torch.rand(2, 8, 8, generator=torch.Generator().manual_seed(0))
    cost[1] = 1.0 - torch.eye(8)
    mask = torch.ones(2, 8, dtype=torch.bool)
    plan = proximal(uniform_problem(cost, mask, mask), weight=0.3, tolerance=1e-6, max_iterations=60)
    assert plan.converged_B.tolist() == [False, True]


@pytest.mark.parametrize("weight", [1e-4, 1e3])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_extreme_weight_or_cost_underflows_to_no_nan(weight: float, scale: float) -> None:
    cost = scale * torch.rand(4, 9, 6, generator=torch.Generator().manual_seed(0))
    even = torch.full((4, 9), 1 / 9), torch.full((4, 6), 1 / 6)
    problem = Problem(cost_BNM=cost, source_BN=even[0], target_BM=even[1])
    plan = proximal(problem, weight=weight, tolerance=1e-4 * scale, max_iterations=200)
    assert bool(torch.isfinite(plan.coupling_BNM).all())
    assert bool((plan.marginal_error_B < 1e-5).all())
    assert bool((plan.cost_B >= exact(problem, tolerance=1e-4).cost_B - 1e-5 * scale).all())
