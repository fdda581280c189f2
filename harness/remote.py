"""What a driver sends to Ray's processes.

Their work is imported there: the driver, and Ray's watcher over each worker group, import this module too and would
hold torch's libraries and ours in memory for nothing, half a gigabyte each.
"""

import gc
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import ray

from harness.milestones import Milestones
from studies.schema.evaluation import Evaluation
from studies.schema.execution import Execution
from studies.schema.run import Retriever, Trained
from studies.schema.storage import Storage

NICE = 2
"""How much the evaluator's process gives way to others on its machine, of 19 at most: little, as it should be done soon
after the trainers beside it."""

DESK_WAIT_SECONDS = 20.0
"""How often workers come together while none of them has a task, lest they take one another for lost."""

DESK_POLL_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True)
class Task:
    """A run to train, with its key, the study that asked for it and the way to execute it.

    A trial of a search has ``milestones``, where it is scored and may be given up.
    """

    study: str
    key: str
    run: Trained
    execution: Execution
    milestones: Milestones | None = None


@ray.remote(num_cpus=0)
class Desk:
    """Where a worker group finds its next task, one at a time.

    A task lies here until it is done, so that a group which was lost and started again finds it once more.
    """

    def __init__(self) -> None:
        self._task: Task | None = None
        self._ends = False

    def lay(self, task: Task) -> None:
        self._task = task

    def end(self) -> None:
        self._ends = True

    def look(self) -> tuple[Task | None, bool]:
        """The task that lies here, and whether it was the last."""
        return self._task, self._ends

    def clear(self) -> None:
        self._task = None


def train_worker(config: dict[str, Any]) -> None:
    """Train the runs in ``config["tasks"]`` in order, or those laid on ``config["desk"]`` until it ends.

    Ray calls this on every worker of a group.
    """
    from harness.train import train_all

    tasks = config["tasks"] if "tasks" in config else laid_on(config["desk"])
    train_all(Storage.at(config["storage"]), tasks)


def laid_on(desk: Any) -> Iterator[Task]:
    """Tasks as they are laid on a desk, on every rank; each leaves it when the next is asked for."""
    import torch.distributed as dist

    from harness.checkpoint import agree

    ends = False
    while not ends:
        task, ends = agree(_look(desk) if dist.get_rank() == 0 else None)
        if task is not None:
            yield task
            if dist.get_rank() == 0:
                ray.get(desk.clear.remote())


def _look(desk: Any) -> tuple[Task | None, bool]:
    """What lies on the desk, as soon as there is something; the other ranks wait, and not for long at a time."""
    until = time.monotonic() + DESK_WAIT_SECONDS
    while True:
        task, ends = ray.get(desk.look.remote())
        if task is not None or ends or time.monotonic() > until:
            return task, ends
        time.sleep(DESK_POLL_SECONDS)


@ray.remote(num_cpus=0, max_restarts=2)
class Evaluator:
    """A process that evaluates one run after another and keeps collection and passages in memory.

    It claims no core of its own and gives way to the trainers.
    """

    def __init__(self, storage: Storage, threads: int) -> None:
        import torch

        os.nice(NICE)
        # A ranking is half a million small tuples without a cycle; looking for some took a fifth of the time.
        gc.disable()
        torch.set_num_threads(threads)
        self._storage = storage

    def evaluate(self, run: Retriever, evaluation: Evaluation) -> None:
        """Evaluate a finished run, which publishes what was measured in storage."""
        from harness.evaluate import evaluate

        evaluate(self._storage, run, evaluation)
        gc.collect()
