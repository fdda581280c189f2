"""How alike a student reads held-out sentences of published text, before and after distillation: CLCA.

The measures are those of :mod:`harness.alignment`; a sentence is compared by chance with the one half of the text away,
since neighbours come from one article.
"""

from collections import Counter
from hashlib import blake2b

import numpy as np
import torch
from numpy.typing import NDArray

from harness.alignment import Aligned, alignment_columns, hidden, special_ids
from harness.assemble import model_of
from harness.data.line_filters import Reason
from harness.data.own_tokenizer import own_tokenizer
from harness.data.parallel_files import read_lines
from harness.data.tokenizer import encode as tokenize
from harness.encoders import TokenEncoder
from harness.examples import Sequences
from harness.late_interaction import Ragged
from harness.scoring import Row
from studies.schema.alignment import Alignment, Stage, column_name
from studies.schema.atlas import ENGLISH
from studies.schema.parallel import Corpus
from studies.schema.run import Student
from studies.schema.rung import Rung
from studies.schema.storage import Storage

Lines = tuple[tuple[str, ...], tuple[str, ...]]
"""Sentences in a language, and the same in English."""


def sentence_scores(
    storage: Storage, run: Student, trained: TokenEncoder, asked: Alignment, device: torch.device
) -> list[Row]:
    """A row for each sentence in each language: every column before and after distillation.

    Sentences with one English side are one ``entity``, whatever the language. ValueError or OSError for files other
    than declared.
    """
    lines = {corpus.source: read_sentences(storage, corpus) for corpus in asked.sentences}
    special = special_ids(own_tokenizer(run.rung))
    before = model_of(storage, run)
    assert isinstance(before, TokenEncoder)
    rows = {language: _bare_rows(language, english) for language, (_, english) in lines.items()}
    for stage, encoder in ((Stage.BEFORE, before), (Stage.AFTER, trained)):
        sides: dict[tuple[str, ...], Ragged] = {}
        for language, (texts, english) in lines.items():
            if english not in sides:
                sides[english] = hidden(encoder, _ids(english, run.rung), special, device)
            read = hidden(encoder, _ids(texts, run.rung), special, device)
            for column, values_Q in alignment_columns(sides[english], read, half_away(len(texts)), asked).items():
                for row, value in zip(rows[language], values_Q.tolist(), strict=True):
                    row[column_name(column, stage)] = value
    return [row for of_language in rows.values() for row in of_language]


def by_language(rows: list[Row]) -> Aligned:
    """The columns of rows by language and sentence."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for row in rows:
        columns = {name: value for name, value in row.items() if isinstance(value, float)}
        found.setdefault(str(row["language"]), {})[str(row["query"])] = columns
    return found


def read_sentences(storage: Storage, corpus: Corpus) -> Lines:
    """Every line of a held-out corpus; ValueError where one has an empty side or cannot be read."""
    broken: Counter[Reason] = Counter()
    lines = [(" ".join(a.split()), " ".join(b.split())) for a, b in read_lines(storage.data(), corpus, broken)]
    if broken or not lines or not all(a and b for a, b in lines):
        raise ValueError(f"corpus {corpus.name} has lines that are broken or empty; alignment needs all of them")
    texts, english = zip(*lines, strict=True)
    return texts, english


def half_away(number: int) -> NDArray[np.int64]:
    """For each of some sentences, the one half of them further on; ValueError for fewer than two."""
    if number < 2:
        raise ValueError(f"{number} sentence has no other to be compared with by chance; give at least two")
    return (np.arange(number, dtype=np.int64) + number // 2) % number


def _bare_rows(language: str, english: tuple[str, ...]) -> list[Row]:
    return [
        {
            "language": language,
            "query": f"{place:05d}",
            "entity": f"{ENGLISH}:{blake2b(text.encode(), digest_size=8).hexdigest()}",
            "seen": True,
            "cognate": False,
        }
        for place, text in enumerate(english)
    ]


def _ids(texts: tuple[str, ...], rung: Rung) -> Sequences:
    tokenizer = own_tokenizer(rung)
    padding = tokenizer.pad_token_id
    assert isinstance(padding, int)
    return Sequences.of(tokenize(tokenizer, texts), padding)
