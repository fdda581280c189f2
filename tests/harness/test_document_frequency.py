"""Inverse document frequencies, and the way they take to the tokens of a batch."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.document_frequency import inverse_document_frequency
from harness.examples import Sequences, TokenWeights
from harness.families import PADDING

texts = st.lists(st.lists(st.integers(0, 19), min_size=1, max_size=6), min_size=1, max_size=8)


def by_loops(lists: Sequence[Sequence[int]], times: Sequence[int], token: int) -> float:
    holding = sum(count for ids, count in zip(lists, times, strict=True) if token in ids)
    return math.log((1 + sum(times)) / (1 + holding)) + 1


@settings(max_examples=40)
@given(texts, st.data())
def test_frequencies_equal_a_loop_over_lines(lists: list[list[int]], data: st.DataObject) -> None:
    times = data.draw(st.lists(st.integers(0, 4), min_size=len(lists), max_size=len(lists)))
    found = inverse_document_frequency(Sequences.of(lists, PADDING), 20, np.array(times))
    np.testing.assert_allclose(found, [by_loops(lists, times, token) for token in range(20)], rtol=1e-6)
    once = inverse_document_frequency(Sequences.of(lists, PADDING), 20)
    np.testing.assert_allclose(once, [by_loops(lists, [1] * len(lists), t) for t in range(20)], rtol=1e-6)


def test_token_of_every_line_weighs_one_and_none_weighs_nothing() -> None:
    found = inverse_document_frequency(Sequences.of([[0, 5, 2], [0, 6, 2], [0, 5, 5, 2]], PADDING), 8)
    assert found[0] == found[2] == 1.0
    assert found[7] == found.max() > found[6] > found[5] > 1.0


def test_token_beyond_the_vocabulary_and_a_missing_count_are_refused() -> None:
    sequences = Sequences.of([[0, 9], [1]], PADDING)
    with pytest.raises(ValueError, match="holds token 9, the vocabulary ends at 7"):
        inverse_document_frequency(sequences, 8)
    with pytest.raises(ValueError, match="found 3 counts for 2 texts"):
        inverse_document_frequency(sequences, 10, np.ones(3, dtype=np.int64))


def test_weights_of_a_batch_are_those_of_its_tokens() -> None:
    weights = TokenWeights(
        source_V=np.arange(10, dtype=np.float32),
        english_V=10 * np.arange(10, dtype=np.float32),
        english=Sequences.of([[7, 8], [9]], PADDING),
    )
    source_BN, english_BM = weights.of(torch.tensor([[3, 4], [5, PADDING]]), np.array([1, 0]), torch.device("cpu"))
    assert source_BN[0].tolist() == [3.0, 4.0]
    assert float(source_BN[1, 0]) == 5.0
    assert english_BM[1].tolist() == [70.0, 80.0]
    assert float(english_BM[0, 0]) == 90.0
