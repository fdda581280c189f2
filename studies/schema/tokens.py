"""How many tokens a run reads, about: what is known of its data before any of it is there.

Of the embedded collection of twelve languages: counted with the tokenizer of ``studies.bases.ATLAS_TWELVE``, special
tokens and the padding of length-sorted batches of 256 included. Another collection of the same kind differs by a few
tokens; a pretrained rung's own tokenizer cuts names of most languages into more. Of parallel text and published
passages: assumed, as files come later.
"""

from dataclasses import dataclass
from typing import assert_never

from studies.schema.parallel import ParallelText
from studies.schema.published_teacher import PublishedTeacher
from studies.schema.run import LookUp, Pretraining, Run, Student, Supervised, Teacher, TranslateQuery, Translator

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

PARALLEL_LINE = 32.0
"""Tokens of a line of mined parallel text on either side, about twenty words; an assumption."""

PUBLISHED_PASSAGE = 130.0
"""Tokens of a passage of about a hundred words; an assumption."""

PUBLISHED_QUERY = 10.0
"""Tokens of a query of six words; an assumption."""

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
        case Supervised(text=text):
            passages = 1 + text.given
            return Tokens(
                student=min(PUBLISHED_QUERY, text.query_tokens)
                + passages * min(PUBLISHED_PASSAGE, text.passage_tokens),
                teacher=0.0,
                longest=text.query_tokens + passages * text.passage_tokens,
            )
        case Pretraining():
            return Tokens(student=TEXT, teacher=0.0, longest=LONGEST_TEXT)
        case Student(bitext=ParallelText() as lines):
            # A token has at least one character, and a tokenizer's model at most so many positions.
            longest = min(lines.filters.most_characters, run.rung.architecture.max_positions)
            return Tokens(student=PARALLEL_LINE, teacher=PARALLEL_LINE, longest=longest)
        case Student():
            return Tokens(student=LINE, teacher=ENGLISH, longest=LONGEST_LINE)
        case Translator():
            return Tokens(student=LINE, teacher=0.0, longest=LONGEST_LINE)
        case LookUp() | TranslateQuery() | PublishedTeacher():
            return Tokens(student=0.0, teacher=0.0, longest=0)
        case unknown:
            assert_never(unknown)
