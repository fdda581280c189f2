"""Text of single languages for pretraining: names, lists of a passage's names, and in English the passages themselves.

One sequence of texts serves every language, so that languages differ in how much of it they get and in nothing else; a
share takes a prefix, and begins anew at its end. Held-out passages are left out, their lists with them, and so is every
list whose names are those of a validation or test query, in whatever order and in any language.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

from harness.data.cldr import ENGLISH
from harness.data.content import Content
from harness.data.draws import draw
from studies.schema.evaluation import Split

Readings = set[tuple[str, frozenset[str]]]
"""Languages and the names, case aside, that a composition has in them."""


@dataclass(frozen=True, kw_only=True)
class Text:
    """A text in one language."""

    language: str
    text: str


def pretraining_texts(content: Content, texts: int, shares: Sequence[tuple[str, float]]) -> tuple[Text, ...]:
    """Exactly ``round(texts * share)`` texts for each language and share, language after language."""
    return tuple(
        Text(language=language, text=text)
        for language, share in shares
        for text in islice(cycle(_sequence(content, language)), round(texts * share))
    )


def _sequence(content: Content, language: str) -> list[str]:
    """All different texts of a language in the order of a draw that every language shares."""
    written: dict[tuple[str, str], str] = {
        ("name", entity.id): entity.names[language] for entity in content.entities
    } | {("list", passage): text for passage, text in _lists(content, language)}
    if language == ENGLISH:
        written |= {("passage", passage.id): passage.text for passage in content.passages if not passage.held_out}
    return [written[place] for place in sorted(written, key=lambda place: (draw("pretraining", *place), place))]


def _lists(content: Content, language: str) -> Iterator[tuple[str, str]]:
    """Passages and the list of the names they hold."""
    forbidden = {
        reading
        for query in content.queries
        if query.split is not Split.TRAIN
        for reading in _readings(content.name_of, query.names, content.patterns)
    }
    for passage in content.passages:
        names = (passage.id, *passage.mentions)
        if passage.held_out or len(names) == 1:
            continue
        if forbidden.isdisjoint(_readings(content.name_of, names, content.patterns)):
            yield passage.id, content.patterns[language].join([content.name_of[name][language] for name in names])


def _readings(
    name_of: Mapping[str, Mapping[str, str]], names: Sequence[str], languages: Mapping[str, object]
) -> Readings:
    return {(language, frozenset(name_of[name][language].casefold() for name in names)) for language in languages}
