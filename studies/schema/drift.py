"""How a recipe differs from the one recorded under the same version."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

ABSENT = "(absent)"
SHOWN_CHANGES = 12


@dataclass(frozen=True, kw_only=True)
class Change:
    """One field of a recipe that differs: dotted path, recorded value, present value (as JSON, or ABSENT)."""

    path: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.path}: {self.old} -> {self.new}"


class RecipeChanged(ValueError):
    """A study's recipe differs from the one recorded under the same version; ``changes`` names each field."""

    def __init__(self, study: str, version: str, changes: tuple[Change, ...]) -> None:
        self.changes = changes
        shown = "".join(f"\n  {change}" for change in changes[:SHOWN_CHANGES])
        more = f"\n  ... and {len(changes) - SHOWN_CHANGES} more" if len(changes) > SHOWN_CHANGES else ""
        super().__init__(
            f"study {study} version {version} was recorded with another recipe:{shown}{more}\n"
            "raise the study's version, or restore the fields"
        )


def differences(recorded: Mapping[str, Any], present: Mapping[str, Any]) -> tuple[Change, ...]:
    """Every leaf that differs between two JSON objects."""
    return tuple(_changes("", recorded, present))


def _changes(path: str, old: Any, new: Any) -> Iterator[Change]:
    """Every leaf that differs. JSON spelling decides: 1 and 1.0, or 0 and false, differ as they do in a key."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            inner = f"{path}.{name}" if path else name
            if name not in old or name not in new:
                yield Change(path=inner, old=_spell(old, name), new=_spell(new, name))
            else:
                yield from _changes(inner, old[name], new[name])
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _changes(f"{path}[{index}]", before, after)
    elif json.dumps(old) != json.dumps(new):
        yield Change(path=path, old=json.dumps(old), new=json.dumps(new))


def _spell(mapping: Mapping[str, Any], name: str) -> str:
    return json.dumps(mapping[name]) if name in mapping else ABSENT
