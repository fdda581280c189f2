"""What a person is shown: enough, never too much, and the same facts on a terminal and in a log."""

import io
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from harness.progress import LINE_EVERY_SECONDS, PlainView, clock, open_view, status_table, summary
from harness.status import Phase, RunStatus, names, statuses, steps_of
from studies.schema.record import State
from studies.schema.storage import Storage
from studies.schema.study import expand
from tests.harness.small_study import leave_evaluation, leave_weights, small_study

STUDY = small_study()
POINTS = expand(STUDY)
CALLED = names(POINTS)


def row_in(place: int, phase: Phase) -> RunStatus:
    """A run of the small study in a given phase."""
    point = POINTS[place]
    done = phase in (Phase.FINISHED, Phase.FLAGGED, Phase.TO_EVALUATE)
    steps = steps_of(point.run)
    state = {Phase.TO_EVALUATE: State.FINISHED, Phase.INTERRUPTED: State.RUNNING}.get(phase) or State(phase)
    return RunStatus(
        point=point,
        state=state,
        step=steps if done else steps // 3,
        steps=steps,
        loss=0.123,
        steps_per_second=20.0 if phase is Phase.RUNNING else None,
        seconds_left=30.0 if phase is Phase.RUNNING else None,
        flags=("still_improving",) if phase is Phase.FLAGGED else (),
        reason="no number" if phase is Phase.FAILED else None,
        evaluated=phase in (Phase.FINISHED, Phase.FLAGGED),
        held=phase is Phase.RUNNING,
        seconds=30.0 if done and steps else None,
    )


@st.composite
def studies_underway(draw: st.DrawFn) -> tuple[RunStatus, ...]:
    phases = draw(st.lists(st.sampled_from(list(Phase)), min_size=len(POINTS), max_size=len(POINTS)))
    return tuple(row_in(place, phase) for place, phase in enumerate(phases))


def rendered(rows: Sequence[RunStatus], *, width: int, room: int | None) -> list[str]:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    with console.capture() as capture:
        console.print(status_table(rows, width=width, room=room))
    return capture.get().splitlines()


@given(rows=studies_underway(), room=st.integers(1, 30), width=st.integers(100, 200))
def test_table_fits_its_room_and_accounts_for_every_run(rows: tuple[RunStatus, ...], room: int, width: int) -> None:
    heading, *lines = rendered(rows, width=width, room=room)
    assert heading.split()[0] == "Run"
    assert len(lines) <= room
    hidden = 0
    if lines[-1].startswith(" and "):
        hidden = sum(int(word) for word in lines.pop().split() if word.isdigit())
    assert len(lines) + hidden == len(rows)


@given(rows=studies_underway())
def test_table_without_a_limit_shows_every_name_and_phase(rows: tuple[RunStatus, ...]) -> None:
    lines = rendered(rows, width=160, room=None)[1:]
    for row, line in zip(rows, lines, strict=True):
        assert CALLED[row.point.key] in line
        assert row.phase in line


@given(rows=studies_underway(), room=st.integers(2, 10))
def test_running_runs_are_hidden_only_by_other_running_runs(rows: tuple[RunStatus, ...], room: int) -> None:
    shown = "\n".join(rendered(rows, width=160, room=room))
    running = [row for row in rows if row.phase is Phase.RUNNING]
    seen = sum(f"{CALLED[row.point.key]} " in shown for row in running)
    assert seen == (len(running) if len(rows) <= room else min(len(running), room - 1))


def plain_lines(moments: Sequence[tuple[float, Sequence[RunStatus]]]) -> list[str]:
    """What a plain view says when it is shown rows at given seconds."""
    stream, now = io.StringIO(), 0.0
    view = PlainView(Console(file=stream, width=40), lambda: now)
    for moment, rows in moments:
        now = moment
        view.update(rows)
    return stream.getvalue().splitlines()


@given(before=studies_underway(), after=studies_underway())
def test_plain_view_says_each_change_once_and_in_one_line(
    before: tuple[RunStatus, ...], after: tuple[RunStatus, ...]
) -> None:
    changed = [new for old, new in zip(before, after, strict=True) if old.phase is not new.phase]
    first, *lines = plain_lines([(0.0, before), (1.0, after), (2.0, after)])
    assert summary(before) in first
    assert [line.partition(": ")[0] for line in lines] == [CALLED[row.point.key] for row in changed]


def test_plain_view_tells_of_a_running_run_now_and_then() -> None:
    rows = [row_in(len(POINTS) - 1, Phase.RUNNING)]
    step = LINE_EVERY_SECONDS / 5
    lines = plain_lines([(step * count, rows) for count in range(11)])
    assert len(lines) == 3
    assert all(f"step {rows[0].step}/{rows[0].steps}, loss 0.123, 20.0 steps/s, 0:30 left" in line for line in lines)


def test_view_outside_a_terminal_writes_no_control_codes(storage: Path) -> None:
    stream = io.StringIO()
    with open_view(Console(file=stream)) as view:
        view.update(statuses(STUDY, Storage.at(storage)))
        view.say("[b]as it is[/b]")
    assert "\x1b" not in stream.getvalue()
    assert stream.getvalue().endswith("[b]as it is[/b]\n")


def test_view_on_a_terminal_leaves_its_last_table(storage: Path) -> None:
    place, stream = Storage.at(storage), io.StringIO()
    console = Console(file=stream, force_terminal=True, width=120, height=40, _environ={"TERM": "xterm"})
    with open_view(console) as view:
        for point in POINTS:
            leave_weights(place, point)
            leave_evaluation(place, STUDY, point)
            view.update(statuses(STUDY, place))
    last = stream.getvalue().split("Run ")[-1]
    assert all(name in last for name in CALLED.values())
    assert f"{len(POINTS)} of {len(POINTS)} runs done" in last


@given(seconds=st.integers(0, 10**6))
def test_clock_can_be_read_back(seconds: int) -> None:
    parts = [int(part) for part in clock(seconds).split(":")]
    assert sum(part * 60**place for place, part in enumerate(reversed(parts))) == seconds
