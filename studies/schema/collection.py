"""Retrieval collections as they are declared: queries, passages and judgments of one pair of languages.

A closed union. Where the files lie on a machine is no part of a declaration; what is in them is, by a revision.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never

from studies.schema.files import Documents, Topics, check_relative, check_revision
from studies.schema.topic_makers import People, Translator

TRAIN = "train"
"""The split whose queries a model may see; queries of every other split are kept from training data."""

UNPINNED = "unpinned"
"""Stands for the hash of files whose publisher states none; the number of passages is checked instead."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Language of the queries and language of the passages, as ISO 639 codes; they may be the same."""

    query: str
    document: str

    def __post_init__(self) -> None:
        for name in ("query", "document"):
            if not re.fullmatch(r"[a-z]{2,3}", getattr(self, name)):
                raise ValueError(f"Pair.{name} is {getattr(self, name)!r}; use an ISO 639 code such as 'sw'")


class Judge(StrEnum):
    """Where judgments come from."""

    PEOPLE = "people"
    LINKS = "links between articles"
    IMAGES = "captions of one image"
    SCORES = "scores of a retrieval system"


@dataclass(frozen=True, kw_only=True)
class Relevance:
    """Scale of relevance: the grades that occur, the lowest that counts as relevant, and who judged."""

    grades: tuple[int, ...]
    relevant_from: int
    judge: Judge

    def __post_init__(self) -> None:
        if list(self.grades) != sorted(set(self.grades)) or not self.grades:
            raise ValueError(f"Relevance.grades are {self.grades}; name each grade once, in ascending order")
        if self.relevant_from not in self.grades or self.relevant_from < 1:
            raise ValueError(
                f"Relevance.relevant_from is {self.relevant_from}; it must be one of {self.grades} and above 0"
            )


@dataclass(frozen=True, kw_only=True)
class Split:
    """Queries under one name. ``source`` is the ``ir_datasets`` id; without judgments they are only kept from
    training."""

    name: str
    source: str
    judged: bool = True


@dataclass(frozen=True, kw_only=True)
class IrDataset:
    """A collection that ``ir_datasets`` knows.

    ``passages`` is the id whose documents are searched, ``count`` how many there are, None where no source says.
    Texts are the named fields, joined by a space. ``revision`` is two hashes over the published MD5 sums: of all
    splits, and of the passages.
    """

    pair: Pair
    passages: str
    count: int | None
    splits: tuple[Split, ...]
    query_fields: tuple[str, ...]
    passage_fields: tuple[str, ...]
    relevance: Relevance
    licence: str | None
    revision: str

    def __post_init__(self) -> None:
        _check_splits(self.passages, tuple(split.name for split in self.splits))
        if (self.count is None and self.revision.endswith(UNPINNED)) or (self.count is not None and self.count < 1):
            raise ValueError(
                f"IrDataset.count of {self.passages} is {self.count}; state how many passages it has, since "
                "nothing else tells a whole collection from a part"
            )
        if not self.query_fields or not self.passage_fields:
            raise ValueError(f"{self.passages} names no field for queries or passages; name those that hold text")
        if not re.fullmatch(rf"([0-9a-f]{{10}}|{UNPINNED})\.([0-9a-f]{{10}}|{UNPINNED})", self.revision):
            raise ValueError(
                f"IrDataset.revision of {self.passages} is {self.revision!r}; it is two hashes of ten hexadecimal "
                f"digits with a dot between them, or {UNPINNED!r} where the publisher states no hash"
            )

    @property
    def name(self) -> str:
        """How messages call the collection."""
        return self.passages


@dataclass(frozen=True, kw_only=True)
class LocalSplit:
    """Queries and, where there are any, judgment files in TREC's three or four columns."""

    name: str
    topics: Topics
    qrels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_relative(f"qrels of split {self.name}", self.qrels)


@dataclass(frozen=True, kw_only=True)
class LocalCollection:
    """A collection in files below a folder that is named when it is opened.

    ``revision`` is a hash of the names and contents of all files; whoever opens the folder is told what it is.
    """

    name: str
    pair: Pair
    documents: Documents
    splits: tuple[LocalSplit, ...]
    relevance: Relevance
    licence: str | None
    revision: str

    def __post_init__(self) -> None:
        _check_name(type(self).__name__, self.name)
        _check_splits(self.name, tuple(split.name for split in self.splits))
        check_revision(f"collection {self.name}", self.revision)


@dataclass(frozen=True, kw_only=True)
class EntityCaptions:
    """English captions of images, one of which asks for the others of its image, in Flickr30k-Entities' files.

    ``captions`` is the folder with a file for each image, a caption in each of its lines; ``unrelated`` lists captions
    that do not describe their image. ``topics`` is a headerless TSV of image and caption: the images that are asked, in
    the words of one of their captions. The captions of these images but those in the words that ask are the passages.
    Grade 1 is the same image, 2 a caption that also names every entity of the one that asks, 0 an unrelated one.
    ``revision`` is a hash of the names and contents of all files.
    """

    name: str
    captions: str
    unrelated: str
    topics: str
    split: str
    licence: str | None
    revision: str

    def __post_init__(self) -> None:
        _check_name(type(self).__name__, self.name)
        check_relative("EntityCaptions", (self.captions, self.unrelated, self.topics))
        check_revision(f"collection {self.name}", self.revision)
        if self.split == TRAIN:
            raise ValueError(f"the split of {self.name} is {TRAIN!r}, which may be trained on; name it otherwise")

    @property
    def pair(self) -> Pair:
        """English on both sides: topics in other languages are :class:`TranslatedTopics` of this."""
        return Pair(query="en", document="en")

    @property
    def relevance(self) -> Relevance:
        """Any caption of the image counts, so that Success@1 is recall of the image at rank one."""
        return Relevance(grades=(0, 1, 2), relevant_from=1, judge=Judge.IMAGES)

    @property
    def splits(self) -> tuple[Split, ...]:
        """The one split there is."""
        return (Split(name=self.split, source=self.topics),)


@dataclass(frozen=True, kw_only=True)
class SeenCaptions:
    """Captions of images in many languages, each by a person who saw the image, in XM3600's file.

    The first caption of an image in ``language`` asks for its English captions but the first, which asks in English:
    the passages are the same whatever the language, and no caption is another's translation. ``path`` is a file of
    JSON lines; ``revision`` is its hash.
    """

    name: str
    path: str
    language: str
    licence: str | None
    revision: str

    def __post_init__(self) -> None:
        _check_name(type(self).__name__, self.name)
        check_relative("SeenCaptions.path", (self.path,))
        check_revision(f"collection {self.name}", self.revision)

    @property
    def pair(self) -> Pair:
        """The language that asks, and English."""
        return Pair(query=self.language, document="en")

    @property
    def relevance(self) -> Relevance:
        """Every other caption of the image counts."""
        return Relevance(grades=(1,), relevant_from=1, judge=Judge.IMAGES)

    @property
    def splits(self) -> tuple[Split, ...]:
        """The one split there is."""
        return (Split(name="test", source=self.path),)


Published = IrDataset | LocalCollection | EntityCaptions | SeenCaptions
"""A collection with the queries it was published with."""


@dataclass(frozen=True, kw_only=True)
class TranslatedTopics:
    """Queries of one split of a collection put into another language; passages and judgments stay.

    ``path`` is a headerless TSV of query id and text below the folder named when it is opened; ``revision`` is the
    hash of that file.
    """

    original: Published
    language: str
    split: str
    path: str
    by: People | Translator
    revision: str

    def __post_init__(self) -> None:
        check_relative("TranslatedTopics.path", (self.path,))
        check_revision(f"translated topics {self.path}", self.revision)
        names = tuple(split.name for split in self.original.splits)
        if self.split not in names:
            raise ValueError(f"{self.original.name} has no split {self.split!r}; it has {', '.join(names)}")
        if self.language == self.original.pair.query:
            raise ValueError(
                f"the topics of {self.original.name} are in {self.language!r} already; "
                "name the language they are translated into, or use the collection itself"
            )

    @property
    def pair(self) -> Pair:
        """The language translated into, and that of the passages."""
        return Pair(query=self.language, document=self.original.pair.document)

    @property
    def name(self) -> str:
        """How messages call the collection."""
        return f"{self.original.name} with topics in {self.language}"


Collection = Published | TranslatedTopics


def passages_of(collection: Collection) -> Published:
    """Whose passages are searched: those of the original of translated topics, of seen captions the English one's."""
    match collection:
        case TranslatedTopics():
            return collection.original
        case SeenCaptions():
            return replace(collection, language="en")
        case IrDataset() | LocalCollection() | EntityCaptions():
            return collection
        case unknown:
            assert_never(unknown)


def judged_splits(collection: Collection) -> Mapping[str, bool]:
    """Splits, and whether they have judgments."""
    match collection:
        case IrDataset() | EntityCaptions() | SeenCaptions():
            return {split.name: split.judged for split in collection.splits}
        case LocalCollection():
            return {split.name: bool(split.qrels) for split in collection.splits}
        case TranslatedTopics():
            return {collection.split: judged_splits(collection.original)[collection.split]}
        case unknown:
            assert_never(unknown)


def _check_name(kind: str, name: str) -> None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name):
        raise ValueError(f"{kind}.name is {name!r}; use small letters, digits, dot and dash")


def _check_splits(collection: str, names: tuple[str, ...]) -> None:
    if not names or len(set(names)) != len(names):
        raise ValueError(f"{collection} has splits {names}; name at least one, each once")
