"""Sinkhorn's scaling iteration on the kernel exp(-cost / epsilon), for problems where that kernel is safe.

P = diag(u) K diag(v), u and v updated in turn to meet one marginal each (Cuturi, NeurIPS 2013).

Shapes: A problems still being iterated (of B), N source tokens, M target tokens.
"""

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from harness.transport.state import State

FIRST_CHECK = 5
"""Iterations before the first look at the marginal error, and the smallest gap between two looks."""

GAP_SHARE = 4
"""A later gap is this fraction of the iterations done, so that looks stay cheap and overshoot stays below a quarter."""

TRIAL = 20
"""Iterations before the rate of convergence seen so far is believed."""

PATIENCE = 150
"""Iterations still to be expected from which on the Newton finish is cheaper (measured on CPU, 8 to 128 tokens)."""

ROUNDING = 8
"""Machine epsilons of L1 error kept in reserve, so that the coupling as stored meets the tolerance too."""

SAFE_SHARE = 0.45
"""Share of the logarithm of a dtype's largest number below which the spread of a problem must stay to be scaled."""


def scale(state: State, tolerance: float, max_iterations: int) -> None:
    """Iterate every problem with a safe kernel until it is solved, visibly slow, or out of iterations.

    Each problem is judged by its own error alone, at iterations that are the same in every batch.
    """
    work = _start(state)
    goal = tolerance - ROUNDING * torch.finfo(state.reduced_BNM.dtype).eps
    iteration = 0
    while len(work.index_A):
        gap = min(max(FIRST_CHECK, iteration // GAP_SHARE), max_iterations - iteration)
        error_A = _iterate(work, gap)
        iteration += gap
        leaves_A = error_A <= goal if iteration < max_iterations else torch.ones_like(work.open_A)
        if iteration >= TRIAL:
            gain_A = torch.log(work.error_A / error_A) / gap
            leaves_A |= torch.log(error_A / tolerance) > PATIENCE * gain_A
        work.error_A = error_A
        leaves_A &= work.open_A
        if not bool(leaves_A.any()):
            continue
        work.open_A ^= leaves_A
        where = work.index_A[leaves_A]
        state.source_scale_BN[where] = work.u_AN[leaves_A]
        state.target_scale_BM[where] = work.v_AM[leaves_A]
        state.iterations_B[where] = iteration
        state.solved_B[where] = error_A[leaves_A] <= goal
        # leavers ride along unheeded until they are the majority and dropping them pays
        if 2 * int(work.open_A.sum()) < len(work.index_A):
            work = _keep(work, work.open_A)
    state.kernel_BNM *= state.source_scale_BN[:, :, None]
    state.kernel_BNM *= state.target_scale_BM[:, None]


@dataclass(kw_only=True, eq=False)
class _Work:
    """The problems being iterated: kernel K, scalings u and v, K^T u as mass, the last error seen, who is open."""

    index_A: Tensor
    kernel_ANM: Tensor
    source_AN: Tensor
    target_AM: Tensor
    u_AN: Tensor
    v_AM: Tensor
    mass_AM: Tensor
    error_A: Tensor
    open_A: Tensor


def _start(state: State) -> _Work:
    safe_B = _safe(state)
    work = _Work(
        index_A=torch.arange(len(safe_B), device=safe_B.device),
        kernel_ANM=state.kernel_BNM,
        source_AN=state.source_BN,
        target_AM=state.target_BM,
        u_AN=torch.zeros_like(state.source_BN),
        v_AM=torch.zeros_like(state.target_BM),
        mass_AM=torch.where(state.target_BM > 0, state.target_BM, 1.0),  # the first v: 1 on tokens, 0 on padding
        error_A=torch.full_like(state.range_B, torch.inf),
        open_A=safe_B,
    )
    return work if bool(safe_B.all()) else _keep(work, safe_B)


def _keep(work: _Work, stay_A: Tensor) -> _Work:
    stay = torch.nonzero(stay_A).flatten()
    return _Work(**{field.name: getattr(work, field.name)[stay] for field in fields(work)})


def _safe(state: State) -> Tensor:
    """Whether a scaling can neither underflow nor overflow, [B].

    The iteration does not move log v away from a fixed point in the sup norm, and a fixed point spreads by at most
    the range of the reduced cost plus that of the log masses, together s. So |log v| <= s, and everything
    computed lies within exp(+-2 s): safe while 2 s stays below 90 % of what the dtype can represent.
    """
    spread_B = state.range_B + _log_spread(state.source_BN) + _log_spread(state.target_BM)
    return spread_B <= SAFE_SHARE * math.log(torch.finfo(spread_B.dtype).max)


def _log_spread(mass_BN: Tensor) -> Tensor:
    largest_B1 = mass_BN.amax(dim=1, keepdim=True)
    return torch.log(largest_B1[:, 0] / torch.where(mass_BN > 0, mass_BN, largest_B1).amin(dim=1))


def _iterate(work: _Work, count: int) -> Tensor:
    """Update v and u in place `count` times, u last; returns the L1 error of the target marginal, [A].

    As multiply and sum, which stays in float32 where a device would take matrix products in TF32.
    """
    for _ in range(count):
        torch.div(work.target_AM, work.mass_AM, out=work.v_AM)
        torch.div(work.source_AN, (work.kernel_ANM * work.v_AM[:, None]).sum(dim=2), out=work.u_AN)
        torch.sum(work.kernel_ANM * work.u_AN[:, :, None], dim=1, out=work.mass_AM)
    return (work.v_AM * work.mass_AM).sub_(work.target_AM).abs_().sum(dim=1)
