"""Unbalanced transport against POT, against balanced transport, and its optimality."""

from itertools import pairwise

import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.transport.problem import Problem
from harness.transport.sinkhorn import sinkhorn
from harness.transport.unbalanced import unbalanced
from tests.strategies import Clouds, alone, clouds, uneven


@settings(max_examples=12)
@given(
    clouds(max_tokens=6),
    st.integers(0, 2**31),
    st.sampled_from((0.05, 0.2, 1.0)),
    st.sampled_from((0.1, 1.0, 5.0)),
)
def test_unbalanced_coupling_is_that_of_pot(drawn: Clouds, seed: int, epsilon: float, strength: float) -> None:
    problem = uneven(drawn.problem(), seed)
    plan = unbalanced(problem, epsilon=epsilon, strength=strength, tolerance=1e-10, max_iterations=2_000)
    assert bool(plan.converged_B.all())
    for b in range(len(problem.cost_BNM)):
        single = alone(problem, b)
        expected = ot.unbalanced.sinkhorn_unbalanced(
            single.source_BN[0].numpy(),
            single.target_BM[0].numpy(),
            single.cost_BNM[0].numpy(),
            epsilon,
            strength,
            numItermax=20_000,
            stopThr=1e-13,
        )
        real = (problem.source_BN[b] > 0)[:, None] & (problem.target_BM[b] > 0)
        np.testing.assert_allclose(plan.coupling_BNM[b][real], expected.ravel(), atol=1e-8)


@settings(max_examples=8)
@given(clouds(max_tokens=6))
def test_strength_without_end_is_balanced_transport(drawn: Clouds) -> None:
    problem = drawn.problem()
    free = unbalanced(problem, epsilon=0.2, strength=1e7, tolerance=1e-9, max_iterations=2_000)
    fixed = sinkhorn(problem, epsilon=0.2, tolerance=1e-9, max_iterations=5_000)
    torch.testing.assert_close(free.coupling_BNM, fixed.coupling_BNM, atol=1e-6, rtol=0)


@settings(max_examples=8)
@given(clouds(max_tokens=6))
def test_mass_grows_with_the_strength_and_stays_below_one(drawn: Clouds) -> None:
    problem = drawn.problem()
    masses = [
        unbalanced(problem, epsilon=0.1, strength=s, tolerance=1e-9, max_iterations=2_000).coupling_BNM.sum((1, 2))
        for s in (0.01, 0.1, 1.0, 10.0)
    ]
    assert bool((masses[-1] <= 1 + 1e-6).all())
    for weaker, stronger in pairwise(masses):
        assert bool((weaker <= stronger + 1e-6).all())


def test_token_without_counterpart_is_left_alone() -> None:
    cost = torch.tensor([[[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]], dtype=torch.float64)
    problem = Problem(
        cost_BNM=cost,
        source_BN=torch.full((1, 3), 1 / 3, dtype=torch.float64),
        target_BM=torch.full((1, 2), 1 / 2, dtype=torch.float64),
    )
    sent_N = (
        unbalanced(problem, epsilon=0.02, strength=0.2, tolerance=1e-9, max_iterations=5_000).coupling_BNM[0].sum(1)
    )
    assert float(sent_N[2]) < 0.2 * float(sent_N[0])


def test_large_strength_needs_no_more_iterations_than_balanced_transport() -> None:
    """The slow constant is taken out: plain iterations at strength 1,000 and epsilon 0.1 would need about 50,000."""
    cost = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    even = torch.full((3, 8), 1 / 8, dtype=torch.float64)
    problem = Problem(cost_BNM=cost, source_BN=even, target_BM=even)
    plan = unbalanced(problem, epsilon=0.1, strength=1e3, tolerance=1e-8, max_iterations=1_000)
    assert bool(plan.converged_B.all())
    assert int(plan.iterations_B.max()) <= 200


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_epsilon_at_which_the_kernel_underflows_gives_no_nan_and_says_that_it_is_unfinished(scale: float) -> None:
    cost = scale * torch.rand(3, 9, 7, generator=torch.Generator().manual_seed(0))
    problem = Problem(cost_BNM=cost, source_BN=torch.full((3, 9), 1 / 9), target_BM=torch.full((3, 7), 1 / 7))
    plan = unbalanced(problem, epsilon=1e-4, strength=1.0, tolerance=1e-4, max_iterations=200)
    assert bool(torch.isfinite(plan.coupling_BNM).all())
    assert bool((plan.converged_B == (plan.marginal_error_B <= 1e-4)).all())
    if scale == 1:  # at 1e3 it is right to move next to nothing, which is soon found
        assert not bool(plan.converged_B.any())
