"""What is asked of a finished run: which queries, how deep, which measures."""

from dataclasses import dataclass, field
from enum import StrEnum

from ir_measures.measures import Measure

from studies.schema.added import ADDED
from studies.schema.alignment import Alignment
from studies.schema.collection import (
    TRAIN,
    Collection,
    Reader,
    judged_splits,
    passage_reader,
)
from studies.schema.pool import Pool


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
        if self.split == TRAIN:
            raise ValueError(
                f"{self.collection.name} is asked its training queries, which measures memory; name another"
            )
        if not judged.get(self.split):
            usable = ", ".join(name for name, is_judged in judged.items() if is_judged and name != TRAIN)
            raise ValueError(f"{self.collection.name} has no judged split {self.split!r}; it has {usable or 'none'}")

    @property
    def language(self) -> str:
        """The language of the queries."""
        return self.collection.pair.query

    @property
    def reader(self) -> Reader:
        """Who reads the passages."""
        return passage_reader(self.collection.pair)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Measures over the queries of a split, on rankings of ``depth`` passages.

    With ``alignment``, also how alike a student reads the queries in English and in every other language.

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
        asked = [searched.language for searched in self.retrieval]
        if len(set(asked)) != len(asked):
            raise ValueError(
                f"collections are asked in {', '.join(asked)}; results stand by query language, so name one collection "
                "for each, and another study for a second"
            )
        if self.retrieval and (self.pairs or self.alignment is not None):
            raise ValueError(
                "an evaluation asks published collections, and pairs or alignment of the embedded one; ask these in a "
                "study of their own"
            )
