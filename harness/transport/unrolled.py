"""The entropic coupling as a differentiable function of the cost.

The problem is solved first, without gradient; then a fixed number of log-domain sweeps is run from the solution, and
differentiated. The coupling is as exact as a detached one, and the gradient approaches the implicit one at the rate at
which the sweeps converge (one-step differentiation, Bolte et al., NeurIPS 2023, with more steps than one).

Shapes: B problems, N source tokens, M target tokens.
"""

import torch
from torch import Tensor

from harness.transport.log_domain import LogProblem, log_problem, solve
from harness.transport.plan import Plan, measure_plan
from harness.transport.problem import Problem
from harness.transport.sinkhorn import sinkhorn

ROUNDING = 8
"""Machine epsilons of L1 error kept in reserve for storing the coupling in the problem's own type."""


def unrolled(
    problem: Problem, cost_BNM: Tensor, *, epsilon: float, tolerance: float, max_iterations: int, iterations: int
) -> tuple[Tensor, Plan]:
    """The coupling of each problem with a gradient to `cost_BNM`, in float64, and its plan without.

    cost_BNM: the problem's cost as the encoder produced it, NaN included. iterations: sweeps differentiated through.
    Memory is about three float64 copies of the cost for each.
    """
    if iterations < 1:
        raise ValueError(f"at least one iteration is differentiated through; found iterations={iterations}")
    with torch.no_grad():
        fixed = log_problem(problem, problem.cost_BNM.detach(), epsilon, None)
        exact = Problem(
            cost_BNM=problem.cost_BNM.detach().double(),
            source_BN=problem.source_BN.double(),
            target_BM=problem.target_BM.double(),
        )
        first = sinkhorn(exact, epsilon=epsilon, tolerance=tolerance, max_iterations=max_iterations)
        goal = tolerance - ROUNDING * torch.finfo(problem.cost_BNM.dtype).eps
        _, g_BM, iterations_B, solved_B = solve(fixed, _potential(fixed, first.coupling_BNM), goal, max_iterations)
    scaled = log_problem(problem, cost_BNM, epsilon, None)
    f_BN, g_BM = scaled.sweep(g_BM)
    for _ in range(iterations - 1):
        f_BN, g_BM = scaled.sweep(g_BM)
    coupling_BNM = scaled.coupling(f_BN, g_BM)
    stored_BNM = torch.nan_to_num(coupling_BNM.detach()).to(problem.cost_BNM.dtype)
    spent_B = first.iterations_B + iterations_B + iterations
    return coupling_BNM, measure_plan(problem, stored_BNM, spent_B, solved_B, tolerance)


def _potential(problem: LogProblem, coupling_BNM: Tensor) -> Tensor:
    """The potential g of a solved coupling, read off the column whose smallest entry is largest.

    An entry that underflowed is taken as the smallest number there is; sweeps then have to repair what follows.
    """
    tiny = torch.finfo(coupling_BNM.dtype).tiny
    log_BNM = coupling_BNM.clamp_min(tiny).log()
    real_BN = torch.isfinite(problem.log_source_BN)
    smallest_BM = log_BNM.masked_fill(~real_BN[:, :, None], torch.inf).amin(dim=1)
    column_B = smallest_BM.masked_fill(torch.isinf(problem.log_target_BM), -torch.inf).argmax(dim=1)
    at_B11 = column_B[:, None, None].expand(-1, log_BNM.shape[1], 1)
    f_BN = (log_BNM + problem.cost_BNM).gather(2, at_B11)[:, :, 0] - problem.log_source_BN
    return problem.target_potential(torch.where(real_BN, f_BN, 0.0))
