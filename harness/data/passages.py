"""One English passage per entity, from its facts, by templates that a draw on the entity chooses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.data.cldr import ENGLISH
from harness.data.draws import draw, share
from harness.data.facts import Fact, Relation, cities_of
from harness.data.names import Entity, ListPattern

# Share of passages that teacher training never sees, so that retrieval of unseen passages can be read apart.
HELD_OUT_SHARE = 0.1

OPENINGS = {
    "territory": ("{name} is a part of the world.", "This page describes {name}.", "About {name}, a place."),
    "currency": ("{name} is a kind of money.", "This page describes {name}.", "About {name}, a currency."),
    "language": (
        "{name} is a language.",
        "This page describes {name}.",
        "About {name}, a tongue people speak.",
    ),
    "script": ("{name} is a way of writing.", "This page describes {name}.", "About {name}, a script."),
}
SENTENCES = {
    Relation.PAYS_IN: ("People in {name} pay with {objects}.", "The money of {name}: {objects}."),
    Relation.PAID_IN: ("In earlier years {name} used {objects}.", "Money once used in {name}: {objects}."),
    Relation.SPEAKS: ("In {name} one hears {objects}.", "Most people in {name} speak {objects}."),
    Relation.MONEY_OF: ("One pays with {name} in {objects}.", "{name} is accepted in {objects}."),
    Relation.FORMER_MONEY_OF: (
        "{name} was once used in {objects}.",
        "One used to pay with {name} in {objects}.",
    ),
    Relation.SPOKEN_IN: ("{name} is spoken in {objects}.", "Speakers of {name} live in {objects}."),
    Relation.WRITTEN_IN: (
        "{name} is written with {objects} letters.",
        "Texts in {name} use {objects} signs.",
    ),
    Relation.SCRIPT_OF: ("{name} letters serve for {objects}.", "With {name} signs one writes {objects}."),
}
CLOCKS = ("Its clocks follow {objects}.", "The time is that of {objects}.")


@dataclass(frozen=True, kw_only=True)
class Passage:
    """An English text about one entity, whose id it has; ``mentions`` are ids of the others it names."""

    id: str
    text: str
    mentions: tuple[str, ...]
    held_out: bool


def write_passages(entities: Sequence[Entity], facts: Sequence[Fact], english_list: ListPattern) -> tuple[Passage, ...]:
    """One passage per entity, in the entities' order."""
    names = {entity.id: entity.names[ENGLISH] for entity in entities}
    by_subject: dict[str, dict[Relation, list[str]]] = {entity.id: {} for entity in entities}
    for fact in facts:
        by_subject[fact.subject].setdefault(fact.relation, []).append(fact.object)
    return tuple(
        Passage(
            id=entity.id,
            text=_write(entity, by_subject[entity.id], names, english_list),
            mentions=tuple(other for objects in by_subject[entity.id].values() for other in objects),
            held_out=share("held out", entity.id) < HELD_OUT_SHARE,
        )
        for entity in entities
    )


def _write(
    entity: Entity,
    objects: Mapping[Relation, Sequence[str]],
    names: Mapping[str, str],
    english_list: ListPattern,
) -> str:
    def say(templates: Sequence[str], about: str, listed: Sequence[str]) -> str:
        template = templates[draw("template", entity.id, about) % len(templates)]
        return template.format(name=names[entity.id], objects=english_list.join(listed) if listed else "")

    opening = say(OPENINGS[entity.kind], "opening", ())
    sentences = [say(SENTENCES[relation], relation, [names[o] for o in objects[relation]]) for relation in objects]
    cities = cities_of(entity)
    if cities:
        sentences.append(say(CLOCKS, "clocks", cities))
    sentences.sort(key=lambda sentence: draw("sentence", entity.id, sentence))
    return " ".join([opening, *sentences])
