"""Supervised text made ready for training: triples drawn in a stream, texts tokenised, published once, mapped later.

Files are read several times instead of held: once for a hash of each triple, by which repetitions are dropped and
triples drawn; once for the ids of those; once for their texts. Memory grows with what is drawn, never with a file.

Legend: T drawn triples, K passages of a triple, the relevant one first.
"""

import json
import logging
from array import array
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, compress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.growing import BATCH, blocks
from harness.data.random_others import draw_others
from harness.data.selection import draw_marked, mapped_hashes, mapped_marks, mark_first, shares
from harness.data.tokenizer import Tokenize
from harness.data.triple_files import Ids, KeptForTests, Reason, check_source, hashed, read_triples, tables
from harness.data.triple_order import arrange
from harness.data.triple_texts import ABSENT, EMPTY, Keys, Placed, write_texts
from studies.schema.publication import publish, read_manifest
from studies.schema.triples import JudgedText, RandomOthers, RetrievalTriples, TripleSource, pair_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class PreparedTriples:
    """Texts of queries and passages as token ids, mapped from files, and triples of their numbers.

    Text i of a side is ``ids[offsets[i] : offsets[i + 1]]``. ``triples_TK`` has a query, a relevant passage and others
    in each row; the ``watched`` first ones, of queries of their own, are not trained on. ``relevant`` holds, sorted,
    ``query * number of passages + passage`` of every pair known to be relevant.
    """

    queries: tuple[NDArray[np.int32], NDArray[np.int64]]
    passages: tuple[NDArray[np.int32], NDArray[np.int64]]
    triples_TK: NDArray[np.int64]
    relevant: NDArray[np.int64]
    watched: int
    record: Mapping[str, Any]


def prepare_triples(
    folder: Path,
    declaration: RetrievalTriples,
    *,
    query: Tokenize,
    passage: Tokenize,
    kept: KeptForTests,
    place: Path,
    watched: int = 0,
) -> PreparedTriples:
    """Publish the declared triples at ``place``, unless they are there, and map them.

    Sources lie below ``folder``. One triple of each of ``watched`` queries, shared out evenly over pairs, is taken
    away, and with it the query's others. ValueError or OSError for sources other than declared, ids without a text, or
    when nothing is left.
    """
    if read_manifest(place, verify=False) is None:
        with publish(place) as partial:
            _write(folder, declaration, (query, passage), kept, partial, watched)
    return open_triples(place)


def open_triples(place: Path) -> PreparedTriples:
    """Map what :func:`prepare_triples` published."""
    if read_manifest(place, verify=False) is None:
        raise FileNotFoundError(f"{place} holds no prepared triples; prepare them first")
    record = json.loads((place / "record.json").read_text(encoding="utf-8"))

    def mapped(name: str) -> NDArray[Any]:
        found: NDArray[Any] = np.load(place / f"{name}.npy", mmap_mode="r")
        return found

    return PreparedTriples(
        queries=(mapped("queries.ids"), mapped("queries.offsets")),
        passages=(mapped("passages.ids"), mapped("passages.offsets")),
        triples_TK=mapped("triples"),
        relevant=mapped("relevant"),
        watched=record["watched"],
        record=record,
    )


def _write(
    folder: Path,
    declaration: RetrievalTriples,
    tokenize: tuple[Tokenize, Tokenize],
    kept: KeptForTests,
    partial: Path,
    watched: int,
) -> None:
    for source in declaration.sources:
        check_source(folder, source)
    reading = _Reading(folder, declaration, kept)
    counts: dict[str, Counter[Reason]] = {source.name: Counter() for source in declaration.sources}
    passed = {s.name: _spill(partial, s, reading.triples(s, counts[s.name])) for s in declaration.sources}
    read = {name: number + counts[name].total() for name, number in passed.items()}
    for name, number in read.items():
        logger.info("%s: %d triples read, %d passed", name, number, passed[name])
    pairs = _draw(declaration, partial)
    drawn = [_keys(reading, source, marks) for source, marks in _marks_of(declaration, partial, passed)]
    for number, source in enumerate(declaration.sources):
        if isinstance(source, JudgedText) and isinstance(source.others, RandomOthers):
            drawn[number] = draw_others(folder, source, source.others, drawn[number], kept, declaration.seed, partial)
    queries, passages = (
        write_texts(partial, side, _needed(folder, declaration, drawn, number), tokenize[number])
        for number, side in enumerate(("queries", "passages"))
    )
    rows = [
        _numbered(reading, source, keys_TK, queries, passages, counts[source.name])
        for source, keys_TK in zip(declaration.sources, drawn, strict=True)
    ]
    num_passages = len(np.load(partial / "passages.offsets.npy", mmap_mode="r")) - 1
    arrange(declaration, partial, rows, num_passages, pairs, counts, watched)
    for pair in declaration.pairs:
        for kind in ("hashes", "marks"):
            (partial / f"{pair}.{kind}").unlink(missing_ok=True)
    record = {
        "sources": {name: {"read": read[name], **_by_name(found)} for name, found in counts.items()},
        "pairs": pairs,
        "watched": sum(pair["watched"] for pair in pairs.values()),
    }
    (partial / "record.json").write_text(json.dumps(record, indent=1), encoding="utf-8")


class _Reading:
    """The triples of sources that may be trained on, read anew at each call and always the same."""

    def __init__(self, folder: Path, declaration: RetrievalTriples, kept: KeptForTests) -> None:
        self.folder = folder
        self._kept = kept
        self._barred: dict[Hashable, frozenset[int]] = {}
        for source in declaration.sources:
            table = tables(folder, source)[0]
            if isinstance(source, JudgedText) and table.identity not in self._barred:
                self._barred[table.identity] = frozenset(
                    hashed(entry.id) for entry in table.read() if kept.queries.holds(entry.text)
                )

    def triples(self, source: TripleSource, counts: Counter[Reason]) -> Iterator[Ids]:
        """What passes; the rest is counted."""
        barred = self._barred.get(tables(self.folder, source)[0].identity, frozenset())
        return read_triples(self.folder, source, self._kept, barred, counts)


def _spill(partial: Path, source: TripleSource, triples: Iterator[Ids]) -> int:
    """Append a hash of each triple to its pair's file; returns how many there are."""
    number = 0
    with (partial / f"{pair_of(source)}.hashes").open("ab") as hashes:
        for block in blocks(triples):
            codes = [hashed("\t".join((found.query, found.relevant, *found.others))) for found in block]
            hashes.write(np.array(codes, dtype=np.uint64).tobytes())
            number += len(block)
    return number


def _draw(declaration: RetrievalTriples, partial: Path) -> dict[str, dict[str, int]]:
    """Mark the triples of each pair that are used; returns counts by pair."""
    caps = dict(declaration.caps)
    counts: dict[str, dict[str, int]] = {}
    available: dict[str, int] = {}
    for pair in declaration.pairs:
        hashes, marks = _hashes_and_marks(partial, pair)
        unique = mark_first(hashes, marks) if len(hashes) else 0
        available[pair] = min(unique, caps.get(pair, unique))
        counts[pair] = {Reason.DUPLICATE.value: len(hashes) - unique, Reason.OVER_CAP.value: unique - available[pair]}
    for pair, share in shares(available, declaration.triples, declaration.exponent).items():
        if available[pair] == 0:
            names = ", ".join(source.name for source in declaration.sources if pair_of(source) == pair)
            raise ValueError(
                f"no triple of pair {pair} may be trained on; see what is kept out, or leave its sources out: {names}"
            )
        hashes, marks = _hashes_and_marks(partial, pair)
        draw_marked(hashes, marks, share, declaration.seed)
        counts[pair] |= {Reason.NOT_DRAWN.value: available[pair] - share}
    return counts


def _hashes_and_marks(partial: Path, pair: str) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
    hashes = mapped_hashes(partial / f"{pair}.hashes")
    return hashes, mapped_marks(partial / f"{pair}.marks", len(hashes))


def _marks_of(
    declaration: RetrievalTriples, partial: Path, passed: Mapping[str, int]
) -> Iterator[tuple[TripleSource, NDArray[np.uint8]]]:
    """Each source with the marks of its triples, of which a pair's file has those of one source after another."""
    ends: Counter[str] = Counter()
    for source in declaration.sources:
        pair = pair_of(source)
        first = ends[pair]
        ends[pair] += passed[source.name]
        yield source, _hashes_and_marks(partial, pair)[1][first : ends[pair]]


def _keys(reading: _Reading, source: TripleSource, marks: NDArray[np.uint8]) -> Keys:
    """Hashes of the ids of each drawn triple, the query first, [T, 1 + K]."""
    triples = reading.triples(source, Counter())
    is_drawn = chain.from_iterable(marks[first : first + BATCH].tolist() for first in range(0, len(marks), BATCH))
    codes = array("Q")
    for found in compress(triples, is_drawn):
        codes.extend(hashed(text) for text in (found.query, found.relevant, *found.others))
    width = 2 if isinstance(source, JudgedText) and isinstance(source.others, RandomOthers) else 3
    return np.array(codes, dtype=np.uint64).reshape(-1, width)


def _needed(folder: Path, declaration: RetrievalTriples, drawn: Sequence[Keys], side: int) -> list[Placed]:
    """Of each table of queries (side 0) or passages the texts that are wanted, each once."""
    wanted: dict[Hashable, list[Keys]] = {}
    found = {}
    for source, keys_TK in zip(declaration.sources, drawn, strict=True):
        table = tables(folder, source)[side]
        found[table.identity] = table
        wanted.setdefault(table.identity, []).append((keys_TK[:, 1:] if side else keys_TK[:, :1]).ravel())
    return [Placed.of(found[identity], np.concatenate(keys)) for identity, keys in wanted.items()]


def _numbered(
    reading: _Reading,
    source: TripleSource,
    keys_TK: Keys,
    queries: Mapping[Hashable, Placed],
    passages: Mapping[Hashable, Placed],
    counts: Counter[Reason],
) -> tuple[NDArray[np.int64], Keys]:
    """Numbers of each triple's texts, and what its query is known by in every language; those without text are counted.

    ValueError where a triple names an id that its table lacks.
    """
    own = [table.identity for table in tables(reading.folder, source)]
    columns = [queries[own[0]].numbers(keys_TK[:, :1]), passages[own[1]].numbers(keys_TK[:, 1:])]
    triples_TK = np.concatenate(columns, axis=1)
    lacking = np.argwhere(triples_TK == ABSENT)
    if len(lacking):
        _refuse_unknown(reading, source, keys_TK, lacking[0], len(np.unique(lacking[:, 0])))
    empty = (triples_TK == EMPTY).any(axis=1)
    counts[Reason.EMPTY] += int(empty.sum())
    known_T = keys_TK[:, 0] ^ np.uint64(hashed(source.ids_of))
    return triples_TK[~empty], known_T[~empty]


def _refuse_unknown(
    reading: _Reading, source: TripleSource, keys_TK: Keys, first: NDArray[np.int64], number: int
) -> None:
    row, column = (int(place) for place in first)
    table = tables(reading.folder, source)[min(1, column)]
    wanted = int(keys_TK[row, column])
    for found in reading.triples(source, Counter()):
        for text in (found.query, found.relevant, *found.others):
            if hashed(text) == wanted:
                raise ValueError(
                    f"{found.place}: {table.name} has no {text!r}, nor what {number:,} of the {len(keys_TK):,} drawn "
                    f"triples of {source.name} name; fetch the file again, or name the triples that belong to it"
                )
    raise ValueError(f"{source.name} changed while it was read; prepare it again")


def _by_name(counts: Counter[Reason]) -> dict[str, int]:
    return {reason.value: counts[reason] for reason in Reason if counts[reason]}
