"""Machines that are taken away while an elastic run trains on them: without a word, and after notice."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from harness.drills.command import LEAVE_SECONDS, SAMPLE_SECONDS, Command
from harness.drills.raylets import ENVIRONMENT, Machine
from harness.drills.scene import MARGIN, Drill, Ended, Scene, check
from harness.drills.tiny import EXECUTION, STEPS
from studies.schema.state import read_state

WORKERS = 2

NOTICE_SECONDS = 8
"""How long before it is taken a machine is announced; providers give from 30 s to two minutes.

Longer than it takes to come to a recorded step and save, shorter than what is left of the small study.
"""

POLL = {"RAY_TRAIN_PREEMPTION_POLL_INTERVAL_S": "0.2"}
"""So that the notice reaches a run of seconds; by default it is looked for every 5 s."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A cluster of two machines: the head, where the driver is, and one that can be lost."""

    head: Machine
    other: Machine


def shrink(scene: Scene, *, zero_stage: int = 2) -> Ended:
    """SIGKILL of all that runs on one of two machines; failures are allowed, preemptions are not."""
    with pair(scene) as machines:
        command = _start(scene, machines, f"max_preemptions=0, zero_stage={zero_stage}")
        scene.reach(command, scene.students[0])
        _check_trains(machines.other)
        machines.other.lose()
        return _bring_home(scene, command, machines)


def be_noticed(scene: Scene) -> Ended:
    """Notice of one of two machines, then its loss; preemptions are allowed, failures are not."""
    with pair(scene) as machines:
        # In calls of one example, so that the run is not over before the machine is.
        command = _start(scene, machines, "max_failures=0, micro_batch=1")
        student = scene.students[0]
        scene.reach(command, student, MARGIN)
        _check_trains(machines.other)
        machines.other.announce(NOTICE_SECONDS)
        checkpoints = scene.storage.checkpoints(student)
        command.wait_until(lambda: _saved_out_of_turn(checkpoints) or read_state(scene.storage, student).state.is_final)
        check(_saved_out_of_turn(checkpoints), f"nothing was saved at the notice:\n{command.output()}")
        time.sleep(NOTICE_SECONDS)
        machines.other.lose()
        return _bring_home(scene, command, machines)


def _saved_out_of_turn(checkpoints: Path) -> list[int]:
    """Steps that were saved though no checkpoint was due."""
    return [step for path in checkpoints.glob("[0-9]*") if (step := int(path.name)) % EXECUTION.checkpoint_every]


@contextmanager
def pair(scene: Scene) -> Iterator[Pair]:
    """Two machines, both gone at the end."""
    # Ray's sockets lie there, whose paths may have 107 bytes.
    temporary = Path(tempfile.mkdtemp(prefix="ray-"))
    scene.clean_up.append(lambda: shutil.rmtree(temporary, ignore_errors=True))
    head = Machine(scene.folder / "head.log", temporary=temporary)
    try:
        other = Machine(scene.folder / "other.log", temporary=temporary, address=head.address)
        try:
            yield Pair(head=head, other=other)
        finally:
            other.lose()
    finally:
        head.lose()


def _start(scene: Scene, machines: Pair, options: str) -> Command:
    """The small study on both machines, its students content with one of them."""
    execution = f"replace(EXECUTION, workers={WORKERS}, workers_min=1, {options})"
    declared = f"replace(tiny_study({scene.home.revision!r}, steps={STEPS}), executions=(('tiny-16', {execution}),))"
    studies = scene.declare(declared)
    return scene.start(studies=studies, environment=ENVIRONMENT | POLL | {"RAY_ADDRESS": machines.head.address})


def _check_trains(machine: Machine) -> None:
    check(machine.processes("RayTrainWorker"), "nothing trained on the machine that was to be lost")


def _bring_home(scene: Scene, command: Command, machines: Pair) -> Ended:
    """Wait for the command; all its runs were finished by the one worker that was left, and no worker stays."""
    ended = scene.bring_home(command)
    for key in scene.students:
        workers = read_state(scene.storage, key).facts["workers"]
        check(workers == 1, f"{key} was finished by {workers} workers, and there was one machine:\n{command.output()}")
    deadline = time.monotonic() + LEAVE_SECONDS
    while machines.head.processes("RayTrainWorker") and time.monotonic() < deadline:
        time.sleep(SAMPLE_SECONDS)
    check(not machines.head.processes("RayTrainWorker"), "a worker outlived its study on the machine that is left")
    return replace(ended, is_near=True)


DRILLS = (
    Drill(name="shrink", promise="a run that loses a machine goes on with the worker that is left", perform=shrink),
    Drill(name="notice", promise="a run that has notice saves, and goes on on what is left", perform=be_noticed),
)
