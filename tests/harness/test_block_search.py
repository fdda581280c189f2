"""A search by blocks finds what a search over everything at once finds."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from harness.block_search import BYTES_PER_COMPONENT, Block, block_passages, encode_blocks, search_blocks
from harness.late_interaction import Ragged, search

WIDTH = 8


def texts(number: int, seed: int) -> Ragged:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 6, (number,), generator=generator)
    # Values that float16 holds exactly, so that storing them changes no score.
    tokens_TH = torch.randint(-4, 5, (int(lengths.sum()), WIDTH), generator=generator).float() / 4
    return Ragged(tokens_TH=tokens_TH, lengths=lengths)


def blocks(passages: Ragged, size: int) -> Iterator[Block]:
    parts = torch.split(passages.tokens_TH, passages.lengths.tolist())
    for first in range(0, len(parts), size):
        chosen = slice(first, first + size)
        block = Ragged(tokens_TH=torch.cat(parts[chosen]), lengths=passages.lengths[chosen])
        yield [f"{number}#0" for number in range(len(parts))[chosen]], lambda block=block: block  # type: ignore[misc]


@pytest.mark.parametrize("size", [1, 7, 100])
def test_search_by_blocks_is_search_at_once_ties_included(tmp_path: Path, size: int) -> None:
    queries, passages = texts(5, 0), texts(50, 1)
    encode_blocks(tmp_path / "v", blocks(passages, size), total=50)
    scores, ids = search_blocks(tmp_path / "v", queries, k=10)
    expected_scores, expected = search(queries, passages, k=10)
    assert torch.equal(scores, expected_scores)
    assert ids == [[f"{place}#0" for place in row] for row in expected.tolist()]


def test_interrupted_encoding_goes_on_where_it_was(tmp_path: Path) -> None:
    passages = texts(20, 2)
    whole = list(blocks(passages, 6))
    with pytest.raises(ValueError, match="12 passages were encoded, the collection has 20"):
        encode_blocks(tmp_path / "v", whole[:2], total=20)
    with pytest.raises(FileNotFoundError, match="no complete collection"):
        search_blocks(tmp_path / "v", texts(2, 3), k=3)

    def refuse() -> Ragged:
        raise AssertionError("a block that is there is not encoded again")

    again = [(ids, refuse if place < 2 else encode) for place, (ids, encode) in enumerate(whole)]
    assert encode_blocks(tmp_path / "v", again, total=20) == 4
    assert len(search_blocks(tmp_path / "v", texts(2, 3), k=30)[1][0]) == 20


def test_vectors_of_other_passages_are_refused(tmp_path: Path) -> None:
    encode_blocks(tmp_path / "v", blocks(texts(6, 4), 3), total=6)
    other = [([f"x{name}" for name in ids], encode) for ids, encode in blocks(texts(6, 4), 3)]
    with pytest.raises(ValueError, match="holds the vectors of other passages"):
        encode_blocks(tmp_path / "v", other, total=6)


def test_block_fits_its_budget_or_is_refused() -> None:
    assert block_passages(100 * 180 * 128 * BYTES_PER_COMPONENT, 180, 128) == 100
    with pytest.raises(ValueError, match="do not hold one passage of 180 vectors"):
        block_passages(1000, 180, 128)
