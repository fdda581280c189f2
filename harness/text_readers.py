"""Whatever reads texts of published data into token vectors: a checkpoint, or an encoder that was trained here."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.data.own_tokenizer import own_tokenizer
from harness.data.tokenizer import encode_cut
from harness.examples import Sequences
from harness.finished import trained
from harness.late_interaction import Ragged
from harness.published_teacher import opened
from harness.vectors import CachedTeacher, encode, store, stored
from studies.schema.key import digest, run_key
from studies.schema.published_teacher import PublishedTeacher, Side
from studies.schema.run import Student, Supervised
from studies.schema.storage import Storage

LONGEST_TEXT = 512
"""Tokens that a text is cut to at most, by every encoder that reads one here."""

TextTeacher = PublishedTeacher | Supervised
"""Teachers of students that read published text."""


class TextReader(Protocol):
    """Texts to token vectors."""

    def encode(self, texts: Sequence[str], side: Side) -> Ragged:
        """Token vectors of every text in order, on the CPU in float32, those alone that count in a score."""
        ...


class TrainedReader:
    """An encoder that was trained here, with its own tokenizer; it reads both sides alike."""

    def __init__(self, storage: Storage, run: Student | Supervised, device: torch.device) -> None:
        self._encoder = trained(storage, run_key(run))
        self._tokenizer = own_tokenizer(run.rung)
        self._device = device

    def encode(self, texts: Sequence[str], side: Side) -> Ragged:
        """Token vectors of every text in order, special tokens included."""
        del side
        padding = self._tokenizer.pad_token_id
        assert isinstance(padding, int)
        ids = encode_cut(self._tokenizer, LONGEST_TEXT, texts)
        return encode(self._encoder, Sequences.of(ids, padding), self._device)


def reader(storage: Storage, run: TextTeacher | Student, device: torch.device) -> TextReader:
    """What reads texts as a run does; ValueError where it is not there or not what is declared."""
    return opened(run, device) if isinstance(run, PublishedTeacher) else TrainedReader(storage, run, device)


def side_of_lines(teacher: TextTeacher) -> Side:
    """As what a teacher reads the English side of parallel text."""
    return teacher.lines if isinstance(teacher, PublishedTeacher) else Side.QUERY


def place_of(storage: Storage, teacher: TextTeacher, texts: Sequence[str], side: Side) -> Path:
    """Where the vectors of the texts lie once they were computed."""
    return storage.embeddings(run_key(teacher), f"{side}-{digest('texts/1', list(texts))}")


def vectors(storage: Storage, teacher: TextTeacher, texts: Sequence[str], side: Side, device: torch.device) -> Ragged:
    """Vectors of the texts, from storage where they lie there, else computed and left there."""
    directory = place_of(storage, teacher, texts, side)
    known = stored(directory)
    if known is None:
        known = reader(storage, teacher, device).encode(texts, side)
        store(directory, known)
    return known


class LiveReader:
    """The teacher itself, asked in every step: for lines whose vectors would not fit the cache.

    ``text`` gives the English side by its number.
    """

    def __init__(self, teacher: TextReader, text: Callable[[int], str], side: Side) -> None:
        self._teacher = teacher
        self._text = text
        self._side = side

    def take(self, lines: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Vectors (B, N, H) and mask (B, N) of the lines."""
        read = self._teacher.encode([self._text(int(line)) for line in lines], self._side)
        return CachedTeacher(read).take(np.arange(len(lines)))
