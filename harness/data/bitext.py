"""Bitext: names and compositions in a language and in English, and nothing that a judgement could leak by.

One sequence of compositions serves every language, so that languages differ in how much of it they see and in
nothing else; an exposure takes a prefix. Early lines cover the names, alone or in a training composition, so
that a short prefix still holds most of the lexicon; later ones are the remaining single names and training
compositions; when these are used up, random compositions that belong to no split follow.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice

from harness.data.cldr import ENGLISH
from harness.data.compositions import Composition, composition_id, ordered
from harness.data.content import Content
from harness.data.draws import draw
from harness.data.names import Entity
from studies.schema.evaluation import Split

# Fruitless draws in a row after which a bitext is said to be too long for its names.
MOST_FRUITLESS_DRAWS = 1000


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of bitext: the same names in a language and in English, not always in the same order.

    ``names`` are the ids of the entities named, so that seen and unseen names can be told apart afterwards.
    Lines of different languages with one composition have the same English text.
    """

    id: str
    language: str
    text: str
    english: str
    names: Composition


@dataclass(frozen=True, kw_only=True)
class DirectLine:
    """One line without English: the same names in a language and in another, ``into``."""

    id: str
    language: str
    text: str
    into: str
    other: str
    names: Composition


def bitext_lines(
    content: Content,
    lines: int,
    exposure: Iterable[tuple[str, float]],
    lexical_coverage: float,
    direct: Iterable[tuple[str, str]] = (),
) -> tuple[Line, ...]:
    """Exactly ``round(lines * share)`` lines for each language and share, language after language.

    Of a language that ``direct`` pairs with another, every second line is left to :func:`direct_lines`.
    """
    sequence = _first(content, lines, lexical_coverage)
    paired = dict(direct)
    english = [_write(content, composition, ENGLISH) for composition in sequence]
    ids = [composition_id(composition) for composition in sequence]
    return tuple(
        Line(
            id=f"{language}-{ids[position]}",
            language=language,
            text=_write(content, sequence[position], language),
            english=english[position],
            names=sequence[position],
        )
        for language, share in exposure
        for position in range(0, round(lines * share), 2 if language in paired else 1)
    )


def direct_lines(
    content: Content,
    lines: int,
    exposure: Iterable[tuple[str, float]],
    lexical_coverage: float,
    direct: Iterable[tuple[str, str]],
) -> tuple[DirectLine, ...]:
    """Every second line of each pair's first language, from the second on, with the other language beside it."""
    sequence = _first(content, lines, lexical_coverage)
    shares = dict(exposure)
    return tuple(
        DirectLine(
            id=f"{language}-{composition_id(sequence[position])}",
            language=language,
            text=_write(content, sequence[position], language),
            into=into,
            other=_write(content, sequence[position], into),
            names=sequence[position],
        )
        for language, into in direct
        for position in range(1, round(lines * shares[language]), 2)
    )


def _first(content: Content, lines: int, lexical_coverage: float) -> tuple[Composition, ...]:
    """The compositions of a full exposure; ValueError where there are not as many."""
    sequence = tuple(islice(_sequence(content, lexical_coverage), lines))
    if len(sequence) < lines:
        raise ValueError(
            f"Bitext.lines is {lines}, but the names at lexical coverage {lexical_coverage} give only "
            f"{len(sequence)} different ones; ask for fewer lines or cover more names"
        )
    return sequence


def covered_entities(entities: Sequence[Entity], lexical_coverage: float) -> frozenset[str]:
    """Ids of the entities whose names may occur, chosen by draws: exactly ``round(coverage * entities)``.

    Entities that share a name in some language (Finnish `unkari`, the country and the language) are covered
    together or not at all: a name is never seen under one meaning and unseen under another.
    """
    wanted = round(lexical_coverage * len(entities))
    groups = sorted(_namesakes(entities), key=lambda group: (draw("coverage", group[0]), group))
    chosen: list[str] = []
    for group in groups:
        if len(chosen) + len(group) <= wanted:
            chosen += group
    if len(chosen) != wanted:
        raise ValueError(
            f"Bitext.lexical_coverage {lexical_coverage} asks for {wanted} names; those that entities share "
            f"leave {len(chosen)}; choose another share"
        )
    return frozenset(chosen)


def _namesakes(entities: Sequence[Entity]) -> list[list[str]]:
    """Entities grouped by names shared in any language, case aside; most groups have one member."""
    group_of = {entity.id: [entity.id] for entity in entities}
    bearers: dict[tuple[str, str], str] = {}
    for entity in entities:
        for language, name in entity.names.items():
            first = bearers.setdefault((language, name.casefold()), entity.id)
            if group_of[first] is not group_of[entity.id]:
                merged = sorted(group_of[first] + group_of[entity.id])
                group_of.update(dict.fromkeys(merged, merged))
    return [group for entity, group in group_of.items() if group[0] == entity]


def _sequence(content: Content, lexical_coverage: float) -> Iterator[Composition]:
    """The compositions of all lines, in order, without repetition, until nothing new can be drawn."""
    covered = covered_entities(content.entities, lexical_coverage)
    training = [
        query.names for query in content.queries if query.split is Split.TRAIN and covered.issuperset(query.names)
    ]
    used: set[Composition] = set()
    for composition in _covering(covered, training):
        used.add(composition)
        yield composition
    rest = {*((name,) for name in covered), *training} - used
    yield from sorted(rest, key=lambda composition: (draw("line", *composition), composition))
    yield from _random_compositions(content, sorted(covered))


def _covering(covered: Iterable[str], training: Iterable[Composition]) -> Iterator[Composition]:
    """Every covered name at least once: by a coin alone, or in the composition with most new names."""
    holding: dict[str, list[Composition]] = defaultdict(list)
    for composition in training:
        for name in composition:
            holding[name].append(composition)
    seen: set[str] = set()
    for name in sorted(covered, key=lambda name: (draw("cover", name), name)):
        if name in seen:
            continue
        alone = draw("alone", name) % 2 or not holding[name]
        line = (
            (name,)
            if alone
            else min(
                holding[name],
                key=lambda held: (len(seen.intersection(held)) - len(held), draw("cover", *held)),
            )
        )
        seen.update(line)
        yield line


def _random_compositions(content: Content, names: Sequence[str]) -> Iterator[Composition]:
    """Compositions of two or three names that no query has, nor reads like in any language."""

    def readings(composition: Composition) -> set[tuple[str, frozenset[str]]]:
        return {
            (language, frozenset(content.name_of[entity][language].casefold() for entity in composition))
            for language in content.patterns
        }

    taken = {query.names for query in content.queries}
    forbidden = {
        reading for query in content.queries if query.split is not Split.TRAIN for reading in readings(query.names)
    }
    fruitless = 0
    for number in count():
        size = 2 + draw("size", str(number)) % 2
        picked = {names[draw("pick", str(number), str(place)) % len(names)] for place in range(size)}
        composition = tuple(sorted(picked))
        if len(picked) < size or composition in taken or not forbidden.isdisjoint(readings(composition)):
            fruitless += 1
            if fruitless > MOST_FRUITLESS_DRAWS:
                return
            continue
        fruitless = 0
        taken.add(composition)
        yield composition


def _write(content: Content, composition: Composition, language: str) -> str:
    """The names in an order of the language's own, as a list or, every other time, side by side."""
    written = [content.name_of[entity][language] for entity in ordered(composition, "line", language)]
    if draw("plain", language, *composition) % 2:
        return " ".join(written)
    return content.patterns[language].join(written)
