"""Which runs of a study version MLflow shows, and how: kept in storage, so that MLflow can be made from it alone.

A study declares more than its recipe says of a run (names, labels, which evaluation it asks for), old versions are
declared nowhere any more, and a search learns its runs as it goes.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from harness.delivery import Entry, Heading
from studies.schema.storage import Damaged, Storage, write_json_atomic

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Roster:
    """A study version as its parent run shows it, and its runs by key."""

    heading: Heading
    entries: Mapping[str, Entry]


def enter(storage: Storage, heading: Heading, entries: Sequence[Entry]) -> None:
    """Add runs to the roster of a study version; what was entered before keeps the revision of the code that did."""
    path = storage.roster(heading.name, heading.version)
    present = _read(storage, heading.name, heading.version) if path.exists() else Roster(heading=heading, entries={})
    merged = dict(present.entries)
    for entry in entries:
        known = merged.get(entry.key)
        merged[entry.key] = replace(entry, revision=known.revision if known else heading.revision)
    if merged != present.entries or not path.exists():
        write_json_atomic(
            path,
            {
                "schema": SCHEMA,
                "heading": asdict(present.heading),
                "entries": [asdict(entry) for entry in merged.values()],
            },
        )


def rosters(storage: Storage) -> Iterator[Roster]:
    """The rosters of every study version under a storage root."""
    for path in sorted(storage.studies().glob("*/shown/*.json")):
        yield _read(storage, path.parent.parent.name, path.stem)


def without_roster(storage: Storage) -> list[str]:
    """Study versions with a recorded recipe that were run before rosters were kept, as ``name version``."""
    recipes = sorted(storage.studies().glob("*/*.json"))
    return [f"{p.parent.name} {p.stem}" for p in recipes if not storage.roster(p.parent.name, p.stem).exists()]


def _read(storage: Storage, name: str, version: str) -> Roster:
    path = storage.roster(name, version)
    try:
        found = json.loads(path.read_bytes())
        entries = [Entry(**entry) for entry in found["entries"]]
        return Roster(heading=Heading(**found["heading"]), entries={entry.key: entry for entry in entries})
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(path, "the runs of a study version", repr(error)) from error
