"""Parallel text made ready for distillation: filtered, drawn and tokenised in a stream, published once, mapped later.

Lines that pass the filters are written beside the result with a hash each; repetitions are dropped and lines drawn by
these hashes, first those that are only watched; the drawn lines are tokenised in their order. Which batch a line is in
is :mod:`harness.data.batches`' business. No step holds more than a batch of lines or a partition of hashes.
"""

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain, compress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data.growing import BATCH, Growing, blocks
from harness.data.guard import Guard
from harness.data.line_filters import Reason, kept
from harness.data.parallel_files import read_lines
from harness.data.selection import draw_marked, mapped_hashes, mapped_marks, mark_first, shares
from studies.schema.parallel import Corpus, ParallelText
from studies.schema.publication import publish, read_manifest

logger = logging.getLogger(__name__)

SIDES = ("source", "target")

TRAINED, WATCHED = 1, 2
"""Marks of a drawn line: one that is trained on, or one whose loss is watched."""

Tokenize = Callable[[Sequence[str]], Sequence[Sequence[int]]]
"""Token ids of each text, special tokens included, cut to what the model reads."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """Tokenised lines of all pairs, mapped from files: ``watched`` lines, pair after pair, then those to train on.

    ``ids`` of side 0 are the student's, of side 1 the teacher's; of side s, line i is
    ``ids[s][offsets[s][i] : offsets[s][i + 1]]``. ``pair_of`` is a line's place in ``pairs``. ``record`` says what was
    read and dropped.
    """

    ids: tuple[NDArray[np.int32], NDArray[np.int32]]
    offsets: tuple[NDArray[np.int64], NDArray[np.int64]]
    pair_of: NDArray[np.uint16]
    pairs: tuple[str, ...]
    record: Mapping[str, Mapping[str, Mapping[str, int]]]
    watched: int = 0


def prepare(
    folder: Path,
    declaration: ParallelText,
    *,
    source: Tokenize,
    target: Tokenize,
    guard: Guard,
    place: Path,
    watched: int = 0,
) -> Prepared:
    """Publish the declared lines at ``place``, unless they are there, and map them.

    Corpora lie below ``folder``; ``source`` and ``target`` tokenise the student's and the teacher's side. ``watched``
    lines, shared out evenly over pairs, are taken away first: the same whatever the exposure. Needs disk for the
    filtered text while it works. ValueError or OSError for corpora other than declared, or when nothing is
    left.
    """
    if read_manifest(place, verify=False) is None:
        with publish(place) as partial:
            _write(folder, declaration, (source, target), guard, partial, watched)
    return open_prepared(place)


def open_prepared(place: Path) -> Prepared:
    """Map what :func:`prepare` published."""
    if read_manifest(place, verify=False) is None:
        raise FileNotFoundError(f"{place} holds no prepared parallel text; prepare it first")
    record = json.loads((place / "record.json").read_text(encoding="utf-8"))
    first, second = (
        (np.load(place / f"{side}.ids.npy", mmap_mode="r"), np.load(place / f"{side}.offsets.npy", mmap_mode="r"))
        for side in SIDES
    )
    return Prepared(
        ids=(first[0], second[0]),
        offsets=(first[1], second[1]),
        pair_of=np.load(place / "pair_of.npy", mmap_mode="r"),
        pairs=tuple(record["pairs"]),
        record=record,
        watched=sum(pair.get("watched", 0) for pair in record["pairs"].values()),
    )


def _write(
    folder: Path,
    declaration: ParallelText,
    tokenize: tuple[Tokenize, Tokenize],
    guard: Guard,
    partial: Path,
    watched: int,
) -> None:
    corpora: dict[str, dict[str, int]] = {}
    for corpus in declaration.corpora:
        counts: Counter[Reason] = Counter()
        lines = kept(read_lines(folder, corpus, counts), declaration.filters, guard, counts)
        passed = _spill(partial, corpus, lines)
        corpora[corpus.name] = {"read": passed + counts.total(), **_by_name(counts), "passed": passed}
        logger.info("%s: %d lines read, %d passed", corpus.name, passed + counts.total(), passed)
    pairs = _draw(declaration, partial, watched)
    sides = _Sides(partial)
    if watched:
        for number, pair in enumerate(declaration.pairs):
            sides.append(number, _drawn(partial, pair, WATCHED), tokenize)
    for number, pair in enumerate(declaration.pairs):
        pairs[pair] |= sides.append(number, _drawn(partial, pair, TRAINED), tokenize)
    sides.close()
    for pair in declaration.pairs:
        for kind in ("text", "hashes", "marks", "watched"):
            (partial / f"{pair}.{kind}").unlink(missing_ok=True)
    record = {"corpora": corpora, "pairs": pairs}
    (partial / "record.json").write_text(json.dumps(record, indent=1), encoding="utf-8")


def _spill(partial: Path, corpus: Corpus, lines: Iterable[tuple[str, str]]) -> int:
    """Append lines and their hashes to the pair's files; returns how many."""
    number = 0
    with (partial / f"{corpus.pair}.text").open("ab") as text, (partial / f"{corpus.pair}.hashes").open("ab") as hashes:
        for block in blocks(lines):
            rows = [f"{source}\t{target}\n".encode() for source, target in block]
            hashes.write(b"".join([blake2b(row, digest_size=8).digest() for row in rows]))
            text.writelines(rows)
            number += len(rows)
    return number


def _draw(declaration: ParallelText, partial: Path, watched: int) -> dict[str, dict[str, int]]:
    """Mark the lines of each pair that are used; returns counts by pair."""
    caps = dict(declaration.caps)
    counts: dict[str, dict[str, int]] = {}
    available: dict[str, int] = {}
    apart = _even(watched, declaration.pairs)
    for pair in declaration.pairs:
        hashes, marks = _hashes_and_marks(partial, pair)
        unique = mark_first(hashes, marks) if len(hashes) else 0
        left = max(0, unique - apart[pair])
        available[pair] = min(left, caps.get(pair, left))
        counts[pair] = {Reason.DUPLICATE.value: len(hashes) - unique, Reason.OVER_CAP.value: left - available[pair]}
    for pair, share in shares(available, declaration.lines, declaration.exponent).items():
        if available[pair] == 0:
            beside = f" beyond the {apart[pair]} that are watched" if apart[pair] else ""
            raise ValueError(
                f"no line of pair {pair} passed the filters{beside}; relax them, or leave its corpora out: "
                f"{', '.join(corpus.name for corpus in declaration.corpora if corpus.pair == pair)}"
            )
        exposed = round(declaration.exposure_of(pair.partition("-")[0]) * share)
        hashes, marks = _hashes_and_marks(partial, pair)
        draw_marked(hashes, marks, apart[pair] + exposed, declaration.seed)
        counts[pair] |= {Reason.NOT_DRAWN.value: available[pair] - exposed, "lines": exposed}
        if apart[pair]:
            lowest = mapped_marks(partial / f"{pair}.watched", len(hashes))
            lowest[:] = marks
            draw_marked(hashes, lowest, apart[pair], declaration.seed)
            marks += lowest
            counts[pair]["watched"] = apart[pair]
    return counts


def _even(number: int, pairs: Sequence[str]) -> dict[str, int]:
    """A number shared out over pairs, the first ones getting one more where it does not divide."""
    each, rest = divmod(number, len(pairs))
    return {pair: each + (place < rest) for place, pair in enumerate(pairs)}


def _hashes_and_marks(partial: Path, pair: str) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
    hashes = mapped_hashes(partial / f"{pair}.hashes")
    return hashes, mapped_marks(partial / f"{pair}.marks", len(hashes))


def _drawn(partial: Path, pair: str, wanted: int) -> Iterator[tuple[str, str]]:
    """Lines of a pair that are marked as wanted, in the order of the files."""
    _, marks = _hashes_and_marks(partial, pair)
    with (partial / f"{pair}.text").open("rb") as text:
        for first in range(0, len(marks), BATCH):
            mine = marks[first : first + BATCH] == wanted
            lines = [next(text) for _ in range(len(mine))]
            for line in compress(lines, mine.tolist()):
                source, _, target = line.decode().rstrip("\n").partition("\t")
                yield source, target


class _Sides:
    """Token ids and offsets of both sides, and each line's pair, appended to arrays in files."""

    def __init__(self, partial: Path) -> None:
        types = {f"{side}.{kind}": dtype for side in SIDES for kind, dtype in (("ids", "<i4"), ("offsets", "<i8"))}
        self._files = {name: Growing(partial / f"{name}.npy", dtype) for name, dtype in types.items()}
        self._pair_of = Growing(partial / "pair_of.npy", "<u2")
        for side in SIDES:
            self._files[f"{side}.offsets"].append([0])
        self._ends = dict.fromkeys(SIDES, 0)

    def append(
        self, pair: int, lines: Iterable[tuple[str, str]], tokenize: tuple[Tokenize, Tokenize]
    ) -> dict[str, int]:
        """Tokenise and write a pair's lines; returns the tokens of each side."""
        before = dict(self._ends)
        for block in blocks(lines):
            for side, encode, texts in zip(SIDES, tokenize, zip(*block, strict=True), strict=True):
                encoded = encode(texts)
                lengths = np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded))
                if len(lengths) != len(texts) or not lengths.all():
                    raise ValueError(
                        f"the {side} tokenizer gives {texts[int(lengths.argmin())]!r} no token; use another"
                    )
                self._files[f"{side}.ids"].append(list(chain.from_iterable(encoded)))
                self._files[f"{side}.offsets"].append(self._ends[side] + np.cumsum(lengths))
                self._ends[side] += int(lengths.sum())
            self._pair_of.append(np.full(len(block), pair))
        return {f"{side} tokens": self._ends[side] - before[side] for side in SIDES}

    def close(self) -> None:
        """Write the arrays' final lengths."""
        for file in (*self._files.values(), self._pair_of):
            file.close()


def _by_name(counts: Counter[Reason]) -> dict[str, int]:
    return {reason.value: counts[reason] for reason in Reason if counts[reason]}
