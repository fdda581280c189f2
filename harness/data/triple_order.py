"""The order of drawn triples: those of watched queries first, then those that are trained on, source after source.

Legend: T triples, K passages of a triple, the relevant one first.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data.selection import scramble
from harness.data.triple_files import Reason
from harness.data.triple_texts import Keys
from studies.schema.triples import RetrievalTriples, pair_of


def arrange(
    declaration: RetrievalTriples,
    partial: Path,
    rows: Sequence[tuple[NDArray[np.int64], Keys]],
    num_passages: int,
    pairs: Mapping[str, dict[str, int]],
    counts: Mapping[str, Counter[Reason]],
    watched: int,
) -> None:
    """Drop others that are relevant, take the watched queries away, and write what is left."""
    relevant = np.unique(np.concatenate([t[:, 0] * num_passages + t[:, 1] for t, _ in rows]))
    pair_T, known_T, triples = [], [], []
    for source, (triples_TK, known) in zip(declaration.sources, rows, strict=True):
        is_relevant = np.isin(triples_TK[:, :1] * num_passages + triples_TK[:, 2:], relevant).any(axis=1)
        counts[source.name][Reason.RELEVANT_OTHER] += int(is_relevant.sum())
        triples.append(triples_TK[~is_relevant])
        known_T.append(known[~is_relevant])
        pair_T.append(np.full(len(triples[-1]), declaration.pairs.index(pair_of(source))))
    pair, known, triples_TK = np.concatenate(pair_T), np.concatenate(known_T), np.concatenate(triples)
    shown = _watched(declaration, pair, known, watched)
    is_taken = np.isin(known, known[shown])
    for number, name in enumerate(declaration.pairs):
        mine = pair == number
        of_pair = {"triples": int((mine & ~is_taken).sum()), "watched": int(mine[shown].sum())}
        pairs[name].update(of_pair)
        pairs[name][Reason.WATCHED_QUERY.value] = int(mine.sum()) - sum(of_pair.values())
        if not of_pair["triples"]:
            raise ValueError(f"no triple of pair {name} is left beside those that are watched; declare more of it")
    np.save(partial / "triples.npy", np.concatenate([triples_TK[shown], triples_TK[~is_taken]]))
    np.save(partial / "relevant.npy", relevant)


def _watched(
    declaration: RetrievalTriples, pair_T: NDArray[np.int64], known_T: Keys, watched: int
) -> NDArray[np.int64]:
    """The first triple of each watched query, pair after pair: those of the lowest hashes under the seed."""
    chosen: list[NDArray[np.int64]] = []
    taken = np.zeros(0, dtype=np.uint64)
    each, rest = divmod(watched, len(declaration.pairs))
    for number, name in enumerate(declaration.pairs):
        wanted = each + (number < rest)
        mine = np.flatnonzero((pair_T == number) & ~np.isin(known_T, taken))
        found, firsts = np.unique(known_T[mine], return_index=True)
        if len(found) < wanted:
            raise ValueError(
                f"pair {name} has {len(found):,} queries, and {wanted:,} are watched; declare more of its triples"
            )
        order = np.argsort(scramble(found, declaration.seed), kind="stable")[:wanted]
        chosen.append(mine[firsts[order]])
        taken = np.concatenate([taken, found[order]])
    return np.concatenate(chosen)
