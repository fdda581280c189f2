"""The state of a run: what was written is read, whole or as damage."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.schema.record import Flag, State
from studies.schema.state import RunState, read_state, write_state
from studies.schema.storage import Damaged, Storage

KEY = "0123456789abcdef"


def test_run_without_a_directory_is_planned(storage: Path) -> None:
    assert read_state(Storage.at(storage), KEY) == RunState()
    assert RunState().state is State.PLANNED
    assert not list(storage.iterdir())


@given(
    state=st.sampled_from(State),
    reason=st.none() | st.text(),
    flags=st.lists(st.sampled_from([*Flag]), unique=True),
    facts=st.dictionaries(st.text(), st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()),
)
def test_state_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory,
    state: State,
    reason: str | None,
    flags: list[str],
    facts: dict[str, object],
) -> None:
    storage = Storage.at(tmp_path_factory.getbasetemp() / "states")
    write_state(storage, KEY, state, reason=reason, flags=flags, facts=facts)
    assert read_state(storage, KEY) == RunState(state=state, reason=reason, flags=tuple(flags), facts=facts)


def test_state_is_replaced_whole(storage: Path) -> None:
    place = Storage.at(storage)
    write_state(place, KEY, State.FAILED, reason="no memory", flags=["still_improving"], facts={"seconds": 1.5})
    write_state(place, KEY, State.PLANNED)
    assert read_state(place, KEY) == RunState()
    assert [path.name for path in place.run(KEY).iterdir()] == ["state.json"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "null",
        "[]",
        '{"schema": 1, "state": "finished"}',
        '{"schema": 1, "state": "perfect", "reason": null, "flags": [], "facts": {}}',
        '{"schema": 1, "state": "failed", "reason": null, "flags": null, "facts": {}}',
    ],
)
def test_state_that_is_none_of_ours_is_damage_naming_the_file(storage: Path, content: str) -> None:
    place = Storage.at(storage)
    write_state(place, KEY, State.RUNNING)
    place.state(KEY).write_text(content)
    with pytest.raises(Damaged, match=str(place.state(KEY))):
        read_state(place, KEY)


def test_number_that_json_has_not_is_never_written(storage: Path) -> None:
    place = Storage.at(storage)
    write_state(place, KEY, State.RUNNING)
    with pytest.raises(ValueError, match="JSON"):
        write_state(place, KEY, State.FINISHED, facts={"loss": float("nan")})
    assert json.loads(place.state(KEY).read_text())["state"] == "running"
