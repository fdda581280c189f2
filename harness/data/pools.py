"""Comparable pools: judged passages and the best of BM25, in one size for all languages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import bm25s
import numpy as np
import regex

from harness.data.draws import draw
from harness.data.retrieval import Document, Qrels, RetrievalData
from studies.schema.pool import Pool

BLOCK = 10_000
"""Passages read at once."""

# Scripts without spaces between words: their runs are indexed as pairs of neighbouring characters.
_TERM = regex.compile(
    r"(?P<run>[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]+)|[\p{L}\p{M}\p{N}\u200c\u200d]+"
)


@dataclass(frozen=True, kw_only=True)
class Pooled:
    """A pool: queries, their judgments, and passages in the order of the collection."""

    topics: Mapping[str, str]
    qrels: Qrels
    passages: Sequence[Document]
    judged: int


def make_pool(collection: RetrievalData, split: str, language: str, pool: Pool) -> Pooled:
    """The declared pool of a split's queries in a language.

    The passages judged for its queries come first; then the best of every query by BM25, the second best of every
    query, and so on until the pool is full, in the same way for every collection. BM25 needs queries in the passages'
    language: give translated topics the pool of their original. All terms of the collection are held in memory while
    it ranks. ValueError when the collection has too few queries or passages, or more judged ones
    than the pool holds.
    """
    topics, qrels = collection.topics(split, language), collection.qrels(split)
    chosen = _choose(collection, split, qrels, pool)
    judged = {passage for query in chosen for passage in qrels[query]}
    if len(judged) > pool.size:
        raise ValueError(
            f"{collection.name}: {len(judged):,} passages are judged for {pool.queries} queries of {split!r}, more "
            f"than the pool's {pool.size:,}; declare fewer queries or a larger pool, for all languages"
        )
    ids, index = _index(collection, pool)
    places = {name: place for place, name in enumerate(ids)}
    wanted = {places[passage] for passage in judged}
    for rank_places in _ranks(index, [topics[query] for query in chosen], min(pool.size, len(ids))):
        for place in rank_places:
            if len(wanted) < pool.size:
                wanted.add(place)
    if len(wanted) < pool.size:
        raise ValueError(
            f"{collection.name}: BM25 finds passages for a pool of {len(wanted):,}, not of {pool.size:,}; declare a "
            "smaller pool for all languages, or queries in the passages' language"
        )
    names = {ids[place] for place in wanted}
    passages = [passage for block in collection.blocks(BLOCK) for passage in block if passage.id in names]
    return Pooled(
        topics={query: topics[query] for query in chosen},
        qrels={query: qrels[query] for query in chosen},
        passages=passages,
        judged=len(judged),
    )


def terms(text: str) -> list[str]:
    """What BM25 counts: folded words with their marks, and neighbouring characters where words are not divided."""
    found: list[str] = []
    for match in _TERM.finditer(text.casefold()):
        word = match.group()
        if match.group("run") is None or len(word) == 1:
            found.append(word)
        else:
            found.extend(word[first : first + 2] for first in range(len(word) - 1))
    return found


def _choose(collection: RetrievalData, split: str, qrels: Qrels, pool: Pool) -> list[str]:
    least = collection.relevance.relevant_from
    answerable = [query for query, grades in qrels.items() if max(grades.values()) >= least]
    if len(answerable) < pool.queries:
        raise ValueError(
            f"{collection.name} has {len(answerable)} queries of {split!r} with a relevant passage, the pool wants "
            f"{pool.queries}; declare fewer for all languages"
        )
    return sorted(sorted(answerable, key=lambda query: (draw("pool", query), query))[: pool.queries])


def _index(collection: RetrievalData, pool: Pool) -> tuple[list[str], bm25s.BM25]:
    ids: list[str] = []
    vocabulary: dict[str, int] = {}
    counted: list[list[int]] = []
    for block in collection.blocks(BLOCK):
        for passage in block:
            ids.append(passage.id)
            counted.append([vocabulary.setdefault(term, len(vocabulary)) for term in terms(passage.text)])
    index = bm25s.BM25(method="lucene", k1=pool.k1, b=pool.b, backend="numpy")
    index.index((counted, vocabulary), show_progress=False)
    return ids, index


def _ranks(index: bm25s.BM25, queries: Sequence[str], depth: int) -> list[list[int]]:
    """By rank, the places of all queries' passages with a score above 0; of equal scores the earlier passage first."""
    ranked = []
    for query in queries:
        known = index.get_tokens_ids(terms(query))
        scores = index.get_scores_from_ids(known) if known else np.zeros(0, dtype=np.float32)
        best = np.argsort(-scores, kind="stable")[:depth]
        ranked.append(best[scores[best] > 0].tolist())
    longest = max(map(len, ranked), default=0)
    return [[places[rank] for places in ranked if rank < len(places)] for rank in range(longest)]
