"""What is asked of a finished run: which queries, how deep, which measures."""

from dataclasses import dataclass, field
from enum import StrEnum

from ir_measures.measures import Measure

from studies.schema.added import ADDED
from studies.schema.alignment import Alignment
from studies.schema.atlas import ENGLISH
from studies.schema.collection import (
    TRAIN,
    Collection,
    judged_splits,
    passages_of,
)
from studies.schema.pool import Pool
from studies.schema.reading import Reader, passage_reader


class Split(StrEnum):
    """What a query may be used for. Choices are made on validation queries, conclusions drawn from test queries."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


Pair = tuple[str, str]
"""The languages of queries and of passages."""


def pair_name(pair: Pair) -> str:
    """How a pair is called in results: ``sw-te`` is queries in Swahili, passages in Telugu."""
    return "-".join(pair)


@dataclass(frozen=True, kw_only=True)
class Searched:
    """A published or local collection that is asked: the judged queries of a split, in the whole or in a pool."""

    collection: Collection
    split: str = "dev"
    pool: Pool | None = None

    def __post_init__(self) -> None:
        judged = judged_splits(self.collection)
        if not judged.get(self.split):
            usable = ", ".join(name for name, is_judged in judged.items() if is_judged and name != TRAIN)
            raise ValueError(f"{self.collection.name} has no judged split {self.split!r}; it has {usable or 'none'}")
        original = passages_of(self.collection).pair
        if self.pool is not None and original.query != original.document:
            raise ValueError(
                f"{self.collection.name} has queries in {original.query} and passages in {original.document}, and BM25 "
                "fills a pool with what shares words; ask it whole"
            )

    @property
    def language(self) -> str:
        """The language under which results stand: that of the queries, but of English ones that of the passages."""
        pair = self.collection.pair
        return pair.document if pair.query == ENGLISH else pair.query

    @property
    def is_between(self) -> bool:
        """Whether queries and passages are in two languages, and neither is English."""
        pair = self.collection.pair
        return len({pair.query, pair.document, ENGLISH}) == 3

    @property
    def name(self) -> str:
        """How its results are called: by the language, or between other languages by the pair."""
        pair = self.collection.pair
        return pair_name((pair.query, pair.document)) if self.is_between else self.language

    @property
    def reader(self) -> Reader:
        """Who reads the passages."""
        return passage_reader(self.collection.pair)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Measures over the queries of a split, on rankings of ``depth`` passages.

    With ``alignment``, also how alike a student reads a text in English and in every other language: the queries of the
    embedded collection, or the sentences that the alignment names.

    English passages are read by the teacher. Of a student, ``pairs`` are asked as well: their passages are in another
    language and read by the student itself.

    With ``retrieval`` those of its collections, each of a split of its own; without, those of the embedded collection.
    """

    measures: tuple[Measure, ...]
    depth: int = 100
    split: Split = Split.TEST
    alignment: Alignment | None = field(default=None, metadata=ADDED)
    pairs: tuple[Pair, ...] = field(default=(), metadata=ADDED)
    retrieval: tuple[Searched, ...] = field(default=(), metadata=ADDED)

    def __post_init__(self) -> None:
        if not self.measures:
            raise ValueError("an evaluation needs at least one measure")
        if self.split is Split.TRAIN:
            raise ValueError("an evaluation on training queries measures memory; use validation or test")
        for measure in self.measures:
            if measure.params.get("cutoff", 0) > self.depth:
                raise ValueError(
                    f"{measure} looks deeper than the {self.depth} passages kept of a ranking; raise depth"
                )
        asked = [searched.name for searched in self.retrieval]
        if len(set(asked)) != len(asked):
            raise ValueError(
                f"collections are asked in {', '.join(asked)}; results stand by query language, so name one collection "
                "for each, and another study for a second"
            )
        for searched in self.retrieval:
            if searched.split == TRAIN and self.split is not Split.VALIDATION:
                raise ValueError(
                    f"{searched.collection.name} is asked its training queries, which measures memory; name another "
                    "split, and leave these to searches"
                )
        if self.retrieval and self.pairs:
            raise ValueError(
                "an evaluation asks published collections, and pairs of the embedded one; ask these in a study of "
                "their own, or a collection between the two languages"
            )
        if self.alignment is not None and bool(self.alignment.sentences) is not bool(self.retrieval):
            raise ValueError(
                f"alignment is measured on {len(self.alignment.sentences)} corpora beside {len(self.retrieval)} "
                "published collections; name held-out corpora in Alignment.sentences with published collections, and "
                "none with the embedded one, whose own queries are read"
            )
        spoken = {searched.language for searched in self.retrieval if not searched.is_between} - {ENGLISH}
        if self.alignment is not None and self.alignment.sentences and set(self.alignment.languages) != spoken:
            raise ValueError(
                f"alignment is measured in {', '.join(self.alignment.languages)}, and queries are asked in "
                f"{', '.join(sorted(spoken))}; a language needs both to be told of"
            )
