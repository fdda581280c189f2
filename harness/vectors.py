"""Token vectors of many texts: computed in batches, kept in storage, and read back memory-mapped.

Legend: B texts, N tokens of the longest text, T tokens of all texts, H width of a vector.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.encoders import LastLayer, TokenEncoder
from harness.examples import Sequences
from harness.late_interaction import Ragged
from studies.schema.storage import publish, read_manifest

ENCODE_BATCH = 256
"""Texts per forward call when nothing is trained."""


@torch.no_grad()
def encode(encoder: TokenEncoder | LastLayer, texts: Sequences, device: torch.device) -> Ragged:
    """Token vectors of every text in order, on the CPU in float32; texts of like length share a batch."""
    lengths = texts.lengths
    starts = np.concatenate([[0], np.cumsum(lengths)])
    tokens_TH: Tensor | None = None
    encoder = encoder.to(device).eval()
    order = np.argsort(lengths, kind="stable")
    for chunk in np.array_split(order, max(1, -(-len(order) // ENCODE_BATCH))):
        ids_BN, mask_BN = texts.padded(chunk)
        vectors_BNH = encoder(ids_BN.to(device), mask_BN.to(device)).cpu()
        if tokens_TH is None:
            tokens_TH = torch.empty(int(lengths.sum()), vectors_BNH.shape[-1])
        places = np.concatenate([np.arange(starts[text], starts[text + 1]) for text in chunk])
        tokens_TH[torch.from_numpy(places)] = vectors_BNH[mask_BN]
    assert tokens_TH is not None
    return Ragged(tokens_TH=tokens_TH, lengths=torch.from_numpy(lengths))


def stored(directory: Path) -> Ragged | None:
    """Vectors published at ``directory``, memory-mapped; None when there are none."""
    if read_manifest(directory, verify=False) is None:
        return None
    tokens_TH = np.load(directory / "tokens.npy", mmap_mode="c")
    return Ragged(tokens_TH=torch.from_numpy(tokens_TH), lengths=torch.from_numpy(np.load(directory / "lengths.npy")))


def store(directory: Path, vectors: Ragged) -> None:
    """Publish vectors at ``directory``."""
    with publish(directory) as folder:
        np.save(folder / "tokens.npy", vectors.tokens_TH.numpy())
        np.save(folder / "lengths.npy", vectors.lengths.numpy())


class CachedTeacher:
    """The teacher's vectors of English lines, computed once."""

    def __init__(self, vectors: Ragged) -> None:
        self._tokens_TH = vectors.tokens_TH
        lengths = vectors.lengths.numpy()
        self._lengths = lengths
        self._starts = np.concatenate([[0], np.cumsum(lengths)])

    def take(self, lines: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Vectors (B, N, H) and mask (B, N) of the lines; padding repeats the first token of all."""
        lengths = self._lengths[lines]
        columns = np.arange(int(lengths.max()))
        mask_BN = columns < lengths[:, None]
        places_BN = np.where(mask_BN, self._starts[lines][:, None] + columns, 0)
        return self._tokens_TH[torch.from_numpy(places_BN)], torch.from_numpy(mask_BN)


class LiveTeacher:
    """The teacher itself, asked in every step: for bitext whose vectors would not fit the cache."""

    def __init__(self, encoder: TokenEncoder, english: Sequences, device: torch.device) -> None:
        self._encoder = encoder.to(device).eval().requires_grad_(False)
        self._english = english
        self._device = device

    @torch.no_grad()
    def take(self, lines: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Vectors (B, N, H) and mask (B, N) of the lines."""
        ids_BN, mask_BN = (tensor.to(self._device) for tensor in self._english.padded(lines))
        return self._encoder(ids_BN, mask_BN), mask_BN
