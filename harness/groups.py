"""A worker group that is kept from one trial of a search to the next.

Starting one takes many times as long as a small trial trains. Tune runs trials one after another in the same process,
which keeps the group; another is started when that one was lost, or when a trial's batch needs other numbers of
workers.
"""

import threading
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from harness import fleet
from harness.remote import Desk, Task
from studies.schema.batches import world_sizes
from studies.schema.storage import Storage


class Group:
    """Trains one task after another in the background."""

    def __init__(self, storage: Storage, first: Task) -> None:
        # On this machine, so that it is lost only with this process.
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._desk: Any = Desk.options(scheduling_strategy=here).remote()  # type: ignore[attr-defined]
        self._sizes = world_sizes([first.run], first.execution)
        self._problem: Exception | None = None
        self._thread = threading.Thread(target=self._fit, args=(storage, first), daemon=True)
        self._thread.start()

    def can_train(self, task: Task) -> bool:
        """Whether it is still there, with workers over which the task divides."""
        return self._thread.is_alive() and self._sizes == world_sizes([task.run], task.execution)

    def lay(self, task: Task) -> None:
        ray.get(self._desk.lay.remote(task))

    def is_at_work(self) -> bool:
        """Whether it has a task that is not done; raises what ended the group, if something did."""
        if self._thread.is_alive():
            return ray.get(self._desk.look.remote())[0] is not None
        if self._problem is not None:
            raise self._problem
        return False

    def end(self) -> None:
        """Wait until it is gone."""
        if self._thread.is_alive():
            ray.get(self._desk.end.remote())
        self._thread.join()

    def _fit(self, storage: Storage, first: Task) -> None:
        try:
            fleet.trainer(first.study, storage, [first], desk=self._desk).fit()
        except Exception as error:
            self._problem = error


_kept: Group | None = None


def group_for(storage: Storage, task: Task) -> Group:
    """The group that this process keeps, or a new one."""
    global _kept
    if _kept is None or not _kept.can_train(task):
        if _kept is not None:
            _kept.end()
        _kept = Group(storage, task)
    return _kept
