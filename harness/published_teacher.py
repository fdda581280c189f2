"""A published multi-vector checkpoint as a frozen teacher: loaded, and asked for vectors."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import MultiVectorEncoder
from torch import Tensor

from harness.late_interaction import Ragged
from harness.published_files import found, look_over
from harness.vectors import ENCODE_BATCH, CachedTeacher, store, stored
from studies.schema.key import digest, run_key
from studies.schema.published_teacher import PublishedTeacher, Side
from studies.schema.storage import Storage


class PublishedEncoder:
    """The teacher in memory. Raises ValueError where the checkpoint is not what is declared or cannot be trusted."""

    def __init__(self, declared: PublishedTeacher, device: torch.device) -> None:
        folder = found(declared)
        look_over(folder)
        try:
            self._model = MultiVectorEncoder(
                str(folder), device=str(device), trust_remote_code=False, local_files_only=True
            )
        except (ValueError, OSError, KeyError, TypeError) as error:
            raise ValueError(
                f"sentence-transformers cannot load {declared.checkpoint} as a multi-vector encoder: {error}"
            ) from error
        self._model.eval().requires_grad_(False)
        (probe,) = self.encode(["a"], Side.DOCUMENT).tokens_TH[:1]
        if len(probe) != declared.token_size:
            raise ValueError(
                f"{declared.checkpoint} gives vectors of width {len(probe)}, declared is token_size "
                f"{declared.token_size}; declare {len(probe)}, and students of that width"
            )

    @torch.no_grad()
    def encode(self, texts: Sequence[str], side: Side) -> Ragged:
        """Token vectors of every text in order, on the CPU in float32, those alone that count in a score."""
        read = self._model.encode_query if side is Side.QUERY else self._model.encode_document
        vectors = read(list(texts), batch_size=ENCODE_BATCH, show_progress_bar=False)
        lengths = torch.tensor([len(found) for found in vectors])
        return Ragged(tokens_TH=torch.cat(list(vectors)).float().cpu(), lengths=lengths)


@lru_cache(maxsize=1)
def opened(declared: PublishedTeacher, device: torch.device) -> PublishedEncoder:
    """The teacher, kept in memory for whoever asks next."""
    return PublishedEncoder(declared, device)


def place_of(storage: Storage, declared: PublishedTeacher, texts: Sequence[str], side: Side) -> Path:
    """Where the vectors of the texts lie once they were computed."""
    return storage.embeddings(run_key(declared), f"{side}-{digest('texts/1', list(texts))}")


def vectors(
    storage: Storage, declared: PublishedTeacher, texts: Sequence[str], side: Side, device: torch.device
) -> Ragged:
    """Vectors of the texts, from storage where they lie there, else computed and left there."""
    directory = place_of(storage, declared, texts, side)
    known = stored(directory)
    if known is None:
        known = opened(declared, device).encode(texts, side)
        store(directory, known)
    return known


class LiveReader:
    """The teacher itself, asked in every step: for lines whose vectors would not fit the cache.

    ``text`` gives the English side by its number.
    """

    def __init__(self, teacher: PublishedEncoder, text: Callable[[int], str], side: Side) -> None:
        self._teacher = teacher
        self._text = text
        self._side = side

    def take(self, lines: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Vectors (B, N, H) and mask (B, N) of the lines."""
        read = self._teacher.encode([self._text(int(line)) for line in lines], self._side)
        return CachedTeacher(read).take(np.arange(len(lines)))
