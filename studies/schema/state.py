"""How far a run has come, as its directory says: one small file, replaced whole."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from studies.schema.record import State
from studies.schema.storage import Damaged, Storage, write_json_atomic

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class RunState:
    """A run's state; ``reason`` says in words why it failed, ``flags`` name stated defects, ``facts`` are counts."""

    state: State = State.PLANNED
    reason: str | None = None
    flags: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


def read_state(storage: Storage, key: str) -> RunState:
    """The state of a run; planned when nothing was ever written. Raises Damaged when the file is none of ours."""
    path = storage.state(key)
    try:
        found = json.loads(path.read_text())
        return RunState(
            state=State(found["state"]), reason=found["reason"], flags=tuple(found["flags"]), facts=found["facts"]
        )
    except FileNotFoundError:
        return RunState()
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(path, "a run's state", repr(error)) from error


def write_state(
    storage: Storage,
    key: str,
    state: State,
    *,
    reason: str | None = None,
    flags: Sequence[str] = (),
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Replace the state of a run; only whoever holds the run's lease may call this."""
    write_json_atomic(
        storage.state(key),
        {"schema": SCHEMA, "state": state.value, "reason": reason, "flags": list(flags), "facts": dict(facts or {})},
    )
