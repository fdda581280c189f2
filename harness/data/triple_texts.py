"""The texts of drawn triples, found by their ids in one pass over each table and written as token ids."""

from collections.abc import Hashable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data.growing import GrowingLists, blocks
from harness.data.retrieval import Document
from harness.data.tokenizer import Tokenize, on_all_cores
from harness.data.triple_files import Table, hashed

ABSENT, EMPTY = -1, -2
"""Numbers of texts that were not found, or hold nothing."""

Keys = NDArray[np.uint64]
"""Hashes of ids."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Placed:
    """Wanted texts of a table: their keys in ascending order, and the number of each among all that were written."""

    table: Table
    keys: Keys
    place: NDArray[np.int64]

    @staticmethod
    def of(table: Table, keys: Keys) -> "Placed":
        """Wanted and not found yet."""
        unique = np.unique(keys)
        return Placed(table=table, keys=unique, place=np.full(len(unique), ABSENT, dtype=np.int64))

    def numbers(self, keys: Keys) -> NDArray[np.int64]:
        """Numbers of the texts with these keys, all of which were wanted."""
        found: NDArray[np.int64] = self.place[np.searchsorted(self.keys, keys)]
        return found


def write_texts(partial: Path, side: str, wanted: Sequence[Placed], tokenize: Tokenize) -> dict[Hashable, Placed]:
    """Write the wanted texts of all tables, one after another, as ``side.ids`` and ``side.offsets``.

    ValueError for a wanted id that a table has twice, or a text without a token.
    """
    number = 0
    with closing(GrowingLists(partial, f"{side}.ids", f"{side}.offsets", "<i4")) as written, on_all_cores():
        for placed in (placed for placed in wanted if len(placed.keys)):
            for block in blocks(placed.table.read()):
                if texts := _new(placed, block, number):
                    written.append_tokens(texts, tokenize(texts))
                    number += len(texts)
    return {placed.table.identity: placed for placed in wanted}


def _new(placed: Placed, block: Sequence[Document], number: int) -> list[str]:
    """Texts of a block that are wanted and were not met before, numbered from ``number`` on."""
    keys = np.array([hashed(entry.id) for entry in block], dtype=np.uint64)
    index = np.searchsorted(placed.keys, keys)
    hits = np.flatnonzero(placed.keys[np.minimum(index, len(placed.keys) - 1)] == keys)
    texts: list[str] = []
    for hit in hits.tolist():
        entry, at = block[hit], index[hit]
        if placed.place[at] != ABSENT:
            if placed.table.repeats:
                continue
            raise ValueError(f"{placed.table.name} has {entry.id!r} twice{entry.place}; keep one of them")
        placed.place[at] = number + len(texts) if entry.text else EMPTY
        if entry.text:
            texts.append(entry.text)
    return texts
