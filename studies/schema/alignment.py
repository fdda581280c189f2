"""Cross-lingual contextualised alignment (CLCA): how alike a student reads a text and its translation.

No source gives CLCA a formula, so it is a closed family here. Both sides are read by one student, in the last hidden
layer of its backbone and without special tokens; the projection into the teacher's space, which exists only after
distillation, takes no part. Sentences i = 1..Q are held out and stand in English and in one language.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from math import isfinite
from typing import Any, TypeVar

from studies.schema.added import ADDED
from studies.schema.checks import at_least
from studies.schema.parallel import Corpus


class AlignmentMeasure(StrEnum):
    """Members of the family. All are at most 1, which means alike; vectors are compared by their cosine.

    ``clca_token_ot``: (raw - random) / (1 - random), where raw is the mean over i of <P, cos> between the tokens of i
    in English and in the language, P being the entropic plan between uniform marginals; random is the same for i in
    English and another sentence in the language that shares no name with it; of published text, the one that is
    half of the text away. About 0 where nothing is aligned.
    ``clca_mexa``: share of i whose cosine between the means of their token vectors is above every other in its row
    and its column of the Q x Q matrix, English by language (MEXA, arXiv 2410.05873).
    ``clca_rankc``: mean over i of sum_j w_j |top_j in English and in the language| / j, where each side ranks the other
    Q - 1 sentences of its own language by that cosine, and w is the softmax of depth, ..., 1 (RankC, arXiv 2310.10378).
    """

    TOKEN_OT = "clca_token_ot"
    MEXA = "clca_mexa"
    RANKC = "clca_rankc"


class Stage(StrEnum):
    """When a student is read: with the weights it starts from, or with those that distillation left."""

    BEFORE = "before"
    AFTER = "after"


TOKEN_OT_RAW = f"{AlignmentMeasure.TOKEN_OT}_raw"
TOKEN_OT_RANDOM = f"{AlignmentMeasure.TOKEN_OT}_random"

COLUMNS = (TOKEN_OT_RAW, TOKEN_OT_RANDOM, str(AlignmentMeasure.MEXA), str(AlignmentMeasure.RANKC))
"""What is kept of every sentence at each stage; every measure is made of means of these."""


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """How alignment is measured.

    ``epsilon`` is that of the plan, in units of 1 - cos, and has to differ from every epsilon that the students are
    trained with. Problems are solved to ``tolerance``, the L1 error of the marginals. ``depth`` is of rankings.
    ``sentences`` are held-out corpora with English, one for each language; without any, the queries of the embedded
    collection are read.
    """

    epsilon: float
    tolerance: float = 1e-4
    max_iterations: int = 1000
    depth: int = 10
    sentences: tuple[Corpus, ...] = field(default=(), metadata=ADDED)

    def __post_init__(self) -> None:
        if not (self.epsilon > 0 and isfinite(self.epsilon)):
            raise ValueError(f"Alignment.epsilon is {self.epsilon}; it must be above 0 and finite")
        if not 0 < self.tolerance < 1:
            raise ValueError(f"Alignment.tolerance is {self.tolerance}; it is a marginal error between 0 and 1")
        at_least(self, 1, "max_iterations", "depth")
        for corpus in self.sentences:
            if corpus.held_out is None or corpus.target != "en":
                raise ValueError(
                    f"alignment is measured on corpus {corpus.name} of {corpus.pair}, which is "
                    f"{'held out' if corpus.held_out else 'not held out'}; name held-out corpora with English"
                )
        if len({corpus.source for corpus in self.sentences}) != len(self.sentences):
            raise ValueError("alignment is measured on two corpora of one language; name one for each")

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages of published sentences."""
        return tuple(corpus.source for corpus in self.sentences)


def column_name(column: str, stage: Stage) -> str:
    """How a value is called where both stages stand side by side: ``clca_mexa.before``."""
    return f"{column}.{stage}"


Value = TypeVar("Value", bound=Any)


def corrected(raw: Value, random: Value) -> Value:
    """What a similarity is above chance, as a share of what it could be; numbers, or arrays of one shape."""
    above: Value = (raw - random) / (1.0 - random)
    return above
