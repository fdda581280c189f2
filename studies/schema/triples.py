"""Text for supervised retrieval training as it is declared: queries with a relevant and other passages, and the draw.

Everything here decides which triples a retriever sees, so all of it is identity.
"""

import re
from dataclasses import dataclass

from studies.schema.checks import at_least
from studies.schema.collection import (
    TRAIN,
    Collection,
    IrDataset,
    LocalCollection,
    Pair,
    Published,
    TranslatedTopics,
    judged_splits,
    passages_of,
)
from studies.schema.files import check_relative, check_revision

MARCO = "msmarco-passage"
"""Whose ids the translations of MS MARCO have as well."""

_MARCO_NAMES = re.compile(r"(msmarco-passage|mmarco|neumarco)\b")


@dataclass(frozen=True, kw_only=True)
class TextTriples:
    """Query, relevant and other passage as texts, a headerless table of three columns: ``triples.train.small.tsv``.

    ``ids_of`` says whose queries and passages they are. As their ids are lost, none of that family's test queries and
    passages could be told among them, so its collections cannot be kept out.
    """

    name: str
    pair: Pair
    path: str
    ids_of: str
    licence: str | None
    revision: str

    def __post_init__(self) -> None:
        check_relative(f"triples {self.name}", (self.path,))
        check_revision(f"triples {self.name}", self.revision)

    @property
    def given(self) -> int:
        """Other passages that each line gives."""
        return 1


@dataclass(frozen=True, kw_only=True)
class IrTriples:
    """Ids of query, relevant and other passage, as ``ir_datasets`` has them under an id (its document pairs).

    ``revision`` is a hash over the published MD5 sum.
    """

    name: str
    revision: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9a-f]{10}", self.revision):
            raise ValueError(
                f"IrTriples.revision of {self.name} is {self.revision!r}; it is ten hexadecimal digits, and opening it "
                f"with revision {'0' * 10} says which"
            )


@dataclass(frozen=True, kw_only=True)
class IdTriples:
    """Ids of query, relevant and other passage in a headerless table: ``qidpidtriples``, ``triples.train.ids.small``.

    ``path`` lies below the data folder, plain or ending in .gz or .xz; ``revision`` is the hash of that file.
    """

    path: str
    revision: str

    def __post_init__(self) -> None:
        check_relative("IdTriples.path", (self.path,))
        check_revision(f"triples {self.path}", self.revision)

    @property
    def name(self) -> str:
        """How messages call the file."""
        return self.path


@dataclass(frozen=True, kw_only=True)
class RandomOthers:
    """Other passages drawn for each relevant judgment, evenly from all passages not judged for its query.

    Judgments count as relevant from grade ``relevant_from`` on.
    """

    relevant_from: int
    number: int = 1

    def __post_init__(self) -> None:
        at_least(self, 1, "relevant_from", "number")


@dataclass(frozen=True, kw_only=True)
class JudgedText:
    """Queries of one split of a collection and its passages, with triples of their ids or with its own judgments."""

    collection: IrDataset | LocalCollection
    others: IrTriples | IdTriples | RandomOthers
    split: str = TRAIN

    def __post_init__(self) -> None:
        judged = judged_splits(self.collection)
        if self.split not in judged:
            raise ValueError(f"{self.collection.name} has no split {self.split!r}; it has {', '.join(judged)}")
        if isinstance(self.others, RandomOthers):
            grades = self.collection.relevance.grades
            if not judged[self.split]:
                raise ValueError(
                    f"split {self.split!r} of {self.collection.name} has no judgments to draw other passages beside; "
                    "name triples"
                )
            if self.others.relevant_from not in grades:
                raise ValueError(
                    f"RandomOthers.relevant_from is {self.others.relevant_from}, and grades of "
                    f"{self.collection.name} are {', '.join(map(str, grades))}; name one of them"
                )

    @property
    def name(self) -> str:
        """How messages and the record call the source."""
        return f"{self.collection.name} {self.pair.query}-{self.pair.document} {self.split}"

    @property
    def pair(self) -> Pair:
        """Languages of queries and passages."""
        return self.collection.pair

    @property
    def licence(self) -> str | None:
        """What may be done with it."""
        return self.collection.licence

    @property
    def revision(self) -> str:
        """Of the collection and, where there are any, of its triples."""
        own = self.collection.revision
        return own if isinstance(self.others, RandomOthers) else f"{own}.{self.others.revision}"

    @property
    def ids_of(self) -> str:
        """Whose ids its queries and passages have."""
        return ids_of(self.collection)

    @property
    def given(self) -> int:
        """Other passages beside each relevant one."""
        return self.others.number if isinstance(self.others, RandomOthers) else 1


TripleSource = TextTriples | JudgedText


@dataclass(frozen=True, kw_only=True)
class RetrievalTriples:
    """Triples drawn from sources, without repetitions, at most ``triples`` in all, beside those that are watched.

    A pair with n triples left, at most its cap, gets a share of n to the ``exponent``; what a small pair cannot fill
    goes to the others. ``seed`` decides which are drawn. Queries are cut to ``query_tokens``, passages to
    ``passage_tokens``. Kept out of training are, of the collections of ``kept_out`` and of all their splits but the
    training ones, every query, by its text whatever its id and by its id whatever its language, and every passage that
    is judged for one of them.
    """

    sources: tuple[TripleSource, ...]
    triples: int
    exponent: float = 1.0
    seed: int = 0
    caps: tuple[tuple[str, int], ...] = ()
    query_tokens: int = 64
    passage_tokens: int = 180
    kept_out: tuple[Collection, ...] = ()

    def __post_init__(self) -> None:
        if not self.sources or len({source.name for source in self.sources}) != len(self.sources):
            raise ValueError("RetrievalTriples.sources names no source, or one name twice; name each source once")
        if len({source.given for source in self.sources}) > 1:
            said = ", ".join(f"{source.name} {source.given}" for source in self.sources)
            raise ValueError(f"sources give unlike numbers of other passages: {said}; draw as many everywhere")
        at_least(self, 1, "triples")
        at_least(self, 3, "query_tokens", "passage_tokens")
        if not 0 <= self.exponent <= 1 or not 0 <= self.seed < 2**64:
            raise ValueError(
                f"RetrievalTriples has exponent {self.exponent}, seed {self.seed}; the exponent lies between 0 and 1, "
                "a seed is below 2**64"
            )
        capped = [pair for pair, _ in self.caps]
        if len(set(capped)) != len(capped) or not set(capped) <= set(self.pairs) or any(n < 1 for _, n in self.caps):
            raise ValueError(
                f"RetrievalTriples.caps are {self.caps}; give each of {', '.join(self.pairs)} at most one, "
                "of 1 or more triples"
            )
        for source in self.sources:
            for collection in self.kept_out:
                _check_apart(source, passages_of(collection))

    @property
    def pairs(self) -> tuple[str, ...]:
        """The pairs, query language first, in the order of the sources."""
        return tuple(dict.fromkeys(pair_of(source) for source in self.sources))

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages of queries and passages, sorted."""
        spoken = {language for source in self.sources for language in (source.pair.query, source.pair.document)}
        return tuple(sorted(spoken))

    @property
    def is_english(self) -> bool:
        """Whether queries and passages are English alone, as a teacher's are."""
        return self.languages == ("en",)

    @property
    def given(self) -> int:
        """Other passages of each triple."""
        return self.sources[0].given


def pair_of(source: TripleSource) -> str:
    """Languages of queries and passages: ``de-en``."""
    return f"{source.pair.query}-{source.pair.document}"


def ids_of(collection: Collection) -> str:
    """Whose ids a collection has: its own, or those of MS MARCO, which its translations share."""
    original = collection.original if isinstance(collection, TranslatedTopics) else collection
    return MARCO if _MARCO_NAMES.match(original.name) else original.name


def _check_apart(source: TripleSource, kept_out: Published) -> None:
    """Raise ValueError where a source is what is kept out, or its test passages could not be told in it."""
    match source:
        case TextTriples():
            if source.ids_of == ids_of(kept_out):
                raise ValueError(
                    f"triples {source.name} have no ids, so the test queries and judged passages of {kept_out.name} "
                    "cannot be told among them; name triples of ids (IdTriples, IrTriples)"
                )
        case JudgedText():
            if source.split != TRAIN and source.collection.name == kept_out.name:
                raise ValueError(
                    f"split {source.split!r} of {source.collection.name} is trained on and kept out; leave out one of "
                    "the two"
                )
