"""A retrieval collection in memory: queries and judgments held, passages read in blocks, everything checked once."""

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from studies.schema.collection import Pair, Relevance

Value = TypeVar("Value")

Qrels = Mapping[str, Mapping[str, int]]
"""Grades by query id and passage id."""


@dataclass(frozen=True, slots=True)
class Document:
    """A passage, and the place it was read from, for messages."""

    id: str
    text: str
    file: Path | None = None
    line: int = 0

    @property
    def place(self) -> str:
        return f" ({self.file}, line {self.line})" if self.file else ""


class RetrievalData(Protocol):
    """What an evaluation needs of a collection, wherever it comes from."""

    @property
    def name(self) -> str: ...

    @property
    def revision(self) -> str: ...

    @property
    def licence(self) -> str | None: ...

    @property
    def relevance(self) -> Relevance: ...

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """The pairs it can be asked about; queries of all of them share ids and judgments."""

    def topics(self, split: str, language: str) -> Mapping[str, str]:
        """Texts of the queries in a language, by id."""

    def qrels(self, split: str) -> Qrels:
        """Judgments; ValueError for a split that has none."""

    def blocks(self, size: int) -> Iterator[Sequence[Document]]:
        """All passages in a fixed order, ``size`` at a time, none of them empty."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Loaded:
    """A collection whose queries and judgments were read.

    ``source`` begins to read its passages anew at each call; ``locate`` says where a split judges a passage for a
    query. ``kept`` are texts that nobody asks and that no model may see in training all the same.
    """

    name: str
    revision: str
    licence: str | None
    relevance: Relevance
    pair: Pair
    texts: Mapping[str, Mapping[str, str]]
    judgments: Mapping[str, Qrels]
    source: Callable[[], Iterator[Document]]
    locate: Callable[[str, str, str], str]
    count: int | None = None
    kept: tuple[str, ...] = ()

    @property
    def pairs(self) -> tuple[Pair, ...]:
        return (self.pair,)

    def topics(self, split: str, language: str) -> Mapping[str, str]:
        """Texts of the split's queries by id."""
        if language != self.pair.query:
            raise ValueError(f"{self.name} has queries in {self.pair.query!r}, not in {language!r}")
        return self._of(split, self.texts, "queries")

    def qrels(self, split: str) -> Qrels:
        """Grades by query and passage."""
        return self._of(split, self.judgments, "judgments")

    def blocks(self, size: int) -> Iterator[Sequence[Document]]:
        """Passages with a text, in the order of the files."""
        passages = (passage for passage in self.source() if passage.text)
        while block := tuple(islice(passages, size)):
            yield block

    def _of(self, split: str, parts: Mapping[str, Value], what: str) -> Value:
        if split not in parts:
            raise ValueError(
                f"{self.name} has no {what} for split {split!r}; it has them for {', '.join(parts) or 'none'}"
            )
        return parts[split]


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was found in a collection. ``empty`` passages hold no text and are left out; ``unjudged`` queries cannot be
    scored."""

    passages: int
    empty: int
    queries: Mapping[str, int]
    unjudged: Mapping[str, int]
    judgments: Mapping[str, int]


def inspect(collection: Loaded) -> Report:
    """Read all passages once and check what later reading relies on; eight bytes of memory for each.

    ValueError for ids that occur twice, judged passages that do not exist, relevant ones without text, grades outside
    the declared scale, judged queries that do not exist, or another number of passages than declared.
    """
    judged = {passage for qrels in collection.judgments.values() for grades in qrels.values() for passage in grades}
    missing, without_text = set(judged), set()
    hashes = array("Q")
    empty = 0
    for passage in collection.source():
        hashes.append(_hash(passage.id))
        missing.discard(passage.id)
        if not passage.text:
            empty += 1
            without_text.add(passage.id)
    _check_count(collection, len(hashes))
    _check_unique(collection, np.frombuffer(hashes, dtype=np.uint64))
    for split, qrels in collection.judgments.items():
        _check_judgments(collection, split, qrels, missing, without_text)
    return Report(
        passages=len(hashes),
        empty=empty,
        queries={split: len(texts) for split, texts in collection.texts.items()},
        unjudged={
            split: len(collection.texts[split].keys() - qrels.keys()) for split, qrels in collection.judgments.items()
        },
        judgments={split: sum(map(len, qrels.values())) for split, qrels in collection.judgments.items()},
    )


def _check_count(collection: Loaded, found: int) -> None:
    if found == 0:
        raise ValueError(f"{collection.name} has no passages; fetch its files again")
    if collection.count is not None and found != collection.count:
        raise ValueError(
            f"{collection.name} is declared with {collection.count:,} passages, {found:,} were read; "
            "a part is missing or doubled, fetch its files again"
        )


def _check_unique(collection: Loaded, hashes: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> None:
    unique, counts = np.unique(hashes, return_counts=True)
    if len(unique) == len(hashes):
        return
    repeated = set(unique[counts > 1].tolist())
    seen: dict[str, Document] = {}
    for passage in collection.source():
        if _hash(passage.id) in repeated:
            if passage.id in seen:
                raise ValueError(
                    f"{collection.name} has two passages with id {passage.id!r}{seen[passage.id].place}"
                    f"{passage.place}, one of {len(hashes) - len(unique)} repetitions; judgments could mean either, "
                    "make ids unique"
                )
            seen[passage.id] = passage


def _check_judgments(collection: Loaded, split: str, qrels: Qrels, missing: set[str], without_text: set[str]) -> None:
    where = f"split {split!r} of {collection.name}"
    unknown = sorted(qrels.keys() - collection.texts[split].keys())
    if unknown:
        raise ValueError(
            f"{where} has judgments for {len(unknown)} of {len(qrels)} queries that do not exist, the first is "
            f"{unknown[0]!r}; name the topics that belong to these judgments"
        )
    if not qrels:
        raise ValueError(f"{where} has no judgments at all; fetch its files again")
    for query, grades in qrels.items():
        for passage, grade in grades.items():
            if grade not in collection.relevance.grades:
                raise ValueError(
                    f"{collection.locate(split, query, passage)}: grade {grade} of passage {passage!r} for query "
                    f"{query!r} is not on the declared scale {collection.relevance.grades}; declare the scale it has"
                )
            if passage in missing:
                raise ValueError(
                    f"{collection.locate(split, query, passage)}: {where} judges {len(missing)} passages that the "
                    f"collection lacks, the first is {passage!r} for query {query!r}; fetch the missing documents, "
                    "since a passage that cannot be found lowers scores"
                )
            if grade >= collection.relevance.relevant_from and passage in without_text:
                raise ValueError(
                    f"{collection.locate(split, query, passage)}: passage {passage!r} is relevant to query {query!r} "
                    "but has no text in the declared fields; name the fields that hold it"
                )


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")
