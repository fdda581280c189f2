"""What a solver hands back: the coupling and how far it can be trusted.

Shapes: B problems, N source tokens, M target tokens.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.transport.problem import Problem


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """Couplings of a batch of problems with the status of each; no tensor carries a gradient.

    coupling_BNM: mass moved from source to target token, zero on padding, never NaN.
    cost_B: <P, C>.
    marginal_error_B: L1 distance of both marginals of the coupling from those asked for.
    iterations_B: updates of both potentials spent on the problem.
    entropy_B: -sum P log P in nats; log(n m) for the independent coupling of uniform marginals.
    converged_B: whether the solver reached its tolerance at the epsilon asked for.
    """

    coupling_BNM: Tensor
    cost_B: Tensor
    marginal_error_B: Tensor
    iterations_B: Tensor
    entropy_B: Tensor
    converged_B: Tensor


def measure_plan(
    problem: Problem, coupling_BNM: Tensor, iterations_B: Tensor, stopped_B: Tensor, tolerance: float
) -> Plan:
    """A coupling with its cost, error and entropy measured on the coupling itself, whichever solver made it.

    stopped_B: whether the solver stopped because it saw the tolerance met; the measured error must agree.
    """
    with torch.no_grad():
        error_B = (coupling_BNM.sum(dim=2) - problem.source_BN).abs().sum(dim=1)
        error_B += (coupling_BNM.sum(dim=1) - problem.target_BM).abs().sum(dim=1)
        # clamp and log are three times as fast as torch.special.entr, and 0 * log(tiny) is 0 as it should be
        log_coupling_BNM = coupling_BNM.clamp_min(torch.finfo(coupling_BNM.dtype).tiny).log_()
        return Plan(
            coupling_BNM=coupling_BNM,
            cost_B=_inner(coupling_BNM, problem.cost_BNM.detach()),
            marginal_error_B=error_B,
            iterations_B=iterations_B,
            entropy_B=-_inner(coupling_BNM, log_coupling_BNM),
            converged_B=stopped_B & (error_B <= tolerance),
        )


def _inner(left_BNM: Tensor, right_BNM: Tensor) -> Tensor:
    inner_B: Tensor = torch.linalg.vecdot(left_BNM.flatten(1), right_BNM.flatten(1))
    return inner_B
