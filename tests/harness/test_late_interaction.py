import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness import late_interaction
from harness.late_interaction import Ragged, maxsim, search
from tests.oracles import loop_maxsim
from tests.strategies import Clouds, clouds

SAME = 1e-5  # float32 sums of a few hundred products


def ragged(generator: torch.Generator, num_texts: int, longest: int, width: int = 8, copies: int = 1) -> Ragged:
    """Random texts, each present `copies` times in a row."""
    lengths = torch.randint(1, longest + 1, (num_texts,), generator=generator)
    texts = [torch.randn(int(length), width, generator=generator) for length in lengths]
    texts = [text for text in texts for _ in range(copies)]
    return Ragged(tokens_TH=torch.cat(texts), lengths=lengths.repeat_interleave(copies))


def loop_scores(queries: Ragged, passages: Ragged) -> torch.Tensor:
    sides = [torch.split(texts.tokens_TH, texts.lengths.tolist()) for texts in (queries, passages)]
    return torch.tensor([[loop_maxsim(query, passage) for passage in sides[1]] for query in sides[0]])


@given(clouds(max_pairs=3, max_tokens=5))
def test_maxsim_padded_clouds_equals_loop(drawn: Clouds) -> None:
    scores_BC = maxsim(drawn.source_BNH, drawn.target_BMH, drawn.source_mask_BN, drawn.target_mask_BM)
    for b, c in itertools.product(range(len(scores_BC)), repeat=2):
        query, passage = drawn.source_BNH[b, drawn.source_mask_BN[b]], drawn.target_BMH[c, drawn.target_mask_BM[c]]
        assert float(scores_BC[b, c]) == pytest.approx(loop_maxsim(query, passage), abs=1e-9)


@given(clouds(dtype=torch.float32), st.integers(1, 5), st.sampled_from((0.0, 1e6, -1e6, float("nan"))))
def test_maxsim_appended_padding_never_changes_a_score(drawn: Clouds, extra: int, content: float) -> None:
    # every similarity is negative, so padding that counted as 0 would win each maximum
    query, passage = drawn.source_BNH.abs(), -drawn.target_BMH.abs()
    expected = maxsim(query, passage, drawn.source_mask_BN, drawn.target_mask_BM)
    assert bool((expected < 0).all())
    wider_query, wider_passage = (
        torch.nn.functional.pad(vectors, (0, 0, 0, extra), value=content) for vectors in (query, passage)
    )
    wider_query_mask, wider_passage_mask = (
        torch.nn.functional.pad(mask, (0, extra)) for mask in (drawn.source_mask_BN, drawn.target_mask_BM)
    )
    torch.testing.assert_close(maxsim(wider_query, wider_passage, wider_query_mask, wider_passage_mask), expected)


@given(clouds(), st.sampled_from((0.1, 3.0)))
def test_maxsim_is_linear_in_the_scale_of_the_query(drawn: Clouds, factor: float) -> None:
    masks = drawn.source_mask_BN, drawn.target_mask_BM
    scaled = maxsim(factor * drawn.source_BNH, drawn.target_BMH, *masks)
    torch.testing.assert_close(scaled, factor * maxsim(drawn.source_BNH, drawn.target_BMH, *masks))


def test_maxsim_gradient_equals_finite_differences_and_spares_padding() -> None:
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(2, 3, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    passage = torch.randn(3, 5, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    query_mask, passage_mask = (
        torch.arange(3) < torch.tensor([[3], [1]]),
        torch.arange(5) < torch.tensor([[5], [2], [1]]),
    )
    assert torch.autograd.gradcheck(lambda q, p: maxsim(q, p, query_mask, passage_mask), (query, passage))
    maxsim(query, passage, query_mask, passage_mask).sum().backward()  # type: ignore[no-untyped-call]
    assert query.grad is not None
    assert passage.grad is not None
    assert bool((query.grad[~query_mask] == 0).all())
    assert bool((passage.grad[~passage_mask] == 0).all())


def test_maxsim_masked_out_passage_is_refused() -> None:
    mask = torch.tensor([[True], [False]])
    with pytest.raises(ValueError, match="every passage needs at least one token"):
        maxsim(torch.ones(2, 1, 3), torch.ones(2, 1, 3), torch.ones(2, 1, dtype=torch.bool), mask)


@pytest.mark.parametrize(("num_queries", "num_passages", "k"), [(1, 1, 1), (3, 40, 7), (30, 200, 10), (5, 6, 100)])
def test_search_random_texts_equals_sorting_every_score(num_queries: int, num_passages: int, k: int) -> None:
    generator = torch.Generator().manual_seed(num_passages)
    queries, passages = ragged(generator, num_queries, 6), ragged(generator, num_passages, 15)
    scores, indices = search(queries, passages, k=k)
    expected = loop_scores(queries, passages)
    order = expected.argsort(dim=1, descending=True)[:, :k]
    assert torch.equal(indices, order)
    torch.testing.assert_close(scores, expected.gather(1, order), atol=SAME, rtol=0)


@pytest.mark.parametrize(("block", "held"), [(1, 1), (16, 40), (64, 1 << 20)])
def test_search_any_block_size_gives_the_same_result(monkeypatch: pytest.MonkeyPatch, block: int, held: int) -> None:
    generator = torch.Generator().manual_seed(1)
    queries, passages = ragged(generator, 9, 6), ragged(generator, 60, 15)
    scores, indices = search(queries, passages, k=12)
    monkeypatch.setattr(late_interaction, "BLOCK_QUERY_TOKENS", block)
    monkeypatch.setattr(late_interaction, "BLOCK_SIMILARITIES", block * block)
    monkeypatch.setattr(late_interaction, "HELD_SCORES", held)
    other_scores, other_indices = search(queries, passages, k=12)
    assert torch.equal(other_indices, indices)
    torch.testing.assert_close(other_scores, scores, atol=SAME, rtol=0)


@pytest.mark.parametrize("held", [1, 1 << 20])
def test_search_equal_scores_come_lower_index_first(monkeypatch: pytest.MonkeyPatch, held: int) -> None:
    monkeypatch.setattr(late_interaction, "HELD_SCORES", held)
    # small integers, so that every order of summation gives the same float
    generator = torch.Generator().manual_seed(2)
    lengths = torch.randint(1, 5, (80,), generator=generator)
    tokens = torch.randint(-1, 2, (int(lengths.sum()), 3), generator=generator).float()
    passages, queries = Ragged(tokens_TH=tokens, lengths=lengths), ragged(generator, 4, 5, width=3)
    queries = Ragged(tokens_TH=queries.tokens_TH.round(), lengths=queries.lengths)
    expected = loop_scores(queries, passages)
    assert len(torch.unique(expected)) < expected.numel() / 3
    scores, indices = search(queries, passages, k=50)
    for row, found, found_scores in zip(expected.tolist(), indices.tolist(), scores.tolist(), strict=True):
        order = sorted(range(80), key=lambda passage, row=row: (-row[passage], passage))[:50]  # type: ignore[misc]
        assert found == order
        assert found_scores == [row[passage] for passage in order]


def test_search_copies_of_a_passage_keep_their_order() -> None:
    generator = torch.Generator().manual_seed(3)
    queries, passages = ragged(generator, 5, 6, width=64), ragged(generator, 50, 40, width=64, copies=3)
    _, indices = search(queries, passages, k=60)
    for row in indices.view(5, 20, 3).tolist():
        for first, second, third in row:
            assert (first % 3, second, third) == (0, first + 1, first + 2)


def test_search_all_similarities_negative_is_not_won_by_padding() -> None:
    queries = Ragged(tokens_TH=torch.ones(3, 2), lengths=torch.tensor([1, 2]))
    passages = Ragged(tokens_TH=-torch.tensor([[3.0, 0], [1, 0], [2, 0], [2, 0]]), lengths=torch.tensor([1, 2, 1]))
    scores, indices = search(queries, passages, k=3)
    assert indices.tolist() == [[1, 2, 0]] * 2
    assert scores.tolist() == [[-1.0, -2.0, -3.0], [-2.0, -4.0, -6.0]]


def test_search_bad_input_is_refused() -> None:
    good = Ragged(tokens_TH=torch.ones(3, 2), lengths=torch.tensor([1, 2]))
    with pytest.raises(ValueError, match="found k=0"):
        search(good, good, k=0)
    with pytest.raises(ValueError, match="NaN or infinite"):
        search(good, Ragged(tokens_TH=torch.full((3, 2), torch.nan), lengths=torch.tensor([1, 2])), k=1)
    with pytest.raises(ValueError, match=r"texts \[1\] have none"):
        Ragged(tokens_TH=torch.ones(3, 2), lengths=torch.tensor([3, 0]))
    with pytest.raises(ValueError, match="sum to 4"):
        Ragged(tokens_TH=torch.ones(3, 2), lengths=torch.tensor([1, 3]))
