"""Exact transport against the linear program and the assignment."""

import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.transport.exact import exact
from harness.transport.problem import Problem
from harness.transport.sinkhorn import sinkhorn
from tests.oracles import assignment, linear_program_cost
from tests.strategies import Clouds, alone, clouds, uneven


@settings(max_examples=12)
@given(clouds(max_tokens=6), st.integers(0, 2**31))
def test_exact_cost_is_that_of_the_linear_program(drawn: Clouds, seed: int) -> None:
    problem = uneven(drawn.problem(), seed)
    plan = exact(problem, tolerance=1e-9)
    for b in range(len(problem.cost_BNM)):
        single = alone(problem, b)
        program = linear_program_cost(
            *(side[0].numpy() for side in (single.cost_BNM, single.source_BN, single.target_BM))
        )
        assert float(plan.cost_B[b]) == pytest.approx(program, abs=1e-9)


@settings(max_examples=12)
@given(clouds(max_tokens=6), st.integers(0, 2**31))
def test_exact_coupling_has_at_most_as_many_entries_as_a_vertex(drawn: Clouds, seed: int) -> None:
    problem = uneven(drawn.problem(), seed)
    plan = exact(problem, tolerance=1e-9)
    tokens_B = (problem.source_BN > 0).sum(1) + (problem.target_BM > 0).sum(1)
    assert bool(((plan.coupling_BNM > 0).sum((1, 2)) <= tokens_B - 1).all())


def test_exact_plan_between_equally_long_sentences_is_the_assignment() -> None:
    cost = torch.rand(3, 7, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    even = torch.full((3, 7), 1 / 7, dtype=torch.float64)
    plan = exact(Problem(cost_BNM=cost, source_BN=even, target_BM=even), tolerance=1e-9)
    for b in range(3):
        np.testing.assert_array_equal(plan.coupling_BNM[b].argmax(1), assignment(cost[b].numpy()))
        assert float(plan.coupling_BNM[b].amax(1).sum()) == pytest.approx(1.0)


@settings(max_examples=12)
@given(clouds(max_tokens=6))
def test_no_entropic_plan_costs_less(drawn: Clouds) -> None:
    problem = drawn.problem()
    least_B = exact(problem, tolerance=1e-9).cost_B
    for epsilon in (0.01, 0.1, 1.0):
        plan = sinkhorn(problem, epsilon=epsilon, tolerance=1e-9, max_iterations=5_000)
        assert bool((plan.cost_B >= least_B - 1e-8).all())


def test_simplex_that_gives_up_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.transport.exact.PIVOTS", 1)
    cost = torch.rand(1, 9, 9, generator=torch.Generator().manual_seed(0))
    even = torch.full((1, 9), 1 / 9)
    plan = exact(Problem(cost_BNM=cost, source_BN=even, target_BM=even), tolerance=1e-4)
    assert plan.converged_B.tolist() == [False]
    assert ot.emd(even[0].numpy(), even[0].numpy(), cost[0].numpy()).sum() == pytest.approx(1.0)
