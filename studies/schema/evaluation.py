"""What is asked of a finished run: which queries, how deep, which measures."""

from dataclasses import dataclass, field
from enum import StrEnum

from ir_measures.measures import Measure

from studies.schema.added import ADDED
from studies.schema.alignment import Alignment


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
class Evaluation:
    """Measures over the queries of a split, on rankings of ``depth`` passages.

    With ``alignment``, also how alike a student reads the queries in English and in every other language.

    English passages are read by the teacher. Of a student, ``pairs`` are asked as well: their passages are in another
    language and read by the student itself.
    """

    measures: tuple[Measure, ...]
    depth: int = 100
    split: Split = Split.TEST
    alignment: Alignment | None = field(default=None, metadata=ADDED)
    pairs: tuple[Pair, ...] = field(default=(), metadata=ADDED)

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
