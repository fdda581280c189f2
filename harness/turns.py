"""When a worker group may train a run: what it needs is there, and nobody else is at it."""

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch.distributed as dist

from harness.checkpoint import agree
from harness.remote import Task
from studies.schema.key import run_key
from studies.schema.lineage import needs
from studies.schema.state import read_state
from studies.schema.storage import LeaseHeld, Storage, lease_owner

logger = logging.getLogger(__name__)

TEACHER_WAIT_SECONDS = 90.0
"""How long what a run needs, such as its teacher, may be in nobody's hands before it is given up: a lost worker group
is back sooner."""

POLL_SECONDS = 0.5

LEASE_WAIT_SECONDS = 20.0
"""How often workers come together while another process trains their run, lest they take one another for lost."""


class Stopped(Exception):
    """The user asked the study to stop; the run was saved."""


def taught(storage: Storage, task: Task) -> bool:
    """Wait while a worker group at its side trains what the run needs; whether all of it is there in the end."""
    return all(_trained(storage, task, run_key(needed)) for needed in needs(task.run))


def _trained(storage: Storage, task: Task, needed: str) -> bool:
    """Wait for one run that a task needs; whether it has a result in the end."""
    seen = time.monotonic()
    while True:
        state = agree(read_state(storage, needed).state)
        if state.is_final:
            return bool(state.has_result)
        if agree(storage.stop_request(task.study).exists()):
            raise Stopped
        if lease_owner(storage.run_lease(needed)) is not None:
            seen = time.monotonic()
        if agree(time.monotonic() - seen > TEACHER_WAIT_SECONDS):
            return False
        time.sleep(POLL_SECONDS)


@contextmanager
def leased(storage: Storage, task: Task) -> Iterator[bool]:
    """Hold the run's lease on rank 0 while it is trained; yields whether there is anything to train.

    A run that another process trains, for a study that shares it, is waited for and then not owed any more.
    """
    with ExitStack() as held:
        while not agree(dist.get_rank() == 0 and _take(held, storage, task)):
            if agree(storage.stop_request(task.study).exists()):
                raise Stopped
        yield agree(not read_state(storage, task.key).state.is_final)
    dist.barrier()


def _take(held: ExitStack, storage: Storage, task: Task) -> bool:
    lease = storage.lease(storage.run_lease(task.key), purpose="train", wait_seconds=LEASE_WAIT_SECONDS)
    try:
        held.enter_context(lease)
    except LeaseHeld as elsewhere:
        logger.info("run %s is waited for: %s", task.key, elsewhere)
        return False
    return True
