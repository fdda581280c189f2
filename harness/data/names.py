"""The matched set: things with a name of their own in every declared language, English included."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.data.cldr import ENGLISH, ROOT, Tables, lineage, own_tables

__all__ = ["ENGLISH", "TABLES", "Entity", "ListPattern", "list_pattern", "matched_entities"]

# Kind of entity -> table of a CLDR locale. Where two entities share one English name the earlier kind keeps
# it.
TABLES = {
    "territory": "territories",
    "currency": "currency_names",
    "language": "languages",
    "script": "scripts",
}

# Codes that name no thing of the world: placeholders for "unknown" and "none", and locales for testing
# software.
PLACEHOLDERS = {
    "territory": {"XA", "XB", "ZZ", "QO"},
    "currency": {"XXX", "XTS"},
    "language": {"und", "mul", "mis", "zxx"},
    "script": {"Zinh", "Zxxx", "Zyyy", "Zzzz"},
}


@dataclass(frozen=True, kw_only=True)
class Entity:
    """A territory, currency, language or script, with its name in English and in every declared language.

    ``folded`` lists other entities that have the same English name (Arabic the script under Arabic the
    language): in English they cannot be told apart, so they are one entity and their facts are pooled.
    """

    id: str
    names: Mapping[str, str]
    folded: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """``territory``, ``currency``, ``language`` or ``script``."""
        return self.id.partition(":")[0]

    def is_cognate(self, language: str) -> bool:
        """Whether the name in ``language`` is, letter for letter, the English one."""
        return self.names[language] == self.names[ENGLISH]


@dataclass(frozen=True, kw_only=True)
class ListPattern:
    """How a language strings names together, as CLDR's four templates of a standard list."""

    pair: str
    start: str
    middle: str
    end: str

    def join(self, names: Sequence[str]) -> str:
        """One list of the names in the given order; a single name is itself."""
        if len(names) == 1:
            return names[0]
        if len(names) == 2:
            return self.pair.format(*names)
        text = self.end.format(names[-2], names[-1])
        for name in reversed(names[1:-2]):
            text = self.middle.format(name, text)
        return self.start.format(names[0], text)


def matched_entities(languages: Sequence[str]) -> tuple[Entity, ...]:
    """Every entity that has a name of its own in English and in all the languages, in a fixed order."""
    chains = {language: tuple(lineage(language)) for language in (ENGLISH, *languages)}
    matched: dict[str, Entity] = {}
    folded: dict[str, list[str]] = {}
    for kind, table in TABLES.items():
        for code in sorted(str(code) for code in chains[ENGLISH][0][table]):
            names = {language: _own_name(chain, table, code) for language, chain in chains.items()}
            found = {language: name for language, name in names.items() if name is not None}
            if code in PLACEHOLDERS[kind] or len(found) < len(names):
                continue
            english = found[ENGLISH].casefold()
            if english in matched:
                folded.setdefault(english, []).append(f"{kind}:{code}")
            else:
                matched[english] = Entity(id=f"{kind}:{code}", names=found)
    return tuple(
        Entity(id=entity.id, names=entity.names, folded=tuple(folded.get(english, ())))
        for english, entity in matched.items()
    )


def list_pattern(language: str) -> ListPattern:
    """The language's standard list; templates it does not state (a plain comma) are CLDR's root locale's."""
    parts: dict[str, str] = {}
    for table in (*lineage(language), own_tables(ROOT)):
        for part, template in table.get("list_patterns", {}).get("standard", {}).items():
            parts.setdefault(part, template)
    return ListPattern(pair=parts["2"], start=parts["start"], middle=parts["middle"], end=parts["end"])


def _own_name(chain: Sequence[Tables], table: str, code: str) -> str | None:
    for data in chain:
        name: str | None = data.get(table, {}).get(code)
        if name:
            return None if name == code else name
    return None
