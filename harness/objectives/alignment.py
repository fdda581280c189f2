"""Hard and indifferent alignments of tokens: the rivals of a transport plan.

Each loss is the mean over lines of <P, C>, the alignment P held constant. A student that diverged gives a NaN loss.

Shapes: B lines, N student tokens, M teacher tokens, H width.
"""

import torch
from torch import Tensor

from harness.objectives.pairs import Loss, token_cost
from harness.transport.assignment import exact_assignment, greedy_assignment
from harness.transport.problem import uniform_problem


def greedy_alignment_loss(
    student_BNH: Tensor, teacher_BMH: Tensor, student_mask_BN: Tensor, teacher_mask_BM: Tensor
) -> Loss:
    """Mean cost of the pairs of the greedy one-to-one alignment (Dr.DECR, arXiv 2112.08185)."""
    cost_BNM, finite_BNM = _costs(student_BNH, teacher_BMH, student_mask_BN, teacher_mask_BM)
    return _aligned(greedy_assignment(finite_BNM, student_mask_BN, teacher_mask_BM), cost_BNM)


def exact_assignment_loss(
    student_BNH: Tensor, teacher_BMH: Tensor, student_mask_BN: Tensor, teacher_mask_BM: Tensor
) -> Loss:
    """Mean cost of the pairs of the cheapest one-to-one assignment."""
    cost_BNM, finite_BNM = _costs(student_BNH, teacher_BMH, student_mask_BN, teacher_mask_BM)
    return _aligned(exact_assignment(finite_BNM, student_mask_BN, teacher_mask_BM), cost_BNM)


def uniform_plan_loss(
    student_BNH: Tensor, teacher_BMH: Tensor, student_mask_BN: Tensor, teacher_mask_BM: Tensor
) -> Loss:
    """Mean cost of all pairs of tokens: transport at an epsilon without end."""
    cost_BNM, finite_BNM = _costs(student_BNH, teacher_BMH, student_mask_BN, teacher_mask_BM)
    problem = uniform_problem(finite_BNM, student_mask_BN, teacher_mask_BM)
    return _aligned(problem.source_BN[:, :, None] * problem.target_BM[:, None], cost_BNM)


def _costs(
    student_BNH: Tensor, teacher_BMH: Tensor, student_mask_BN: Tensor, teacher_mask_BM: Tensor
) -> tuple[Tensor, Tensor]:
    """The cost with its gradient and without NaN; an entirely masked sentence is a ValueError."""
    cost_BNM = token_cost(student_BNH, teacher_BMH, student_mask_BN, teacher_mask_BM)
    finite_BNM = torch.nan_to_num(cost_BNM.detach())
    uniform_problem(finite_BNM, student_mask_BN, teacher_mask_BM)
    return cost_BNM, finite_BNM


def _aligned(coupling_BNM: Tensor, cost_BNM: Tensor) -> Loss:
    return (coupling_BNM * cost_BNM).sum(dim=(1, 2)).mean(), {}
