"""Lines of parallel text from files, one's own or the hub's: Moses pairs, plain, packed or zipped, tables, Parquet."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import IO, assert_never
from zipfile import BadZipFile, ZipFile

import pyarrow as pa
import pyarrow.parquet as pq

from harness.data.growing import BATCH
from harness.data.line_filters import MALFORMED, Reason
from harness.data.records import check_files, expand, opened, refuse_broken
from harness.published_files import fetched_data
from studies.schema.parallel import Corpus, Moses, MosesZip, Parquet, Tsv


def read_lines(folder: Path, corpus: Corpus, counts: Counter[Reason]) -> Iterator[tuple[str, str]]:
    """Source and target of every readable line, in the order of the files; the others are counted.

    ValueError or OSError for files other than declared, sides of unlike length, or more broken lines than chance gives.
    """
    folder = find_corpus(folder, corpus)
    match corpus.files:
        case Moses() as files:
            with opened(folder / files.source) as source, opened(folder / files.target) as target:
                yield from _aligned(corpus, source, target, f"{folder / files.source}", files.target, counts)
        case MosesZip() as files:
            place = f"{folder / files.path}: {files.source}"
            with _members(folder / files.path, files) as (source, target):
                yield from _aligned(corpus, source, target, place, files.target, counts)
        case Tsv() as files:
            yield from _table(corpus, folder / files.path, files, counts)
        case Parquet() as files:
            yield from _rows(corpus, expand(folder, files.paths), files, counts)
        case unknown:
            assert_never(unknown)


def find_corpus(folder: Path, corpus: Corpus) -> Path:
    """The folder that has the files of a corpus: ``folder`` itself, or one of the hub's, fetched when missing.

    ValueError or OSError where they are not those that were declared, or cannot be had.
    """
    if corpus.hub is None:
        check_files(f"corpus {corpus.name}", folder, corpus.paths, corpus.revision)
        return folder
    what = f"corpus {corpus.name}: data set {corpus.hub} at {corpus.revision[:12]}"
    found = fetched_data(what, corpus.hub, corpus.revision, corpus.paths)
    expand(found, corpus.paths)
    return found


@contextmanager
def _members(path: Path, files: MosesZip) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    try:
        with ZipFile(path) as archive:
            names = archive.namelist()
            if missing := [name for name in (files.source, files.target) if name not in names]:
                raise ValueError(f"{path} has no member {missing[0]!r}; it has {', '.join(names)}")
            with archive.open(files.source) as source, archive.open(files.target) as target:
                yield source, target
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist; put the archive there") from None
    except BadZipFile as error:
        raise ValueError(f"{path} is no whole zip archive ({error}); fetch it again") from error


def _aligned(
    corpus: Corpus, source: IO[bytes], target: IO[bytes], place: str, other: str, counts: Counter[Reason]
) -> Iterator[tuple[str, str]]:
    total = 0
    first = ""
    for total, (left, right) in enumerate(zip_longest(source, target), start=1):
        if left is None or right is None:
            rest = total + sum(1 for _ in (target if left is None else source))
            ends = (total - 1, rest) if left is None else (rest, total - 1)
            raise ValueError(
                f"{place} has {ends[0]:,} lines, {other} has {ends[1]:,}; lines of two files belong together by their "
                "number, so one of them is cut short or shifted: fetch both again"
            )
        try:
            yield left.decode(), right.decode()
        except UnicodeDecodeError as error:
            counts[Reason.BROKEN_UTF8] += 1
            first = first or f"{place}, line {total}: {error.reason}"
    _check_malformed(corpus, place, total, first, counts)


def _table(corpus: Corpus, path: Path, files: Tsv, counts: Counter[Reason]) -> Iterator[tuple[str, str]]:
    total = 0
    first = ""
    with opened(path) as stream:
        for total, raw in enumerate(stream, start=1):
            reason, line = _row(raw, files, corpus.least_score)
            if reason is None:
                yield line
                continue
            counts[reason] += 1
            if reason in MALFORMED:
                first = first or f"{path}, line {total}: {reason}"
    _check_malformed(corpus, str(path), total, first, counts)


def _row(raw: bytes, files: Tsv, least: float | None) -> tuple[Reason | None, tuple[str, str]]:
    nothing = ("", "")
    try:
        cells = raw.decode().rstrip("\r\n").split("\t")
    except UnicodeDecodeError:
        return Reason.BROKEN_UTF8, nothing
    if len(cells) != files.columns:
        return Reason.WRONG_COLUMNS, nothing
    if files.score is not None and least is not None:
        try:
            score = float(cells[files.score])
        except ValueError:
            return Reason.NO_SCORE, nothing
        if not score >= least:
            return Reason.LOW_SCORE, nothing
    return None, (cells[files.source], cells[files.target])


def _rows(corpus: Corpus, paths: Sequence[Path], files: Parquet, counts: Counter[Reason]) -> Iterator[tuple[str, str]]:
    total = 0
    first = ""
    for path in paths:
        for number, (source, target, score) in enumerate(_values(path, files), start=1):
            total += 1
            if corpus.least_score is None or (score is not None and score >= corpus.least_score):
                yield source or "", target or ""
                continue
            reason = Reason.NO_SCORE if score is None else Reason.LOW_SCORE
            counts[reason] += 1
            if reason in MALFORMED:
                first = first or f"{path}, row {number}: {reason}"
    _check_malformed(corpus, str(paths[0]), total, first, counts)


def _values(path: Path, files: Parquet) -> Iterator[tuple[str | None, str | None, float | None]]:
    """Both texts and the score of every row, read a batch at a time; None where there is nothing."""
    texts = [files.source, files.target]
    numbers = [] if files.score is None else [files.score]
    names = [*texts, *numbers]
    try:
        with pq.ParquetFile(path) as file:
            flat = file.schema_arrow.empty_table().flatten().schema
            for name in texts:
                _check_column(path, flat, name, is_text=True)
            for name in numbers:
                _check_column(path, flat, name, is_text=False)
            for batch in file.iter_batches(batch_size=BATCH, columns=names):
                table = pa.Table.from_batches([batch]).flatten()
                columns = [table.column(name).to_pylist() for name in names]
                scores = columns[2] if numbers else [None] * len(batch)
                yield from zip(columns[0], columns[1], scores, strict=True)
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no whole Parquet file ({error}); fetch it again") from error


def _check_column(path: Path, schema: pa.Schema, name: str, *, is_text: bool) -> None:
    if name not in schema.names:
        raise ValueError(f"{path} has no column {name!r}; it has {', '.join(schema.names)}")
    kind = schema.field(name).type
    fits = (pa.types.is_string, pa.types.is_large_string) if is_text else (pa.types.is_integer, pa.types.is_floating)
    if not any(each(kind) for each in fits):
        wanted = "texts" if is_text else "numbers"
        raise ValueError(f"{path}: column {name!r} holds {kind}, not {wanted}; name another")


def _check_malformed(corpus: Corpus, place: str, total: int, first: str, counts: Counter[Reason]) -> None:
    refuse_broken(f"corpus {corpus.name}", place, total, first, sum(counts[reason] for reason in MALFORMED))
