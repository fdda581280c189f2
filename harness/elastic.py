"""Worker groups over machines that come and go: how many workers a group has, and notice before a machine is taken.

Ray takes as many workers as there are places between two bounds. Not every number divides a batch, so its policy is
narrowed here to those that do. Ray has no public way to give a trainer another policy: what is overridden below is that
of Ray 2.60.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import ray
from ray.train import get_preemption_info
from ray.train.v2._internal.callbacks import DatasetsCallback
from ray.train.v2._internal.execution.scaling_policy import (
    ElasticScalingPolicy,
    NoopDecision,
    ResizeDecision,
    ScalingDecision,
)
from ray.train.v2._internal.util import time_monotonic
from ray.train.v2.api.config import ScalingConfig
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

NOTICE_SECONDS = 120.0
"""How long Ray waits for a machine that was announced to go at no stated time."""

ENDING_SECONDS = 30.0
"""How long after that Ray may take to end the group, which it looks at every two seconds."""

POLL_SECONDS = 0.5


class ElasticTrainer(DataParallelTrainer):
    """A trainer whose worker group has one of ``sizes`` workers, ascending, at any time; with one size it is Ray's.

    Left out is a process that Ray starts beside every worker group to deal out Ray's own datasets, of which there are
    none: three seconds of a core.
    """

    def __init__(self, *arguments: Any, sizes: Sequence[int], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._sizes = tuple(sizes)

    def _create_default_callbacks(self) -> Any:
        made = super()._create_default_callbacks()
        return [callback for callback in made if not isinstance(callback, DatasetsCallback)]

    def _initialize_and_run_controller(self, **options: Any) -> Any:
        if len(self._sizes) > 1:
            assert isinstance(self.scaling_config, ScalingConfig)
            options["scaling_policy"] = DividingPolicy(self.scaling_config, self._sizes)
        return super()._initialize_and_run_controller(**options)


class DividingPolicy(ElasticScalingPolicy):
    """Ray's elastic policy over certain numbers of workers.

    A group that is started gets places on machines that will stay. One that runs is only ever made larger: that a
    machine is taken from it ends it by itself, after it has saved.
    """

    def __init__(self, scaling_config: ScalingConfig, sizes: Sequence[int]) -> None:
        super().__init__(scaling_config)
        self._sizes = tuple(sizes)
        self._leaving: frozenset[str] = frozenset()

    def make_decision_for_running_worker_group(
        self, worker_group_state: Any, worker_group_status: Any
    ) -> ScalingDecision:
        decision = super().make_decision_for_running_worker_group(worker_group_state, worker_group_status)
        grows = isinstance(decision, ResizeDecision) and decision.num_workers > worker_group_state.num_workers
        return decision if grows else NoopDecision()

    def _count_possible_workers(self, reserved_resources: Any) -> int:
        staying = {node: amounts for node, amounts in reserved_resources.items() if node not in self._leaving}
        return largest_within(self._sizes, super()._count_possible_workers(staying))

    def _get_reserved_resources(self) -> Any:
        """What is reserved on machines that live now; Ray by itself looks every 20 s, and waits for lost ones.

        This is called in a loop without a pause, so that it may ask only as often as Ray does.
        """
        if time_monotonic() - self._latest_reserved_resources_query_time >= self.GET_RESERVED_RESOURCES_INTERVAL_S:
            self._autoscaling_coordinator.get_reserved_resources.remote(self._requester_id, recompute=True)
            self._leaving = frozenset(ray._private.state.state.get_draining_nodes())
        return super()._get_reserved_resources()


def largest_within(sizes: Sequence[int], places: int) -> int:
    """The largest of ascending ``sizes`` for which there are places; 0 where there is none."""
    return max((size for size in sizes if size <= places), default=0)


class Notices:
    """Notices that machines of this worker group will be taken, each told once."""

    def __init__(self) -> None:
        self._known: frozenset[str] = frozenset()
        self._over_at = 0.0

    def ask(self) -> bool:
        """Whether there is a new notice, the same on every rank; all ranks have to ask, as they wait for one another.

        Who is told saves and trains on: Ray ends the group when the machine's time is over, and counts that as a
        preemption. A group that ended by itself would count as finished or as failed.
        """
        found = get_preemption_info()
        nodes = frozenset(found.preempted_node_ids) if found is not None else frozenset()
        is_new = not nodes <= self._known
        self._known |= nodes
        if found is not None and is_new:
            deadline = found.deadline_ms / 1000 if found.deadline_ms is not None else time.time() + NOTICE_SECONDS
            self._over_at = deadline + ENDING_SECONDS
        return is_new

    @contextmanager
    def outlasted(self) -> Iterator[None]:
        """Within, what breaks under notice is told only after the machine's time is over, when Ray has ended the group.

        A rank that complains of a lost neighbour before would make a failure of the preemption. torch's complaints are
        RuntimeErrors; those of others, and of anything without a notice, pass at once.
        """
        try:
            yield
        except RuntimeError:
            while time.time() < self._over_at:
                time.sleep(POLL_SECONDS)
            raise
