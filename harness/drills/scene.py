"""Where a drill takes place: the study that nobody disturbed, and a copy of its beginning for each drill to spoil."""

import random
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.data.atlas import declare
from harness.drills.command import Command, DrillFailed, start_harness
from harness.drills.results import last_step
from harness.drills.tiny import LANGUAGES, STEPS, VOCABULARY, tiny_study, write_study
from studies.schema.lineage import embedded
from studies.schema.record import Role
from studies.schema.search import Search
from studies.schema.storage import Storage
from studies.schema.study import Point, Study, expand

SEED = 20261120
"""When to disturb: arbitrary, and the same every time."""

MARGIN = 20
"""A run is disturbed at least this many steps from its beginning and its end."""


class Skipped(RuntimeError):
    """A drill that this machine or this user cannot do; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Home:
    """A study that nobody disturbed: its declaration, the folder it is declared in, its storage, and what ran it."""

    study: Study
    studies: Path
    storage: Storage
    command: Command

    @property
    def revision(self) -> str:
        """The revision of the small collection with what is installed."""
        return embedded(self.study.base)[1].collection.revision


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What a drill has brought to an end: the points that MLflow has to show, and what they belong to.

    Where a point is one of the undisturbed study too, everything final of it has to be the same, but for the keys in
    ``failed``, which are the drill's own business. With ``is_near`` it has to be the same but for rounding, as sums
    over another number of workers have it (:mod:`harness.drills.nearness`).
    """

    study: Study | Search
    points: tuple[Point, ...]
    failed: frozenset[str] = frozenset()
    is_near: bool = False


@dataclass(frozen=True, kw_only=True)
class Drill:
    """One disturbance: ``promise`` is what has to hold, ``perform`` disturbs a study and brings it home."""

    name: str
    promise: str
    perform: Callable[["Scene"], Ended]


@dataclass(kw_only=True)
class Scene:
    """A storage root in which the students of the small study are still owed, and every command started over it."""

    home: Home
    folder: Path
    moments: random.Random
    commands: list[Command] = field(default_factory=list)
    clean_up: list[Callable[[], object]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.storage = Storage.at(self.folder / "storage")
        hand_on(self.home, self.storage)

    @property
    def students(self) -> list[str]:
        """Keys of the students, in the order in which they are trained."""
        return [point.key for point in expand(self.home.study) if point.role is Role.STUDENT]

    def start(
        self,
        *words: str,
        studies: Path | None = None,
        environment: Mapping[str, str] | None = None,
        inside: Sequence[str] = (),
    ) -> Command:
        """Start a command over this storage; without words, the run of the small study."""
        asked = words or ("run", "tiny")
        command = start_harness(
            self.storage, studies or self.home.studies, *asked, log=self._log(), environment=environment, inside=inside
        )
        self.commands.append(command)
        return command

    def start_beside(self, words: Sequence[str], environment: Mapping[str, str]) -> Command:
        """Start something else that the study needs."""
        command = Command(words, log=self._log(), environment=environment)
        self.commands.append(command)
        return command

    def declare(self, call: str, *, name: str = "tiny") -> Path:
        """A folder with a study or a search of this drill alone, declared by an expression."""
        folder = self.folder / "studies"
        folder.mkdir(exist_ok=True)
        write_study(folder, call, name=name)
        return folder

    def reach(self, command: Command, key: str, step: int | None = None) -> None:
        """Wait until a run has come to a step, by default to one at random; DrillFailed if it is over by then."""
        wanted = self.moments.randrange(MARGIN // 2, STEPS - MARGIN) if step is None else step
        command.wait_until(lambda: last_step(self.storage, key) >= wanted)
        if last_step(self.storage, key) >= STEPS:
            raise DrillFailed("the run ended before anything could be disturbed")

    def bring_home(self, command: Command | None = None) -> Ended:
        """Wait for a command, by default the same one started again, which has to finish the study."""
        command = command or self.start()
        if status := command.wait():
            raise DrillFailed(f"the command ended with status {status}:\n{command.output()}")
        return Ended(study=self.home.study, points=expand(self.home.study))

    def close(self) -> None:
        """End whatever still runs and undo what was done to the machine."""
        for command in self.commands:
            command.end()
        for undo in reversed(self.clean_up):
            undo()

    def _log(self) -> Path:
        return self.folder / f"{len(self.commands)}.log"


def go_home(folder: Path) -> Home:
    """Run the small study to its end in a new folder; DrillFailed when even that does not go well."""
    revision = declare(LANGUAGES, VOCABULARY).revision
    studies = folder / "studies"
    studies.mkdir(parents=True)
    write_study(studies, f"tiny_study({revision!r}, steps={STEPS})")
    storage = Storage.at(folder / "storage")
    command = start_harness(storage, studies, "run", "tiny")
    try:
        status = command.wait()
        left = command.left_behind()
    finally:
        command.end()
    if status or left:
        raise DrillFailed(
            f"the undisturbed study ended with status {status} and left {', '.join(left) or 'nothing'} behind:\n"
            f"{command.output()}"
        )
    return Home(study=tiny_study(revision, steps=STEPS), studies=studies, storage=storage, command=command)


def hand_on(home: Home, storage: Storage) -> None:
    """Copy an undisturbed storage as it was before its students: without them, its recipes and its MLflow."""
    students = {point.key for point in expand(home.study) if point.role is Role.STUDENT}
    gone = shutil.ignore_patterns("mlflow", "ray", "studies", *students)
    shutil.copytree(home.storage.root, storage.root, ignore=gone)


def check(holds: object, otherwise: str) -> None:
    """Raise DrillFailed with what was found instead."""
    if not holds:
        raise DrillFailed(otherwise)
