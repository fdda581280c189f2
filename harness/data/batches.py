"""Batches in a resumable order: which lines a step reads is a function of the seed and the step alone.

Legend: B sequences of a batch, N tokens.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Batches sorted by length together: enough for little padding, few enough that a batch's company keeps
# changing.
WINDOW_BATCHES = 32


class BatchOrder:
    """Length-bucketed batches of a fixed size over lines that are permuted anew every epoch.

    The permutations of all epochs, one after another, form an endless stream of lines. The stream is cut into
    windows of ``WINDOW_BATCHES`` batches; a window is sorted by length, cut into batches, and its batches are
    shuffled. The remainder of an epoch is carried over: every line occurs exactly once in its epoch, none is
    dropped, and a batch where two epochs meet holds lines of both.
    """

    def __init__(self, lengths: ArrayLike, global_batch: int, seed: int) -> None:
        """``lengths`` has shape (lines,), or (lines, sides) where a line's sides are encoded apart."""
        sides = np.asarray(lengths, dtype=np.int64)
        if sides.ndim not in (1, 2) or sides.size == 0:
            raise ValueError(f"lengths have shape {sides.shape}; give (lines,) or (lines, sides), at least one line")
        if global_batch < 1 or not 0 <= seed < 2**64:
            raise ValueError(f"global batch {global_batch}, seed {seed}; a batch has a line, a seed is below 2**64")
        self._lengths = sides if sides.ndim == 1 else sides.sum(axis=1)
        self._global_batch = global_batch
        self._seed = seed
        self._window: tuple[int, NDArray[np.int64]] | None = None

    def indices(self, step: int) -> NDArray[np.int64]:
        """Line numbers of the step's global batch, shape (global_batch,)."""
        if step < 0:
            raise ValueError(f"step {step} lies before the first, which is 0")
        number, place = divmod(step, WINDOW_BATCHES)
        if self._window is None or self._window[0] != number:
            self._window = (number, self._batches(number))
        batch: NDArray[np.int64] = self._window[1][place]
        return batch.copy()

    def epoch(self, step: int) -> float:
        """Epochs read before the step; the position that a journal or a checkpoint states."""
        return step * self._global_batch / len(self._lengths)

    def _batches(self, window: int) -> NDArray[np.int64]:
        """All batches of a window, shape (WINDOW_BATCHES, global_batch)."""
        size = WINDOW_BATCHES * self._global_batch
        total = len(self._lengths)
        stream = np.arange(window * size, (window + 1) * size)
        epochs = stream // total
        orders = [self._permutation(total, 0, epoch) for epoch in range(epochs[0], epochs[-1] + 1)]
        lines = np.concatenate(orders)[stream - epochs[0] * total]
        # Epochs that meet in a window are sorted apart, or the two copies of a line would share a batch.
        batches = lines[np.lexsort((self._lengths[lines], epochs))].reshape(WINDOW_BATCHES, self._global_batch)
        shuffled: NDArray[np.int64] = batches[self._permutation(WINDOW_BATCHES, 1, window)]
        return shuffled

    def _permutation(self, total: int, purpose: int, number: int) -> NDArray[np.int64]:
        """Keyed by seed and number (Philox4x64); from raw draws, as numpy makes no promise on shuffles."""
        philox = np.random.Philox(key=np.array([self._seed, number], dtype=np.uint64), counter=[0, 0, 0, purpose])
        return np.argsort(philox.random_raw(total), kind="stable")


def rank_slice(indices: NDArray[np.int64], rank: int, world: int) -> NDArray[np.int64]:
    """A rank's share of a global batch: equal counts of neighbours, so that candidate groups stay whole."""
    if not 0 <= rank < world:
        raise ValueError(f"rank {rank} of {world} workers does not exist; ranks count from 0")
    if len(indices) % world:
        raise ValueError(f"a global batch of {len(indices)} does not divide among {world} workers; change either")
    count = len(indices) // world
    return indices[rank * count : (rank + 1) * count]


def pad(sequences: Sequence[Sequence[int]], pad_id: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Token ids and mask, both (B, N) with N the longest sequence; the mask is true where a token is real."""
    if not sequences or not all(sequences):
        raise ValueError("a batch of no texts, or a text of no tokens, cannot be padded; remove empty texts")
    lengths_B = np.array([len(ids) for ids in sequences])
    mask_BN = np.arange(lengths_B.max()) < lengths_B[:, None]
    ids_BN = np.full(mask_BN.shape, pad_id, dtype=np.int64)
    ids_BN[mask_BN] = np.concatenate([np.asarray(ids, dtype=np.int64) for ids in sequences])
    return ids_BN, mask_BN
