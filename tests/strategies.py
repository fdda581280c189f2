"""Hypothesis strategies: masked token clouds and transport problems over them."""

from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor

from harness.transport.problem import Problem, cosine_cost, uniform_problem


@dataclass(frozen=True, kw_only=True, eq=False)
class Clouds:
    """Pairs of padded token clouds; padding holds large numbers, so that a leak shows."""

    source_BNH: Tensor
    target_BMH: Tensor
    source_mask_BN: Tensor
    target_mask_BM: Tensor

    def problem(self) -> Problem:
        return uniform_problem(cosine_cost(self.source_BNH, self.target_BMH), self.source_mask_BN, self.target_mask_BM)


@st.composite
def clouds(
    draw: st.DrawFn, *, max_pairs: int = 4, max_tokens: int = 9, width: int = 5, dtype: torch.dtype = torch.float64
) -> Clouds:
    """Between one and `max_pairs` pairs of ragged clouds, more or less aligned, as a student goes through them."""
    lengths = st.integers(1, max_tokens)
    source_length_B = torch.tensor(draw(st.lists(lengths, min_size=1, max_size=max_pairs)))
    target_length_B = torch.tensor([draw(lengths) for _ in source_length_B])
    aligned = draw(st.sampled_from((0.0, 0.4, 0.8, 1.0)))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    longest = int(torch.maximum(source_length_B, target_length_B).max())
    source = torch.randn(len(source_length_B), longest, width, generator=generator, dtype=dtype)
    other = torch.randn(len(source_length_B), longest, width, generator=generator, dtype=dtype)
    source_mask = torch.arange(int(source_length_B.max())) < source_length_B[:, None]
    target_mask = torch.arange(int(target_length_B.max())) < target_length_B[:, None]
    target = (aligned * source + (1 - aligned) * other)[:, : target_mask.shape[1]]
    source = source[:, : source_mask.shape[1]]
    return Clouds(
        source_BNH=torch.where(source_mask[:, :, None], source, 1e4),
        target_BMH=torch.where(target_mask[:, :, None], target, -1e4),
        source_mask_BN=source_mask,
        target_mask_BM=target_mask,
    )


def epsilons() -> st.SearchStrategy[float]:
    """From far below to far above the values in use, both sides of the change from kernel to Newton."""
    return st.sampled_from((0.003, 0.01, 0.03, 0.05, 0.1, 1.0))


def alone(problem: Problem, b: int) -> Problem:
    """Problem b without its padding."""
    rows, columns = problem.source_BN[b] > 0, problem.target_BM[b] > 0
    return Problem(
        cost_BNM=problem.cost_BNM[b : b + 1, rows][:, :, columns],
        source_BN=problem.source_BN[b : b + 1, rows],
        target_BM=problem.target_BM[b : b + 1, columns],
    )


def padded(problem: Problem, rows: int, columns: int) -> Problem:
    """The same problems with tokens of no mass appended, whose costs are far from the others."""
    return Problem(
        cost_BNM=torch.nn.functional.pad(problem.cost_BNM, (0, columns, 0, rows), value=-37.0),
        source_BN=torch.nn.functional.pad(problem.source_BN, (0, rows)),
        target_BM=torch.nn.functional.pad(problem.target_BM, (0, columns)),
    )


def uneven(problem: Problem, seed: int) -> Problem:
    """The same costs between tokens of unequal mass."""
    generator = torch.Generator().manual_seed(seed)

    def masses(even_BN: Tensor) -> Tensor:
        drawn_BN = even_BN * (0.2 + torch.rand(even_BN.shape, generator=generator, dtype=even_BN.dtype))
        return drawn_BN / drawn_BN.sum(dim=1, keepdim=True)

    return Problem(cost_BNM=problem.cost_BNM, source_BN=masses(problem.source_BN), target_BM=masses(problem.target_BM))
