"""Triples, queries and passages of supervised text as streams, and what of them is kept for tests.

Everything is read as often as it is needed and never held: a line of a file is known by hashes of eight bytes.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple, assert_never

from harness.data.guard import Guard
from harness.data.local_files import check_local, read_documents, stream_judgments, stream_topics
from harness.data.published import (
    check_published,
    check_triples,
    stream_passages,
    stream_published_judgments,
    stream_queries,
    stream_triples,
)
from harness.data.records import check_files, opened, refuse_broken
from harness.data.retrieval import Document
from studies.schema.collection import IrDataset, LocalCollection
from studies.schema.files import Documents, Topics
from studies.schema.triples import IdTriples, IrTriples, JudgedText, RandomOthers, TextTriples, TripleSource

COLUMNS = 3
"""Query, relevant and other passage."""


class Reason(StrEnum):
    """Why a triple is not used, in the order in which it is looked at."""

    BROKEN_UTF8 = "broken UTF-8"
    WRONG_COLUMNS = "wrong number of columns"
    EMPTY = "empty query or passage"
    NOT_RELEVANT = "judged as not relevant"
    TESTED_QUERY = "query kept for tests"
    TESTED_PASSAGE = "passage kept for tests"
    DUPLICATE = "duplicate"
    OVER_CAP = "over the pair's cap"
    NOT_DRAWN = "not drawn"
    RELEVANT_OTHER = "other passage is relevant"
    WATCHED_QUERY = "query is watched"


MALFORMED = (Reason.BROKEN_UTF8, Reason.WRONG_COLUMNS)


class Ids(NamedTuple):
    """One line: ids of a query, a passage relevant to it and others, none where they are drawn; where ids are lost, the
    texts stand for them."""

    query: str
    relevant: str
    others: tuple[str, ...]
    place: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """Texts by id; two tables of one ``identity`` hold the same. Where texts stand for ids, ids may be repeated."""

    name: str
    identity: Hashable
    read: Callable[[], Iterator[Document]] = field(compare=False)
    repeats: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class KeptForTests:
    """What may not reach training: queries by text, and ids of queries and judged passages by whose ids they are."""

    queries: Guard = field(default_factory=Guard)
    query_ids: Mapping[str, frozenset[str]] = field(default_factory=dict)
    passage_ids: Mapping[str, frozenset[str]] = field(default_factory=dict)


def check_source(folder: Path, source: TripleSource) -> None:
    """Raise ValueError or OSError where a source is not as declared or a file of it is missing.

    What ``ir_datasets`` can fetch is fetched.
    """
    match source:
        case TextTriples():
            check_files(f"triples {source.name}", folder, (source.path,), source.revision)
        case JudgedText(collection=collection, others=others):
            match collection:
                case IrDataset():
                    check_published(collection)
                case LocalCollection():
                    check_local(folder, collection)
                case unknown_collection:
                    assert_never(unknown_collection)
            match others:
                case IrTriples():
                    check_triples(others)
                case IdTriples():
                    check_files(f"triples {others.path}", folder, (others.path,), others.revision)
                case RandomOthers():
                    pass
                case unknown:
                    assert_never(unknown)
            for stream in (_ids(folder, source, Counter()), *(table.read() for table in tables(folder, source))):
                next(stream, None)
        case unknown_source:
            assert_never(unknown_source)


def tables(folder: Path, source: TripleSource) -> tuple[Table, Table]:
    """Queries and passages of a source."""
    match source:
        case TextTriples():
            queries, passages = (partial(_texts, folder, source, columns) for columns in ((0,), (1, 2)))
            name = str(folder / source.path)
            return (
                Table(name=name, identity=(source, "queries"), read=queries, repeats=True),
                Table(name=name, identity=(source, "passages"), read=passages, repeats=True),
            )
        case JudgedText():
            return _tables_of(folder, source)
        case unknown:
            assert_never(unknown)


def _tables_of(folder: Path, source: JudgedText) -> tuple[Table, Table]:
    match source.collection:
        case IrDataset() as published:
            split = next(split for split in published.splits if split.name == source.split)
            return (
                Table(
                    name=f"the file of the queries of {split.source}",
                    identity=(split.source, published.query_fields),
                    read=partial(stream_queries, split, published),
                ),
                Table(
                    name=f"the file of the passages of {published.passages}",
                    identity=(published.passages, published.passage_fields),
                    read=partial(stream_passages, published),
                ),
            )
        case LocalCollection() as local:
            topics = next(split.topics for split in local.splits if split.name == source.split)
            documents = local.documents
            return (
                Table(name=_spell(folder, topics), identity=topics, read=partial(stream_topics, folder, topics)),
                Table(
                    name=_spell(folder, documents), identity=documents, read=partial(read_documents, folder, documents)
                ),
            )
        case unknown:
            assert_never(unknown)


def _spell(folder: Path, files: Topics | Documents) -> str:
    return ", ".join(str(folder / path) for path in files.paths)


def read_triples(
    folder: Path, source: TripleSource, kept: KeptForTests, barred: frozenset[int], counts: Counter[Reason]
) -> Iterator[Ids]:
    """The triples that may be trained on, in the order of the file; the others are counted.

    ``barred`` are hashes of queries without text or with that of a test. ValueError or OSError for files other than
    declared, or more broken lines than chance gives.
    """
    tested_passages = _of(kept.passage_ids, source)
    for found in _ids(folder, source, counts):
        if _is_tested(found.query, source, kept, barred):
            counts[Reason.TESTED_QUERY] += 1
        elif not tested_passages.isdisjoint((found.relevant, *found.others)):
            counts[Reason.TESTED_PASSAGE] += 1
        else:
            yield found


def _is_tested(query: str, source: TripleSource, kept: KeptForTests, barred: frozenset[int]) -> bool:
    if isinstance(source, TextTriples):
        return kept.queries.holds(query)
    return query in _of(kept.query_ids, source) or (bool(barred) and hashed(query) in barred)


def _of(ids: Mapping[str, frozenset[str]], source: TripleSource) -> frozenset[str]:
    """Those that a source may have; where texts stand for ids it has none."""
    return frozenset() if isinstance(source, TextTriples) else ids.get(source.ids_of, frozenset())


def judged_passages(folder: Path, source: JudgedText) -> Iterator[tuple[str, str, str, int]]:
    """Place, query, passage and grade of every judgment of a source's split."""
    match source.collection:
        case IrDataset() as published:
            return stream_published_judgments(next(split for split in published.splits if split.name == source.split))
        case LocalCollection() as local:
            return stream_judgments(folder, next(split.qrels for split in local.splits if split.name == source.split))
        case unknown:
            assert_never(unknown)


def hashed(text: str) -> int:
    """Eight bytes that stand for an id or a text; that any two of ten million are the same has a chance of 3e-6."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


def _ids(folder: Path, source: TripleSource, counts: Counter[Reason]) -> Iterator[Ids]:
    match source:
        case TextTriples():
            for place, cells in _rows(folder / source.path, f"triples {source.name}", counts):
                query, relevant, other = (" ".join(cell.split()) for cell in cells)
                if query and relevant and other:
                    yield Ids(query, relevant, (other,), place)
                else:
                    counts[Reason.EMPTY] += 1
        case JudgedText():
            yield from _ids_of(folder, source, counts)
        case unknown:
            assert_never(unknown)


def _ids_of(folder: Path, source: JudgedText, counts: Counter[Reason]) -> Iterator[Ids]:
    match source.others:
        case IrTriples() as published:
            for number, (query, relevant, other) in enumerate(stream_triples(published), start=1):
                yield Ids(query, relevant, (other,), f"triple {number:,} of {published.name}")
        case IdTriples() as local:
            for place, (query, relevant, other) in _rows(folder / local.path, f"triples {local.path}", counts):
                yield Ids(query.strip(), relevant.strip(), (other.strip(),), place)
        case RandomOthers(relevant_from=least):
            for place, query, passage, grade in judged_passages(folder, source):
                if grade >= least:
                    yield Ids(query, passage, (), place)
                else:
                    counts[Reason.NOT_RELEVANT] += 1
        case unknown:
            assert_never(unknown)


def _rows(path: Path, what: str, counts: Counter[Reason]) -> Iterator[tuple[str, list[str]]]:
    """Place and cells of every readable line; the others are counted."""
    total = broken = 0
    first = ""
    with opened(path) as stream:
        for total, raw in enumerate(stream, start=1):
            try:
                cells = raw.decode().rstrip("\r\n").split("\t")
                reason = None if len(cells) == COLUMNS else Reason.WRONG_COLUMNS
            except UnicodeDecodeError:
                cells, reason = [], Reason.BROKEN_UTF8
            if reason is None:
                yield f"{path}, line {total}", cells
                continue
            counts[reason] += 1
            broken += 1
            first = first or f"{path}, line {total}: {reason}"
    refuse_broken(what, str(path), total, first, broken)


def _texts(folder: Path, source: TextTriples, columns: tuple[int, ...]) -> Iterator[Document]:
    for found in _ids(folder, source, Counter()):
        texts = (found.query, found.relevant, *found.others)
        yield from (Document(texts[column], texts[column]) for column in columns)
