"""Where the time between two runs goes, in a study and in a search: python -m tests.benchmarks.bench_overhead [N]

Overhead is wall time less training loop and evaluation. N trials (6 without) and six runs of a study, all of one small
student, are trained one after another on two workers; the search has its teacher from the study. In a study evaluations
run beside the next training, a trial waits for its own. All is read off storage while it is written: when a trial
enters the ledger, a run first says that it runs, its state is final, its evaluation is published.
"""

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from rich.console import Console
from rich.table import Table

from harness.data.atlas import declare
from harness.drills.command import Command, start_harness
from harness.drills.scene import Home, hand_on
from harness.drills.tiny import (
    EXECUTION,
    LANGUAGES,
    STEPS,
    VOCABULARY,
    point_of_tiny,
    search_around,
    tiny_study,
    write_study,
)
from harness.evaluation_key import key_of
from studies.schema.record import Role, State
from studies.schema.search import Search
from studies.schema.state import read_state
from studies.schema.storage import Storage, read_manifest
from studies.schema.study import Point, Study, expand
from studies.schema.trials import points_of

DEFAULT_NUMBER = 6
RATES = ((16, 6e-3), (32, 6e-3), (64, 6e-3))
POLL_SECONDS = 0.02


@dataclass(kw_only=True)
class Seen:
    """When what happened to a run, on the monotonic clock; ``loop`` is how many seconds its training loop took."""

    asked: float = 0.0
    begun: float = 0.0
    final: float = 0.0
    evaluated: float = 0.0
    loop: float = 0.0


def watch(command: Command, storage: Storage, asked: Study | Search, points: Callable[[], list[Point]]) -> list[Seen]:
    """Look at storage until a command ends; its students in the order in which they were asked for."""
    seen: dict[str, Seen] = {}
    while command.is_running:
        now = time.monotonic()
        for point in points():
            run = seen.setdefault(point.key, Seen(asked=now))
            if not run.evaluated:
                look(run, now, storage, asked, point)
        time.sleep(POLL_SECONDS)
    if command.wait():
        sys.exit(command.output())
    return list(seen.values())


def look(run: Seen, now: float, storage: Storage, asked: Study | Search, point: Point) -> None:
    """Note what has happened to a run since it was last looked at."""
    found = read_state(storage, point.key)
    if not run.begun and found.state is not State.PLANNED:
        run.begun = now
    if not run.final and found.state.has_result:
        run.final, run.loop = now, found.facts["seconds"]
    published = storage.evaluation(point.key, key_of(point.run, asked.evaluation))
    if run.final and read_manifest(published, verify=False) is not None:
        run.evaluated = now


def of_study(home: Home) -> dict[str, list[float]]:
    """Seconds of each run of a study but the last, by what they went into."""
    students = [point for point in expand(home.study) if point.role is Role.STUDENT]
    runs = sorted(watch(home.command, home.storage, home.study, lambda: students), key=lambda run: run.begun)
    pairs = list(pairwise(runs))
    return {
        "overhead": [after.begun - run.begun - run.loop for run, after in pairs],
        "of it: data, model, engine, publication": [run.final - run.begun - run.loop for run, _ in pairs],
        "of it: until the next one begins": [after.begun - run.final for run, after in pairs],
        "training loop": [run.loop for run, _ in pairs],
    }


def of_search(command: Command, storage: Storage, search: Search) -> dict[str, list[float]]:
    """Seconds of each trial but the last, by what they went into."""
    runs = watch(command, storage, search, lambda: list(points_of(search, storage)[1:]))
    pairs = list(pairwise(runs))
    return {
        "overhead": [after.asked - run.asked - run.loop - (run.evaluated - run.final) for run, after in pairs],
        "of it: until its training begins": [run.begun - run.asked for run, _ in pairs],
        "of it: data, model, engine, publication": [run.final - run.begun - run.loop for run, _ in pairs],
        "of it: until the next one is asked for": [after.asked - run.evaluated for run, after in pairs],
        "training loop": [run.loop for run, _ in pairs],
        "evaluation": [run.evaluated - run.final for run, _ in pairs],
    }


def main(number: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix="harness-overhead-"))
    revision = declare(LANGUAGES, VOCABULARY).revision
    studies, storage = folder / "studies", Storage.at(folder / "storage")
    studies.mkdir()
    write_study(studies, f"tiny_study({revision!r}, steps={STEPS}, rates={RATES})")
    study = tiny_study(revision, steps=STEPS, rates=RATES)
    home = Home(study=study, studies=studies, storage=storage, command=start_harness(storage, studies, "run", "tiny"))
    show("a run of a study", timed(home.command, lambda: of_study(home)))

    first = next(point for point in expand(study) if point.role is Role.STUDENT)
    changed = f"trials={number}, halving=None, execution=EXECUTION"
    write_study(
        studies,
        f"replace(search_around(point_of_tiny({revision!r}, {first.key!r})), {changed})",
        name="search_around",
    )
    search = replace(
        search_around(point_of_tiny(revision, first.key)), trials=number, halving=None, execution=EXECUTION
    )
    beside = Storage.at(folder / "beside")
    hand_on(home, beside)
    command = start_harness(beside, studies, "search", "search_around")
    show("a trial of a search", timed(command, lambda: of_search(command, beside, search)))
    shutil.rmtree(folder)


def timed(command: Command, measure: Callable[[], dict[str, list[float]]]) -> dict[str, list[float]]:
    """What was measured of a command, which is ended whatever happens; says how busy the machine is."""
    print(f"load {os.getloadavg()[0]:.1f} before,", end=" ", flush=True)
    try:
        found = measure()
    finally:
        command.end()
    print(f"{os.getloadavg()[0]:.1f} after")
    return found


def show(title: str, found: dict[str, list[float]]) -> None:
    table = Table(title=f"{title}, seconds", box=None, padding=(0, 1), title_justify="left")
    for column in ("", "median", "each"):
        table.add_column(column, justify="right" if column == "median" else "left")
    for name, values in found.items():
        table.add_row(name, f"{statistics.median(values):.1f}", " ".join(f"{value:.1f}" for value in values))
    Console(width=120).print(table)


if __name__ == "__main__":
    main(*([int(word) for word in sys.argv[1:]] or [DEFAULT_NUMBER]))
