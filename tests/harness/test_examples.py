"""Examples as batches: padding is bookkeeping and moves no number."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from harness.criteria import criterion
from harness.encoders import build
from harness.examples import BitextExamples, RankingExamples, Sequences
from harness.families import PADDING
from harness.late_interaction import Ragged
from harness.vectors import CachedTeacher
from studies.ladders import ATLAS
from studies.schema.objective import Contrastive, Transport
from tests.oracles import loop_maxsim

CPU = torch.device("cpu")
# Losses of order one, summed in another order in float32; the solver adds its own tolerance.
LOSS_TOLERANCE = 2e-5

texts = st.lists(st.lists(st.integers(4, 90), min_size=1, max_size=9), min_size=1, max_size=12)


@given(texts, st.data())
def test_padded_texts_equal_a_loop_over_them(lists: list[list[int]], data: st.DataObject) -> None:
    indices = data.draw(st.lists(st.integers(0, len(lists) - 1), min_size=1, max_size=15))
    ids_BN, mask_BN = Sequences.of(lists, PADDING).padded(np.array(indices))
    longest = max(len(lists[index]) for index in indices)
    assert ids_BN.tolist() == [lists[index] + [PADDING] * (longest - len(lists[index])) for index in indices]
    assert mask_BN.tolist() == [[place < len(lists[index]) for place in range(longest)] for index in indices]


@given(texts)
def test_lengths_are_those_of_the_texts(lists: list[list[int]]) -> None:
    assert Sequences.of(lists, PADDING).lengths.tolist() == [len(ids) for ids in lists]


@pytest.mark.parametrize("lists", [[], [[]], [[5], [], [6]]])
def test_text_without_tokens_is_refused(lists: list[list[int]]) -> None:
    with pytest.raises(ValueError, match=r"without tokens .* remove empty texts"):
        Sequences.of(lists, PADDING)


def encode(ids_BN: Tensor, mask_BN: Tensor) -> Tensor:
    rung, _ = ATLAS.rungs[0]
    vectors: Tensor = build(rung, 8, dropout=0.0, seed=2).eval()(ids_BN, mask_BN)
    return vectors


@dataclass(frozen=True, kw_only=True)
class Padded:
    """Sequences in batches that are wider than they need to be."""

    texts: Sequences
    extra: int

    @property
    def lengths(self) -> Any:
        return self.texts.lengths

    def padded(self, indices: Any) -> tuple[Tensor, Tensor]:
        ids_BN, mask_BN = self.texts.padded(indices)
        pad = torch.nn.functional.pad
        return pad(ids_BN, (0, self.extra), value=PADDING), pad(mask_BN, (0, self.extra))


def ragged(lengths: list[int], width: int, seed: int) -> Ragged:
    vectors = torch.randn(sum(lengths), width, generator=torch.Generator().manual_seed(seed))
    return Ragged(tokens_TH=torch.nn.functional.normalize(vectors, dim=-1), lengths=torch.tensor(lengths))


def bitext(extra: int = 0) -> BitextExamples:
    source: Any = Padded(texts=Sequences.of([[5, 6, 7], [8], [9, 10, 11, 12, 13], [14, 15]], PADDING), extra=extra)
    return BitextExamples(
        source=source,
        english_of=np.array([2, 0, 1, 2]),
        teacher=CachedTeacher(ragged([4, 2, 3], 8, seed=1)),
        criterion=criterion(Transport(epsilon=0.1, tolerance=1e-5)),
    )


def test_distillation_loss_of_a_batch_is_the_mean_over_its_lines_whatever_is_padded() -> None:
    indices = np.array([0, 1, 2, 3])
    whole, _ = bitext().loss(encode, indices, CPU)
    wide, _ = bitext(extra=6).loss(encode, indices, CPU)
    alone = [bitext().loss(encode, indices[i : i + 1], CPU)[0] for i in indices]
    torch.testing.assert_close(whole, torch.stack(alone).mean(), rtol=0, atol=LOSS_TOLERANCE)
    torch.testing.assert_close(whole, wide, rtol=0, atol=LOSS_TOLERANCE)


def test_distillation_pairs_every_line_with_its_own_english() -> None:
    """A student whose vectors are the teacher's own has a smaller loss on its line than on any other."""
    examples = bitext()
    teacher = examples.teacher
    for line in range(4):
        vectors, mask = teacher.take(examples.english_of[[line]])
        mirror = Sequences.of([[5] * int(mask.sum())] * 4, PADDING)
        own = BitextExamples(
            source=mirror, english_of=examples.english_of, teacher=teacher, criterion=examples.criterion
        )
        losses = [float(own.loss(lambda *_, v=vectors: v, np.array([other]), CPU)[0]) for other in range(4)]
        same = examples.english_of == examples.english_of[line]
        assert max(np.array(losses)[same]) < min(np.array(losses)[~same])


def ranking(group_size: int, extra: int = 0) -> RankingExamples:
    queries: Any = Padded(texts=Sequences.of([[5, 6], [7], [8, 9, 10]], PADDING), extra=extra)
    passages: Any = Padded(
        texts=Sequences.of([[20, 21, 22, 23], [24, 25], [26], [27, 28, 29, 30, 31], [32, 33]], PADDING), extra=extra
    )
    return RankingExamples(
        queries=queries,
        passages=passages,
        pairs=np.array([[0, 0], [0, 3], [1, 1], [2, 2], [2, 4], [1, 4]]),
        relevant=[frozenset({0, 3}), frozenset({1, 4}), frozenset({2, 4})],
        objective=Contrastive(group_size=group_size, temperature=0.1),
    )


def ranking_loss_by_loops(examples: RankingExamples, indices: list[int]) -> float:
    """Cross-entropy of each query's own passage, other answers to it left out, one score at a time."""
    size = examples.objective.group_size
    total = 0.0
    for place, index in enumerate(indices):
        query, own = examples.pairs[index]
        group = indices[place // size * size :][:size]
        candidates = [examples.pairs[other][1] for other in group]
        scores = []
        for position, passage in enumerate(candidates):
            if position != place % size and int(passage) in examples.relevant[query]:
                continue
            query_ids, query_mask = examples.queries.padded(np.array([query]))
            passage_ids, passage_mask = examples.passages.padded(np.array([passage]))
            query_NH, passage_MH = encode(query_ids, query_mask)[0], encode(passage_ids, passage_mask)[0]
            score = loop_maxsim(query_NH.double(), passage_MH) / len(query_NH)
            scores.append((position == place % size, score / examples.objective.temperature))
        exponentials = np.exp([score for _, score in scores])
        (chosen,) = [score for is_own, score in scores if is_own]
        total += np.log(exponentials.sum()) - chosen
        assert own in candidates
    return total / len(indices)


@pytest.mark.parametrize("group_size", [2, 3, 6])
def test_ranking_loss_equals_loops_and_is_independent_of_padding(group_size: int) -> None:
    order = [3, 0, 5, 1, 4, 2]
    with torch.no_grad():
        loss, _ = ranking(group_size).loss(encode, np.array(order), CPU)
        wide, _ = ranking(group_size, extra=5).loss(encode, np.array(order), CPU)
        expected = ranking_loss_by_loops(ranking(group_size), order)
    assert float(loss) == pytest.approx(expected, abs=LOSS_TOLERANCE)
    assert float(wide) == pytest.approx(float(loss), abs=LOSS_TOLERANCE)


@given(st.permutations(range(6)), st.sampled_from([2, 3, 6]))
def test_relevant_passages_of_a_group_are_those_that_answer_the_query(order: list[int], group_size: int) -> None:
    examples = ranking(group_size)
    query, passage = examples.pairs[np.array(order)].T
    relevant_BG = examples._relevant(query, passage)
    assert relevant_BG.shape == (6, group_size)
    for place in range(6):
        group = passage[place // group_size * group_size :][:group_size]
        assert relevant_BG[place].tolist() == [int(other) in examples.relevant[query[place]] for other in group]
        assert bool(relevant_BG[place, place % group_size])


def test_ranking_examples_are_as_long_as_their_passages() -> None:
    examples = ranking(2)
    assert examples.lengths.tolist() == [4, 5, 2, 1, 2, 2]


def test_direct_lines_are_drawn_to_the_students_own_vectors_and_those_get_no_gradient() -> None:
    """A mixed batch is the mean of its lines, each beside its own target; the other side is a constant."""
    english = bitext()
    others = Sequences.of([[20, 21], [22, 23, 24, 25, 26]], PADDING)
    source = english.source.texts.followed_by(Sequences.of([[16, 17, 18], [19]], PADDING))  # type: ignore[attr-defined]
    mixed = BitextExamples(
        source=source,
        english_of=np.array([2, 0, 1, 2, 3, 4]),
        teacher=english.teacher,
        criterion=english.criterion,
        direct=others,
    )
    assert source.lengths.tolist() == [3, 1, 5, 2, 3, 1]
    encoder = build(ATLAS.rungs[0][0], 8, dropout=0.0, seed=2)
    whole, _ = mixed.loss(encoder, np.array([4, 1, 5, 0]), CPU)
    alone = [english.loss(encoder, np.array([line]), CPU)[0] for line in (1, 0)]
    for line in (0, 1):
        ids_BN, mask_BN = others.padded(np.array([line]))
        own = Ragged(tokens_TH=encoder(ids_BN, mask_BN).detach()[mask_BN], lengths=mask_BN.sum(dim=1))
        beside = BitextExamples(
            source=source, english_of=np.array([0] * 6), teacher=CachedTeacher(own), criterion=english.criterion
        )
        alone.append(beside.loss(encoder, np.array([4 + line]), CPU)[0])
    expected = torch.stack(alone).mean()
    assert float(whole.detach()) == pytest.approx(float(expected.detach()), abs=LOSS_TOLERANCE)
    gradients = [torch.autograd.grad(loss, list(encoder.parameters()), allow_unused=True) for loss in (whole, expected)]
    for left, right in zip(*gradients, strict=True):
        assert (left is None) == (right is None)
        if left is not None and right is not None:
            torch.testing.assert_close(left, right, atol=1e-4, rtol=1e-3)
