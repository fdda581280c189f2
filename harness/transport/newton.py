"""Damped Newton steps on the semi-dual, for problems on which the scaling iteration is slow or unsafe.

Minimises over the target potential g (in units of temperature * epsilon)

    Phi(g) = sum_i a_i log sum_j exp(g_j - D_ij) - sum_j b_j g_j

whose gradient is the error of the target marginal when the source marginal is met exactly, and whose Hessian is
the Laplacian of a graph on target tokens. Phi is generalised self-concordant, so a step of length log(1 + r) / r with
r = max d - min d always descends (Sun and Tran-Dinh, Mathematical Programming 2019). Sinkhorn needs thousands of
iterations where student and teacher are nearly aligned; this needs about eight steps. Where costs are large against
epsilon the temperature starts high and is halved (epsilon scaling).

Shapes: A problems being solved (of B), N source tokens, M target tokens.
"""

import torch
from torch import Tensor

from harness.transport.state import State

START_RANGE = 10.0
"""Largest reduced cost, in units of temperature, at which a cold start is made."""

WARM_ERROR = 0.1
"""L1 error of the marginals below which the temperature is halved."""

RIDGE = 1e-9
"""Diagonal regularisation relative to the masses; keeps groups of tokens solvable that exchange almost nothing."""

TINY = 1e-300
"""Stands in for a mass that underflowed, so that a quotient stays finite."""


def newton_finish(state: State, tolerance: float, max_iterations: int) -> None:
    """Solve what is still open, in float64, each problem within what is left of its iterations."""
    index_A = torch.nonzero(~state.solved_B & (state.iterations_B < max_iterations)).flatten()
    goal = tolerance - torch.finfo(state.kernel_BNM.dtype).eps
    reduced_ANM = state.reduced_BNM[index_A].double()
    source_A1N, target_AM = state.source_BN[index_A].double()[:, None], state.target_BM[index_A].double()
    g_AM, temperature_A = _first_guess(state, index_A)
    while len(index_A):
        row_ANM, g_AM = _sweep(g_AM, reduced_ANM / temperature_A[:, None, None], source_A1N, target_AM)
        missing_AM = target_AM - torch.bmm(source_A1N, row_ANM)[:, 0]
        error_A = missing_AM.abs().sum(dim=1)
        state.iterations_B[index_A] += 1
        solved_A = (error_A <= goal) & (temperature_A == 1.0)
        leaves_A = solved_A | (state.iterations_B[index_A] >= max_iterations)
        if bool(leaves_A.any()):
            where = index_A[leaves_A]
            coupling_ANM = row_ANM[leaves_A] * source_A1N[leaves_A].transpose(1, 2)
            state.kernel_BNM[where] = coupling_ANM.to(state.kernel_BNM.dtype)
            state.solved_B[where] = solved_A[leaves_A]
            stay = torch.nonzero(~leaves_A).flatten()
            index_A, reduced_ANM, temperature_A = index_A[stay], reduced_ANM[stay], temperature_A[stay]
            source_A1N, target_AM, g_AM = source_A1N[stay], target_AM[stay], g_AM[stay]
            row_ANM, missing_AM, error_A = row_ANM[stay], missing_AM[stay], error_A[stay]
        g_AM = g_AM + _step(row_ANM, missing_AM, source_A1N, target_AM)
        cooler_A = torch.where(error_A < WARM_ERROR, (temperature_A / 2).clamp_min(1.0), temperature_A)
        g_AM = g_AM * (temperature_A / cooler_A)[:, None]
        temperature_A = cooler_A


def _first_guess(state: State, index_A: Tensor) -> tuple[Tensor, Tensor]:
    """Potential and temperature: warm at 1 where the scaling iteration has been, else cold and harmless."""
    warm_A = state.iterations_B[index_A] > 0
    levels_A = torch.log2(state.range_B[index_A].double() / START_RANGE).ceil().clamp_min(0.0)
    scale_AM = torch.where(warm_A[:, None], state.target_scale_BM[index_A], state.target_BM[index_A])
    return scale_AM.double().log(), torch.where(warm_A, 1.0, torch.exp2(levels_A))


def _sweep(g_AM: Tensor, cost_ANM: Tensor, source_A1N: Tensor, target_AM: Tensor) -> tuple[Tensor, Tensor]:
    """One Sinkhorn update of the target; returns P_ij / a_i, whose rows sum to 1, and the new potential."""
    row_ANM = g_AM[:, None] - cost_ANM
    row_ANM -= row_ANM.amax(dim=2, keepdim=True)
    row_ANM.exp_()
    row_ANM /= row_ANM.sum(dim=2, keepdim=True)
    factor_AM = target_AM / torch.bmm(source_A1N, row_ANM)[:, 0].clamp_min(TINY)
    row_ANM *= factor_AM[:, None]
    row_ANM /= row_ANM.sum(dim=2, keepdim=True).clamp_min(TINY)
    return row_ANM, g_AM + factor_AM.log()


def _step(row_ANM: Tensor, missing_AM: Tensor, source_A1N: Tensor, target_AM: Tensor) -> Tensor:
    """The damped Newton step of the target potential; zero on padding and where the system cannot be solved."""
    weight_AMM = torch.bmm(row_ANM.transpose(1, 2) * source_A1N, row_ANM)
    diagonal_AM = weight_AMM.diagonal(dim1=1, dim2=2)
    diagonal_AM.zero_()
    # the diagonal as minus the sum of the rest, not as a difference: a Laplacian free of cancellation
    degree_AM = weight_AMM.sum(dim=2)
    diagonal_AM.copy_(-degree_AM - RIDGE * target_AM - (target_AM == 0).to(target_AM.dtype))
    # b b^T fixes the constant that potentials leave free
    hessian_AMM = target_AM[:, :, None] * target_AM[:, None] - weight_AMM
    factor_AMM, _ = torch.linalg.cholesky_ex(hessian_AMM)
    step_AM = torch.cholesky_solve(missing_AM[:, :, None], factor_AMM)[:, :, 0]
    step_AM = torch.where(torch.isfinite(step_AM).all(dim=1, keepdim=True), step_AM, 0.0)
    range_A1 = step_AM.amax(dim=1, keepdim=True) - step_AM.amin(dim=1, keepdim=True)
    return step_AM * torch.log1p(range_A1) / range_A1.clamp_min(TINY)
