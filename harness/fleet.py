"""The Ray side of a driver: one worker group after another for training, one process for evaluation."""

import logging
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import ray
from ray._private import ray_constants
from ray.train.v2.api.config import FailureConfig, RunConfig, ScalingConfig

from harness.available import check_available
from harness.checkpoint_files import check_format, newest
from harness.data.atlas import open_atlas
from harness.elastic import ElasticTrainer
from harness.remote import Evaluator, Task, train_worker
from harness.torch_group import TorchGroup
from studies.schema.batches import world_sizes
from studies.schema.execution import Execution
from studies.schema.key import run_key
from studies.schema.lineage import collection_of, needs
from studies.schema.record import State
from studies.schema.run import System
from studies.schema.state import read_state
from studies.schema.storage import Storage
from studies.schema.study import Point, Study

logger = logging.getLogger(__name__)

OBJECT_STORE_BYTES = 128 * 2**20
"""Shared memory of a local Ray: everything large goes through storage, so the smallest comfortable store does."""

LOCAL = {
    "GLOO_SOCKET_IFNAME": "lo",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # Ray starts its workers at nice 15; on one machine that puts training behind everything else that runs there.
    "RAY_worker_niceness": "0",
    # A process per worker group that waits for notice that a node will be taken away; this machine gets none.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
}
"""Environment of a local Ray: on loopback alone, and worth as much as any other process."""

EVALUATION_ATTEMPTS = 3

WITHOUT_LIMIT = -1
"""As Ray spells it."""

_NEEDED = ("gcs_server", "raylet")
"""Processes of a local Ray without which nothing goes on."""


class RayEnded(RuntimeError):
    """The local Ray did not start, or has lost a process; the message says which, and what to do."""


class Fleet:
    """Trains and evaluates in the background; ``problems`` says what went wrong, in words."""

    def __init__(self, study: Study, storage: Storage, points: Sequence[Point]) -> None:
        self.problems: list[str] = []
        self._study = study
        self._storage = storage
        self._evaluator: Any = None
        self._evaluating: dict[Any, Point] = {}
        self._attempts: dict[str, int] = {}
        self._points = tuple(points)
        self._evaluator_gpus = min(1, study.execution.gpus_per_worker) if study.retrieval else 0
        self._trainer = threading.Thread(target=self._train, daemon=True)
        self._trainer.start()

    @property
    def is_training(self) -> bool:
        return self._trainer.is_alive()

    @property
    def is_evaluating(self) -> bool:
        return bool(self._evaluating)

    def wait(self) -> None:
        """Wait for the trainers to end."""
        self._trainer.join()

    def evaluate(self, points: Sequence[Point]) -> None:
        """Start owed evaluations that are not under way, and take in what has ended since the last call.

        Evaluations of published collections that need a GPU wait until training has given its own back: an evaluator
        that took one between two worker groups would keep the second waiting for ever.
        """
        done, _ = (
            ray.wait(list(self._evaluating), num_returns=len(self._evaluating), timeout=0)
            if self._evaluating
            else ([], [])
        )
        for reference in done:
            point = self._evaluating.pop(reference)
            try:
                ray.get(reference)
            except Exception as error:
                self._complain(point, error)
        if self._evaluator_gpus and self.is_training:
            return
        under_way = {point.key for point in self._evaluating.values()}
        for point in points:
            if point.key not in under_way and self._attempts.get(point.key, 0) < EVALUATION_ATTEMPTS:
                self._attempts[point.key] = self._attempts.get(point.key, 0) + 1
                self._evaluating[self._submit(point)] = point

    def _submit(self, point: Point) -> Any:
        if self._evaluator is None:
            placed = Evaluator.options(num_gpus=self._evaluator_gpus)  # type: ignore[attr-defined]
            self._evaluator = placed.remote(self._storage, self._study.execution.threads)
        return self._evaluator.evaluate.remote(point.run, self._study.evaluation)

    def _complain(self, point: Point, error: Exception) -> None:
        logger.warning("evaluation of %s did not end well: %s", point.key, last_line(error))
        if self._attempts[point.key] >= EVALUATION_ATTEMPTS:
            self.problems.append(f"{point.key} could not be evaluated: {last_line(error)}")
        if isinstance(error, ray.exceptions.RayActorError):
            self._evaluator = None

    def _train(self) -> None:
        """Train what is owed; again what is left by a group that gave up waiting for its teacher."""
        left, owed = None, rounds(self._study, self._storage, self._points)
        while left is None or 0 < _count(owed) < left:
            left = _count(owed)
            for groups in owed:
                threads = [threading.Thread(target=self._train_group, args=(tasks,), daemon=True) for tasks in groups]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                if self.problems or self._storage.stop_request(self._study.name).exists():
                    return
            owed = rounds(self._study, self._storage, self._points)

    def _train_group(self, tasks: Sequence[Task]) -> None:
        try:
            trainer(self._study.name, self._storage, tasks).fit()
        except Exception as error:
            logger.debug("a worker group ended", exc_info=True)
            self.problems.append(f"training stopped: {last_line(error)}")


def rounds(study: Study, storage: Storage, points: Sequence[Point]) -> list[list[list[Task]]]:
    """Runs owed to training: round after round, each of worker groups side by side, each of runs in order.

    Runs that need the same workers share a round; in it students wait for a teacher that a group at their side trains.
    Students whose teacher has failed are not owed.
    """
    found: dict[tuple[int, ...], list[Task]] = {}
    for point in points:
        if isinstance(point.run, System) or read_state(storage, point.key).state.is_final:
            continue
        if any(read_state(storage, run_key(run)).state is State.FAILED for run in needs(point.run)):
            continue
        execution = study.execution_of(point)
        task = Task(study=study.name, key=point.key, run=point.run, execution=execution)
        found.setdefault(_needs(execution), []).append(task)
    return [
        [group for lane in range(tasks[0].execution.at_once) if (group := tasks[lane :: tasks[0].execution.at_once])]
        for tasks in found.values()
    ]


def _count(owed: Sequence[Sequence[Sequence[Task]]]) -> int:
    return sum(len(group) for groups in owed for group in groups)


@contextmanager
def open_fleet(study: Study, storage: Storage, points: Sequence[Point]) -> Iterator[Fleet]:
    """Check what storage holds, connect to Ray and work.

    Raises ValueError for a checkpoint in another format, for a collection that is not the declared one, and for
    published files that are not there.
    """
    _check_checkpoints(storage, points)
    for declaration in {collection_of(point.run) for point in points} - {None}:
        assert declaration is not None
        open_atlas(storage, declaration)
    check_available(storage, [point.run for point in points], study.evaluation)
    with connected():
        yield Fleet(study, storage, points)


def _check_checkpoints(storage: Storage, points: Sequence[Point]) -> None:
    """Workers have no voice: a checkpoint that they would pass over or refuse is named here."""
    for point in points:
        if read_state(storage, point.key).state.is_final:
            continue
        found = newest(storage.checkpoints(point.key))
        if found is not None:
            check_format(*found)


@contextmanager
def connected() -> Iterator[None]:
    """Use Ray; one that is started here is shut down again.

    Meanwhile SIGTERM is an interruption like Ctrl-C, so that a batch system's notice saves what is under way; Ray would
    make it the end of this process.
    """
    _connect()
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        ray.shutdown()


def check_ray() -> None:
    """Raise RayEnded when a Ray that was started here has lost a process; Ray itself waits a minute, then aborts us."""
    node: Any = ray._private.worker._global_node
    dead = [name for name, _ in node.dead_processes()] if node is not None else []
    for name in dead:
        if name in _NEEDED:
            raise RayEnded(f"Ray's {name} on this machine has ended, and with it training; the same command goes on")


def _connect() -> None:
    """Use the cluster that RAY_ADDRESS names, as inside a submitted job; otherwise start one on loopback."""
    if os.environ.get("RAY_ADDRESS"):
        ray.init(logging_level=logging.ERROR, log_to_driver=False)
        return
    # Ray takes 127.0.0.1 for a slip and listens on every interface instead, unless it is told that this is no cluster.
    ray_constants.ENABLE_RAY_CLUSTER = False
    for name, value in LOCAL.items():
        os.environ.setdefault(name, value)
    try:
        ray.init(
            address="local",
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            logging_level=logging.ERROR,
            log_to_driver=False,
            _node_ip_address="127.0.0.1",
        )
    except Exception as error:
        # Ray gives its processes 30 s, which a busy machine may exceed, and says so by a plain Exception.
        raise RayEnded(f"Ray did not start on this machine: {last_line(error)} The same command tries again") from error


def _needs(execution: Execution) -> tuple[int, ...]:
    return execution.workers, execution.fewest, execution.gpus_per_worker, execution.threads, execution.at_once


def trainer(name: str, storage: Storage, tasks: Sequence[Task], *, desk: Any = None) -> ElasticTrainer:
    """A worker group that trains tasks which need the same workers, under the name of their study or search.

    An elastic one has at any time a number of workers over which every task divides. With a ``desk``, a handle to a
    Desk, it trains what is laid there, and ``tasks`` say what workers that needs.
    """
    execution = tasks[0].execution
    sizes = world_sizes([task.run for task in tasks], execution)
    preemptions = execution.max_preemptions
    resources = {"CPU": float(execution.threads)} | (
        {"GPU": float(execution.gpus_per_worker)} if execution.gpus_per_worker else {}
    )
    return ElasticTrainer(
        train_worker,
        train_loop_config={"storage": str(storage.root)} | ({"tasks": list(tasks)} if desk is None else {"desk": desk}),
        scaling_config=ScalingConfig(
            num_workers=execution.workers if len(sizes) == 1 else (sizes[0], sizes[-1]),
            use_gpu=execution.gpus_per_worker > 0,
            resources_per_worker=resources,
        ),
        run_config=RunConfig(
            name=f"{name}-{tasks[0].key}",
            storage_path=str(storage.root / "ray"),
            failure_config=FailureConfig(
                max_failures=execution.max_failures,
                max_preemption_failures=WITHOUT_LIMIT if preemptions is None else preemptions,
            ),
        ),
        backend_config=TorchGroup(backend="nccl" if execution.gpus_per_worker else "gloo"),
        sizes=sizes,
    )


def last_line(error: Exception) -> str:
    """The sentence at the end of a remote traceback."""
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
