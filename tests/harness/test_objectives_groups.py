import math

import pytest
import torch
from torch import Tensor

from harness.objectives.groups import contrastive_loss


def angle(*degrees: float) -> list[list[float]]:
    return [[math.cos(math.radians(d)), math.sin(math.radians(d))] for d in degrees]


def test_contrastive_loss_one_group_equals_the_closed_formula() -> None:
    # lengths of the vectors must not matter
    query = 3.0 * torch.tensor([angle(0, 90), angle(180, 0)])
    passage = 0.5 * torch.tensor([angle(60, 30), angle(120, 0)])
    query_mask = torch.tensor([[True, True], [True, False]])
    passage_mask = torch.tensor([[True, True], [True, False]])
    loss, parts = contrastive_loss(query, passage, query_mask, passage_mask, group_size=2, temperature=0.5)

    def cosine(degrees: float) -> float:
        return math.cos(math.radians(degrees))

    own_0 = (cosine(30) + cosine(30)) / 2
    other_0 = (cosine(120) + cosine(30)) / 2
    other_1, own_1 = cosine(120), cosine(60)
    terms = [
        math.log(math.exp(own / 0.5) + math.exp(other / 0.5)) - own / 0.5
        for own, other in ((own_0, other_0), (own_1, other_1))
    ]
    assert float(loss) == pytest.approx(sum(terms) / 2, abs=1e-6)
    assert parts == {}


def random_batch(size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(size)
    query, passage = torch.randn(size, 3, 8, generator=generator), torch.randn(size, 6, 8, generator=generator)
    query_mask = torch.arange(3) < torch.randint(1, 4, (size, 1), generator=generator)
    passage_mask = torch.arange(6) < torch.randint(1, 7, (size, 1), generator=generator)
    return query, passage, query_mask, passage_mask


def test_contrastive_loss_of_whole_groups_is_the_mean_over_groups() -> None:
    batch = random_batch(12)
    whole, _ = contrastive_loss(*batch, group_size=4, temperature=0.1)
    groups = [
        contrastive_loss(*(side[first : first + 4] for side in batch), group_size=4, temperature=0.1)[0]
        for first in (0, 4, 8)
    ]
    torch.testing.assert_close(whole, torch.stack(groups).mean())


def test_contrastive_loss_group_of_one_is_zero() -> None:
    assert float(contrastive_loss(*random_batch(3), group_size=1, temperature=0.1)[0]) == 0.0


def test_contrastive_loss_other_relevant_passages_are_no_candidates() -> None:
    query, passage, query_mask, passage_mask = random_batch(3)
    relevant = torch.eye(3, dtype=torch.bool)
    relevant[0, 2] = relevant[2, 0] = True
    relevant[1] = torch.tensor([True, False, True])
    excluded, _ = contrastive_loss(
        query, passage, query_mask, passage_mask, group_size=3, temperature=0.2, relevant_BG=relevant
    )
    pairs = []  # without passages 2 and 0, queries 0 and 2 choose between two; query 1 has its own alone
    for own, other in ((0, 1), (2, 1)):
        rows = [own, other]
        sides = (query[rows], passage[rows], query_mask[rows], passage_mask[rows])
        first_only = torch.tensor([[True, False], [True, True]])
        loss, _ = contrastive_loss(*sides, group_size=2, temperature=0.2, relevant_BG=first_only)
        pairs.append(2 * loss)  # the second row chooses among itself and contributes 0
    torch.testing.assert_close(excluded, torch.stack(pairs).sum() / 3)


def test_contrastive_loss_extreme_temperature_has_a_finite_gradient() -> None:
    query, passage, query_mask, passage_mask = random_batch(4)
    query.requires_grad_()
    loss, _ = contrastive_loss(query, passage, query_mask, passage_mask, group_size=2, temperature=1e-4)
    loss.backward()  # type: ignore[no-untyped-call]
    assert query.grad is not None
    assert bool(torch.isfinite(query.grad).all())


@pytest.mark.parametrize("group_size", [0, 5, 8])
def test_contrastive_loss_split_group_is_refused(group_size: int) -> None:
    with pytest.raises(ValueError, match=f"found 6 examples and group_size={group_size}"):
        contrastive_loss(*random_batch(6), group_size=group_size, temperature=0.1)
