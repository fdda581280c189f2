"""Entropic transport whose marginals may be missed at a price, so that a token without counterpart can stay alone.

Minimises <P, C> + epsilon KL(P | a b^T) + strength (KL(P 1 | a) + KL(P^T 1 | b)) (Chizat et al., Mathematics of
Computation 2018).

Shapes: B problems, N source tokens, M target tokens.
"""

import torch
from torch import Tensor

from harness.transport.log_domain import log_problem, solve
from harness.transport.plan import Plan
from harness.transport.problem import Problem

ROUNDING = 8
"""Machine epsilons of L1 error kept in reserve for storing the coupling in the problem's own type."""


def unbalanced(problem: Problem, *, epsilon: float, strength: float, tolerance: float, max_iterations: int) -> Plan:
    """Solve every problem until its coupling's marginals are within `tolerance` of those at the solution, in L1.

    strength: weight of the missed marginals, in units of cost; without end, the marginals are met. The marginal
    error is measured against what optimality prescribes, a exp(-f / strength), and not against a.
    """
    if not (epsilon > 0 and strength > 0 and tolerance > 0 and max_iterations >= 1):
        raise ValueError(
            "unbalanced transport needs epsilon, strength and tolerance above 0 and max_iterations of at least 1; "
            f"found epsilon={epsilon}, strength={strength}, tolerance={tolerance}, max_iterations={max_iterations}"
        )
    with torch.no_grad():
        scaled = log_problem(problem, problem.cost_BNM.detach(), epsilon, strength)
        goal = tolerance - ROUNDING * torch.finfo(problem.cost_BNM.dtype).eps
        f_BN, g_BM, iterations_B, solved_B = solve(scaled, torch.zeros_like(scaled.log_target_BM), goal, max_iterations)
        coupling_BNM = scaled.coupling(f_BN, g_BM).to(problem.cost_BNM.dtype)
        source_BN, target_BM = scaled.marginals(f_BN, g_BM)
        error_B = (coupling_BNM.sum(dim=2) - source_BN).abs().sum(dim=1)
        error_B += (coupling_BNM.sum(dim=1) - target_BM).abs().sum(dim=1)
        return _plan(problem, coupling_BNM, error_B, iterations_B, solved_B & (error_B <= tolerance))


def _plan(problem: Problem, coupling_BNM: Tensor, error_B: Tensor, iterations_B: Tensor, converged_B: Tensor) -> Plan:
    return Plan(
        coupling_BNM=coupling_BNM,
        cost_B=(coupling_BNM * problem.cost_BNM.detach()).sum(dim=(1, 2)),
        marginal_error_B=error_B.to(coupling_BNM.dtype),
        iterations_B=iterations_B,
        entropy_B=torch.special.entr(coupling_BNM).sum(dim=(1, 2)),
        converged_B=converged_B,
    )
