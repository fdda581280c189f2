"""What the embedded collection consists of, and its form on disk: plain JSON with sorted keys."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from harness.data.cldr import ENGLISH
from harness.data.compositions import Query, write_queries
from harness.data.facts import Fact, Relation, facts_of
from harness.data.names import Entity, ListPattern, list_pattern, matched_entities
from harness.data.passages import Passage, write_passages
from studies.schema.evaluation import Split


@dataclass(frozen=True, kw_only=True)
class Content:
    """Entities, facts, passages and queries of one set of languages, all derived from CLDR."""

    languages: tuple[str, ...]
    patterns: Mapping[str, ListPattern]
    entities: tuple[Entity, ...]
    facts: tuple[Fact, ...]
    passages: tuple[Passage, ...]
    queries: tuple[Query, ...]

    @cached_property
    def name_of(self) -> Mapping[str, Mapping[str, str]]:
        """Names by entity id and language."""
        return {entity.id: entity.names for entity in self.entities}


def write_content(languages: Sequence[str]) -> Content:
    """Derive the content from the installed Babel; under a second for a dozen languages."""
    patterns = {language: list_pattern(language) for language in (ENGLISH, *languages)}
    entities = matched_entities(languages)
    facts = facts_of(entities)
    passages = write_passages(entities, facts, patterns[ENGLISH])
    return Content(
        languages=tuple(languages),
        patterns=patterns,
        entities=entities,
        facts=facts,
        passages=passages,
        queries=write_queries(entities, passages, languages),
    )


def canonical_json(value: object) -> str:
    """One spelling of a value of strings, numbers, lists and mappings: sorted keys, no spaces, no escapes."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def content_to_json(content: Content) -> str:
    """The content in its canonical spelling."""
    return canonical_json(asdict(content))


def content_from_json(text: str) -> Content:
    """Read what :func:`content_to_json` wrote."""
    data: dict[str, Any] = json.loads(text)
    return Content(
        languages=tuple(data["languages"]),
        patterns={language: ListPattern(**pattern) for language, pattern in data["patterns"].items()},
        entities=tuple(Entity(**row | {"folded": tuple(row["folded"])}) for row in data["entities"]),
        facts=tuple(Fact(**row | {"relation": Relation(row["relation"])}) for row in data["facts"]),
        passages=tuple(Passage(**row | {"mentions": tuple(row["mentions"])}) for row in data["passages"]),
        queries=tuple(
            Query(**row | {"names": tuple(row["names"]), "split": Split(row["split"])}) for row in data["queries"]
        ),
    )
