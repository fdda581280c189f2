"""Layouts of plain files: documents and topics of a collection, below a folder named when they are read."""

import codecs
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

REVISION_DIGITS = 12
"""Hexadecimal digits kept of the SHA-256 of files."""


class Layout(StrEnum):
    """How records are written; gzip is recognised by the name ``.gz``."""

    TSV = "headerless TSV"
    JSONL = "JSON lines"
    SGML = "SGML"


@dataclass(frozen=True, kw_only=True)
class Documents:
    """Passages: files in order (a name may hold ``*``), the field of the id, and the fields that are read.

    A TSV needs ``columns``, the names of all its columns in order. In SGML a record is a ``<DOC>`` and fields are tags.
    """

    layout: Layout
    paths: tuple[str, ...]
    id_field: str
    text_fields: tuple[str, ...]
    columns: tuple[str, ...] = ()
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        check_relative("Documents.paths", self.paths)
        _check_fields("Documents", self.layout, (self.id_field, *self.text_fields), self.columns)
        _check_encoding("Documents", self.encoding)


@dataclass(frozen=True, kw_only=True)
class Topics:
    """Queries. As for :class:`Documents`; in SGML a record is a ``<top>``.

    ``id_pattern`` has one group, the part of a written id that judgments use: ``C0*([0-9]+)`` makes 41 of C041.
    """

    layout: Layout
    paths: tuple[str, ...]
    id_field: str
    text_fields: tuple[str, ...]
    columns: tuple[str, ...] = ()
    encoding: str = "utf-8"
    id_pattern: str | None = None

    def __post_init__(self) -> None:
        check_relative("Topics.paths", self.paths)
        _check_fields("Topics", self.layout, (self.id_field, *self.text_fields), self.columns)
        _check_encoding("Topics", self.encoding)
        if self.id_pattern is not None and re.compile(self.id_pattern).groups != 1:
            raise ValueError(f"Topics.id_pattern {self.id_pattern!r} must have exactly one group, the id")


def check_relative(what: str, paths: tuple[str, ...]) -> None:
    """Raise ValueError for a path that leaves the folder it is read from."""
    for path in paths:
        if not path or PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise ValueError(f"{what} has {path!r}; write it relative to the data folder, without '..'")


def check_revision(what: str, revision: str) -> None:
    """Raise ValueError for a revision that is no hash of files."""
    if not re.fullmatch(rf"[0-9a-f]{{{REVISION_DIGITS}}}", revision):
        raise ValueError(
            f"the revision of {what} is {revision!r}; it is {REVISION_DIGITS} hexadecimal digits, and opening it with "
            f"revision {'0' * REVISION_DIGITS} says which"
        )


def check_commit(what: str, revision: str) -> None:
    """Raise ValueError for a revision that is no commit of a hub, such as the name of a branch."""
    if not re.fullmatch(r"[0-9a-f]{40}", revision):
        raise ValueError(
            f"the revision of {what} is {revision!r}; a name that moves identifies nothing: write a commit of 40 digits"
        )


def _check_fields(what: str, layout: Layout, fields: tuple[str, ...], columns: tuple[str, ...]) -> None:
    if len(fields) < 2 or not all(fields):
        raise ValueError(f"{what} has fields {fields}; name the id and at least one text")
    if layout is Layout.TSV and not set(fields) <= set(columns):
        raise ValueError(f"{what} reads {', '.join(fields)} from a TSV with columns {columns}; name all its columns")
    if layout is not Layout.TSV and columns:
        raise ValueError(f"{what}.columns are for TSV alone; {layout} names its fields itself")


def _check_encoding(what: str, encoding: str) -> None:
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise ValueError(f"{what}.encoding {encoding!r} is unknown; name one that Python has, such as utf-8") from None
