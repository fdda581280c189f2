"""Runs that go wrong by themselves: a loss that is no number, and a trial that runs out of memory."""

import contextlib

import psutil

from harness.drills.results import last_step
from harness.drills.scene import MARGIN, Drill, Ended, Scene, check
from harness.drills.tiny import STEPS, point_of_tiny, search_around, tiny_study
from studies.schema.key import run_key
from studies.schema.record import Role, State
from studies.schema.state import read_state
from studies.schema.study import expand
from studies.schema.trials import points_of

UNFINISHED = 1

RATES = ((16, 6e-3), (32, 1e30))
"""The second learning rate is beyond every float32."""


def diverge(scene: Scene) -> Ended:
    """A rung whose loss is no number at its first record: its runs fail, with the reason, and nobody else's."""
    revision = scene.home.revision
    declared = tiny_study(revision, version="nan", steps=STEPS, rates=RATES)
    studies = scene.declare(f"tiny_study({revision!r}, version='nan', steps={STEPS}, rates={RATES})")
    command = scene.start(studies=studies)
    status, said = command.wait(), command.output()
    check(status == UNFINISHED and "Traceback" not in said, f"status {status} instead of {UNFINISHED}:\n{said}")
    failed = frozenset(
        point.key for point in expand(declared) if point.role is Role.STUDENT and point.labels.rung == "tiny-32"
    )
    for point in expand(declared):
        found = read_state(scene.storage, point.key)
        check((found.state is State.FAILED) == (point.key in failed), f"{point.labels} is {found.state}:\n{said}")
    for key in failed:
        reason = read_state(scene.storage, key).reason or ""
        check("not a number at step" in reason and reason in said, f"{key} failed with {reason!r}:\n{said}")
    return Ended(study=declared, points=expand(declared), failed=failed)


def exhaust_memory(scene: Scene) -> Ended:
    """A trial whose workers get no more memory from the kernel; it is one of the study's runs, so it has a reference.

    Their address space is limited to what they have (``prlimit``), so the next allocation fails wherever it happens:
    in torch, in Python or in a library. The group has no second try, so the trial breaks off.
    """
    base = point_of_tiny(scene.home.revision, scene.students[0])
    search = search_around(base)
    studies = scene.declare(
        f"search_around(point_of_tiny({scene.home.revision!r}, {run_key(base)!r}))", name=search.name
    )
    command = scene.start("search", search.name, studies=studies)

    def under_way() -> bool:
        return any(last_step(scene.storage, p.key) >= MARGIN for p in points_of(search, scene.storage)[1:])

    command.wait_until(under_way)
    for process in command.train_workers():
        with contextlib.suppress(psutil.Error):
            held = process.memory_info().vms
            process.rlimit(psutil.RLIMIT_AS, (held, held))
    status, said = command.wait(), command.output()
    broken = "a trial broke off" in said and "Traceback" not in said
    check(
        status == UNFINISHED and broken, f"the trial should break off and the search say so (status {status}):\n{said}"
    )
    again = scene.start("search", search.name, studies=studies)
    scene.bring_home(again)
    return Ended(study=search, points=points_of(search, scene.storage))


DRILLS = (
    Drill(name="nan", promise="a loss that is no number fails its run alone", perform=diverge),
    Drill(name="memory", promise="a trial out of memory breaks off, and is finished later", perform=exhaust_memory),
)
