"""Transport losses: the cost of a plan between student and teacher tokens, in each of its forms.

A loss is put together from a valuation, which says what a problem's plan is worth and what of it is differentiated, and
from how the two sides' values are combined.

Shapes: B lines, N student tokens, M teacher tokens, H width.
"""

from collections.abc import Callable, Collection

import torch
from torch import Tensor

from harness.objectives.pairs import Loss, token_cost
from harness.transport.plan import Plan
from harness.transport.problem import Problem, uniform_marginal
from harness.transport.unrolled import unrolled
from studies.schema.record import Metric

Solve = Callable[[Problem], Plan]
"""A solver with its settings."""

Valuation = Callable[[Tensor, Problem], tuple[Tensor, Plan]]
"""The cost with its gradient, and the problem over the same cost without: the value of each line, [B], and its plan."""

BALANCED_PARTS = frozenset(
    {
        Metric.TRANSPORT_ITERATIONS,
        Metric.TRANSPORT_MARGINAL_ERROR,
        Metric.TRANSPORT_ENTROPY,
        Metric.TRANSPORT_CONVERGED,
    }
)
"""What a solver of fixed marginals reports."""

EXACT_PARTS = BALANCED_PARTS - {Metric.TRANSPORT_ITERATIONS}
"""The network simplex does not tell its pivots."""

UNBALANCED_PARTS = (BALANCED_PARTS - {Metric.TRANSPORT_ENTROPY}) | {Metric.TRANSPORT_MASS}
"""Entropy is compared with that of the independent coupling, which a plan of less mass is not comparable with."""


def plan_cost(solve: Solve) -> Valuation:
    """<P, C> with P held constant in the gradient."""

    def value(cost_BNM: Tensor, problem: Problem) -> tuple[Tensor, Plan]:
        plan = solve(problem)
        return (plan.coupling_BNM * cost_BNM).sum(dim=(1, 2)), plan

    return value


def regularised_cost(solve: Solve, epsilon: float, strength: float | None) -> Valuation:
    """What the solver minimises, <P, C> + epsilon KL(P | a b^T) and the price of missed marginals.

    At the solution its gradient is that of <P, C> with P held constant (envelope theorem), which is how it is computed.
    """

    def value(cost_BNM: Tensor, problem: Problem) -> tuple[Tensor, Plan]:
        plan = solve(problem)
        with torch.no_grad():
            regular_B = epsilon * _divergence_from_independence(problem, plan.coupling_BNM)
            if strength is not None:
                regular_B += strength * _kl(plan.coupling_BNM.sum(dim=2), problem.source_BN)
                regular_B += strength * _kl(plan.coupling_BNM.sum(dim=1), problem.target_BM)
        return (plan.coupling_BNM * cost_BNM).sum(dim=(1, 2)) + regular_B.to(cost_BNM.dtype), plan

    return value


def unrolled_cost(*, epsilon: float, tolerance: float, max_iterations: int, iterations: int) -> Valuation:
    """<P, C> with the dependence of P on C, through a fixed number of iterations at the solution."""

    def value(cost_BNM: Tensor, problem: Problem) -> tuple[Tensor, Plan]:
        coupling_BNM, plan = unrolled(
            problem,
            cost_BNM,
            epsilon=epsilon,
            tolerance=tolerance,
            max_iterations=max_iterations,
            iterations=iterations,
        )
        return (coupling_BNM * cost_BNM).sum(dim=(1, 2)).to(cost_BNM.dtype), plan

    return value


def transport_loss(
    student_BNH: Tensor,
    teacher_BMH: Tensor,
    student_mask_BN: Tensor,
    teacher_mask_BM: Tensor,
    *,
    value: Valuation,
    student_weight_BN: Tensor | None = None,
    teacher_weight_BM: Tensor | None = None,
    parts: Collection[str] = BALANCED_PARTS,
) -> Loss:
    """Mean over lines of the value of transport between the two sides (OPTICAL, arXiv 2301.12566).

    Vectors need not be normalised; weights are shares of a sentence's mass up to a factor, even where not given. Parts:
    iterations and entropy as means (entropy relative to that of the independent coupling, log(n m) where masses are
    even), the largest marginal error, the share converged, the mean mass moved. A student that diverged gives a NaN
    loss, not an error, so that every worker sees it at the same step.
    """
    cost_BNM = token_cost(student_BNH, teacher_BMH, student_mask_BN, teacher_mask_BM)
    problem = Problem(
        cost_BNM=torch.nan_to_num(cost_BNM.detach()),
        source_BN=token_masses("student", student_mask_BN, student_weight_BN, cost_BNM.dtype),
        target_BM=token_masses("teacher", teacher_mask_BM, teacher_weight_BM, cost_BNM.dtype),
    )
    value_B, plan = value(cost_BNM, problem)
    return value_B.mean(), _plan_parts(problem, plan, parts)


def divergence_loss(
    student_BNH: Tensor,
    teacher_BMH: Tensor,
    student_mask_BN: Tensor,
    teacher_mask_BM: Tensor,
    *,
    value: Valuation,
    student_weight_BN: Tensor | None = None,
    teacher_weight_BM: Tensor | None = None,
) -> Loss:
    """Mean over lines of S = V(student, teacher) - V(student, student) / 2 - V(teacher, teacher) / 2.

    With the regularised cost as value V this is the debiased Sinkhorn divergence (Feydy et al., AISTATS 2019), zero for
    equal sides and above zero for others. Iterations and entropy are those of the first term; marginal error and
    convergence are of all three.
    """
    student = (student_BNH, student_mask_BN, student_weight_BN)
    teacher = (teacher_BMH, teacher_mask_BM, teacher_weight_BM)
    losses, parts = [], []
    for (left_BNH, left_mask_BN, left_weight_BN), (right_BMH, right_mask_BM, right_weight_BM) in (
        (student, teacher),
        (student, student),
        (teacher, teacher),
    ):
        loss, reported = transport_loss(
            left_BNH,
            right_BMH,
            left_mask_BN,
            right_mask_BM,
            value=value,
            student_weight_BN=left_weight_BN,
            teacher_weight_BM=right_weight_BM,
        )
        losses.append(loss)
        parts.append(reported)
    errors, converged = (
        torch.stack([part[name] for part in parts])
        for name in (Metric.TRANSPORT_MARGINAL_ERROR, Metric.TRANSPORT_CONVERGED)
    )
    whole: dict[str, Tensor] = {
        Metric.TRANSPORT_MARGINAL_ERROR: errors.max(),
        Metric.TRANSPORT_CONVERGED: converged.mean(),
    }
    return losses[0] - (losses[1] + losses[2]) / 2, {**parts[0], **whole}


def token_masses(side: str, mask_BN: Tensor, weight_BN: Tensor | None, dtype: torch.dtype) -> Tensor:
    """Shares of a sentence's mass, proportional to the weights of its tokens; even where there are no weights.

    An entirely masked sentence is a ValueError, and so are weights below 0 and a sentence whose weights are all 0.
    """
    even_BN = uniform_marginal(side, mask_BN, dtype)
    if weight_BN is None:
        return even_BN
    weight_BN = torch.where(mask_BN.bool(), weight_BN.to(dtype), 0.0)
    total_B1 = weight_BN.sum(dim=1, keepdim=True)
    if not bool(((total_B1 > 0) & torch.isfinite(total_B1)).all()) or bool((weight_BN < 0).any()):
        raise ValueError(
            f"every {side} sentence needs token weights of at least 0 with a sum above 0; found a smallest weight of "
            f"{float(weight_BN.min()):g} and a smallest sum of {float(total_B1.min()):g}"
        )
    return weight_BN / total_B1


def _divergence_from_independence(problem: Problem, coupling_BNM: Tensor) -> Tensor:
    """KL(P | a b^T), [B]."""
    independent_BNM = problem.source_BN[:, :, None] * problem.target_BM[:, None]
    return _kl(coupling_BNM.flatten(1), independent_BNM.flatten(1))


def _kl(mass_BK: Tensor, reference_BK: Tensor) -> Tensor:
    """Divergence of two measures of any mass, sum p log(p / q) - p + q, [B]."""
    mass_BK, reference_BK = mass_BK.double(), reference_BK.double()
    log_BK = torch.where(reference_BK > 0, reference_BK, 1.0).log()
    kl_BK = torch.special.xlogy(mass_BK, mass_BK) - mass_BK * log_BK - mass_BK + reference_BK
    kl_B: Tensor = kl_BK.sum(dim=1)
    return kl_B


def _plan_parts(problem: Problem, plan: Plan, reported: Collection[str]) -> dict[str, Tensor]:
    independent_B = torch.special.entr(problem.source_BN).sum(dim=1) + torch.special.entr(problem.target_BM).sum(dim=1)
    # one token on both sides: its only coupling is the independent one
    share_B = torch.where(independent_B > 0, plan.entropy_B / independent_B.clamp_min(1e-9), 1.0)
    parts = {
        Metric.TRANSPORT_ITERATIONS: plan.iterations_B.float().mean(),
        Metric.TRANSPORT_MARGINAL_ERROR: plan.marginal_error_B.mean(),
        Metric.TRANSPORT_ENTROPY: share_B.mean(),
        Metric.TRANSPORT_CONVERGED: plan.converged_B.float().mean(),
        Metric.TRANSPORT_MASS: plan.coupling_BNM.sum(dim=(1, 2)).mean(),
    }
    return {name: value for name, value in parts.items() if name in reported}
