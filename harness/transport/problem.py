"""Cosine cost between two token clouds, and a batch of transport problems over it.

Shapes: B problems, N source (student) tokens, M target (teacher) tokens, H width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

MARGINAL_SUM_TOLERANCE = 1e-4
"""How far the mass of one marginal may be from 1; float32 sums of a few hundred tokens stay below 1e-6."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """A batch of balanced transport problems of unequal size, padded to one shape.

    cost_BNM: float32 or float64, finite everywhere; padding entries have no influence.
    source_BN, target_BM: masses of the tokens, each row summing to 1; padding carries exactly zero.
    """

    cost_BNM: Tensor
    source_BN: Tensor
    target_BM: Tensor

    def __post_init__(self) -> None:
        if self.cost_BNM.ndim != 3 or self.cost_BNM.dtype not in (torch.float32, torch.float64):
            raise ValueError(
                f"a cost is a float32 or float64 tensor [problems, source, target]; found {self.cost_BNM.dtype} "
                f"of shape {tuple(self.cost_BNM.shape)}; convert it before building the problem"
            )
        problems, num_source, num_target = self.cost_BNM.shape
        _check_marginal("source", self.source_BN, (problems, num_source), self.cost_BNM.dtype)
        _check_marginal("target", self.target_BM, (problems, num_target), self.cost_BNM.dtype)
        finite_B = torch.isfinite(self.cost_BNM.detach().sum(dim=(1, 2)))
        if not bool(finite_B.all()):
            bad = torch.nonzero(~finite_B).flatten().tolist()
            raise ValueError(
                f"every cost must be finite; problems {bad[:8]} hold NaN or infinity; an encoder that produced "
                "them has diverged (lower the learning rate) or was given broken weights"
            )


def uniform_problem(cost_BNM: Tensor, source_mask_BN: Tensor, target_mask_BM: Tensor) -> Problem:
    """Every token of a sentence carries the same mass; tokens where the mask is false carry none.

    An entirely masked sentence is a ValueError: it has no tokens to move.
    """
    return Problem(
        cost_BNM=cost_BNM,
        source_BN=uniform_marginal("source", source_mask_BN, cost_BNM.dtype),
        target_BM=uniform_marginal("target", target_mask_BM, cost_BNM.dtype),
    )


def uniform_marginal(side: str, mask_BN: Tensor, dtype: torch.dtype) -> Tensor:
    """1 / (tokens in the sentence) on tokens, 0 on padding; `side` names the marginal in the error."""
    mass_BN = mask_BN.to(dtype)
    count_B1 = mass_BN.sum(dim=1, keepdim=True)
    if not bool(count_B1.all()):
        empty = torch.nonzero(count_B1[:, 0] == 0).flatten().tolist()
        raise ValueError(
            f"every {side} sentence needs at least one token; sentences {empty[:8]} of {len(mask_BN)} are fully "
            "masked; drop them when the batch is built"
        )
    return mass_BN / count_B1


def cosine_cost(source_BNH: Tensor, target_BMH: Tensor) -> Tensor:
    """1 - cos(source token, target token), [B, N, M], in [0, 2] up to rounding.

    Computed in float32 whatever the encoders run in, also under autocast: with bfloat16 the error of a cosine is
    about 0.004, a tenth of a usual epsilon. float64 stays float64. A zero vector is at distance 1 from everything.
    """
    with torch.autocast(device_type=source_BNH.device.type, enabled=False):
        dtype = torch.promote_types(torch.promote_types(source_BNH.dtype, target_BMH.dtype), torch.float32)
        source_BNH = torch.nn.functional.normalize(source_BNH.to(dtype), dim=-1)
        target_BMH = torch.nn.functional.normalize(target_BMH.to(dtype), dim=-1)
        return 1.0 - torch.bmm(source_BNH, target_BMH.transpose(1, 2))


def _check_marginal(side: str, mass_BN: Tensor, shape: tuple[int, int], dtype: torch.dtype) -> None:
    if tuple(mass_BN.shape) != shape or mass_BN.dtype != dtype:
        raise ValueError(
            f"the {side} marginal must match its cost: {dtype} of shape {shape}; found {mass_BN.dtype} of shape "
            f"{tuple(mass_BN.shape)}"
        )
    total_B = mass_BN.sum(dim=1)
    valid_B = ((total_B - 1.0).abs() <= MARGINAL_SUM_TOLERANCE) & (mass_BN >= 0).all(dim=1)
    if not bool(valid_B.all()):
        worst = int(torch.nonzero(~valid_B)[0])
        raise ValueError(
            f"every {side} marginal must be non-negative and sum to 1; problem {worst} sums to "
            f"{float(total_B[worst]):.6g}; drop empty sentences and divide masses by their sum"
        )
