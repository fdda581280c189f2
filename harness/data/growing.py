"""Streams taken in blocks, and arrays written to files that grow by them."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

BATCH = 8192
"""Lines that are hashed and tokenised together."""

Item = TypeVar("Item")


def blocks(items: Iterable[Item]) -> Iterator[tuple[Item, ...]]:
    """All items in order, at most ``BATCH`` at a time."""
    remaining = iter(items)
    while block := tuple(islice(remaining, BATCH)):
        yield block


class Growing:
    """A one-dimensional array in a .npy file whose length is known at the end; numpy leaves room in the header."""

    def __init__(self, path: Path, dtype: str) -> None:
        self._file = path.open("wb")
        self._dtype = np.dtype(dtype)
        self._length = 0
        self._write_header()

    def append(self, numbers: ArrayLike) -> None:
        array = np.asarray(numbers, dtype=self._dtype)
        self._file.write(array.tobytes())
        self._length += len(array)

    def close(self) -> None:
        self._file.seek(0)
        self._write_header()
        self._file.close()

    def _write_header(self) -> None:
        described = {"shape": (self._length,), "fortran_order": False, "descr": self._dtype.str}
        np.lib.format.write_array_header_1_0(self._file, described)
