"""Entropic optimal transport for a batch of small, ragged problems.

Minimises <P, C> - epsilon H(P) under both marginals, in two stages that each problem enters by itself: Sinkhorn's
scaling iteration where its kernel is safe, and damped Newton steps where it is not or where scaling is slow. Both
stop on the L1 error of the marginals of the one problem, so neither epsilon nor the other problems in the batch
decide how exactly a problem is solved.
"""

import math

import torch

from harness.transport.compiled import solve_compiled
from harness.transport.newton import newton_finish
from harness.transport.plan import Plan, measure_plan
from harness.transport.problem import Problem
from harness.transport.scaling import scale
from harness.transport.state import prepare


def sinkhorn(problem: Problem, *, epsilon: float, tolerance: float, max_iterations: int) -> Plan:
    """Solve every problem of the batch until the L1 error of its marginals is at most `tolerance`.

    epsilon: weight of the entropy, in units of cost. max_iterations: updates of both potentials, a Newton step
    counting as one; a problem that would need more comes back as it stands, with converged_B false.
    """
    if not (epsilon > 0 and math.isfinite(epsilon) and tolerance > 0 and max_iterations >= 1):
        raise ValueError(
            "sinkhorn needs a finite epsilon above 0, a tolerance above 0 and max_iterations of at least 1; found "
            f"epsilon={epsilon}, tolerance={tolerance}, max_iterations={max_iterations}"
        )
    if problem.cost_BNM.device.type == "cpu":
        return solve_compiled(problem, epsilon, tolerance, max_iterations)
    return solve_batched(problem, epsilon, tolerance, max_iterations)


def solve_batched(problem: Problem, epsilon: float, tolerance: float, max_iterations: int) -> Plan:
    """All problems at once in torch, on whatever device they are; the same stages as the compiled solver's."""
    with torch.no_grad():
        state = prepare(problem, epsilon)
        scale(state, tolerance, max_iterations)
        if not bool(state.solved_B.all()):
            newton_finish(state, tolerance, max_iterations)
        return measure_plan(problem, state.kernel_BNM, state.iterations_B, state.solved_B, tolerance)
