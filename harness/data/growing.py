"""Streams taken in blocks, and arrays written to files that grow by them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

BATCH = 8192
"""Lines that are hashed and tokenised together."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def blocks(items: Iterable[Item]) -> Iterator[tuple[Item, ...]]:
    """All items in order, at most ``BATCH`` at a time."""
    remaining = iter(items)
    while block := tuple(islice(remaining, BATCH)):
        yield block


def one_ahead(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """``function`` of every item in order, the next one in a thread of its own while the last is used."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        waiting: Future[Result] | None = None
        for item in items:
            coming = thread.submit(function, item)
            if waiting is not None:
                yield waiting.result()
            waiting = coming
        if waiting is not None:
            yield waiting.result()


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


class GrowingLists:
    """Lists of numbers one after another in ``NAME.npy``; ``offsets`` says where each begins and the last one ends."""

    def __init__(self, folder: Path, name: str, offsets: str, dtype: str) -> None:
        self._numbers = Growing(folder / f"{name}.npy", dtype)
        self._offsets = Growing(folder / f"{offsets}.npy", "<i8")
        self._offsets.append([0])
        self.end = 0
        """Numbers in all lists so far."""

    def append(self, numbers: ArrayLike, lengths: NDArray[np.int64]) -> None:
        """Add as many lists as there are ``lengths``; ``numbers`` are those of all of them."""
        self._numbers.append(numbers)
        self._offsets.append(self.end + np.cumsum(lengths))
        self.end += int(lengths.sum())

    def append_tokens(self, texts: Sequence[str], ids: Sequence[Sequence[int]]) -> None:
        """Add the token ids of each text; ValueError for a text that has none."""
        lengths = np.fromiter(map(len, ids), dtype=np.int64, count=len(ids))
        if len(lengths) != len(texts) or not lengths.all():
            raise ValueError(f"the tokenizer gives {texts[int(lengths.argmin())]!r} no token; use another")
        flat = np.fromiter(chain.from_iterable(ids), dtype=np.int32, count=int(lengths.sum()))
        self.append(flat, lengths)

    def close(self) -> None:
        """Write the arrays' final lengths."""
        self._numbers.close()
        self._offsets.close()
