"""Comparable pools: one size and one number of queries, judged passages first."""

import pytest

from harness.data.atlas import AtlasData
from harness.data.collections import AtlasRetrieval
from harness.data.pools import make_pool, terms
from harness.data.retrieval import Document, Loaded, RetrievalData
from studies.collections import BINARY
from studies.schema.collection import Pair
from studies.schema.pool import Pool


def collection(size: int, queries: int = 3) -> Loaded:
    """Passage n is about word n mod 20; query q asks for word q and has passage q as its only relevant one."""
    passages = [Document(f"{n}#0", f"maji {'neno' + str(n % 20)} {'x' * (n % 7)}") for n in range(size)]
    return Loaded(
        name="made",
        revision="r",
        licence=None,
        relevance=BINARY,
        pair=Pair(query="sw", document="sw"),
        texts={"dev": {str(q): f"neno{q}" for q in range(queries)}},
        judgments={"dev": {str(q): {f"{q}#0": 1, f"{size - 1 - q}#0": 0} for q in range(queries)}},
        source=lambda: iter(passages),
        locate=lambda *_: "made",
    )


@pytest.mark.parametrize("size", [100, 2000])
def test_pool_has_the_declared_size_whatever_the_collection(size: int) -> None:
    pool = make_pool(collection(size, queries=5), "dev", "sw", Pool(queries=3, size=12))
    ids = [passage.id for passage in pool.passages]
    assert (len(ids), len(pool.topics), pool.judged) == (12, 3, 6)
    assert {passage for grades in pool.qrels.values() for passage in grades} <= set(ids)
    order = [int(name.split("#")[0]) for name in ids]
    assert order == sorted(order)


def test_rest_of_the_pool_is_what_bm25_ranks_highest() -> None:
    pool = make_pool(collection(100), "dev", "sw", Pool(queries=3, size=15))
    words = {f"neno{query}" for query in pool.topics}
    judged = {passage for grades in pool.qrels.values() for passage in grades}
    assert all(words & set(passage.text.split()) for passage in pool.passages if passage.id not in judged)


def test_same_query_ids_are_drawn_from_every_collection() -> None:
    chosen = [set(make_pool(collection(size, 20), "dev", "sw", Pool(queries=4, size=10)).topics) for size in (60, 900)]
    assert chosen[0] == chosen[1]


@pytest.mark.parametrize(
    ("pool", "message"),
    [
        (Pool(queries=4, size=10), r"has 3 queries of 'dev' with a relevant passage, the pool wants 4"),
        (Pool(queries=3, size=5), r"6 passages are judged for 3 queries of 'dev', more than the pool's 5"),
        (Pool(queries=3, size=90), r"BM25 finds passages for a pool of \d+, not of 90"),
    ],
)
def test_pool_that_cannot_be_filled_or_held_is_refused(pool: Pool, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_pool(collection(100), "dev", "sw", pool)


def test_terms_keep_marks_and_pair_characters_of_unsegmented_scripts() -> None:
    assert terms("The Café, U.S. 1994") == ["the", "café", "u", "s", "1994"]
    assert terms("日本語 abc 水") == ["日本", "本語", "abc", "水"]
    assert terms("భారతదేశం") == ["భారతదేశం"]
    assert terms("ما هي") == ["ما", "هي"]


def test_atlas_is_a_collection_like_any_other(atlas: AtlasData) -> None:
    seen: RetrievalData = AtlasRetrieval(atlas=atlas)
    pool = make_pool(seen, "test", "en", Pool(queries=20, size=300))
    assert len(pool.passages) == 300
    assert sum(len(block) for block in seen.blocks(100)) == len(atlas.passages)
    assert set(seen.topics("test", "sw")) == set(seen.qrels("test"))
