"""How telling a token is: its inverse document frequency over the lines of a bitext."""

import numpy as np
from numpy.typing import NDArray

from harness.examples import Sequences


def inverse_document_frequency(
    texts: Sequences, vocabulary_size: int, times: NDArray[np.int64] | None = None
) -> NDArray[np.float32]:
    """log((1 + lines) / (1 + lines with the token)) + 1 of every token id, shape (vocabulary_size,).

    The form that never weighs a token by nothing: one in every line, as special tokens are, has 1, one in no line has
    the most. ``times`` says how many lines each text stands for, one where it is not given.
    """
    counts = np.ones(len(texts.lengths), dtype=np.int64) if times is None else times
    if counts.shape != texts.lengths.shape:
        raise ValueError(f"found {counts.shape[0]} counts for {len(texts.lengths)} texts; give one for each text")
    highest = int(texts.ids.max())
    if highest >= vocabulary_size:
        raise ValueError(f"a text holds token {highest}, the vocabulary ends at {vocabulary_size - 1}")
    text_of_token = np.repeat(np.arange(len(counts), dtype=np.int64), texts.lengths)
    text, token = np.divmod(np.unique(text_of_token * vocabulary_size + texts.ids), vocabulary_size)
    lines_V = np.bincount(token, weights=counts[text], minlength=vocabulary_size)
    idf_V: NDArray[np.float32] = (np.log((1.0 + counts.sum()) / (1.0 + lines_V)) + 1.0).astype(np.float32)
    return idf_V
