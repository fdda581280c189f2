"""Alignment: known values on planted vectors, and nothing that depends on order, padding or company."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.alignment import (
    alignment_columns,
    alignment_means,
    hidden,
    mexa_hits,
    pooled,
    rank_consistency,
    special_ids,
    strangers,
    token_similarity,
)
from harness.assemble import sequences
from harness.data.atlas import AtlasData
from harness.encoders import LastLayer, build
from harness.late_interaction import Ragged
from harness.vectors import encode
from studies.bases import OPTICAL_ATLAS
from studies.schema.alignment import (
    COLUMNS,
    TOKEN_OT_RANDOM,
    TOKEN_OT_RAW,
    Alignment,
    AlignmentMeasure,
    Stage,
    column_name,
    corrected,
)
from studies.schema.evaluation import Split

ASKED = Alignment(epsilon=0.01)
WIDTH = 64

# A plan at epsilon 0.01 keeps this much of its mass off the cheapest tokens; far below what any two texts differ by.
BLUR = 0.01


def ragged(texts: list[Tensor]) -> Ragged:
    return Ragged(tokens_TH=torch.cat(texts), lengths=torch.tensor([len(text) for text in texts]))


def random_texts(number: int, seed: int, *, shift: float = 0.0) -> list[Tensor]:
    """Texts of 3 to 9 random tokens; ``shift`` moves all of them in one direction, as anisotropy does."""
    drawn = torch.Generator().manual_seed(seed)
    lengths = torch.randint(3, 10, (number,), generator=drawn).tolist()
    return [torch.randn(length, WIDTH, generator=drawn) + shift for length in lengths]


def circle(number: int) -> NDArray[np.int64]:
    return (np.arange(number) + 1) % number


def test_texts_equal_to_their_translations_are_wholly_aligned() -> None:
    texts = ragged(random_texts(40, 0))
    found = alignment_columns(texts, texts, circle(40), ASKED)
    assert tuple(found) == COLUMNS
    assert found[TOKEN_OT_RAW] == pytest.approx(np.ones(40), abs=BLUR)
    assert found[AlignmentMeasure.MEXA].tolist() == [1.0] * 40
    assert found[AlignmentMeasure.RANKC] == pytest.approx(np.ones(40))
    assert corrected(found[TOKEN_OT_RAW].mean(), found[TOKEN_OT_RANDOM].mean()) == pytest.approx(1.0, abs=BLUR)


@pytest.mark.parametrize("shift", [0.0, 2.0], ids=["isotropic", "all tokens alike"])
def test_texts_that_have_nothing_to_do_with_each_other_are_aligned_by_chance_alone(shift: float) -> None:
    english, texts = ragged(random_texts(300, 1, shift=shift)), ragged(random_texts(300, 2, shift=shift))
    found = alignment_columns(english, texts, circle(300), ASKED)
    raw, random = found[TOKEN_OT_RAW].mean(), found[TOKEN_OT_RANDOM].mean()
    assert bool(raw > 0.75) is (shift > 0.0)
    assert abs(corrected(float(raw), float(random))) < 0.02
    assert found[AlignmentMeasure.MEXA].mean() < 0.03
    assert found[AlignmentMeasure.RANKC].mean() < 0.05


def test_similarity_of_two_tokens_each_worked_out_by_hand() -> None:
    """Two tokens at right angles on both sides, the second side in the other order: the plan finds the pairs."""
    e1, e2 = torch.eye(WIDTH)[:2]
    english, texts = ragged([torch.stack([e1, 3 * e2])]), ragged([torch.stack([2 * e2, e1])])
    assert token_similarity(english, texts, np.array([0]), ASKED) == pytest.approx(1.0, abs=1e-6)
    # One token against two: mass is uniform, so half of it goes to the token at a right angle.
    assert token_similarity(ragged([e1[None]]), texts, np.array([0]), ASKED) == pytest.approx(0.5, abs=1e-6)


def test_similarity_of_a_pair_depends_on_neither_its_company_nor_the_order_of_tokens() -> None:
    english, texts = random_texts(12, 3), random_texts(12, 4)
    together = token_similarity(ragged(english), ragged(texts), np.arange(12), ASKED)
    alone = [
        float(token_similarity(ragged([one]), ragged([other]), np.array([0]), ASKED)[0])
        for one, other in zip(english, texts, strict=True)
    ]
    turned = token_similarity(ragged([text.flip(0) for text in english]), ragged(texts), np.arange(12), ASKED)
    backwards = token_similarity(ragged(english[::-1]), ragged(texts[::-1]), np.arange(12), ASKED)[::-1]
    # Each is solved to a marginal error of 1e-4 by itself.
    for other in (alone, turned, backwards):
        assert together == pytest.approx(np.array(other), abs=3e-4)


def test_similarity_that_is_not_solved_is_an_error_that_says_what_to_change() -> None:
    texts = ragged(random_texts(4, 5))
    with pytest.raises(
        ValueError, match=r"of 4 transport problems are not solved at epsilon 0\.01 within 1 iterations"
    ):
        token_similarity(texts, ragged(random_texts(4, 6)), np.arange(4), replace(ASKED, max_iterations=1))


def test_pooled_is_the_mean_of_tokens_at_unit_length() -> None:
    text = torch.tensor([[3.0, 0.0], [0.0, 4.0]])
    assert pooled(ragged([text, text[:1]])).flatten().tolist() == pytest.approx([0.6, 0.8, 1.0, 0.0])


def test_mexa_asks_for_the_strict_maximum_of_row_and_column() -> None:
    similarity = torch.tensor(
        [
            [0.9, 0.1, 0.2, 0.0],  # above its row and its column
            [0.1, 0.5, 0.5, 0.0],  # tied in its row
            [0.1, 0.2, 0.8, 0.7],  # above both
            [0.0, 0.1, 0.3, 0.6],  # above its row, below 0.7 in its column
        ]
    )
    assert mexa_hits(similarity).tolist() == [True, False, True, False]


def test_rank_consistency_worked_out_by_hand() -> None:
    """Sentence 0 ranks 1, 2, 3 in one language and 1, 3, 2 in the other: overlaps 1, 1/2, 1 with softmax(3, 2, 1)."""
    one = torch.tensor([[9.0, 3.0, 2.0, 1.0], [3.0, 9.0, 2.0, 1.0], [3.0, 2.0, 9.0, 1.0], [3.0, 2.0, 1.0, 9.0]])
    other = one.clone()
    other[0] = torch.tensor([0.0, 3.0, 1.0, 2.0])
    other[3] = torch.tensor([1.0, 2.0, 3.0, 0.0])
    total = math.e**2 + math.e + 1
    first = (math.e**2 * 1 + math.e * 0.5 + 1 * 1) / total
    # Sentence 3 ranks 0, 1, 2 in the one and 2, 1, 0 in the other: overlaps 0, 1/2, 1.
    last = (math.e * 0.5 + 1) / total
    assert rank_consistency(one, other, 3) == pytest.approx([first, 1.0, 1.0, last])
    assert rank_consistency(one, other, 50) == pytest.approx([first, 1.0, 1.0, last])
    assert rank_consistency(one, other, 1) == pytest.approx([1.0, 1.0, 1.0, 0.0])
    with pytest.raises(ValueError, match="give at least two"):
        rank_consistency(one[:1, :1], other[:1, :1], 3)


def test_values_move_with_their_sentences() -> None:
    english, texts = random_texts(30, 7), random_texts(30, 7)
    texts = [text + 0.8 * torch.randn(text.shape, generator=torch.Generator().manual_seed(8)) for text in texts]
    order = torch.randperm(30, generator=torch.Generator().manual_seed(9)).tolist()
    straight = alignment_columns(ragged(english), ragged(texts), circle(30), ASKED)
    moved = alignment_columns(
        ragged([english[place] for place in order]), ragged([texts[place] for place in order]), circle(30), ASKED
    )
    for column in (TOKEN_OT_RAW, AlignmentMeasure.MEXA, AlignmentMeasure.RANKC):
        assert moved[column] == pytest.approx(straight[column][order], abs=3e-4)


def test_strangers_share_no_name() -> None:
    names = [frozenset(each) for each in ("ab", "bc", "de", "cf")]
    assert strangers(names).tolist() == [2, 2, 3, 0]
    with pytest.raises(ValueError, match="every other sentence shares a name with sentence 0"):
        strangers([frozenset("ab"), frozenset("bc")])


def test_means_are_corrected_after_averaging() -> None:
    values = {TOKEN_OT_RAW: (0.9, 0.5), TOKEN_OT_RANDOM: (0.3, 0.1), "clca_mexa": (1.0, 0.0), "clca_rankc": (0.4, 0.2)}
    rows = {
        f"q{place}": {column_name(column, stage): value[place] for column, value in values.items() for stage in Stage}
        for place in range(2)
    }
    means = alignment_means({"sw": rows})
    assert means["clca_token_ot.before"] == {"sw": pytest.approx((0.7 - 0.2) / 0.8)}
    assert means["clca_mexa.after"] == {"sw": 0.5}
    assert means["clca_rankc.after"] == {"sw": pytest.approx(0.3)}


def test_special_tokens_are_left_out_and_everything_else_is_kept(atlas: AtlasData) -> None:
    """A text's vectors are those of its words, in order; what stands around them is gone."""
    tokenizer = atlas.tokenizer()
    texts = [atlas.text(query, "sw") for query in atlas.queries[Split.TEST][:5]]
    rung = OPTICAL_ATLAS.rung
    read = sequences(atlas, texts, rung)
    encoder = build(rung, 8, dropout=0.0, seed=0)
    found = hidden(encoder, read, special_ids(tokenizer))
    assert (found.lengths + 2).tolist() == read.lengths.tolist()
    whole = encode(LastLayer(encoder), read, torch.device("cpu")).tokens_TH
    inner = np.concatenate([np.arange(start + 1, end - 1) for start, end in pairwise(read.offsets.tolist())])
    assert torch.equal(found.tokens_TH, whole[torch.from_numpy(inner)])
    assert found.tokens_TH.shape[1] == encoder.backbone.config.hidden_size
    assert tokenizer.unk_token_id not in special_ids(tokenizer)
