"""Records of plain files: lines and fields with their place, so that every complaint names file and line."""

import gzip
import html
import json
import lzma
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import IO, assert_never, cast

from studies.schema.files import REVISION_DIGITS, Documents, Layout, Topics

MOST_MALFORMED = 0.01
"""Share of lines of a file that may be broken; with more, the file is not what was declared."""

BYTE_ORDER_MARK = "\ufeff"

# What TREC's topics write before an id or a text.
LABEL = re.compile(r"^(Number|Title|Topic|Description|Narrative)\s*:\s*", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """The fields of one record, and the file and line (from 1) where it begins."""

    file: Path
    line: int
    fields: Mapping[str, str]

    @property
    def place(self) -> str:
        return f"{self.file}, line {self.line}"


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The file's bytes, unpacked where its name ends in .gz or .xz.

    OSError when there is none; ValueError when it breaks off or is not what its name says.
    """
    try:
        with _stream(path) as stream:
            yield stream
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist; put the file there, or name the folder that has it") from None
    except (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError) as error:
        raise ValueError(f"{path} is damaged or breaks off ({error}); fetch the file again") from error


def text_lines(path: Path, encoding: str = "utf-8") -> Iterator[tuple[int, str]]:
    """Lines without their ends, numbered from 1; only a newline ends one, as Unicode's own separators occur in texts.

    ValueError for a line that is not in the encoding.
    """
    with opened(path) as stream:
        for number, raw in enumerate(stream, start=1):
            try:
                line = raw.decode(encoding).rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{path}, line {number}: byte {error.start + 1} is not {encoding} ({error.reason}); "
                    "convert the file (iconv), or declare its encoding"
                ) from None
            yield number, line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line


def records(folder: Path, files: Documents | Topics) -> Iterator[Record]:
    """All records of the files, file after file; ValueError for one that is malformed, or a file that holds none."""
    for path in expand(folder, files.paths):
        empty = True
        for record in _records_of(path, files):
            empty = False
            yield record
        if empty:
            what = f"no <{_tag(files)}>" if files.layout is Layout.SGML else "no line"
            raise ValueError(f"{path} holds {what}; name only the files that hold {type(files).__name__.lower()}")


def expand(folder: Path, patterns: tuple[str, ...]) -> tuple[Path, ...]:
    """Files below the folder, those of a pattern in order of name; FileNotFoundError for a pattern without any."""
    found: list[Path] = []
    for pattern in patterns:
        matches = sorted(path for path in folder.glob(pattern) if path.is_file())
        if not matches:
            raise FileNotFoundError(f"{folder} has no file {pattern}; put it there, or name the folder that has it")
        found.extend(matches)
    return tuple(found)


def revision_of_files(folder: Path, patterns: tuple[str, ...]) -> str:
    """A hash of names and contents of the files, packed as they are; any order of patterns gives the same."""
    digest = sha256()
    for path in sorted(set(expand(folder, patterns))):
        with path.open("rb") as stream:
            content = file_digest(stream, "sha256").hexdigest()
        digest.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode())
    return digest.hexdigest()[:REVISION_DIGITS]


def check_files(what: str, folder: Path, patterns: tuple[str, ...], declared: str) -> None:
    """Raise ValueError when the files are not those that were declared."""
    found = revision_of_files(folder, patterns)
    if found != declared:
        raise ValueError(
            f"{what} is declared with revision {declared!r}; the files in {folder} have {found!r}. "
            "Fetch the declared ones, or declare what is there"
        )


def refuse_broken(what: str, place: str, total: int, first: str, broken: int) -> None:
    """Raise ValueError for a file without lines, or with more broken ones than chance gives; ``first`` is one."""
    if total == 0:
        raise ValueError(f"{place} has no lines; fetch the file again, or leave {what} out")
    if broken > MOST_MALFORMED * total and broken > 1:
        raise ValueError(
            f"{first}; {broken:,} of {total:,} lines of {what} are broken, more than {MOST_MALFORMED:.0%}: declare the "
            "file's own columns, or convert it to UTF-8"
        )


def _stream(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return cast(IO[bytes], gzip.open(path, "rb"))
    if path.suffix == ".xz":
        return lzma.open(path, "rb")
    return path.open("rb")


def _records_of(path: Path, files: Documents | Topics) -> Iterator[Record]:
    match files.layout:
        case Layout.TSV:
            return _tsv(path, files)
        case Layout.JSONL:
            return _jsonl(path, files)
        case Layout.SGML:
            return _sgml(path, files)
        case unknown:
            assert_never(unknown)


def _filled(path: Path, encoding: str) -> Iterator[tuple[int, str]]:
    """Lines that are not blank; a blank one holds no record in either layout."""
    return ((number, line) for number, line in text_lines(path, encoding) if line.strip())


def _tsv(path: Path, files: Documents | Topics) -> Iterator[Record]:
    for number, line in _filled(path, files.encoding):
        cells = line.split("\t")
        if len(cells) != len(files.columns):
            raise ValueError(
                f"{path}, line {number}: {len(cells)} columns where {len(files.columns)} are declared "
                f"({', '.join(files.columns)}); mend the line, or declare the file's columns"
            )
        yield Record(file=path, line=number, fields=dict(zip(files.columns, cells, strict=True)))


def _jsonl(path: Path, files: Documents | Topics) -> Iterator[Record]:
    wanted = (files.id_field, *files.text_fields)
    for number, line in _filled(path, files.encoding):
        try:
            value = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: not JSON ({error}); each line is one object") from None
        if not isinstance(value, dict):
            raise ValueError(f"{path}, line {number}: {type(value).__name__} where an object belongs")
        fields = {}
        for name in wanted:
            if not isinstance(value.get(name), str | int):
                raise ValueError(
                    f"{path}, line {number}: no text in field {name!r}; the line has {', '.join(map(repr, value))}"
                )
            fields[name] = str(value[name])
        yield Record(file=path, line=number, fields=fields)


def _tag(files: Documents | Topics) -> str:
    return "DOC" if isinstance(files, Documents) else "top"


def _sgml(path: Path, files: Documents | Topics) -> Iterator[Record]:
    """Records between a tag and its end, which may share lines with others; tags are found in either case."""
    tag = _tag(files)
    begin = re.compile(rf"<{tag}(?:\s[^>]*)?>", re.IGNORECASE)
    end = re.compile(rf"</{tag}\s*>", re.IGNORECASE)
    first, collected = 0, ""
    for number, line in text_lines(path, files.encoding):
        rest = line + "\n"
        while rest:
            if not first:
                opening = begin.search(rest)
                if opening is None:
                    break
                first, rest = number, rest[opening.end() :]
            closing = end.search(rest)
            if closing is None:
                collected += rest
                break
            collected += rest[: closing.start()]
            yield _sgml_record(path, first, collected, files)
            first, collected, rest = 0, "", rest[closing.end() :]
    if first:
        raise ValueError(f"{path}, line {first}: <{tag}> is never closed; the file breaks off, fetch it again")


def _sgml_record(path: Path, line: int, text: str, files: Documents | Topics) -> Record:
    fields = {name: _field(text, name) for name in (files.id_field, *files.text_fields)}
    if not fields[files.id_field]:
        raise ValueError(f"{path}, line {line}: <{_tag(files)}> without <{files.id_field}>; name the tag of its id")
    return Record(file=path, line=line, fields=fields)


def _field(text: str, tag: str) -> str:
    """The tag's content, of all places where it occurs, without markup; one that is not closed ends at the next tag
    that begins a line."""
    opening = rf"<{re.escape(tag)}(?:\s[^>]*)?>"
    flags = re.IGNORECASE | re.DOTALL
    found = re.findall(rf"{opening}(.*?)</{re.escape(tag)}\s*>", text, flags)
    if not found:
        found = re.findall(rf"{opening}(.*?)(?=\n\s*<|\Z)", text, flags)
    plain = html.unescape(re.sub(r"<[^>]*>", " ", " ".join(found)))
    return LABEL.sub("", " ".join(plain.split()))
