"""What the stages of the Sinkhorn solver hand to each other.

Shapes: B problems, N source tokens, M target tokens.
"""

from dataclasses import dataclass
from typing import NoReturn

import torch
from torch import Tensor

from harness.transport.problem import Problem


@dataclass(kw_only=True, eq=False)
class State:
    """A batch half way to its solution; stages write into the tensors of the problems they worked on.

    reduced_BNM: cost in units of epsilon, less row and column minima, so at least 0; it has the same optimal
        coupling as the cost itself. 0 on padding.
    kernel_BNM: exp(-reduced cost); turned into the coupling in place, since pages are dearer than arithmetic.
    range_B: largest reduced cost of each problem.
    source_scale_BN, target_scale_BM: scalings u and v of P = diag(u) K diag(v); 0 where scaling was not tried.
    """

    source_BN: Tensor
    target_BM: Tensor
    reduced_BNM: Tensor
    kernel_BNM: Tensor
    range_B: Tensor
    source_scale_BN: Tensor
    target_scale_BM: Tensor
    iterations_B: Tensor
    solved_B: Tensor


def prepare(problem: Problem, epsilon: float) -> State:
    """The untouched state: no iteration done, nothing solved."""
    reduced_BNM = _reduce(problem, epsilon)
    range_B = reduced_BNM.amax(dim=(1, 2))
    if not bool(torch.isfinite(range_B).all()):
        refuse_overflow(problem, epsilon)
    return State(
        source_BN=problem.source_BN,
        target_BM=problem.target_BM,
        reduced_BNM=reduced_BNM,
        kernel_BNM=reduced_BNM.neg().exp_(),
        range_B=range_B,
        source_scale_BN=torch.zeros_like(problem.source_BN),
        target_scale_BM=torch.zeros_like(problem.target_BM),
        iterations_B=torch.zeros(len(range_B), dtype=torch.long, device=range_B.device),
        solved_B=torch.zeros(len(range_B), dtype=torch.bool, device=range_B.device),
    )


def refuse_overflow(problem: Problem, epsilon: float) -> NoReturn:
    """Say which numbers do not go together."""
    raise ValueError(
        f"costs divided by epsilon must stay within {problem.cost_BNM.dtype}; found epsilon={epsilon:g} and a "
        f"largest cost of {float(problem.cost_BNM.max()):g}; raise epsilon or rescale the cost"
    )


def _reduce(problem: Problem, epsilon: float) -> Tensor:
    # padding is lifted above every real cost, so that no minimum is taken over it, and zeroed at the end
    source_real_BN = (problem.source_BN > 0).to(problem.cost_BNM.dtype)
    target_real_BM = (problem.target_BM > 0).to(problem.cost_BNM.dtype)
    lowest, highest = torch.aminmax(problem.cost_BNM.detach())
    lift = 2.0 * (highest - lowest) + 1.0
    reduced_BNM = problem.cost_BNM.detach() + (lift * (1.0 - target_real_BM))[:, None]
    reduced_BNM -= reduced_BNM.amin(dim=2, keepdim=True)
    reduced_BNM += (lift * (1.0 - source_real_BN))[:, :, None]
    reduced_BNM -= reduced_BNM.amin(dim=1, keepdim=True)
    reduced_BNM *= (source_real_BN / epsilon)[:, :, None]
    reduced_BNM *= target_real_BM[:, None]
    return reduced_BNM
