"""What a person sees while a study runs: a live table on a terminal, plain lines anywhere else."""

import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from harness.status import Phase, RunStatus, names, time_left

LINE_EVERY_SECONDS = 15.0
"""How often a plain line tells how far the running run is."""

REFRESH_PER_SECOND = 2.0

BAR_WIDTH = 12
NARROW_COLUMNS = 90
"""Below this width of the terminal the bars are left out, so that names stay readable."""

ROWS_AROUND_TABLE = 5
"""Lines of the terminal that are no run: heading, rule, the collapsed rest, the total, the cursor's."""

_STYLES = {
    Phase.PLANNED: "dim",
    Phase.RUNNING: "bold cyan",
    Phase.INTERRUPTED: "yellow",
    Phase.TO_EVALUATE: "blue",
    Phase.FINISHED: "green",
    Phase.FLAGGED: "yellow",
    Phase.FAILED: "bold red",
    Phase.PRUNED: "dim",
}

_FIRST_SHOWN = (
    Phase.RUNNING,
    Phase.FAILED,
    Phase.INTERRUPTED,
    Phase.TO_EVALUATE,
    Phase.FLAGGED,
    Phase.PLANNED,
    Phase.FINISHED,
    Phase.PRUNED,
)
"""What is kept in sight when not every run fits on the terminal."""


class View(Protocol):
    """Where the runner shows how far a study is."""

    def update(self, rows: Sequence[RunStatus]) -> None:
        """Show the present status of all runs; called about once a second."""
        ...

    def say(self, text: str) -> None:
        """Show one line that stays."""
        ...


@contextmanager
def open_view(console: Console | None = None) -> Iterator[View]:
    """A view on standard error: live on a terminal, plain lines elsewhere; the last table stays."""
    console = console or Console(stderr=True)
    if not console.is_terminal or console.is_dumb_terminal:
        yield PlainView(console)
        return
    # What others print to a terminal is moved above the table; what goes into a pipe is theirs.
    with Live(
        console=console,
        refresh_per_second=REFRESH_PER_SECOND,
        redirect_stdout=sys.stdout.isatty(),
        redirect_stderr=sys.stderr.isatty(),
        vertical_overflow="crop",
    ) as live:
        yield LiveView(console, live)


class LiveView:
    """A table that is redrawn in place."""

    def __init__(self, console: Console, live: Live) -> None:
        self._console = console
        self._live = live
        self._began = time.monotonic()
        self._changes = Changes()

    def update(self, rows: Sequence[RunStatus]) -> None:
        for line in self._changes.lines(rows, only=(Phase.FAILED, Phase.FLAGGED)):
            self.say(line)
        room = max(3, self._console.height - ROWS_AROUND_TABLE)
        elapsed = f"{clock(time.monotonic() - self._began)} elapsed"
        table = status_table(rows, width=self._console.width, room=room)
        self._live.update(Group(table, Text(f" {summary(rows)} · {elapsed}", style="bold")))

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False)


class PlainView:
    """One line when a run changes, one now and then for what is running."""

    def __init__(self, console: Console, now: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._now = now
        self._changes = Changes()
        self._last_line = -math.inf

    def update(self, rows: Sequence[RunStatus]) -> None:
        for line in self._changes.lines(rows, only=tuple(Phase)):
            self.say(line)
        running = [row for row in rows if row.phase is Phase.RUNNING]
        first = self._last_line == -math.inf
        if first or (running and self._now() - self._last_line >= LINE_EVERY_SECONDS):
            called = names([row.point for row in rows])
            paces = [f"{called[row.point.key]}: {pace(row)}" for row in running]
            self.say("; ".join([*paces, summary(rows)]))
            self._last_line = self._now()

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class Changes:
    """What became of runs since the last look; the first look finds no change."""

    def __init__(self) -> None:
        self._phases: dict[str, Phase] = {}

    def lines(self, rows: Sequence[RunStatus], *, only: Sequence[Phase]) -> list[str]:
        """One line for each run that entered one of the phases ``only``."""
        called = names([row.point for row in rows])
        entered = [row for row in rows if self._phases.get(row.point.key, row.phase) is not row.phase]
        self._phases = {row.point.key: row.phase for row in rows}
        return [f"{called[row.point.key]}: {outcome(row)}" for row in entered if row.phase in only]


def status_table(rows: Sequence[RunStatus], *, width: int, room: int | None = None) -> RenderableType:
    """Runs with step, loss, rate and time left, in at most ``room`` lines; the last one counts the rest."""
    called = names([row.point for row in rows])
    shown = _most_telling(rows, room)
    table = Table(box=None, pad_edge=True, padding=(0, 1), header_style="bold", expand=False)
    table.add_column("Run", no_wrap=True, overflow="ellipsis", min_width=20)
    table.add_column("State", no_wrap=True)
    bars = width >= NARROW_COLUMNS
    if bars:
        table.add_column("", width=BAR_WIDTH, no_wrap=True)
    for title in ("Step", "Loss", "Steps/s", "Left"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in shown:
        phase = row.phase
        bar = ProgressBar(total=row.steps, completed=row.step, width=BAR_WIDTH) if row.steps else ""
        table.add_row(
            Text(called[row.point.key], style="dim" if phase is Phase.PLANNED else ""),
            Text(phase, style=_STYLES[phase]),
            *([bar] if bars else []),
            f"{row.step}/{row.steps}" if row.steps else "",
            "" if row.loss is None else f"{row.loss:.4g}",
            "" if row.steps_per_second is None else f"{row.steps_per_second:.1f}",
            "" if row.seconds_left is None else clock(row.seconds_left),
        )
    hidden = [row for row in rows if row not in shown]
    return (
        Group(table, Text(f" and {_counts(hidden)}", style="dim", no_wrap=True, overflow="ellipsis"))
        if hidden
        else table
    )


def summary(rows: Sequence[RunStatus]) -> str:
    """The study in one line: runs done, what is wrong with any, and the time that is left."""
    done = [row for row in rows if row.phase in (Phase.FINISHED, Phase.FLAGGED)]
    parts = [f"{len(done)} of {len(rows)} runs done"]
    for phase in (Phase.FLAGGED, Phase.FAILED, Phase.INTERRUPTED, Phase.PRUNED):
        number = sum(row.phase is phase for row in rows)
        if number:
            parts.append(f"{number} {phase}")
    left = time_left(rows)
    if left is not None and left.seconds > 0:
        bound = "at least" if left.is_lower_bound else "about"
        parts.append(f"{bound} {clock(left.seconds)} of training left")
    return " · ".join(parts)


def outcome(row: RunStatus) -> str:
    """The phase of a run with what there is to say about it."""
    if row.phase is Phase.FAILED:
        return f"failed: {row.reason or 'no reason was recorded'}"
    if row.phase is Phase.PRUNED:
        return f"pruned: {row.reason or 'no reason was recorded'}"
    if row.phase is Phase.FLAGGED:
        return f"finished, flagged: {', '.join(row.flags)}"
    if row.phase is Phase.TO_EVALUATE and row.steps:
        return f"trained{'' if row.loss is None else f', loss {row.loss:.4g}'}; to be evaluated"
    return str(row.phase)


def pace(row: RunStatus) -> str:
    """Step, loss, rate and time left of a running run, as far as they are known."""
    parts = [f"step {row.step}/{row.steps}"]
    if row.loss is not None:
        parts.append(f"loss {row.loss:.4g}")
    if row.steps_per_second is not None and row.seconds_left is not None:
        parts += [f"{row.steps_per_second:.1f} steps/s", f"{clock(row.seconds_left)} left"]
    return ", ".join(parts)


def clock(seconds: float) -> str:
    """A duration as m:ss, h:mm:ss from an hour on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _most_telling(rows: Sequence[RunStatus], room: int | None) -> list[RunStatus]:
    """The rows to show, in the study's order."""
    if room is None or len(rows) <= room:
        return list(rows)
    ranked = sorted(range(len(rows)), key=lambda place: (_FIRST_SHOWN.index(rows[place].phase), place))
    return [rows[place] for place in sorted(ranked[: room - 1])]


def _counts(rows: Sequence[RunStatus]) -> str:
    counted = Counter(row.phase for row in rows)
    return ", ".join(f"{counted[phase]} {phase}" for phase in Phase if counted[phase])
