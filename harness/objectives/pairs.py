"""A batch of lines as a distillation loss reads it, and what the losses share.

Shapes: B lines, N student tokens, M teacher tokens, H width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.transport.problem import cosine_cost, uniform_marginal

Loss = tuple[Tensor, dict[str, Tensor]]
"""The scalar to minimise and its named, detached parts."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Pairs:
    """Token vectors of lines and of their English sides; vectors need not be normalised, padding may hold anything.

    english_B: number of each line's English side; equal where two lines translate one sentence.
    student_weight_BN, teacher_weight_BM: how much each token weighs in its sentence, where an objective asks for it.
    """

    student_BNH: Tensor
    teacher_BMH: Tensor
    student_mask_BN: Tensor
    teacher_mask_BM: Tensor
    english_B: Tensor
    student_weight_BN: Tensor | None = None
    teacher_weight_BM: Tensor | None = None

    @property
    def sides(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Student and teacher, vectors then masks."""
        return self.student_BNH, self.teacher_BMH, self.student_mask_BN, self.teacher_mask_BM


Criterion = Callable[[Pairs], Loss]
"""An objective's loss of a batch of lines."""


def weighted_sum(terms: Sequence[tuple[float, str, Criterion]], pairs: Pairs) -> Loss:
    """The sum of losses times their weights; parts are those of the terms, and each term's own loss by its name."""
    total = pairs.student_BNH.new_zeros((), dtype=torch.float32)
    parts: dict[str, Tensor] = {}
    for weight, name, criterion in terms:
        loss, own = criterion(pairs)
        if clash := own.keys() & parts.keys():
            raise ValueError(f"two terms of a weighted sum report {', '.join(sorted(clash))}; keep one of them")
        parts |= {**own, name: loss.detach()}
        total = total + weight * loss
    return total, parts


def zero_padding(vectors_BNH: Tensor, mask_BN: Tensor) -> Tensor:
    """Vectors with zeros on padding, whatever an encoder left there, and no gradient to it."""
    return torch.where(mask_BN.bool()[:, :, None], vectors_BNH, 0.0)


def unit_vectors(vectors_BNH: Tensor, mask_BN: Tensor) -> Tensor:
    """Token vectors of length 1, zero on padding, in float32 or wider; ValueError for a sentence without tokens."""
    dtype = torch.promote_types(vectors_BNH.dtype, torch.float32)
    uniform_marginal("given", mask_BN, dtype)
    return torch.nn.functional.normalize(zero_padding(vectors_BNH, mask_BN).to(dtype), dim=-1)


def token_cost(left_BNH: Tensor, right_BMH: Tensor, left_mask_BN: Tensor, right_mask_BM: Tensor) -> Tensor:
    """1 - cos of every pair of tokens, whatever padding holds, [B, N, M]."""
    return cosine_cost(zero_padding(left_BNH, left_mask_BN), zero_padding(right_BMH, right_mask_BM))
