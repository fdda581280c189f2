"""A published or local collection as an evaluation reads it: topics, judgments and passages, whole or in a pool."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from harness.data.collections import open_collection
from harness.data.pools import make_pool
from harness.data.retrieval import Document, Loaded, Qrels
from studies.schema.collection import passages_of
from studies.schema.evaluation import Searched
from studies.schema.key import canonical, digest
from studies.schema.pool import Pool
from studies.schema.storage import Storage, publish, read_manifest

FILE = "pool.json"


@dataclass(frozen=True, kw_only=True, eq=False)
class Asked:
    """What is asked and searched. ``identity`` names the passages: the same ones have the same.

    ``cluster`` stands for the queries of one meaning in all languages, which are no independent observations.
    """

    topics: Mapping[str, str]
    qrels: Qrels
    passages: Callable[[int], Iterator[Sequence[Document]]]
    count: int
    identity: str
    cluster: Mapping[str, str]


@lru_cache(maxsize=16)
def read(storage: Storage, searched: Searched) -> Asked:
    """Open what is asked, checked on first use; ValueError or OSError with place and remedy.

    Queries without judgments cannot be scored and are left out.
    """
    declaration, original = searched.collection, passages_of(searched.collection)
    loaded, report = open_collection(storage, declaration, storage.data())
    topics, qrels = loaded.topics(searched.split, declaration.pair.query), loaded.qrels(searched.split)
    passages: Callable[[int], Iterator[Sequence[Document]]] = loaded.blocks
    count = report.passages - report.empty
    if searched.pool is not None:
        # BM25 needs queries in the passages' language, so translated topics have the pool of their original.
        source = open_collection(storage, original, storage.data())[0] if original != declaration else loaded
        qrels, documents = _pool(storage, searched, source)
        passages, count = _in_blocks(documents), len(documents)
    chosen = {query: topics[query] for query in qrels}
    return Asked(
        topics=chosen,
        qrels=qrels,
        passages=passages,
        count=count,
        identity=digest("passages/1", [canonical(original), _pool_identity(searched)]),
        cluster={query: f"{original.name}:{query}" for query in chosen},
    )


def _pool_identity(searched: Searched) -> str:
    return "" if searched.pool is None else digest("pool/1", [canonical(searched.pool), searched.split])


def _pool(storage: Storage, searched: Searched, source: Loaded) -> tuple[Qrels, Sequence[Document]]:
    """The pool's judgments and passages, chosen once."""
    pool = searched.pool
    assert isinstance(pool, Pool)
    original = passages_of(searched.collection)
    identity = digest("pool/1", [canonical(original), searched.split, canonical(pool)])
    place = storage.collection(f"pool-{identity}")
    if read_manifest(place) is None:
        made = make_pool(source, searched.split, original.pair.query, pool)
        with publish(place, facts={"name": original.name, "judged": made.judged}) as folder:
            content = {"qrels": made.qrels, "passages": [[passage.id, passage.text] for passage in made.passages]}
            (folder / FILE).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    content = json.loads((place / FILE).read_text(encoding="utf-8"))
    return content["qrels"], [Document(name, text) for name, text in content["passages"]]


def _in_blocks(documents: Sequence[Document]) -> Callable[[int], Iterator[Sequence[Document]]]:
    return lambda size: (documents[first : first + size] for first in range(0, len(documents), size))
