"""How a driver leaves: what is being trained is saved first."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from harness.fleet import RayEnded
from harness.progress import View
from studies.schema.storage import Storage, write_json_atomic


class Crew(Protocol):
    """What trains in the background."""

    def wait(self) -> None:
        """Wait for the trainers to end."""
        ...


@contextmanager
def saving(crew: Crew, storage: Storage, name: str, view: View) -> Iterator[None]:
    """Whatever ends the watch over a study or search, its trainers are asked to save and waited for.

    Ray aborts a process that shuts it down while threads of it still wait for a trainer, and the reason would never be
    said. Where Ray itself has ended nobody can be asked.
    """
    try:
        yield
    except RayEnded:
        raise
    except BaseException as reason:
        if isinstance(reason, KeyboardInterrupt):
            view.say("saving; interrupt again to end at once")
        # On a disk without any room trainers fail by themselves.
        with suppress(OSError):
            write_json_atomic(storage.stop_request(name), {"schema": 1})
        crew.wait()
        raise
