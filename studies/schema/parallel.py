"""Parallel text for distillation as it is declared: corpora, filters, and how much of each pair is drawn.

Everything here decides which lines a student sees, so all of it is identity.
"""

import re
from dataclasses import dataclass, field
from typing import assert_never

from studies.schema.added import ADDED
from studies.schema.atlas import ENGLISH
from studies.schema.collection import Collection
from studies.schema.files import check_commit, check_relative, check_revision


@dataclass(frozen=True, kw_only=True)
class Moses:
    """Two files whose lines belong together, plain or ending in .gz or .xz; the layout of Moses, Tatoeba and FLORES."""

    source: str
    target: str


@dataclass(frozen=True, kw_only=True)
class MosesZip:
    """The same two files as members of a zip archive, as OPUS packs them."""

    path: str
    source: str
    target: str


@dataclass(frozen=True, kw_only=True)
class Tsv:
    """A headerless table. Columns are counted from 0; ``columns`` is how many there are, ``score`` None without one."""

    path: str
    columns: int
    source: int
    target: int
    score: int | None = None

    def __post_init__(self) -> None:
        used = [column for column in (self.source, self.target, self.score) if column is not None]
        if len(set(used)) != len(used) or not all(0 <= column < self.columns for column in used):
            raise ValueError(f"Tsv reads columns {used} of {self.columns}; name different ones, counted from 0")


@dataclass(frozen=True, kw_only=True)
class Parquet:
    """Rows of Parquet files, one after another, as data sets on Hugging Face's hub have them.

    ``source``, ``target`` and ``score`` are names of columns, within a struct with a dot: ``translation.sw``.
    """

    paths: tuple[str, ...]
    source: str
    target: str
    score: str | None = None


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Parallel lines of one pair. ``source`` is the student's side; where English takes part, it is the ``target``.

    Lines below ``least_score`` are dropped. ``held_out`` says what a corpus is kept for; such a one is never trained
    on. The files are one's own, and ``revision`` is their hash; or those of the data set ``hub`` on Hugging Face's hub,
    and ``revision`` is its commit.
    """

    name: str
    source: str
    target: str
    files: Moses | MosesZip | Tsv | Parquet
    licence: str | None
    revision: str
    least_score: float | None = None
    held_out: str | None = None
    hub: str | None = field(default=None, metadata=ADDED)

    def __post_init__(self) -> None:
        check_relative(f"corpus {self.name}", self.paths)
        check = check_revision if self.hub is None else check_commit
        check(f"corpus {self.name}", self.revision)
        if self.hub is not None and any(set(path) & set("*?[") for path in self.paths):
            raise ValueError(
                f"corpus {self.name} names files of {self.hub} by a pattern, which cannot tell a part of them "
                "from all; name each file"
            )
        for language in (self.source, self.target):
            if not re.fullmatch(r"[a-z]{2,3}", language):
                raise ValueError(f"corpus {self.name} has language {language!r}; use an ISO 639 code such as 'sw'")
        if self.source in (ENGLISH, self.target):
            raise ValueError(
                f"corpus {self.name} is declared from {self.source!r} to {self.target!r}; the sides differ, and "
                "English is the target, which the teacher reads"
            )
        has_score = isinstance(self.files, Tsv | Parquet) and self.files.score is not None
        if self.least_score is not None and not has_score:
            raise ValueError(f"corpus {self.name} has a least score, but its files have no column of scores")

    @property
    def pair(self) -> str:
        """Both languages, the student's first: ``sw-en``."""
        return f"{self.source}-{self.target}"

    @property
    def paths(self) -> tuple[str, ...]:
        """The files, or patterns of them, below the folder that has them."""
        match self.files:
            case Moses(source=source, target=target):
                return source, target
            case Parquet(paths=paths):
                return paths
            case MosesZip(path=path) | Tsv(path=path):
                return (path,)
            case unknown:
                assert_never(unknown)


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Which lines are dropped: a side outside the lengths, sides of unlike length, sides that are the same.

    Lengths are in characters, since words mean nothing in unsegmented scripts; a ratio of 4 leaves room for Chinese.
    """

    least_characters: int = 3
    most_characters: int = 1000
    most_ratio: float = 4.0
    keep_identical: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.least_characters <= self.most_characters:
            raise ValueError(
                f"Filters keep {self.least_characters} to {self.most_characters} characters; the first is at least 1 "
                "and not above the second"
            )
        if self.most_ratio < 1:
            raise ValueError(
                f"Filters.most_ratio is {self.most_ratio}; it is the longer side by the shorter, at least 1"
            )


@dataclass(frozen=True, kw_only=True)
class ParallelText:
    """Lines drawn from corpora: filtered, without repetitions, at most ``lines`` in all.

    A pair with n lines left, at most its cap, gets a share of n to the ``exponent`` (arXiv 1911.02116): 1 draws pairs
    as they are, 0 all alike. What a small pair cannot fill goes to the others. ``seed`` decides which lines are drawn.
    Of its lines a language gets the share that ``exposure`` names, all where none is named; a smaller share is part of
    every larger one. A line with a query of ``kept_out`` on either side, unless of a training split, is dropped, and so
    is one with a sentence of ``kept_out_text``, corpora that are held out.
    """

    corpora: tuple[Corpus, ...]
    filters: Filters
    lines: int
    exponent: float
    seed: int
    caps: tuple[tuple[str, int], ...] = ()
    exposure: tuple[tuple[str, float], ...] = field(default=(), metadata=ADDED)
    kept_out: tuple[Collection, ...] = field(default=(), metadata=ADDED)
    kept_out_text: tuple[Corpus, ...] = field(default=(), metadata=ADDED)

    def __post_init__(self) -> None:
        if not self.corpora or len({corpus.name for corpus in self.corpora}) != len(self.corpora):
            raise ValueError("ParallelText.corpora names no corpus, or one name twice; name each corpus once")
        for corpus in self.corpora:
            if corpus.held_out is not None:
                raise ValueError(
                    f"corpus {corpus.name} is kept for {corpus.held_out}; training on it would void that measurement, "
                    "leave it out"
                )
        for corpus in self.kept_out_text:
            if corpus.held_out is None:
                raise ValueError(f"corpus {corpus.name} is kept out of training and not held out; say what it is for")
        if self.lines < 1 or not 0 <= self.exponent <= 1 or not 0 <= self.seed < 2**64:
            raise ValueError(
                f"ParallelText has lines {self.lines}, exponent {self.exponent}, seed {self.seed}; lines are at least "
                "1, the exponent lies between 0 and 1, a seed is below 2**64"
            )
        capped = [pair for pair, _ in self.caps]
        if len(set(capped)) != len(capped) or not set(capped) <= set(self.pairs) or any(n < 1 for _, n in self.caps):
            raise ValueError(
                f"ParallelText.caps are {self.caps}; give each of {', '.join(self.pairs)} at most one, "
                "of 1 or more lines"
            )
        named = [language for language, _ in self.exposure]
        if named and (
            sorted(named) != sorted(self.languages) or any(not 0 <= share <= 1 for _, share in self.exposure)
        ):
            raise ValueError(
                f"ParallelText.exposure is {self.exposure}; give each of {', '.join(self.languages)} one share from 0 "
                "to 1, or none to any"
            )

    @property
    def pairs(self) -> tuple[str, ...]:
        """The pairs with English, then the others, each in the order of the corpora."""
        found = dict.fromkeys(corpus.pair for corpus in self.corpora)
        return tuple(sorted(found, key=lambda pair: pair in self._direct_pairs))

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that a student reads, in the order of the corpora."""
        return tuple(dict.fromkeys(corpus.source for corpus in self.corpora))

    @property
    def direct(self) -> tuple[tuple[str, str], ...]:
        """The pairs without English: what a student reads, and the language beside it."""
        return tuple(dict.fromkeys((each.source, each.target) for each in self.corpora if each.target != ENGLISH))

    @property
    def total_lines(self) -> int:
        """Lines of all pairs together, where corpora have as many as their caps."""
        return min(self.lines, sum(map(self._most_of, self.pairs)))

    @property
    def direct_lines(self) -> int:
        """Those of them without English."""
        return sum(map(self._most_of, self._direct_pairs))

    @property
    def _direct_pairs(self) -> tuple[str, ...]:
        return tuple(f"{source}-{target}" for source, target in self.direct)

    def _most_of(self, pair: str) -> int:
        return round(dict(self.caps).get(pair, self.lines) * self.exposure_of(pair.partition("-")[0]))

    def exposure_of(self, language: str) -> float:
        """The share of its lines that a language gets."""
        return dict(self.exposure).get(language, 1.0)
