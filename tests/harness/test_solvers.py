"""What every solver of transport keeps, whatever it minimises."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.transport.exact import exact
from harness.transport.plan import Plan
from harness.transport.problem import Problem
from harness.transport.proximal import proximal
from harness.transport.unbalanced import unbalanced
from tests.strategies import Clouds, alone, clouds, padded, uneven

Solve = Callable[[Problem], Plan]

TOLERANCE = 1e-3
SOLVERS: dict[str, Solve] = {
    "exact": partial(exact, tolerance=TOLERANCE),
    "proximal": partial(proximal, weight=0.1, tolerance=TOLERANCE, max_iterations=2_000),
    "unbalanced": partial(unbalanced, epsilon=0.1, strength=0.5, tolerance=TOLERANCE, max_iterations=500),
}
each_solver = pytest.mark.parametrize("name", SOLVERS)
few = settings(max_examples=8)


@each_solver
@few
@given(clouds(max_tokens=6), st.integers(0, 2**31))
def test_plan_is_measured_on_its_own_coupling(name: str, drawn: Clouds, seed: int) -> None:
    problem = uneven(drawn.problem(), seed)
    plan = SOLVERS[name](problem)
    assert bool(plan.converged_B.all())
    assert bool((plan.marginal_error_B <= TOLERANCE).all())
    assert bool((plan.coupling_BNM >= 0).all())
    torch.testing.assert_close(plan.cost_B, (plan.coupling_BNM * problem.cost_BNM).sum((1, 2)))
    torch.testing.assert_close(plan.entropy_B, torch.special.entr(plan.coupling_BNM).sum((1, 2)))
    assert bool((plan.coupling_BNM[problem.source_BN == 0] == 0).all())
    assert bool((plan.coupling_BNM.transpose(1, 2)[problem.target_BM == 0] == 0).all())


@each_solver
@few
@given(clouds(max_tokens=6))
def test_batch_costs_what_its_problems_cost_alone(name: str, drawn: Clouds) -> None:
    problem = drawn.problem()
    plan = SOLVERS[name](problem)
    for b in range(len(problem.cost_BNM)):
        single = SOLVERS[name](alone(problem, b))
        assert int(single.iterations_B) == int(plan.iterations_B[b])
        torch.testing.assert_close(single.cost_B[0], plan.cost_B[b], atol=2 * TOLERANCE, rtol=0)


@each_solver
@few
@given(clouds(max_tokens=6), st.integers(1, 4), st.integers(1, 4))
def test_appended_padding_changes_nothing(name: str, drawn: Clouds, rows: int, columns: int) -> None:
    problem = drawn.problem()
    plan, wider = SOLVERS[name](problem), SOLVERS[name](padded(problem, rows, columns))
    torch.testing.assert_close(wider.cost_B, plan.cost_B, atol=1e-9, rtol=0)
    assert bool((wider.coupling_BNM[:, -rows:] == 0).all())
    assert bool((wider.coupling_BNM[:, :, -columns:] == 0).all())


@each_solver
@few
@given(clouds(max_tokens=6), st.integers(0, 2**31))
def test_permuted_tokens_cost_the_same(name: str, drawn: Clouds, seed: int) -> None:
    problem = uneven(drawn.problem(), seed)
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(problem.cost_BNM.shape[1], generator=generator)
    columns = torch.randperm(problem.cost_BNM.shape[2], generator=generator)
    permuted = Problem(
        cost_BNM=problem.cost_BNM[:, rows][:, :, columns],
        source_BN=problem.source_BN[:, rows],
        target_BM=problem.target_BM[:, columns],
    )
    torch.testing.assert_close(
        SOLVERS[name](permuted).cost_B, SOLVERS[name](problem).cost_B, atol=2 * TOLERANCE, rtol=0
    )


@each_solver
@few
@given(clouds(max_tokens=6, dtype=torch.float32), st.integers(0, 2**31))
def test_float32_problem_comes_back_in_float32_and_meets_the_tolerance_of_training(
    name: str, drawn: Clouds, seed: int
) -> None:
    problem = uneven(drawn.problem(), seed)
    solve: Solve = {
        "exact": partial(exact, tolerance=1e-4),
        "proximal": partial(proximal, weight=0.3, tolerance=1e-4, max_iterations=2_000),
        "unbalanced": partial(unbalanced, epsilon=0.03, strength=0.5, tolerance=1e-4, max_iterations=2_000),
    }[name]
    plan = solve(problem)
    assert plan.coupling_BNM.dtype == torch.float32
    assert plan.marginal_error_B.dtype == torch.float32
    assert bool(plan.converged_B.all())


@each_solver
def test_one_token_on_each_side_is_one_coupling(name: str) -> None:
    one = torch.ones(1, 1, dtype=torch.float64)
    plan = SOLVERS[name](Problem(cost_BNM=torch.zeros(1, 1, 1, dtype=torch.float64), source_BN=one, target_BM=one))
    torch.testing.assert_close(plan.coupling_BNM, torch.ones(1, 1, 1, dtype=torch.float64))
    assert bool(plan.converged_B.all())


@pytest.mark.parametrize(
    ("solve", "message"),
    [
        (partial(exact, tolerance=0.0), "tolerance above 0; found tolerance=0.0"),
        (partial(proximal, weight=0.0, tolerance=1e-4, max_iterations=5), "found weight=0.0"),
        (partial(proximal, weight=0.1, tolerance=1e-4, max_iterations=0), "max_iterations=0"),
        (partial(unbalanced, epsilon=0.0, strength=1.0, tolerance=1e-4, max_iterations=5), "found epsilon=0.0"),
        (partial(unbalanced, epsilon=0.1, strength=-1.0, tolerance=1e-4, max_iterations=5), "strength=-1.0"),
    ],
)
def test_setting_that_cannot_be_is_refused(solve: Solve, message: str) -> None:
    problem = Problem(cost_BNM=torch.zeros(1, 1, 1), source_BN=torch.ones(1, 1), target_BM=torch.ones(1, 1))
    with pytest.raises(ValueError, match=message):
        solve(problem)
