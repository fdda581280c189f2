"""Laws of entropic transport, and agreement with slower solvers.

On a CPU `sinkhorn` is the compiled solver; the batched one, for other devices, is held to its results and limits.
"""

import warnings
from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.transport.compiled import solve_compiled
from harness.transport.plan import Plan
from harness.transport.problem import Problem, uniform_problem
from harness.transport.sinkhorn import sinkhorn, solve_batched
from tests.oracles import assignment, float64_sinkhorn, linear_program_cost
from tests.strategies import Clouds, clouds, epsilons

TIGHT = 1e-11  # marginal error asked for where couplings are compared in float64
SAME = 1e-8  # and what they then agree to: an error of the marginals is amplified by the conditioning
TRAINING = 1e-4  # marginal error of training

Solver = Callable[[Problem, float, float, int], Plan]
both_solvers = pytest.mark.parametrize("solver", [solve_compiled, solve_batched])


def solve(problem: Problem, epsilon: float, tolerance: float = TIGHT, max_iterations: int = 5_000) -> Plan:
    return sinkhorn(problem, epsilon=epsilon, tolerance=tolerance, max_iterations=max_iterations)


def same_bits(left: Plan, right: Plan) -> bool:
    """Whether all that is known of each problem is the same, couplings aside."""
    names = ("cost_B", "marginal_error_B", "iterations_B", "entropy_B", "converged_B")
    return all(torch.equal(getattr(left, name), getattr(right, name)) for name in names)


def one(plan: Plan, b: int) -> Plan:
    return Plan(**{field.name: getattr(plan, field.name)[b : b + 1] for field in fields(plan)})


def single(problem: Problem, b: int) -> Problem:
    """Problem b alone, without its padding."""
    rows, columns = problem.source_BN[b] > 0, problem.target_BM[b] > 0
    return Problem(
        cost_BNM=problem.cost_BNM[b : b + 1, rows][:, :, columns],
        source_BN=problem.source_BN[b : b + 1, rows],
        target_BM=problem.target_BM[b : b + 1, columns],
    )


@both_solvers
@given(clouds(dtype=torch.float32), epsilons())
def test_sinkhorn_float32_problems_meet_their_marginals(solver: Solver, drawn: Clouds, epsilon: float) -> None:
    problem = drawn.problem()
    plan = solver(problem, epsilon, TRAINING, 500)
    assert bool(plan.converged_B.all())
    assert plan.coupling_BNM.dtype == torch.float32
    error_B = (plan.coupling_BNM.sum(2) - problem.source_BN).abs().sum(1)
    error_B += (plan.coupling_BNM.sum(1) - problem.target_BM).abs().sum(1)
    assert float(error_B.max()) <= TRAINING
    torch.testing.assert_close(plan.marginal_error_B, error_B)
    assert bool((plan.coupling_BNM[problem.source_BN == 0] == 0).all())
    assert bool((plan.coupling_BNM.transpose(1, 2)[problem.target_BM == 0] == 0).all())


@given(clouds(), epsilons())
def test_sinkhorn_plan_reports_its_own_cost_and_entropy(drawn: Clouds, epsilon: float) -> None:
    problem = drawn.problem()
    plan = solve(problem, epsilon)
    torch.testing.assert_close(plan.cost_B, (plan.coupling_BNM * problem.cost_BNM).sum((1, 2)))
    torch.testing.assert_close(plan.entropy_B, torch.special.entr(plan.coupling_BNM).sum((1, 2)))


@given(clouds(), epsilons())
def test_sinkhorn_batched_solver_agrees_with_the_compiled_one(drawn: Clouds, epsilon: float) -> None:
    problem = drawn.problem()
    plan, batched = (solver(problem, epsilon, TIGHT, 5_000) for solver in (solve_compiled, solve_batched))
    torch.testing.assert_close(batched.coupling_BNM, plan.coupling_BNM, atol=SAME, rtol=0)
    torch.testing.assert_close(batched.cost_B, plan.cost_B, atol=SAME, rtol=0)
    torch.testing.assert_close(batched.entropy_B, plan.entropy_B, atol=1e2 * SAME, rtol=0)
    assert torch.equal(batched.converged_B, plan.converged_B)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@given(st.data(), epsilons())
def test_sinkhorn_batch_equals_loop_over_unpadded_problems_to_the_bit(
    dtype: torch.dtype, data: st.DataObject, epsilon: float
) -> None:
    problem = data.draw(clouds(dtype=dtype)).problem()
    plan = solve(problem, epsilon, TRAINING)
    for b in range(len(problem.cost_BNM)):
        alone = solve(single(problem, b), epsilon, TRAINING)
        real = (problem.source_BN[b] > 0)[:, None] & (problem.target_BM[b] > 0)
        assert torch.equal(plan.coupling_BNM[b][real], alone.coupling_BNM.flatten())
        assert same_bits(one(plan, b), alone)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@given(st.data(), epsilons(), st.integers(0, 2**31))
def test_sinkhorn_padding_anywhere_changes_no_bit(
    dtype: torch.dtype, data: st.DataObject, epsilon: float, seed: int
) -> None:
    problem = data.draw(clouds(dtype=dtype, max_tokens=40)).problem()
    generator = torch.Generator().manual_seed(seed)
    problems, num_source, num_target = problem.cost_BNM.shape
    rows = torch.randperm(num_source + 5, generator=generator)[:num_source].sort().values
    columns = torch.randperm(num_target + 9, generator=generator)[:num_target].sort().values
    cost_BNM = torch.full((problems, num_source + 5, num_target + 9), -37.0, dtype=dtype)
    cost_BNM[:, rows[:, None], columns] = problem.cost_BNM
    source_BN, target_BM = cost_BNM.new_zeros(cost_BNM.shape[:2]), cost_BNM.new_zeros(problems, num_target + 9)
    source_BN[:, rows], target_BM[:, columns] = problem.source_BN, problem.target_BM
    plan = solve(problem, epsilon, TRAINING)
    wider = solve(Problem(cost_BNM=cost_BNM, source_BN=source_BN, target_BM=target_BM), epsilon, TRAINING)
    assert torch.equal(wider.coupling_BNM[:, rows[:, None], columns], plan.coupling_BNM)
    assert torch.equal(wider.coupling_BNM.count_nonzero(), plan.coupling_BNM.count_nonzero())
    assert same_bits(wider, plan)


@given(clouds(), epsilons(), st.integers(1, 6), st.integers(1, 6))
def test_sinkhorn_batched_solver_appended_padding_changes_nothing(
    drawn: Clouds, epsilon: float, rows: int, columns: int
) -> None:
    problem = drawn.problem()
    padded = Problem(
        cost_BNM=torch.nn.functional.pad(problem.cost_BNM, (0, columns, 0, rows), value=-37.0),
        source_BN=torch.nn.functional.pad(problem.source_BN, (0, rows)),
        target_BM=torch.nn.functional.pad(problem.target_BM, (0, columns)),
    )
    plan, wider = solve_batched(problem, epsilon, TIGHT, 5_000), solve_batched(padded, epsilon, TIGHT, 5_000)
    torch.testing.assert_close(wider.coupling_BNM[:, :-rows, :-columns], plan.coupling_BNM, atol=SAME, rtol=0)
    torch.testing.assert_close(wider.cost_B, plan.cost_B)


@given(clouds(), epsilons(), st.integers(0, 2**31))
def test_sinkhorn_permuted_tokens_permute_the_coupling(drawn: Clouds, epsilon: float, seed: int) -> None:
    problem = drawn.problem()
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(problem.cost_BNM.shape[1], generator=generator)
    columns = torch.randperm(problem.cost_BNM.shape[2], generator=generator)
    permuted = Problem(
        cost_BNM=problem.cost_BNM[:, rows][:, :, columns],
        source_BN=problem.source_BN[:, rows],
        target_BM=problem.target_BM[:, columns],
    )
    expected = solve(problem, epsilon).coupling_BNM[:, rows][:, :, columns]
    torch.testing.assert_close(solve(permuted, epsilon).coupling_BNM, expected, atol=SAME, rtol=0)


@given(clouds(), epsilons(), st.sampled_from((1e-3, 0.1, 7.0, 1e3)))
def test_sinkhorn_cost_and_epsilon_scaled_together_give_the_same_plan(
    drawn: Clouds, epsilon: float, factor: float
) -> None:
    problem = drawn.problem()
    scaled = solve(replace(problem, cost_BNM=factor * problem.cost_BNM), factor * epsilon)
    torch.testing.assert_close(scaled.coupling_BNM, solve(problem, epsilon).coupling_BNM, atol=SAME, rtol=0)


@given(clouds(), epsilons())
def test_sinkhorn_swapped_sides_transpose_the_coupling(drawn: Clouds, epsilon: float) -> None:
    problem = drawn.problem()
    swapped = Problem(
        cost_BNM=problem.cost_BNM.transpose(1, 2).contiguous(),
        source_BN=problem.target_BM,
        target_BM=problem.source_BN,
    )
    expected = solve(problem, epsilon).coupling_BNM.transpose(1, 2)
    torch.testing.assert_close(solve(swapped, epsilon).coupling_BNM, expected, atol=SAME, rtol=0)


@given(clouds())
def test_sinkhorn_huge_epsilon_gives_the_independent_coupling(drawn: Clouds) -> None:
    problem = drawn.problem()
    independent_BNM = problem.source_BN[:, :, None] * problem.target_BM[:, None]
    plan = solve(problem, 1e6)
    torch.testing.assert_close(plan.coupling_BNM, independent_BNM, atol=1e-6, rtol=0)
    torch.testing.assert_close(plan.entropy_B, torch.special.entr(independent_BNM).sum((1, 2)))


@pytest.mark.parametrize("epsilon", [0.002, 0.02, 0.2])
def test_sinkhorn_identical_orthogonal_clouds_equal_the_closed_formula(epsilon: float) -> None:
    # symmetry meets the marginals at every temperature, so stopping before the one asked for would go unnoticed
    mask_BN = torch.ones(1, 5, dtype=torch.bool)
    plan = solve(uniform_problem(1.0 - torch.eye(5)[None], mask_BN, mask_BN), epsilon, TRAINING)
    weight = np.exp(-1 / epsilon)
    np.testing.assert_allclose(plan.cost_B, 4 * weight / (1 + 4 * weight), rtol=1e-5, atol=1e-30)


@settings(max_examples=30)
@given(clouds(max_pairs=2))
def test_sinkhorn_tiny_epsilon_costs_what_the_linear_program_costs(drawn: Clouds) -> None:
    problem = drawn.problem()
    epsilon = 1e-4
    plan = solve(problem, epsilon, 1e-9)
    assert bool(plan.converged_B.all())
    for b in range(len(problem.cost_BNM)):
        alone = single(problem, b)
        exact = linear_program_cost(alone.cost_BNM[0].numpy(), alone.source_BN[0].numpy(), alone.target_BM[0].numpy())
        # the entropic cost exceeds the exact one by at most epsilon log(n m)
        assert exact - 1e-8 <= float(plan.cost_B[b]) <= exact + epsilon * np.log(alone.cost_BNM[0].numel()) + 1e-8


@pytest.mark.parametrize("num_tokens", [2, 7, 20])
def test_sinkhorn_tiny_epsilon_square_uniform_finds_the_cheapest_permutation(num_tokens: int) -> None:
    cost_BNM = torch.rand(3, num_tokens, num_tokens, generator=torch.Generator().manual_seed(num_tokens))
    mask_BN = torch.ones(3, num_tokens, dtype=torch.bool)
    plan = solve(uniform_problem(cost_BNM, mask_BN, mask_BN), 2e-4, TRAINING)
    for cost_NM, coupling_NM in zip(cost_BNM, plan.coupling_BNM, strict=True):
        assert coupling_NM.argmax(dim=1).tolist() == assignment(cost_NM.double().numpy()).tolist()


@settings(max_examples=15)
@given(clouds(max_pairs=1, max_tokens=6), st.sampled_from((0.03, 0.1, 1.0)))
def test_sinkhorn_any_problem_agrees_with_plain_float64_iterations(drawn: Clouds, epsilon: float) -> None:
    alone = single(drawn.problem(), 0)
    cost, source, target = (t[0].numpy() for t in (alone.cost_BNM, alone.source_BN, alone.target_BM))
    expected = float64_sinkhorn(cost, source, target, epsilon, 20_000)
    # where the slow iterations have not come to rest, they are the ones that err
    slack = 1e3 * np.abs(expected.sum(1) - source).sum()
    np.testing.assert_allclose(solve(alone, epsilon).coupling_BNM[0], expected, atol=SAME + slack)


@pytest.mark.parametrize("epsilon", [0.03, 0.1, 1.0])
@pytest.mark.parametrize(("num_source", "num_target"), [(12, 9), (5, 17)])
def test_sinkhorn_uneven_marginals_agree_with_pot(epsilon: float, num_source: int, num_target: int) -> None:
    generator = torch.Generator().manual_seed(7)
    cost = torch.rand(num_source, num_target, generator=generator, dtype=torch.float64)
    source = torch.rand(num_source, generator=generator, dtype=torch.float64) + 0.1
    target = torch.rand(num_target, generator=generator, dtype=torch.float64) + 0.1
    source, target = source / source.sum(), target / target.sum()
    plan = solve(Problem(cost_BNM=cost[None], source_BN=source[None], target_BM=target[None]), epsilon)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected = ot.sinkhorn(source, target, cost, epsilon, method="sinkhorn_log", numItermax=50_000, stopThr=1e-13)
    torch.testing.assert_close(plan.coupling_BNM[0], expected, atol=SAME, rtol=0)


@both_solvers
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [0.0, 1e-6, 1.0, 1e4, 1e9])
def test_sinkhorn_extreme_costs_never_give_nan(solver: Solver, dtype: torch.dtype, scale: float) -> None:
    cost_BNM = scale * torch.randn(4, 6, 8, generator=torch.Generator().manual_seed(0), dtype=dtype)
    cost_BNM[0] = scale  # identical points
    mask_BN = torch.arange(6) < torch.tensor([6, 1, 3, 6])[:, None]
    mask_BM = torch.arange(8) < torch.tensor([8, 1, 8, 2])[:, None]
    plan = solver(uniform_problem(cost_BNM, mask_BN, mask_BM), 0.01, 1e-4, 400)
    for value in (plan.coupling_BNM, plan.cost_B, plan.marginal_error_B, plan.entropy_B):
        assert bool(torch.isfinite(value).all())
    assert bool(plan.converged_B[:2].all())
    torch.testing.assert_close(plan.coupling_BNM[0], torch.full((6, 8), 1 / 48, dtype=dtype))
    assert float(plan.coupling_BNM[1, 0, 0]) == pytest.approx(1.0)


@both_solvers
def test_sinkhorn_marginals_over_many_orders_of_magnitude_are_met(solver: Solver) -> None:
    source = torch.logspace(0, -30, 7, dtype=torch.float64).float()
    problem = Problem(
        cost_BNM=torch.rand(1, 7, 7, generator=torch.Generator().manual_seed(0)),
        source_BN=(source / source.sum())[None],
        target_BM=torch.full((1, 7), 1 / 7),
    )
    plan = solver(problem, 0.05, 1e-5, 5_000)
    assert bool(plan.converged_B)
    assert bool(torch.isfinite(plan.coupling_BNM).all())


@both_solvers
@pytest.mark.parametrize(
    ("dtype", "cost", "epsilon"),
    [
        (torch.float32, 1e30, 1e-20),
        (torch.float64, 1e300, 1e-20),
        (torch.float64, 1e308, 1.0),
        (torch.float64, 1.0, 1e-310),
    ],
)
def test_sinkhorn_cost_that_overflows_at_epsilon_is_refused(
    solver: Solver, dtype: torch.dtype, cost: float, epsilon: float
) -> None:
    mask = torch.ones(1, 2, dtype=torch.bool)
    problem = uniform_problem(torch.tensor([[[-cost, cost], [cost, -cost]]], dtype=dtype), mask, mask)
    with pytest.raises(ValueError, match="raise epsilon or rescale the cost"):
        solver(problem, epsilon, TRAINING, 100)


@both_solvers
def test_sinkhorn_too_few_iterations_is_reported_not_hidden(solver: Solver) -> None:
    drawn = torch.rand(2, 9, 9, generator=torch.Generator().manual_seed(3))
    mask = torch.ones(2, 9, dtype=torch.bool)
    for epsilon in (0.001, 0.03):
        plan = solver(uniform_problem(drawn, mask, mask), epsilon, 1e-5, 3)
        assert not bool(plan.converged_B.any())
        assert plan.iterations_B.tolist() == [3, 3]
        assert bool((plan.marginal_error_B > 1e-5).any())
        assert bool(torch.isfinite(plan.coupling_BNM).all())


@both_solvers
def test_sinkhorn_nearly_aligned_clouds_converge_within_a_few_hundred_iterations(solver: Solver) -> None:
    # plain Sinkhorn needs thousands here, and training lives here once the student is good
    generator = torch.Generator().manual_seed(0)
    source = torch.nn.functional.normalize(torch.randn(16, 24, 64, generator=generator), dim=-1)
    noise = torch.nn.functional.normalize(torch.randn(16, 24, 64, generator=generator), dim=-1)
    target = torch.nn.functional.normalize(source + 0.8 * noise, dim=-1)
    mask_BN = torch.ones(16, 24, dtype=torch.bool)
    mask_BM = torch.arange(24) < torch.randint(18, 25, (16, 1), generator=generator)
    for epsilon in (0.01, 0.03, 0.05):
        plan = solver(uniform_problem(1 - source @ target.transpose(1, 2), mask_BN, mask_BM), epsilon, TRAINING, 300)
        assert bool(plan.converged_B.all())


@pytest.mark.parametrize(
    "wrong", [{"epsilon": 0.0}, {"epsilon": float("nan")}, {"tolerance": 0.0}, {"max_iterations": 0}]
)
def test_sinkhorn_senseless_setting_is_refused(wrong: dict[str, float]) -> None:
    mask = torch.ones(1, 2, dtype=torch.bool)
    settings_of_a_run = {"epsilon": 0.1, "tolerance": 1e-4, "max_iterations": 10} | wrong
    with pytest.raises(ValueError, match="needs a finite epsilon above 0"):
        sinkhorn(uniform_problem(torch.zeros(1, 2, 2), mask, mask), **settings_of_a_run)  # type: ignore[arg-type]
