"""Other passages for judged ones: drawn evenly from those of the collection that are not judged for the query.

Legend: T drawn triples, K columns of keys: query, relevant passage, others; P passages.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data.growing import blocks
from harness.data.selection import mapped_hashes, scramble
from harness.data.triple_files import KeptForTests, hashed, judged_passages, tables
from studies.schema.triples import JudgedText, RandomOthers

MOST_DRAWS = 64
"""Draws for one passage; at nine judged passages in ten all fail once in a thousand times."""

_GOLDEN = 0x9E3779B97F4A7C15
"""The step of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), of whose generator each draw is one number."""

Keys = NDArray[np.uint64]


def draw_others(
    folder: Path, source: JudgedText, others: RandomOthers, keys_TK: Keys, kept: KeptForTests, seed: int, partial: Path
) -> Keys:
    """Keys with those of others behind them, [T, 2 + number]; which they are depends on ids and the seed alone.

    Passages without text, and those judged for a query of a test, are never drawn. ValueError where nearly all passages
    are judged for a query.
    """
    passages_P = _passages(folder, source, kept, partial)
    if not len(passages_P):
        raise ValueError(f"{tables(folder, source)[1].name} has no passage that may be drawn; see what is kept out")
    judged = _judged(folder, source, keys_TK[:, 0])
    row_T = _mixed(keys_TK[:, 0], keys_TK[:, 1])
    for slot in range(others.number):
        drawn_T = np.zeros(len(keys_TK), dtype=np.uint64)
        open_T = np.arange(len(keys_TK))
        for attempt in range(MOST_DRAWS):
            step = np.uint64((slot * MOST_DRAWS + attempt + 1) * _GOLDEN % 2**64)
            place = scramble(row_T[open_T] + step, seed) % np.uint64(len(passages_P))
            drawn_T[open_T] = passages_P[place.astype(np.int64)]
            again = np.isin(_mixed(keys_TK[open_T, 0], drawn_T[open_T]), judged)
            again |= (keys_TK[open_T, 1:] == drawn_T[open_T, None]).any(axis=1)
            open_T = open_T[again]
            if not len(open_T):
                break
        else:
            raise ValueError(
                f"{source.name}: nearly all of its {len(passages_P):,} passages are judged for one query; draw fewer "
                f"others than {others.number}, or name triples"
            )
        keys_TK = np.concatenate([keys_TK, drawn_T[:, None]], axis=1)
    (partial / "passages.hashes").unlink()
    return keys_TK


def _passages(folder: Path, source: JudgedText, kept: KeptForTests, partial: Path) -> Keys:
    """Hashes of the ids of all passages that may be drawn, [P], in a file."""
    tested = kept.passage_ids.get(source.ids_of, frozenset())
    path = partial / "passages.hashes"
    with path.open("wb") as hashes:
        for block in blocks(tables(folder, source)[1].read()):
            codes = [hashed(passage.id) for passage in block if passage.text and passage.id not in tested]
            hashes.write(np.array(codes, dtype=np.uint64).tobytes())
    return mapped_hashes(path)


def _judged(folder: Path, source: JudgedText, queries_T: Keys) -> Keys:
    """A code for each query and passage that were judged together, of the drawn queries."""
    wanted = np.unique(queries_T)
    found = []
    for block in blocks(judged_passages(folder, source)):
        pairs = np.array([(hashed(query), hashed(passage)) for _, query, passage, _ in block], dtype=np.uint64)
        mine = np.isin(pairs[:, 0], wanted)
        found.append(_mixed(pairs[mine, 0], pairs[mine, 1]))
    return np.unique(np.concatenate(found))


def _mixed(queries: Keys, passages: Keys) -> Keys:
    """One number for a query and a passage."""
    mixed: Keys = scramble(queries, 0) + passages
    return mixed
