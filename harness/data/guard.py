"""Keeps queries, captions and other texts that models are tested on out of training data."""

import unicodedata
from collections.abc import Iterable, Iterator
from hashlib import blake2b

import regex

from harness.data.retrieval import Loaded
from studies.schema.collection import TRAIN

_WORD = regex.compile(r"[\p{L}\p{M}\p{N}]+")

_FIRST = 3
"""Words of a text that are looked at before the whole of it is."""


class Guard:
    """A set of texts, known by a hash of eight bytes each.

    Two texts are the same when they differ in case, punctuation, spacing or compatible characters (NFKC) alone.
    """

    def __init__(self, texts: Iterable[str] = ()) -> None:
        plain = [folded for text in texts if _WORD.search(folded := _fold(text))]
        self._hashes = {_hash(folded) for folded in plain}
        # Most lines begin as no query does, which saves folding and hashing the whole of them.
        self._beginnings = {_beginning(folded) for folded in plain}

    def __len__(self) -> int:
        return len(self._hashes)

    def __or__(self, other: "Guard") -> "Guard":
        union = Guard()
        union._hashes = self._hashes | other._hashes
        union._beginnings = self._beginnings | other._beginnings
        return union

    def holds(self, text: str) -> bool:
        """Whether the text is one of those kept from training."""
        if not self._hashes:
            return False
        # A space neither composes with what is beside it nor is part of a word, so both its sides fold apart.
        beginning = _beginning(_fold(" ".join(text.split(" ", _FIRST)[:_FIRST])))
        if len(beginning) < _FIRST:
            beginning = _beginning(_fold(text))
        return beginning in self._beginnings and _hash(_fold(text)) in self._hashes


def guard_of(collections: Iterable[Loaded]) -> Guard:
    """A guard over all queries of the collections, those of their training splits left out, and over captions.

    Judgments need no guard of their own: without its query a judged passage says nothing.
    """
    return Guard(text for collection in collections for text in _tested(collection))


def _tested(collection: Loaded) -> Iterator[str]:
    for split, texts in collection.texts.items():
        if split != TRAIN:
            yield from texts.values()
    yield from collection.kept


def words(text: str) -> list[str]:
    """The words of a text, without case, punctuation and compatible characters: what two texts are compared by."""
    found: list[str] = _WORD.findall(_fold(text))
    return found


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _beginning(folded: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(folded)[:_FIRST])


def _hash(folded: str) -> bytes:
    return blake2b(" ".join(_WORD.findall(folded)).encode(), digest_size=8).digest()
