"""How many tokens a run reads, about: what is known of the embedded collection of twelve languages before it is built.

Counted with the tokenizer of ``studies.bases.ATLAS_TWELVE``, special tokens and the padding of length-sorted batches of
256 included. Another collection of the same kind differs by a few tokens; a pretrained rung's own tokenizer cuts names
of most languages into more.
"""

from dataclasses import dataclass
from typing import assert_never

from studies.schema.run import LookUp, Pretraining, Run, Student, Teacher, TranslateQuery, Translator

LINE, LONGEST_LINE = 11.0, 58
"""Tokens of a line in a student's language, mean and longest."""

ENGLISH = 8.0
"""Tokens of a line's English side."""

PAIR, LONGEST_PAIR = 44.0, 21 + 67
"""Tokens of an English query with a passage."""

TEXT, LONGEST_TEXT = 12.0, 79
"""Tokens of a text of pretraining, mean and longest: names, lists of names, passages."""

PASSAGES = 936
PASSAGE = 30.0
"""Passages, one an entity, and their mean tokens."""

HELD_OUT_SIDES = 300
"""English sides of the lines that are watched, beyond those trained on; the others are few and short."""


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """Tokens of an example: what the trained encoder and the teacher read of it, and the most the former reads."""

    student: float
    teacher: float
    longest: int


def tokens_of(run: Run) -> Tokens:
    """Tokens of an example of a run; none for a look-up, which reads none in training."""
    match run:
        case Teacher():
            return Tokens(student=PAIR, teacher=0.0, longest=LONGEST_PAIR)
        case Pretraining():
            return Tokens(student=TEXT, teacher=0.0, longest=LONGEST_TEXT)
        case Student():
            return Tokens(student=LINE, teacher=ENGLISH, longest=LONGEST_LINE)
        case Translator():
            return Tokens(student=LINE, teacher=0.0, longest=LONGEST_LINE)
        case LookUp() | TranslateQuery():
            return Tokens(student=0.0, teacher=0.0, longest=0)
        case unknown:
            assert_never(unknown)
