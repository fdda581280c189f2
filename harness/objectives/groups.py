"""Losses over candidate groups: each example is compared with those beside it.

A group is `group_size` consecutive examples, so that a loss does not depend on how a batch is split as long as groups
stay whole. A score is the mean, over query tokens, of the largest cosine: in [-1, 1] whatever the length of the
query, so that one temperature serves all.

Shapes: B examples, N query or student tokens, M passage or teacher tokens, H width, G examples of a candidate group,
K passages of an example.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div, log_softmax, one_hot

from harness.late_interaction import maxsim
from harness.objectives.pairs import Loss, unit_vectors


def contrastive_loss(
    query_BNH: Tensor,
    passage_BMH: Tensor,
    query_mask_BN: Tensor,
    passage_mask_BM: Tensor,
    *,
    group_size: int,
    temperature: float,
    relevant_BG: Tensor | None = None,
) -> Loss:
    """Cross-entropy of each query's own passage among the passages of its group, by MaxSim of cosines.

    relevant_BG marks passages of the group that answer the query too: all but its own are left out of the candidates.
    """
    score_BG = _group_scores(query_BNH, passage_BMH, query_mask_BN, passage_mask_BM, group_size)
    own_B = torch.arange(len(score_BG), device=score_BG.device) % group_size
    logit_BG = score_BG / temperature
    if relevant_BG is not None:
        own_BG = one_hot(own_B, group_size).bool()
        logit_BG = logit_BG.masked_fill(relevant_BG.bool() & ~own_BG, -torch.inf)
    return cross_entropy(logit_BG, own_B), {}


def ranking_loss(
    query_BNH: Tensor,
    passage_PMH: Tensor,
    query_mask_BN: Tensor,
    passage_mask_PM: Tensor,
    *,
    group_size: int,
    temperature: float,
    barred_BC: Tensor,
) -> Loss:
    """Cross-entropy of each query's relevant passage among the C = G K passages of its group, by MaxSim of cosines.

    The P = B K passages are those of one example after another, its relevant one first. ``barred_BC`` marks candidates
    that are left out; a query's own relevant passage never is.
    """
    given = len(passage_PMH) // len(query_BNH)
    score_BC = _group_scores(query_BNH, passage_PMH, query_mask_BN, passage_mask_PM, group_size)
    own_B = torch.arange(len(score_BC), device=score_BC.device) % group_size * given
    own_BC = one_hot(own_B, group_size * given).bool()
    return cross_entropy((score_BC / temperature).masked_fill(barred_BC.bool() & ~own_BC, -torch.inf), own_B), {}


def score_kl_loss(
    student_BNH: Tensor,
    teacher_BMH: Tensor,
    student_mask_BN: Tensor,
    teacher_mask_BM: Tensor,
    *,
    group_size: int,
    temperature: float,
) -> Loss:
    """KL(teacher || student) of the distributions over the group's English sentences, in nats per line.

    Both are softmaxes of MaxSim over `temperature` against the teacher's vectors; the teacher's queries are those
    sentences themselves, the student's are their translations.
    """
    with torch.no_grad():
        own_BG = _group_scores(teacher_BMH, teacher_BMH, teacher_mask_BM, teacher_mask_BM, group_size)
    score_BG = _group_scores(student_BNH, teacher_BMH, student_mask_BN, teacher_mask_BM, group_size)
    target_BG = log_softmax(own_BG / temperature, dim=1).to(score_BG.dtype)
    found_BG = log_softmax(score_BG / temperature, dim=1)
    return kl_div(found_BG, target_BG, reduction="batchmean", log_target=True), {}


def same_sentence(english_B: Tensor, group_size: int) -> Tensor:
    """Whether candidate g of an example's group is the same English sentence as its own, [B, G]."""
    group_CG = english_B.view(-1, group_size)
    return (group_CG[:, :, None] == group_CG[:, None]).view(-1, group_size)


def _group_scores(
    query_BNH: Tensor, passage_BMH: Tensor, query_mask_BN: Tensor, passage_mask_BM: Tensor, group_size: int
) -> Tensor:
    """Scores of every query against the passages of its group, as many of each example: [B, G], or [B, G K]."""
    if group_size < 1 or len(query_BNH) % group_size:
        raise ValueError(
            f"a batch must be whole candidate groups; found {len(query_BNH)} examples and group_size={group_size}; "
            "choose a (micro-)batch that is a multiple of the group size"
        )
    query_BNH, passage_BMH = unit_vectors(query_BNH, query_mask_BN), unit_vectors(passage_BMH, passage_mask_BM)
    of_group = len(passage_BMH) * group_size // len(query_BNH)
    sizes = (group_size, of_group, group_size, of_group)
    sides = (query_BNH, passage_BMH, query_mask_BN, passage_mask_BM)
    groups = zip(*(torch.split(side, size) for side, size in zip(sides, sizes, strict=True)), strict=True)
    return torch.cat([maxsim(*group) for group in groups]) / query_mask_BN.sum(dim=1, keepdim=True)
