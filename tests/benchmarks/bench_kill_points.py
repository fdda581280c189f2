"""Kills at random moments: how many of N disturbed studies end as the undisturbed one does, bit for bit.

``python -m tests.benchmarks.bench_kill_points [N] [SEED]`` (100 and 20261120 without). A part of a small study is
killed at a moment drawn uniformly from the time that an undisturbed one takes: the driver with everything below it,
the driver alone, one train worker, or the tracking server, as soon as it is there. Then the same command is given until
it ends well, and what it left is compared as ``python -m harness drill`` compares. The ratio printed last is of equal
outcomes to all.
"""

import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from harness.drills.command import POLL_SECONDS, Command, DrillFailed
from harness.drills.perform import compare
from harness.drills.scene import SEED, Ended, Home, Scene, go_home
from harness.mlflow_server import members, read_record
from studies.schema.storage import Storage

DEFAULT_NUMBER = 100
ATTEMPTS = 3
"""How often the command is given at most; one more than a single kill should need."""


def kill_all(command: Command, storage: Storage, moments: random.Random) -> bool:
    command.end()
    return True


def kill_driver(command: Command, storage: Storage, moments: random.Random) -> bool:
    command.kill()
    return True


def kill_worker(command: Command, storage: Storage, moments: random.Random) -> bool:
    """One rank; none lives between two groups and at the end of a study."""
    workers = command.train_workers()
    if workers:
        moments.choice(workers).kill()
    return bool(workers)


def kill_server(command: Command, storage: Storage, moments: random.Random) -> bool:
    """One of the tracking server's processes, its supervisor too."""
    record = read_record(storage)
    group = members(record) if record else ()
    victims = [process for process in command.living() if process.pid in group]
    if victims:
        moments.choice(victims).kill()
    return bool(victims)


Kill = Callable[[Command, Storage, random.Random], bool]

VICTIMS: dict[str, Kill] = {
    "driver and all below": kill_all,
    "driver": kill_driver,
    "worker": kill_worker,
    "tracking server": kill_server,
}


def disturb(home: Home, folder: Path, victim: str, after: float, moments: random.Random) -> tuple[bool, list[str]]:
    """Kill once, bring home; says whether there was anything to kill, and what differs."""
    scene = Scene(home=home, folder=folder, moments=moments)
    try:
        command = scene.start()
        deadline = time.monotonic() + after
        while command.is_running and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        hit = False
        while command.is_running and not (hit := VICTIMS[victim](command, scene.storage, moments)):
            time.sleep(POLL_SECONDS)
        ended = bring_home(scene, command)
        return hit, [f"{aspect}: {what}" for aspect, wrong in compare(scene, ended).items() for what in wrong]
    except DrillFailed as failure:
        return True, [str(failure)]
    finally:
        scene.close()


def bring_home(scene: Scene, command: Command) -> Ended:
    for _ in range(ATTEMPTS - 1):
        if command.wait() == 0:
            break
        command = scene.start()
    return scene.bring_home(command)


def main(number: int, seed: int) -> None:
    folder, moments = Path(tempfile.mkdtemp(prefix="harness-kills-")), random.Random(seed)
    home = go_home(folder / "home")
    # What a drill hands on lacks only the students, so a disturbed study takes about as long as this one.
    rehearsal = Scene(home=home, folder=folder / "rehearsal", moments=moments)
    began = time.monotonic()
    rehearsal.bring_home()
    whole = time.monotonic() - began
    rehearsal.close()
    counts = {victim: [0, 0, 0] for victim in VICTIMS}
    for place in range(number):
        victim, after = moments.choice(list(VICTIMS)), moments.uniform(0.0, whole)
        hit, wrong = disturb(home, folder / str(place), victim, after, moments)
        counts[victim][0] += 1
        counts[victim][1] += hit
        counts[victim][2] += not wrong
        said = "\n  ".join(["equal" if not wrong else "DIFFERENT", *wrong])
        there = "" if hit else " (nothing there)"
        print(f"{place + 1}/{number}: {victim} after {after:.1f} of {whole:.1f} s{there}: {said}")
        if not wrong:
            shutil.rmtree(folder / str(place))
    Console().print(drawn(counts))
    equal, asked = (sum(row[place] for row in counts.values()) for place in (2, 0))
    print(f"equal outcomes {equal} of {asked}: {equal / asked:.2f}")
    if equal == asked:
        shutil.rmtree(folder)
    else:
        sys.exit(f"what differs is kept in {folder}")


def drawn(counts: dict[str, list[int]]) -> Table:
    table = Table(box=None, padding=(0, 1))
    for column in ("Killed", "Times", "Hit", "Equal"):
        table.add_column(column, justify="left" if column == "Killed" else "right")
    for victim, row in counts.items():
        table.add_row(victim, *map(str, row))
    return table


if __name__ == "__main__":
    words = [int(word) for word in sys.argv[1:]]
    main(*(words + [DEFAULT_NUMBER, SEED][len(words) :]))
