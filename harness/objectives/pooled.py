"""The error of pooled sentence vectors, which asks nothing of single tokens.

Shapes: B lines, N student tokens, M teacher tokens, H width.
"""

from torch import Tensor
from torch.nn.functional import mse_loss

from harness.objectives.pairs import Loss, unit_vectors


def pooled_mse_loss(student_BNH: Tensor, teacher_BMH: Tensor, student_mask_BN: Tensor, teacher_mask_BM: Tensor) -> Loss:
    """Squared error per dimension between the sides' mean unit token vectors (Reimers and Gurevych, EMNLP 2020)."""
    return mse_loss(_mean(student_BNH, student_mask_BN), _mean(teacher_BMH, teacher_mask_BM)), {}


def _mean(vectors_BNH: Tensor, mask_BN: Tensor) -> Tensor:
    return unit_vectors(vectors_BNH, mask_BN).sum(dim=1) / mask_BN.sum(dim=1, keepdim=True)
