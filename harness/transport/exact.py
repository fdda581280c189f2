"""Transport without entropy by POT's network simplex, one problem at a time on the CPU.

Shapes: B problems, N source tokens, M target tokens.
"""

import torch

from harness.transport.plan import Plan, measure_plan
from harness.transport.problem import Problem

PIVOTS = 10_000_000
"""Pivots after which the simplex gives up: far beyond what sentences need (about 1,000 at 128 x 128 tokens)."""


def exact(problem: Problem, *, tolerance: float) -> Plan:
    """An optimal coupling of every problem, at most N + M - 1 entries of which are not zero.

    tolerance: of the L1 marginal error, which is rounding here. The simplex does not tell its pivots, so iterations_B
    is 0.
    """
    import ot

    if not tolerance > 0:
        raise ValueError(f"the exact solver needs a tolerance above 0; found tolerance={tolerance}")
    cost = problem.cost_BNM.detach().double().cpu().numpy()
    masses = [side.double().cpu().numpy() for side in (problem.source_BN, problem.target_BM)]
    coupling_BNM = torch.zeros(problem.cost_BNM.shape, dtype=torch.float64)
    optimal = []
    for place, (source, target) in enumerate(zip(*masses, strict=True)):
        rows, columns = source > 0, target > 0
        source, target = source[rows] / source.sum(), target[columns] / target.sum()
        plan, log = ot.emd(source, target, cost[place][rows][:, columns], numItermax=PIVOTS, log=True)
        block = torch.from_numpy(rows)[:, None] & torch.from_numpy(columns)
        coupling_BNM[place][block] = torch.from_numpy(plan).flatten()
        optimal.append(log["warning"] is None)
    device = problem.cost_BNM.device
    return measure_plan(
        problem,
        coupling_BNM.to(device=device, dtype=problem.cost_BNM.dtype),
        torch.zeros(len(optimal), dtype=torch.long, device=device),
        torch.tensor(optimal, dtype=torch.bool, device=device),
        tolerance,
    )
