"""Sinkhorn's iteration on potentials in the log domain: slow, differentiable, and for unbalanced marginals too.

In units of epsilon, with D = C / epsilon, the coupling is P_ij = a_i b_j exp(f_i + g_j - D_ij) and a sweep sets

    f_i = -log sum_j b_j exp(g_j - D_ij) / (1 + slack),    g likewise,    slack = epsilon / strength,

where `strength` weighs the divergence of the coupling's marginals from a and b (Chizat et al., Mathematics of
Computation 2018); slack 0 holds them fixed. With slack, the constant in f - g, which sweeps forget only slowly, is set
to its best value at once (Sejourne et al., AISTATS 2022). Everything is float64: D reaches 20,000 at epsilon 1e-4.

Shapes: B problems, of which A are still open, N source tokens, M target tokens.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.transport.problem import Problem

CHECK_EVERY = 10
"""Iterations between two looks at the error of each problem."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LogProblem:
    """A problem in units of epsilon: cost, logarithms of the masses (minus infinity on padding), slack."""

    cost_BNM: Tensor
    log_source_BN: Tensor
    log_target_BM: Tensor
    slack: float

    def coupling(self, f_BN: Tensor, g_BM: Tensor) -> Tensor:
        """The coupling of two potentials, [B, N, M]; zero on padding."""
        source_BN, target_BM = self.log_source_BN + f_BN, self.log_target_BM + g_BM
        return (source_BN[:, :, None] + target_BM[:, None] - self.cost_BNM).exp()

    def marginals(self, f_BN: Tensor, g_BM: Tensor) -> tuple[Tensor, Tensor]:
        """The marginals that the coupling has at the solution: those asked for, or what the slack makes of them."""
        return (self.log_source_BN - self.slack * f_BN).exp(), (self.log_target_BM - self.slack * g_BM).exp()

    def target_potential(self, f_BN: Tensor) -> Tensor:
        """The best g to an f, [B, M]."""
        source_BN = self.log_source_BN + f_BN
        return -torch.logsumexp(source_BN[:, :, None] - self.cost_BNM, dim=1) / (1 + self.slack)

    def sweep(self, g_BM: Tensor) -> tuple[Tensor, Tensor]:
        """One update of both potentials; differentiable with respect to the cost and g."""
        target_BM = self.log_target_BM + g_BM
        f_BN = -torch.logsumexp(target_BM[:, None] - self.cost_BNM, dim=2) / (1 + self.slack)
        g_BM = self.target_potential(f_BN)
        if self.slack == 0:
            return f_BN, g_BM
        mass_B1 = torch.logsumexp(self.log_source_BN - self.slack * f_BN, dim=1, keepdim=True)
        mass_B1 = mass_B1 - torch.logsumexp(self.log_target_BM - self.slack * g_BM, dim=1, keepdim=True)
        shift_B1 = mass_B1 / (2 * self.slack)
        return f_BN + shift_B1, g_BM - shift_B1

    def error(self, f_BN: Tensor, g_BM: Tensor) -> Tensor:
        """L1 distance of both marginals of the coupling from those at the solution, [B]."""
        coupling_BNM = self.coupling(f_BN, g_BM)
        source_BN, target_BM = self.marginals(f_BN, g_BM)
        error_B = (coupling_BNM.sum(dim=2) - source_BN).abs().sum(dim=1)
        return error_B + (coupling_BNM.sum(dim=1) - target_BM).abs().sum(dim=1)

    def chosen(self, index_A: Tensor) -> "LogProblem":
        """Some of the problems."""
        return LogProblem(
            cost_BNM=self.cost_BNM[index_A],
            log_source_BN=self.log_source_BN[index_A],
            log_target_BM=self.log_target_BM[index_A],
            slack=self.slack,
        )


def log_problem(problem: Problem, cost_BNM: Tensor, epsilon: float, strength: float | None) -> LogProblem:
    """A problem in units of epsilon, its cost replaced by `cost_BNM`, which may carry a gradient."""
    return LogProblem(
        cost_BNM=cost_BNM.double() / epsilon,
        log_source_BN=problem.source_BN.double().log(),
        log_target_BM=problem.target_BM.double().log(),
        slack=0.0 if strength is None else epsilon / strength,
    )


def solve(
    problem: LogProblem, g_BM: Tensor, tolerance: float, max_iterations: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Sweep from g until the error of each problem is at most `tolerance`, each problem for itself.

    Returns f, g, the iterations spent and whether the error was met. No gradient.
    """
    with torch.no_grad():
        device = g_BM.device
        f_BN, g_BM = torch.zeros_like(problem.log_source_BN), g_BM.clone()
        iterations_B = torch.zeros(len(g_BM), dtype=torch.long, device=device)
        solved_B = torch.zeros(len(g_BM), dtype=torch.bool, device=device)
        index_A, work, g_AM = torch.arange(len(g_BM), device=device), problem, g_BM
        iteration = 0
        while len(index_A):
            count = min(CHECK_EVERY, max_iterations - iteration)
            f_AN, g_AM = work.sweep(g_AM)
            for _ in range(count - 1):
                f_AN, g_AM = work.sweep(g_AM)
            iteration += count
            error_A = work.error(f_AN, g_AM)
            leaves_A = error_A <= tolerance if iteration < max_iterations else torch.ones_like(error_A).bool()
            if not bool(leaves_A.any()):
                continue
            where = index_A[leaves_A]
            f_BN[where], g_BM[where] = f_AN[leaves_A], g_AM[leaves_A]
            iterations_B[where], solved_B[where] = iteration, error_A[leaves_A] <= tolerance
            stay = torch.nonzero(~leaves_A).flatten()
            index_A, work, g_AM = index_A[stay], work.chosen(stay), g_AM[stay]
        return f_BN, g_BM, iterations_B, solved_B
