import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from harness.objectives.transport import Valuation, plan_cost, transport_loss
from harness.transport.problem import cosine_cost
from harness.transport.sinkhorn import sinkhorn
from tests.oracles import float64_sinkhorn, loop_cosine_cost
from tests.strategies import Clouds, clouds, epsilons

PARTS = {"transport.iterations", "transport.marginal_error", "transport.entropy", "transport.converged"}


def entropic(epsilon: float, tolerance: float) -> Valuation:
    return plan_cost(partial(sinkhorn, epsilon=epsilon, tolerance=tolerance, max_iterations=1_000))


def transport(drawn: Clouds, student_BNH: Tensor, epsilon: float = 0.05, tolerance: float = 1e-9) -> Tensor:
    loss, _ = transport_loss(
        student_BNH,
        drawn.target_BMH,
        drawn.source_mask_BN,
        drawn.target_mask_BM,
        value=entropic(epsilon, tolerance),
    )
    return loss


@settings(max_examples=30)
@given(clouds(max_tokens=5))
def test_transport_loss_is_the_mean_cost_of_separately_solved_pairs(drawn: Clouds) -> None:
    costs = []
    for b in range(len(drawn.source_BNH)):
        source, target = drawn.source_BNH[b, drawn.source_mask_BN[b]], drawn.target_BMH[b, drawn.target_mask_BM[b]]
        cost = loop_cosine_cost(source, target)
        even_N, even_M = (np.full(tokens, 1 / tokens) for tokens in cost.shape)
        costs.append(float((float64_sinkhorn(cost, even_N, even_M, 0.3) * cost).sum()))
    assert float(transport(drawn, drawn.source_BNH, 0.3)) == pytest.approx(sum(costs) / len(costs), abs=1e-7)


@given(clouds(), epsilons())
def test_transport_loss_gradient_is_that_of_the_plan_held_fixed(drawn: Clouds, epsilon: float) -> None:
    student_BNH = drawn.source_BNH.clone().requires_grad_()
    transport(drawn, student_BNH, epsilon).backward()  # type: ignore[no-untyped-call]
    free_BNH = drawn.source_BNH.clone().requires_grad_()
    plan = sinkhorn(drawn.problem(), epsilon=epsilon, tolerance=1e-9, max_iterations=1_000)
    fixed = (plan.coupling_BNM * cosine_cost(free_BNH, drawn.target_BMH)).sum((1, 2)).mean()
    fixed.backward()  # type: ignore[no-untyped-call]
    assert student_BNH.grad is not None
    torch.testing.assert_close(student_BNH.grad, free_BNH.grad, atol=1e-8, rtol=1e-6)


def test_transport_loss_gradient_equals_finite_differences_of_the_fixed_plan() -> None:
    generator = torch.Generator().manual_seed(0)
    student_BNH, teacher_BMH = (torch.randn(2, n, 4, generator=generator, dtype=torch.float64) for n in (3, 5))
    drawn = Clouds(
        source_BNH=student_BNH,
        target_BMH=teacher_BMH,
        source_mask_BN=torch.tensor([[True, True, True], [True, True, False]]),
        target_mask_BM=torch.ones(2, 5, dtype=torch.bool),
    )
    student_BNH.requires_grad_()
    transport(drawn, student_BNH).backward()  # type: ignore[no-untyped-call]
    coupling_BNM = sinkhorn(drawn.problem(), epsilon=0.05, tolerance=1e-9, max_iterations=1_000).coupling_BNM
    step = 1e-6  # central differences err by about step^2 and rounding / step, both below 1e-9
    difference_BNH = torch.zeros_like(student_BNH)
    for place in range(student_BNH.numel()):
        moved = [student_BNH.detach().clone() for _ in range(2)]
        moved[0].view(-1)[place] += step
        moved[1].view(-1)[place] -= step
        ahead, behind = ((coupling_BNM * cosine_cost(m, teacher_BMH)).sum((1, 2)).mean() for m in moved)
        difference_BNH.view(-1)[place] = (ahead - behind) / (2 * step)
    assert student_BNH.grad is not None
    torch.testing.assert_close(student_BNH.grad, difference_BNH, atol=1e-8, rtol=0)


@given(clouds(dtype=torch.float32), epsilons())
def test_transport_loss_parts_are_detached_scalars_in_range(drawn: Clouds, epsilon: float) -> None:
    loss, parts = transport_loss(
        drawn.source_BNH.requires_grad_(),
        drawn.target_BMH,
        drawn.source_mask_BN,
        drawn.target_mask_BM,
        value=entropic(epsilon, 1e-4),
    )
    assert -1e-6 <= float(loss.detach()) <= 2 + 1e-6
    assert set(parts) == PARTS
    assert all(part.ndim == 0 and not part.requires_grad for part in parts.values())
    assert float(parts["transport.converged"]) == 1.0
    assert float(parts["transport.marginal_error"]) <= 1e-4
    assert 0 <= float(parts["transport.entropy"]) <= 1 + 1e-5
    assert 0 < float(parts["transport.iterations"]) <= 500


def test_transport_loss_halves_of_a_batch_average_to_the_whole() -> None:
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(8, 6, 16, generator=generator), torch.randn(8, 9, 16, generator=generator)
    masks = (
        torch.arange(6) < torch.arange(1, 9).clamp(max=6)[:, None],
        torch.arange(9) < torch.arange(9, 1, -1)[:, None],
    )

    def loss(rows: slice) -> float:
        sides = (side[rows] for side in (student, teacher, *masks))
        return float(transport_loss(*sides, value=entropic(0.03, 1e-4))[0])

    assert loss(slice(None)) == pytest.approx((loss(slice(0, 4)) + loss(slice(4, 8))) / 2, abs=1e-6)


def test_transport_loss_half_precision_student_gets_a_gradient_close_to_float32() -> None:
    generator = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(4, 7, 32, generator=generator).bfloat16() for _ in range(2))
    mask = torch.ones(4, 7, dtype=torch.bool)
    gradients = []
    for dtype in (torch.bfloat16, torch.float32):
        leaf = student.to(dtype).clone().requires_grad_()
        loss, _ = transport_loss(leaf, teacher, mask, mask, value=entropic(0.05, 1e-4))
        loss.backward()  # type: ignore[no-untyped-call]
        assert loss.dtype == torch.float32
        assert leaf.grad is not None
        gradients.append(leaf.grad.float())
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-2)


def test_transport_loss_diverged_student_is_a_nan_loss_and_garbage_in_padding_is_not() -> None:
    student, teacher = torch.ones(1, 3, 4), torch.ones(1, 2, 4)
    student[0, 2] = torch.nan
    full, part, both = (torch.tensor([mask]) for mask in ([True, True, True], [True, True, False], [True, True]))
    diverged, _ = transport_loss(student, teacher, full, both, value=entropic(0.1, 1e-4))
    assert math.isnan(float(diverged))
    student.requires_grad_()
    loss, _ = transport_loss(student, teacher, part, both, value=entropic(0.1, 1e-4))
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == pytest.approx(0, abs=1e-6)
    assert student.grad is not None
    assert bool(torch.isfinite(student.grad).all())


def test_transport_loss_of_identical_orthogonal_clouds_equals_the_closed_formula() -> None:
    cloud = torch.eye(5, dtype=torch.float64)[None]
    mask = torch.ones(1, 5, dtype=torch.bool)
    loss, _ = transport_loss(cloud, cloud, mask, mask, value=entropic(0.1, 1e-12))
    # by symmetry the kernel itself has equal marginals: 1 on the diagonal, exp(-1 / epsilon) off it
    assert float(loss) == pytest.approx(4 / (math.exp(10) + 4), rel=1e-9)
