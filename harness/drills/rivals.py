"""Two commands that want the same study at the same time."""

import time

from harness.drills.command import POLL_SECONDS, WAIT_SECONDS
from harness.drills.scene import Drill, Ended, Scene, check

BAD_INPUT = 2


def submit_twice(scene: Scene) -> Ended:
    """Whoever is second is refused with the owner's name and disturbs nothing."""
    rivals = [scene.start(), scene.start()]
    deadline = time.monotonic() + WAIT_SECONDS
    while all(rival.is_running for rival in rivals) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    first_out = sorted(rivals, key=lambda rival: rival.is_running)
    refused, owner = first_out
    status, said = refused.wait(), refused.output()
    named = "is held by process" in said and "wait for that process to end, or stop it" in said
    check(status == BAD_INPUT and named, f"the second should be refused with the owner (status {status}):\n{said}")
    check(not [title for title in refused.titles if "ray" in title], "the refused command started Ray")
    return scene.bring_home(owner)


DRILLS = (Drill(name="twice", promise="of two submissions at once one runs, one is refused", perform=submit_twice),)
