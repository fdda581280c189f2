"""Queries: unordered compositions of an entity and one or two of its facts, split and judged.

A composition is a set of entities; its id is a hash of that set, so the order of names is nobody's identity.
The same compositions exist in every language. Only compositions that one passage states in full are used, so
a query always has a passage that holds all its names.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from harness.data.cldr import ENGLISH
from harness.data.draws import draw, share, short_id
from harness.data.names import Entity
from harness.data.passages import Passage
from studies.schema.evaluation import Split

Composition = tuple[str, ...]
"""Ids of one to three entities, sorted."""

# Shares of all compositions. A held-out share is drawn per composition, not per entity: names recur, sets
# never do.
TEST_SHARE = 0.10
VALIDATION_SHARE = 0.05

ABOUT = 2
"""Grade of a passage about an entity that the query names."""
MENTIONS = 1
"""Grade of any other passage that mentions at least two of the entities that the query names."""
FEWEST_MENTIONS = 2


@dataclass(frozen=True, kw_only=True)
class Query:
    """A composition as a query: ids of the names, whose facts they are, and the text in each language."""

    id: str
    names: Composition
    subject: str
    split: Split
    texts: Mapping[str, str]


def composition_id(composition: Iterable[str]) -> str:
    """The id of a set of entities, whatever the order it is given in."""
    return short_id("composition", *sorted(composition))


def ordered(composition: Iterable[str], *occasion: str) -> list[str]:
    """The entities in an order fixed by the composition and the occasion (a language, a side of a bitext)."""
    names = sorted(composition)
    return sorted(names, key=lambda name: draw("order", *occasion, *names, "", name))


def write_queries(
    entities: Sequence[Entity], passages: Sequence[Passage], languages: Sequence[str]
) -> tuple[Query, ...]:
    """All compositions that some passage states, in order of id, written in English and every language.

    Two compositions that read alike in some language, in any order, go to one split: the second to be met
    follows the first.
    """
    name_of = {entity.id: entity.names for entity in entities}
    splits: dict[tuple[str, frozenset[str]], Split] = {}
    queries: list[Query] = []
    for composition, subject in sorted(_compositions(passages).items(), key=lambda item: composition_id(item[0])):
        readings = [
            (language, frozenset(name_of[entity][language].casefold() for entity in composition))
            for language in (ENGLISH, *languages)
        ]
        alike = [splits[reading] for reading in readings if reading in splits]
        split = alike[0] if alike else _split(composition)
        if any(other is not split for other in alike):
            continue
        splits.update((reading, split) for reading in readings)
        texts = {
            language: " ".join(name_of[entity][language] for entity in ordered(composition, "query", language))
            for language in (ENGLISH, *languages)
        }
        queries.append(
            Query(id=composition_id(composition), names=composition, subject=subject, split=split, texts=texts)
        )
    return tuple(queries)


def judge(queries: Iterable[Query], passages: Sequence[Passage]) -> dict[str, dict[str, int]]:
    """Grades by query id and passage id; a passage without a grade is not relevant."""
    mentioned_by: dict[str, set[str]] = {}
    for passage in passages:
        for entity in passage.mentions:
            mentioned_by.setdefault(entity, set()).add(passage.id)
    qrels: dict[str, dict[str, int]] = {}
    for query in queries:
        counts: dict[str, int] = {}
        for entity in query.names:
            for passage_id in mentioned_by.get(entity, ()):
                counts[passage_id] = counts.get(passage_id, 0) + 1
        grades = {passage_id: MENTIONS for passage_id, count in sorted(counts.items()) if count >= FEWEST_MENTIONS}
        qrels[query.id] = grades | dict.fromkeys(query.names, ABOUT)
    return qrels


def _split(composition: Composition) -> Split:
    where = share("split", *composition)
    if where < TEST_SHARE:
        return Split.TEST
    return Split.VALIDATION if where < TEST_SHARE + VALIDATION_SHARE else Split.TRAIN


def _compositions(passages: Sequence[Passage]) -> dict[Composition, str]:
    """Every composition with its subject; where two passages state it, a draw picks between them."""
    subjects: dict[Composition, list[str]] = {}
    for passage in passages:
        for composition in _stated(passage):
            subjects.setdefault(composition, []).append(passage.id)
    return {
        composition: min(stating, key=lambda subject: draw("subject", *composition, "", subject))
        for composition, stating in subjects.items()
    }


def _stated(passage: Passage) -> Iterator[Composition]:
    for size in (1, 2):
        for objects in combinations(passage.mentions, size):
            yield tuple(sorted((passage.id, *objects)))
