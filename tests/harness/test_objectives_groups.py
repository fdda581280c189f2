import math

import pytest
import torch
from torch import Tensor

from harness.objectives.groups import contrastive_loss, ranking_loss


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


def random_triples(size: int, given: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    query, _, query_mask, _ = random_batch(size)
    _, passage, _, passage_mask = random_batch(size * given)
    return query, passage, query_mask, passage_mask


def score(query: Tensor, passage: Tensor, query_mask: Tensor, passage_mask: Tensor) -> float:
    """Mean over query tokens of the largest cosine, by a loop."""
    tokens = [
        max(float(torch.cosine_similarity(q, p, dim=0)) for p in passage[passage_mask]) for q in query[query_mask]
    ]
    return sum(tokens) / len(tokens)


@pytest.mark.parametrize(("group_size", "given"), [(1, 2), (1, 4), (3, 2), (2, 3)])
def test_ranking_loss_is_the_softmax_over_all_passages_of_the_group_by_a_loop(group_size: int, given: int) -> None:
    batch = random_triples(6, given)
    barred = torch.rand(6, group_size * given, generator=torch.Generator().manual_seed(1)) < 0.3
    loss, parts = ranking_loss(*batch, group_size=group_size, temperature=0.25, barred_BC=barred)
    query, passage, query_mask, passage_mask = batch
    terms = []
    for i in range(6):
        first, own = i // group_size * group_size * given, i % group_size * given
        weights = {
            c: math.exp(score(query[i], passage[first + c], query_mask[i], passage_mask[first + c]) / 0.25)
            for c in range(group_size * given)
            if c == own or not barred[i, c]
        }
        terms.append(math.log(sum(weights.values()) / weights[own]))
    assert float(loss) == pytest.approx(sum(terms) / 6, abs=1e-5)
    assert parts == {}


def test_ranking_loss_of_one_passage_each_is_the_contrastive_loss() -> None:
    batch, relevant = random_batch(6), torch.eye(3, dtype=torch.bool).repeat(2, 1)
    relevant[0, 2] = True
    ours, _ = ranking_loss(*batch, group_size=3, temperature=0.1, barred_BC=relevant)
    theirs, _ = contrastive_loss(*batch, group_size=3, temperature=0.1, relevant_BG=relevant)
    torch.testing.assert_close(ours, theirs)


def test_ranking_loss_trains_both_sides_and_padding_gets_no_gradient() -> None:
    query, passage, query_mask, passage_mask = random_triples(4, 2)
    query.requires_grad_()
    passage.requires_grad_()
    nothing = torch.zeros(4, 4, dtype=torch.bool)
    loss, _ = ranking_loss(query, passage, query_mask, passage_mask, group_size=2, temperature=0.1, barred_BC=nothing)
    loss.backward()  # type: ignore[no-untyped-call]
    for side, mask in ((query, query_mask), (passage, passage_mask)):
        assert side.grad is not None
        assert bool((side.grad[mask].abs().sum(dim=-1) > 0).any())
        assert float(side.grad[~mask].abs().max()) == 0.0
