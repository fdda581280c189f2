"""A wall clock that jumps while a study runs."""

import shutil

from harness.drills import shifted_clock
from harness.drills.scene import Drill, Ended, Scene, check
from harness.journal import read_all
from studies.schema.sources import TOP

DAY = 86_400


def jump(scene: Scene) -> Ended:
    """A day forward in the middle of one run, and two days back in the middle of the next."""
    folder = scene.folder / "clock"
    folder.mkdir()
    shutil.copy(shifted_clock.__file__, folder / "sitecustomize.py")
    clock = folder / "seconds"
    clock.write_text("0")
    command = scene.start(environment={"PYTHONPATH": f"{folder}:{TOP}", shifted_clock.VARIABLE: str(clock)})
    for student, shift in zip(scene.students, (DAY, -DAY), strict=True):
        scene.reach(command, student)
        clock.write_text(str(shift))
    ended = scene.bring_home(command)
    for student, least in zip(scene.students, (DAY, -2 * DAY), strict=True):
        times = [point.time for point in read_all(scene.storage.journal(student))]
        moved = (max(times) - min(times)) / 1000
        check(moved >= abs(least) / 2, f"the clock did not jump within {student}: its journal spans {moved:g} s")
    return ended


DRILLS = (Drill(name="clock", promise="a clock that jumps a day changes no number and no point", perform=jump),)
