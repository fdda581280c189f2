"""Scales on which scores are compared.

Legend: B draws, R runs, L languages.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from analysis.frame import Floats


@dataclass(frozen=True, kw_only=True)
class Scaled:
    """Scores on a scale, [B, R, L], and how many of the sample's own scores (row 0) had to be clipped to get there."""

    values_BRL: Floats
    num_clipped: int


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A transformation of scores given the teacher's score [B], where it is needed, and the number of queries [L]."""

    name: str
    unit: str
    formula: str
    apply: Callable[[Floats, Floats | None, Floats], Scaled]
    needs_teacher: bool = False


def clip(share_BRL: Floats, num_queries_L: Floats) -> tuple[Floats, int]:
    """Keep shares half a query away from 0 and 1, where a logarithm ends; counts the clipped ones of the sample."""
    margin_L = 0.5 / num_queries_L
    clipped = np.clip(share_BRL, margin_L, 1.0 - margin_L)
    return clipped, int((clipped[0] != share_BRL[0]).sum())


def _logit(scores_BRL: Floats, teacher_B: Floats | None, num_queries_L: Floats) -> Scaled:
    if teacher_B is None or not (teacher_B > 0.0).all():
        raise ValueError(
            "the teacher scores 0 or was asked nothing, so no share of its score exists; train the teacher first"
        )
    share, num_clipped = clip(scores_BRL / teacher_B[:, None, None], num_queries_L)
    return Scaled(values_BRL=np.log(share) - np.log1p(-share), num_clipped=num_clipped)


def _raw(scores_BRL: Floats, teacher_B: Floats | None, num_queries_L: Floats) -> Scaled:
    return Scaled(values_BRL=scores_BRL, num_clipped=0)


def _error(scores_BRL: Floats, teacher_B: Floats | None, num_queries_L: Floats) -> Scaled:
    score, num_clipped = clip(scores_BRL, num_queries_L)
    return Scaled(values_BRL=-np.log1p(-score), num_clipped=num_clipped)


SCALES: Mapping[str, Scale] = {
    "logit": Scale(
        name="logit",
        unit="logits of teacher share",
        formula="log(s / (1 - s)), s = score / teacher's English score",
        apply=_logit,
        needs_teacher=True,
    ),
    "raw": Scale(name="raw", unit="points of score", formula="score", apply=_raw),
    "error": Scale(name="error", unit="log ratio of errors", formula="-log(1 - score)", apply=_error),
}

DECLARED = {"logit_of_teacher_share": "logit", "raw": "raw"}
"""How a study's declaration names a scale."""
