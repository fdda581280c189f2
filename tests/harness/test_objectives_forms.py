"""Forms and gradients of transport: agreement with POT, with finite differences and with implicit differentiation."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from harness.objectives.alignment import exact_assignment_loss, greedy_alignment_loss, uniform_plan_loss
from harness.objectives.groups import contrastive_loss, score_kl_loss
from harness.objectives.pooled import pooled_mse_loss
from harness.objectives.transport import (
    divergence_loss,
    plan_cost,
    regularised_cost,
    token_masses,
    transport_loss,
    unrolled_cost,
)
from harness.transport.exact import exact
from harness.transport.problem import cosine_cost, uniform_problem
from harness.transport.sinkhorn import sinkhorn
from harness.transport.unbalanced import unbalanced
from tests.oracles import Array
from tests.strategies import Clouds, clouds

EPSILON = 0.2
TIGHT = 1e-11

Sides = tuple[Tensor, Tensor, Tensor, Tensor]
Scalar = Callable[[Sides], Tensor]

entropic = partial(sinkhorn, epsilon=EPSILON, tolerance=TIGHT, max_iterations=5_000)
relaxed = partial(unbalanced, epsilon=EPSILON, strength=0.5, tolerance=TIGHT, max_iterations=5_000)
unrolled_cost_40 = unrolled_cost(epsilon=0.5, tolerance=1e-10, max_iterations=2_000, iterations=40)

EXACTLY_DIFFERENTIATED: dict[str, Scalar] = {
    "envelope": lambda s: transport_loss(*s, value=regularised_cost(entropic, EPSILON, None))[0],
    "unbalanced envelope": lambda s: transport_loss(*s, value=regularised_cost(relaxed, EPSILON, 0.5))[0],
    "divergence": lambda s: divergence_loss(*s, value=regularised_cost(entropic, EPSILON, None))[0],
    "unrolled": lambda s: transport_loss(*s, value=unrolled_cost_40)[0],
    "unrolled divergence": lambda s: divergence_loss(*s, value=unrolled_cost_40)[0],
    "exact transport": lambda s: transport_loss(*s, value=plan_cost(partial(exact, tolerance=1e-9)))[0],
    "uniform plan": lambda s: uniform_plan_loss(*s)[0],
    "greedy alignment": lambda s: greedy_alignment_loss(*s)[0],
    "exact assignment": lambda s: exact_assignment_loss(*s)[0],
    "pooled": lambda s: pooled_mse_loss(*s)[0],
    "contrastive": lambda s: contrastive_loss(*s, group_size=2, temperature=0.3)[0],
    "score KL": lambda s: score_kl_loss(*s, group_size=2, temperature=0.3)[0],
}


def batch(seed: int = 0, size: int = 2, width: int = 4) -> Sides:
    """Ragged pairs in general position, in float64."""
    generator = torch.Generator().manual_seed(seed)
    student, teacher = (torch.randn(size, n, width, generator=generator, dtype=torch.float64) for n in (3, 4))
    student_mask = torch.arange(3) < torch.tensor([3, 2]).repeat(size // 2)[:, None]
    teacher_mask = torch.arange(4) < torch.tensor([3, 4]).repeat(size // 2)[:, None]
    return student, teacher, student_mask, teacher_mask


@pytest.mark.parametrize("name", EXACTLY_DIFFERENTIATED)
def test_gradient_equals_finite_differences_of_the_loss(name: str) -> None:
    student, teacher, *masks = batch()
    loss = EXACTLY_DIFFERENTIATED[name]

    def of_student(vectors: Tensor) -> Tensor:
        return loss((vectors, teacher, masks[0], masks[1]))

    assert torch.autograd.gradcheck(of_student, student.requires_grad_(), atol=1e-6, rtol=1e-4)


def pot_plan(cost: Array, epsilon: float = EPSILON) -> Array:
    n, m = cost.shape
    plan: Array = ot.sinkhorn(
        np.full(n, 1 / n), np.full(m, 1 / m), cost, epsilon, method="sinkhorn_log", numItermax=5_000, stopThr=1e-11
    )
    return plan


def regularised(cost: Array) -> float:
    """<P, C> + epsilon KL(P | a b^T) of POT's plan."""
    plan = pot_plan(cost)
    return float((plan * cost).sum() + EPSILON * (plan * np.log(plan * plan.size)).sum())


def costs(drawn: Clouds, b: int) -> dict[str, Array]:
    """The costs of one pair, within and between its sides."""
    source = drawn.source_BNH[b, drawn.source_mask_BN[b]][None]
    target = drawn.target_BMH[b, drawn.target_mask_BM[b]][None]
    sides = {"xy": (source, target), "xx": (source, source), "yy": (target, target)}
    return {name: cosine_cost(*pair)[0].numpy() for name, pair in sides.items()}


def sides(drawn: Clouds) -> Sides:
    return drawn.source_BNH, drawn.target_BMH, drawn.source_mask_BN, drawn.target_mask_BM


@settings(max_examples=4)
@given(clouds(max_tokens=5, max_pairs=3))
def test_envelope_loss_is_the_regularised_cost_of_pot_s_plan(drawn: Clouds) -> None:
    expected = [regularised(costs(drawn, b)["xy"]) for b in range(len(drawn.source_BNH))]
    loss, _ = transport_loss(*sides(drawn), value=regularised_cost(entropic, EPSILON, None))
    assert float(loss) == pytest.approx(np.mean(expected), abs=1e-7)


@settings(max_examples=4)
@given(clouds(max_tokens=5, max_pairs=3))
def test_divergence_is_that_of_pot_s_plans_and_never_negative(drawn: Clouds) -> None:
    expected, sharp = [], []
    for b in range(len(drawn.source_BNH)):
        pair = costs(drawn, b)
        expected.append(regularised(pair["xy"]) - (regularised(pair["xx"]) + regularised(pair["yy"])) / 2)
        paid = {name: float((pot_plan(cost) * cost).sum()) for name, cost in pair.items()}
        sharp.append(paid["xy"] - (paid["xx"] + paid["yy"]) / 2)
    loss, _ = divergence_loss(*sides(drawn), value=regularised_cost(entropic, EPSILON, None))
    assert float(loss) == pytest.approx(np.mean(expected), abs=1e-7)
    assert float(loss) >= -1e-8
    loss, _ = divergence_loss(*sides(drawn), value=plan_cost(entropic))
    assert float(loss) == pytest.approx(np.mean(sharp), abs=1e-7)


def test_divergence_of_a_side_from_itself_is_zero_where_the_cost_of_the_plan_is_not() -> None:
    student, _, mask, _ = batch()
    value = regularised_cost(entropic, EPSILON, None)
    assert float(divergence_loss(student, student, mask, mask, value=value)[0]) == pytest.approx(0, abs=1e-9)
    assert float(transport_loss(student, student, mask, mask, value=value)[0]) > 0.01


def test_divergence_reports_the_worst_of_its_three_problems() -> None:
    def one_sweep(problem: Any) -> Any:
        return sinkhorn(problem, epsilon=0.01, tolerance=1e-9, max_iterations=1)

    student, teacher, *masks = batch()
    _, parts = divergence_loss(student, teacher, masks[0], masks[1], value=plan_cost(one_sweep))
    assert float(parts["transport.converged"]) < 1
    errors = [
        transport_loss(left, right, m, k, value=plan_cost(one_sweep))[1]["transport.marginal_error"]
        for left, right, m, k in (
            (student, teacher, *masks),
            (student, student, masks[0], masks[0]),
            (teacher, teacher, masks[1], masks[1]),
        )
    ]
    assert parts["transport.marginal_error"] == max(errors)


def implicit_gradient(cost: Array, epsilon: float) -> Array:
    """d<P(C), C> / dC by the implicit function theorem, P = exp((f + g - C) / epsilon), one problem by dense algebra.

    dP = P (df + dg - dC) / epsilon with both marginals fixed gives a linear system in df and dg.
    """
    n = len(cost)
    plan = pot_plan(cost, epsilon)
    system = np.block([[np.diag(plan.sum(1)), plan], [plan.T, np.diag(plan.sum(0))]])
    weighted = plan * cost
    dual = np.linalg.lstsq(system, np.concatenate([weighted.sum(1), weighted.sum(0)]), rcond=None)[0]
    gradient: Array = plan - (weighted - plan * (dual[:n, None] + dual[None, n:])) / epsilon
    return gradient


@pytest.mark.parametrize("epsilon", [0.1, 0.5])
def test_unrolled_gradient_approaches_the_implicit_one(epsilon: float) -> None:
    cost_BNM = torch.rand(3, 5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    masks = torch.ones(3, 5, dtype=torch.bool), torch.ones(3, 6, dtype=torch.bool)
    expected = torch.from_numpy(np.stack([implicit_gradient(cost.numpy(), epsilon) for cost in cost_BNM]))
    errors = []
    for iterations in (1, 10, 400):
        leaf = cost_BNM.clone().requires_grad_()
        value = unrolled_cost(epsilon=epsilon, tolerance=1e-10, max_iterations=5_000, iterations=iterations)
        value_B, plan = value(leaf, uniform_problem(leaf.detach(), *masks))
        assert bool(plan.converged_B.all())
        (gradient,) = torch.autograd.grad(value_B.sum(), leaf)
        errors.append(float((gradient - expected).abs().max()))
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-8
    fixed = uniform_problem(cost_BNM, *masks)
    detached = sinkhorn(fixed, epsilon=epsilon, tolerance=TIGHT, max_iterations=5_000).coupling_BNM
    assert float((detached - expected).abs().max()) > 100 * errors[2]


def test_unrolled_loss_is_that_of_the_detached_plan_and_reports_convergence() -> None:
    one, other = batch(), batch()
    value = unrolled_cost(epsilon=0.05, tolerance=1e-6, max_iterations=2_000, iterations=5)
    loss, parts = transport_loss(*one, value=value)
    solve = partial(sinkhorn, epsilon=0.05, tolerance=1e-6, max_iterations=2_000)
    expected, _ = transport_loss(*other, value=plan_cost(solve))
    assert float(loss) == pytest.approx(float(expected), abs=1e-5)
    assert float(parts["transport.converged"]) == 1.0


@pytest.mark.parametrize("epsilon", [1e-4, 1e-2])
def test_unrolled_tiny_epsilon_has_a_finite_gradient(epsilon: float) -> None:
    student, teacher, *masks = batch(size=4)
    student = student.float().requires_grad_()
    value = unrolled_cost(epsilon=epsilon, tolerance=1e-4, max_iterations=300, iterations=5)
    loss, parts = transport_loss(student, teacher.float(), masks[0], masks[1], value=value)
    loss.backward()  # type: ignore[no-untyped-call]
    assert student.grad is not None
    assert bool(torch.isfinite(student.grad).all())
    assert loss.dtype == torch.float32
    assert 0 <= float(parts["transport.converged"]) <= 1


def test_uniform_plan_is_transport_at_an_epsilon_without_end() -> None:
    solve = partial(sinkhorn, epsilon=1e7, tolerance=1e-9, max_iterations=100)
    one = batch()
    expected, _ = transport_loss(*one, value=plan_cost(solve))
    assert float(uniform_plan_loss(*one)[0]) == pytest.approx(float(expected), abs=1e-7)


def test_weights_shift_mass_and_even_weights_change_nothing() -> None:
    one = batch()
    value = plan_cost(entropic)
    plain, _ = transport_loss(*one, value=value)
    even = torch.full((2, 3), 7.0)
    same, _ = transport_loss(*one, value=value, student_weight_BN=even)
    torch.testing.assert_close(same, plain)
    only_first = torch.zeros(2, 3)
    only_first[:, 0] = 1.0
    first, _ = transport_loss(*one, value=value, student_weight_BN=only_first)
    alone, _ = transport_loss(one[0][:, :1], one[1], one[2][:, :1], one[3], value=value)
    torch.testing.assert_close(first, alone)


@pytest.mark.parametrize("weight", [[0.0, 0.0, 9.0], [1.0, -1.0, 0.0], [float("nan"), 1.0, 0.0]])
def test_weights_that_are_no_masses_are_refused(weight: list[float]) -> None:
    mask = torch.tensor([[True, True, False]])
    with pytest.raises(ValueError, match="every student sentence needs token weights"):
        token_masses("student", mask, torch.tensor([weight]), torch.float32)
