"""Choosing lines by their hashes with memory that does not grow with their number: first of equals, and a fair draw.

Legend: L lines of one pair; hashes are unsigned 64-bit integers in a file, marks are one byte per line in another.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CHUNK = 1 << 20
"""Lines looked at in one go: 8 MiB of hashes."""

PARTITION = 1 << 21
"""Lines whose hashes are compared with one another at once, about 80 MiB with what sorting needs."""

Hashes = NDArray[np.uint64]
Marks = NDArray[np.uint8]


def mark_first(hashes_L: Hashes, marks_L: Marks, partition: int = PARTITION) -> int:
    """Mark the first line of each hash; returns how many there are.

    Lines are shared out by the remainder of their hash, so that equal ones are compared together.
    """
    parts = max(1, -(-len(hashes_L) // partition))
    for part in range(parts):
        places, values = [], []
        for first in range(0, len(hashes_L), CHUNK):
            chunk = np.asarray(hashes_L[first : first + CHUNK])
            mine = np.flatnonzero(chunk % np.uint64(parts) == part)
            places.append(mine + first)
            values.append(chunk[mine])
        _, firsts = np.unique(np.concatenate(values), return_index=True)
        marks_L[np.concatenate(places)[firsts]] = 1
    return count(marks_L)


def draw_marked(hashes_L: Hashes, marks_L: Marks, wanted: int, seed: int) -> None:
    """Unmark all but ``wanted`` of the marked lines, those with the lowest hash under the seed.

    Whether a line is drawn depends on its text, the seed and the others' texts, never on the order of files; a larger
    draw holds every smaller one.
    """
    if wanted >= count(marks_L):
        return
    limit, exactly = _limit(hashes_L, marks_L, wanted, seed)
    for first, scrambled, marks in _marked(hashes_L, marks_L, seed):
        keep = scrambled < limit
        at_limit = np.flatnonzero(scrambled == limit)[:exactly]
        exactly -= len(at_limit)
        keep[at_limit] = True
        marks_L[first + marks[~keep]] = 0


def count(marks_L: Marks) -> int:
    """How many lines are marked."""
    return sum(int(np.count_nonzero(marks_L[first : first + CHUNK])) for first in range(0, len(marks_L), CHUNK))


def shares(available: Mapping[str, int], lines: int, exponent: float) -> dict[str, int]:
    """Lines of each pair: in proportion to what it has, to the exponent, and never more than that.

    What a small pair cannot fill goes to the others; in all min(lines, available). Ties go to the first by name.
    """
    given = dict.fromkeys(available, 0)
    open_pairs = {pair for pair, number in available.items() if number}
    rest = min(lines, sum(available.values()))
    while open_pairs:
        total = sum(available[pair] ** exponent for pair in open_pairs)
        full = {pair for pair in open_pairs if rest * available[pair] ** exponent / total >= available[pair]}
        if not full:
            break
        for pair in full:
            given[pair] = available[pair]
            rest -= available[pair]
        open_pairs -= full
    if open_pairs:
        total = sum(available[pair] ** exponent for pair in open_pairs)
        exact = {pair: rest * available[pair] ** exponent / total for pair in sorted(open_pairs)}
        for pair, number in exact.items():
            given[pair] = int(number)
        missing = rest - sum(int(number) for number in exact.values())
        for pair in sorted(exact, key=lambda pair: int(exact[pair]) - exact[pair])[:missing]:
            given[pair] += 1
    return given


def mapped_hashes(path: Path) -> Hashes:
    """The hashes in a file, eight bytes each."""
    return np.memmap(path, dtype=np.uint64, mode="r") if path.stat().st_size else np.zeros(0, dtype=np.uint64)


def mapped_marks(path: Path, length: int) -> Marks:
    """Marks in a file, made with none set where there is no file."""
    if length == 0:
        return np.zeros(0, dtype=np.uint8)
    return np.memmap(path, dtype=np.uint8, mode="r+" if path.exists() else "w+", shape=(length,))


def _limit(hashes_L: Hashes, marks_L: Marks, wanted: int, seed: int) -> tuple[int, int]:
    """The scrambled hash up to which lines are drawn, and how many of those that have exactly it.

    Found sixteen bits at a time, with one count per value, from the highest bits down.
    """
    prefix = 0
    for shift in (48, 32, 16, 0):
        counts = np.zeros(1 << 16, dtype=np.int64)
        for _, scrambled, _ in _marked(hashes_L, marks_L, seed):
            if shift < 48:
                scrambled = scrambled[scrambled >> np.uint64(shift + 16) == prefix]
            digits = (scrambled >> np.uint64(shift)) & np.uint64(0xFFFF)
            counts += np.bincount(digits.astype(np.int64), minlength=1 << 16)
        below = np.cumsum(counts)
        digit = int(np.searchsorted(below, wanted))
        wanted -= int(below[digit] - counts[digit])
        prefix = (prefix << 16) | digit
    return prefix, wanted


def _marked(hashes_L: Hashes, marks_L: Marks, seed: int) -> Iterator[tuple[int, Hashes, NDArray[np.int64]]]:
    """By chunk: its first line, scrambled hashes of its marked lines, and their places in it."""
    for first in range(0, len(hashes_L), CHUNK):
        places = np.flatnonzero(marks_L[first : first + CHUNK])
        yield first, scramble(np.asarray(hashes_L[first : first + CHUNK])[places], seed), places


def scramble(hashes: Hashes, seed: int) -> Hashes:
    """Another order for every seed: the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    mixed = hashes ^ np.uint64(seed)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))
