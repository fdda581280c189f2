"""Captions of images as retrieval collections, from the files of Flickr30k-Entities and of XM3600.

A caption of the former is a line such as ``[/EN#1/people Two men] in [/EN#2/clothing hats] wave .``: in brackets the
number of an entity, its kinds and the words that name it. What the captions of one image call by the same number is
the same; number 0 is nothing that can be seen.
"""

import json
import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.data.guard import words
from harness.data.local_files import read_topics
from harness.data.names import ENGLISH
from harness.data.records import check_files, text_lines
from harness.data.retrieval import Document, Loaded, Qrels
from studies.schema.collection import EntityCaptions, SeenCaptions
from studies.schema.files import Layout, Topics

UNRELATED, SAME_IMAGE, SAME_ENTITIES = 0, 1, 2
"""The grades."""

LEAST_SHARED = 0.5
"""A topic and the caption that it is have at least this share of their words in common: tokenisation differs between
publishers, and files of two orders would share few."""

_ENTITY = re.compile(r"\[/EN#(?P<number>\d+)(?:/[A-Za-z]+)+ (?P<words>[^\[\]]+)\]")
_NOTHING_SEEN = "0"


@dataclass(frozen=True, kw_only=True)
class Caption:
    """One line of an image's file: without its markup, and the numbers of the entities that it names."""

    id: str
    text: str
    entities: frozenset[str]
    file: Path
    line: int


def load_captions(folder: Path, declaration: EntityCaptions) -> Loaded:
    """Read topics and captions below a folder.

    ValueError or OSError naming file and line for whatever is not as declared, the revision first of all.
    """
    check_files(declaration.name, folder, patterns(declaration), declaration.revision)
    asked = read_topics(folder, _topics(declaration))
    unrelated = _unrelated(folder / declaration.unrelated)
    kept, passages, judgments = [], [], {}
    for image, text in asked.items():
        captions = _read_captions(folder / declaration.captions, image)
        asking = _asking(folder / declaration.topics, image, text, captions)
        asked_in = _words(asking.text)
        others = [caption for caption in captions if _words(caption.text) != asked_in]
        if others:
            judgments[image] = {other.id: _grade(asking, other, unrelated) for other in others}
        passages += [Document(other.id, other.text, other.file, other.line) for other in others]
        kept += [caption.text for caption in captions]
    return _loaded(declaration, asked, judgments, passages, kept)


def load_seen_captions(folder: Path, declaration: SeenCaptions) -> Loaded:
    """Read the captions of one language and the English ones below a folder; raises like :func:`load_captions`.

    An image with a single English caption has nothing to be found, and its query no judgment; that is counted.
    """
    check_files(declaration.name, folder, patterns(declaration), declaration.revision)
    path = folder / declaration.path
    asked: dict[str, str] = {}
    kept, passages, judgments = [], [], {}
    for number, line in text_lines(path):
        place = f"{path}, line {number}"
        image, own, english = _seen(place, line, declaration.language)
        if image in asked:
            raise ValueError(f"{place}: image {image!r} occurs a second time; keep one of them")
        asked[image] = own[0]
        others = [Document(f"{image}#{n}", text, path, number) for n, text in enumerate(english) if n]
        if others:
            judgments[image] = {other.id: SAME_IMAGE for other in others}
        passages += others
        kept += [*own, *english]
    return _loaded(declaration, asked, judgments, passages, kept)


def patterns(declaration: EntityCaptions | SeenCaptions) -> tuple[str, ...]:
    """All files of a collection."""
    if isinstance(declaration, SeenCaptions):
        return (declaration.path,)
    return (f"{declaration.captions}/*.txt", declaration.unrelated, declaration.topics)


def _loaded(
    declaration: EntityCaptions | SeenCaptions,
    asked: Mapping[str, str],
    judgments: Qrels,
    passages: Sequence[Document],
    kept: Sequence[str],
) -> Loaded:
    (split,) = declaration.splits
    return Loaded(
        name=declaration.name,
        revision=declaration.revision,
        licence=declaration.licence,
        relevance=declaration.relevance,
        pair=declaration.pair,
        texts={split.name: asked},
        judgments={split.name: judgments},
        source=lambda: iter(passages),
        locate=lambda split, query, passage: f"captions of {query}",
        kept=tuple(kept),
    )


def _seen(place: str, line: str, language: str) -> tuple[str, Sequence[str], Sequence[str]]:
    """The key of an image, and its captions in a language and in English."""
    try:
        found = json.loads(line)
        image = found["image/key"]
        own, english = ([" ".join(text.split()) for text in found[each]["caption"]] for each in (language, ENGLISH))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{place}: no image with captions in {language!r} and English ({type(error).__name__}: {error}); fetch the "
            "file again, or name a language that it has"
        ) from None
    if not isinstance(image, str) or not own or not english or not all((*own, *english)):
        raise ValueError(f"{place}: image {image!r} has no caption in {language!r} or English, or an empty one")
    return image, own, english


def _read_captions(folder: Path, image: str) -> Sequence[Caption]:
    """The captions of an image, in the order of its file; ValueError for fewer than two, or markup that is broken."""
    path = folder / f"{image.removesuffix('.jpg')}.txt"
    read = [_caption(path, image, number, line) for number, line in text_lines(path) if line.strip()]
    if len(read) < 2:
        raise ValueError(f"{path} has {len(read)} captions; one asks for others, so an image has at least two")
    return read


def _caption(path: Path, image: str, number: int, line: str) -> Caption:
    entities = frozenset(found["number"] for found in _ENTITY.finditer(line)) - {_NOTHING_SEEN}
    text = _ENTITY.sub(r"\g<words>", line)
    if "/EN#" in text:
        raise ValueError(f"{path}, line {number}: markup that is no [/EN#number/kind words]; fetch the file again")
    # As Flickr30k numbers captions: from 0.
    return Caption(id=f"{image}#{number - 1}", text=" ".join(text.split()), entities=entities, file=path, line=number)


def _asking(topics: Path, image: str, text: str, captions: Sequence[Caption]) -> Caption:
    """The caption that a topic is; ValueError where none is like it."""
    asked = _words(text)
    own = [_words(caption.text) for caption in captions]
    shares = [len(asked & each) / max(1, len(asked | each)) for each in own]
    best = max(range(len(captions)), key=lambda place: shares[place])
    if shares[best] < LEAST_SHARED:
        raise ValueError(
            f"{topics}: the topic of {image} is none of the captions in {captions[best].file}, the nearest is line "
            f"{captions[best].line}; give each image one of its own captions"
        )
    return captions[best]


def _words(text: str) -> frozenset[str]:
    return frozenset(words(text))


def _unrelated(path: Path) -> frozenset[tuple[str, int]]:
    """Image and line of the captions listed, each with the number of its image and its own, from 1."""
    found = set()
    for number, line in text_lines(path):
        if line.strip() and not line.startswith("#"):
            cells = line.split()
            if len(cells) != 2 or not cells[1].isdecimal():
                raise ValueError(f"{path}, line {number}: {line!r} where an image and the number of a caption belong")
            found.add((cells[0], int(cells[1])))
    return frozenset(found)


def _grade(asking: Caption, other: Caption, unrelated: Container[tuple[str, int]]) -> int:
    if (other.file.stem, other.line) in unrelated:
        return UNRELATED
    return SAME_ENTITIES if asking.entities and asking.entities <= other.entities else SAME_IMAGE


def _topics(declaration: EntityCaptions) -> Topics:
    return Topics(
        layout=Layout.TSV,
        paths=(declaration.topics,),
        id_field="image",
        text_fields=("caption",),
        columns=("image", "caption"),
    )
