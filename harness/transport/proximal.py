"""Transport without entropy by proximal points: IPOT (Xie et al., UAI 2019, arXiv 1802.04307).

Step k multiplies the last coupling by exp(-C / weight) and projects it once on each marginal, so it approaches the
exact plan whatever the weight, which is a knob of speed. On potentials, in units of the weight:

    P = a b^T exp(f + g - k C / weight),    g first moved on as far as in the step before.

A coupling is then moved onto its marginals exactly (Altschuler et al., NeurIPS 2017), and what it costs more than the
dual value of its potentials is an upper bound of how far it is from the optimum: that is where a problem stops.

Shapes: B problems, of which A are still open, N source tokens, M target tokens.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.transport.plan import Plan, measure_plan
from harness.transport.problem import Problem

CHECK_EVERY = 20
"""Steps between two looks at the gap of each problem."""

TINY = 1e-300
"""Stands in for a mass that underflowed, so that a quotient stays finite."""


def proximal(problem: Problem, *, weight: float, tolerance: float, max_iterations: int) -> Plan:
    """Solve every problem until its coupling costs at most `tolerance` more than the optimum, its marginals met.

    weight: of the divergence from the last coupling, in units of cost. A problem that needs more steps than
    max_iterations comes back as it stands, with converged_B false.
    """
    if not (weight > 0 and tolerance > 0 and max_iterations >= 1):
        raise ValueError(
            "the proximal solver needs a weight and a tolerance above 0 and max_iterations of at least 1; found "
            f"weight={weight}, tolerance={tolerance}, max_iterations={max_iterations}"
        )
    with torch.no_grad():
        coupling_BNM = torch.zeros_like(problem.cost_BNM)
        iterations_B = torch.zeros(len(coupling_BNM), dtype=torch.long, device=coupling_BNM.device)
        solved_B = torch.zeros(len(coupling_BNM), dtype=torch.bool, device=coupling_BNM.device)
        work = _start(problem)
        step = 0
        while len(work.index_A):
            count = min(CHECK_EVERY, max_iterations - step)
            for _ in range(count):
                step += 1
                _advance(work, step / weight)
            rounded_ANM = _rounded(work, step / weight)
            gap_A = (rounded_ANM * work.cost_ANM).sum(dim=(1, 2)) - _dual_value(work, weight / step)
            leaves_A = gap_A <= tolerance if step < max_iterations else torch.ones_like(gap_A).bool()
            where = work.index_A[leaves_A]
            coupling_BNM[where] = rounded_ANM[leaves_A].to(coupling_BNM.dtype)
            iterations_B[where], solved_B[where] = step, gap_A[leaves_A] <= tolerance
            if bool(leaves_A.any()):
                work = work.chosen(torch.nonzero(~leaves_A).flatten())
        return measure_plan(problem, coupling_BNM, iterations_B, solved_B, tolerance)


@dataclass(kw_only=True, eq=False)
class _Work:
    """The open problems in float64: cost, masses, potentials, and how far the last step moved g."""

    index_A: Tensor
    cost_ANM: Tensor
    source_AN: Tensor
    target_AM: Tensor
    f_AN: Tensor
    g_AM: Tensor
    moved_AM: Tensor

    def chosen(self, stay: Tensor) -> "_Work":
        return _Work(**{name: value[stay] for name, value in vars(self).items()})


def _start(problem: Problem) -> _Work:
    """Independent couplings; masses sum to 1 in float64 too, or the two sides would differ by what float32 rounds."""
    source_BN, target_BM = problem.source_BN.double(), problem.target_BM.double()
    return _Work(
        index_A=torch.arange(len(source_BN), device=source_BN.device),
        cost_ANM=problem.cost_BNM.detach().double(),
        source_AN=source_BN / source_BN.sum(dim=1, keepdim=True),
        target_AM=target_BM / target_BM.sum(dim=1, keepdim=True),
        f_AN=torch.zeros_like(source_BN),
        g_AM=torch.zeros_like(target_BM),
        moved_AM=torch.zeros_like(target_BM),
    )


def _advance(work: _Work, scale: float) -> None:
    """One proximal step with one projection on each marginal."""
    cost_ANM = work.cost_ANM * scale
    target_AM = work.target_AM.log() + work.g_AM + work.moved_AM
    work.f_AN = -torch.logsumexp(target_AM[:, None] - cost_ANM, dim=2)
    source_AN = work.source_AN.log() + work.f_AN
    g_AM = -torch.logsumexp(source_AN[:, :, None] - cost_ANM, dim=1)
    work.moved_AM = g_AM - work.g_AM
    work.g_AM = g_AM


def _rounded(work: _Work, scale: float) -> Tensor:
    """The coupling of the potentials, moved onto its marginals: no row or column too heavy, then the rest spread."""
    source_AN, target_AM = work.source_AN.log() + work.f_AN, work.target_AM.log() + work.g_AM
    coupling_ANM = (source_AN[:, :, None] + target_AM[:, None] - scale * work.cost_ANM).exp()
    coupling_ANM *= (work.source_AN / coupling_ANM.sum(dim=2).clamp_min(TINY)).clamp_max(1.0)[:, :, None]
    coupling_ANM *= (work.target_AM / coupling_ANM.sum(dim=1).clamp_min(TINY)).clamp_max(1.0)[:, None]
    missing_AN = (work.source_AN - coupling_ANM.sum(dim=2)).clamp_min(0.0)
    missing_AM = (work.target_AM - coupling_ANM.sum(dim=1)).clamp_min(0.0)
    missing_A = missing_AN.sum(dim=1).clamp_min(TINY)
    return coupling_ANM + missing_AN[:, :, None] * (missing_AM / missing_A[:, None])[:, None]


def _dual_value(work: _Work, unit: float) -> Tensor:
    """The value of the best dual point with the potential g: a lower bound of every coupling's cost, [A]."""
    real_AN, real_AM = work.source_AN > 0, work.target_AM > 0
    g_AM = torch.where(real_AM, work.g_AM * unit, -torch.inf)
    f_AN = torch.where(real_AN, (work.cost_ANM - g_AM[:, None]).amin(dim=2), -torch.inf)
    g_AM = torch.where(real_AM, (work.cost_ANM - f_AN[:, :, None]).amin(dim=1), 0.0)
    f_AN = torch.where(real_AN, f_AN, 0.0)
    return (work.source_AN * f_AN).sum(dim=1) + (work.target_AM * g_AM).sum(dim=1)
