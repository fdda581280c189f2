"""Parallel text made ready for distillation: filtered, drawn and tokenised in a stream, published once, mapped later.

Lines that pass the filters are written beside the result with a hash each; repetitions are dropped and lines drawn by
these hashes, first those that are only watched; the drawn lines are tokenised in their order. Which batch a line is in
is :mod:`harness.data.batches`' business. No step holds more than a batch of lines or a partition of hashes.
"""

import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import blake2b
from itertools import compress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data.growing import BATCH, Growing, GrowingLists, blocks, one_ahead
from harness.data.guard import Guard
from harness.data.line_filters import Reason, kept
from harness.data.parallel_files import read_lines
from harness.data.selection import draw_marked, mapped_hashes, mapped_marks, mark_first, shares
from harness.data.tokenizer import Tokenize, on_all_cores
from studies.schema.parallel import Corpus, ParallelText
from studies.schema.publication import publish, read_manifest

logger = logging.getLogger(__name__)

TRAINED, WATCHED = 1, 2
"""Marks of a drawn line: one that is trained on, or one whose loss is watched."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """Lines of all pairs, mapped from files: ``watched`` ones, pair after pair, then those to train on.

    Line i has the student's side as token ids, ``ids[offsets[i] : offsets[i + 1]]``, and the other side as UTF-8,
    ``text[text_offsets[i] : text_offsets[i + 1]]``, since a teacher reads text in a way of its own. ``pair_of`` is a
    line's place in ``pairs``. ``record`` says what was read and dropped.
    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]
    text: NDArray[np.uint8]
    text_offsets: NDArray[np.int64]
    pair_of: NDArray[np.uint16]
    pairs: tuple[str, ...]
    record: Mapping[str, Mapping[str, Mapping[str, int]]]
    watched: int = 0


def prepare(
    folder: Path,
    declaration: ParallelText,
    *,
    tokenize: Tokenize,
    guard: Guard,
    place: Path,
    watched: int = 0,
) -> Prepared:
    """Publish the declared lines at ``place``, unless they are there, and map them.

    Corpora lie below ``folder``; ``tokenize`` is the student's. ``watched`` lines, shared out evenly over pairs, are
    taken away first: the same whatever the exposure. Needs disk for the filtered text while it works. ValueError or
    OSError for corpora other than declared, or when nothing is left.
    """
    if read_manifest(place, verify=False) is None:
        with publish(place) as partial:
            _write(folder, declaration, tokenize, guard, partial, watched)
    return open_prepared(place)


def open_prepared(place: Path) -> Prepared:
    """Map what :func:`prepare` published."""
    if read_manifest(place, verify=False) is None:
        raise FileNotFoundError(f"{place} holds no prepared parallel text; prepare it first")
    record = json.loads((place / "record.json").read_text(encoding="utf-8"))
    names = ("ids", "offsets", "text", "text_offsets", "pair_of")
    return Prepared(
        **{name: np.load(place / f"{name}.npy", mmap_mode="r") for name in names},
        pairs=tuple(record["pairs"]),
        record=record,
        watched=sum(pair.get("watched", 0) for pair in record["pairs"].values()),
    )


def _write(
    folder: Path,
    declaration: ParallelText,
    tokenize: Tokenize,
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
    with closing(_Sides(partial)) as sides, on_all_cores():
        if watched:
            for number, pair in enumerate(declaration.pairs):
                sides.append(number, _drawn(partial, pair, WATCHED), tokenize)
        for number, pair in enumerate(declaration.pairs):
            pairs[pair] |= sides.append(number, _drawn(partial, pair, TRAINED), tokenize)
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


def _drawn(partial: Path, pair: str, wanted: int) -> Iterator[tuple[bytes, bytes]]:
    """Lines of a pair that are marked as wanted, in the order of the files, in UTF-8."""
    _, marks = _hashes_and_marks(partial, pair)
    with (partial / f"{pair}.text").open("rb") as text:
        for first in range(0, len(marks), BATCH):
            mine = marks[first : first + BATCH] == wanted
            lines = [next(text) for _ in range(len(mine))]
            for line in compress(lines, mine.tolist()):
                source, _, target = line.removesuffix(b"\n").partition(b"\t")
                yield source, target


class _Sides:
    """Token ids of the student's sides, texts of the others and each line's pair, appended to arrays in files."""

    def __init__(self, partial: Path) -> None:
        self._ids = GrowingLists(partial, "ids", "offsets", "<i4")
        self._text = GrowingLists(partial, "text", "text_offsets", "<u1")
        self._pair_of = Growing(partial / "pair_of.npy", "<u2")

    def append(self, pair: int, lines: Iterable[tuple[bytes, bytes]], tokenize: Tokenize) -> dict[str, int]:
        """Tokenise and write a pair's lines; returns the tokens of one side and the bytes of the other."""
        tokens, size = self._ids.end, self._text.end

        def encoded(block: tuple[tuple[bytes, bytes], ...]) -> tuple[list[str], Sequence[Sequence[int]], list[bytes]]:
            sources = [source.decode() for source, _ in block]
            return sources, tokenize(sources), [target for _, target in block]

        for sources, ids, targets in one_ahead(encoded, blocks(lines)):
            self._ids.append_tokens(sources, ids)
            lengths = np.fromiter(map(len, targets), dtype=np.int64, count=len(targets))
            self._text.append(np.frombuffer(b"".join(targets), dtype=np.uint8), lengths)
            self._pair_of.append(np.full(len(targets), pair))
        return {"source tokens": self._ids.end - tokens, "target bytes": self._text.end - size}

    def close(self) -> None:
        """Write the arrays' final lengths."""
        for file in (self._ids, self._text, self._pair_of):
            file.close()


def _by_name(counts: Counter[Reason]) -> dict[str, int]:
    return {reason.value: counts[reason] for reason in Reason if counts[reason]}
