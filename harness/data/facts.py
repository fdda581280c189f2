"""What CLDR says of the matched entities: money, languages by population, scripts, clocks."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from babel.core import get_global

from harness.data.cldr import ENGLISH, own_tables
from harness.data.draws import draw
from harness.data.names import Entity

# Objects named per subject and relation: enough to compose queries, few enough that a passage stays a
# passage.
MOST_OBJECTS = 4
MOST_CITIES = 2


class Relation(StrEnum):
    """How a fact ties its subject to its object; each is stated in the subject's passage."""

    PAYS_IN = "pays in"
    PAID_IN = "paid in"
    SPEAKS = "speaks"
    MONEY_OF = "money of"
    FORMER_MONEY_OF = "former money of"
    SPOKEN_IN = "spoken in"
    WRITTEN_IN = "written in"
    SCRIPT_OF = "script of"


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One relation between two matched entities, by their ids."""

    subject: str
    relation: Relation
    object: str


def facts_of(entities: Sequence[Entity]) -> tuple[Fact, ...]:
    """All facts, grouped by subject in the entities' order; a subject never has the same object twice."""
    known = {alias: entity.id for entity in entities for alias in (entity.id, *entity.folded)}
    ranked: dict[tuple[str, Relation], list[tuple[float, str]]] = defaultdict(list)
    for weight, subject, relation, target in (*_money(), *_tongues(), *_scripts(known)):
        if subject in known and target in known:
            ranked[known[subject], relation].append((weight, known[target]))
    facts: list[Fact] = []
    for entity in entities:
        taken = {entity.id}
        for relation in Relation:
            objects = _leading(entity.id, ranked.get((entity.id, relation), ()), taken)
            taken.update(objects)
            facts += [Fact(subject=entity.id, relation=relation, object=target) for target in objects]
    return tuple(facts)


def cities_of(entity: Entity) -> tuple[str, ...]:
    """English names of the cities that name a territory's time zones; none for anything larger."""
    kind, _, code = entity.id.partition(":")
    if kind != "territory" or code.isdigit():
        return ()
    exemplars = own_tables(ENGLISH)["time_zones"]
    zones = get_global("territory_zones").get(code, ())
    cities = {exemplars.get(zone, {}).get("city") or zone.rpartition("/")[2].replace("_", " ") for zone in zones}
    return tuple(sorted(cities, key=lambda city: draw("city", entity.id, city))[:MOST_CITIES])


def _leading(subject: str, ranked: Iterable[tuple[float, str]], taken: set[str]) -> list[str]:
    """The heaviest objects not yet taken, equal weights in the order of a draw."""
    order = sorted(set(ranked), key=lambda pair: (-pair[0], draw("object", subject, pair[1])))
    return list(dict.fromkeys(target for _, target in order if target not in taken))[:MOST_OBJECTS]


def _money() -> Iterable[tuple[float, str, Relation, str]]:
    for territory, uses in get_global("territory_currencies").items():
        for code, _, end, tender in uses:
            if tender:
                forward, back = (
                    (Relation.PAYS_IN, Relation.MONEY_OF)
                    if end is None
                    else (Relation.PAID_IN, Relation.FORMER_MONEY_OF)
                )
                yield 1.0, f"territory:{territory}", forward, f"currency:{code}"
                yield 1.0, f"currency:{code}", back, f"territory:{territory}"


def _tongues() -> Iterable[tuple[float, str, Relation, str]]:
    for territory, languages in get_global("territory_languages").items():
        for code, use in languages.items():
            percent = use["population_percent"]
            yield percent, f"territory:{territory}", Relation.SPEAKS, f"language:{code}"
            yield percent, f"language:{code}", Relation.SPOKEN_IN, f"territory:{territory}"


def _scripts(known: Mapping[str, str]) -> Iterable[tuple[float, str, Relation, str]]:
    likely = get_global("likely_subtags")
    for alias in known:
        kind, _, code = alias.partition(":")
        if kind == "language" and code in likely:
            script = likely[code].split("_")[1]
            yield 1.0, alias, Relation.WRITTEN_IN, f"script:{script}"
            yield 1.0, f"script:{script}", Relation.SCRIPT_OF, alias
