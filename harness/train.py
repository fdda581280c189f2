"""The Ray Train worker: one step, the loop, and the runs of a worker group one after another.

A worker group is kept for all runs that share an execution, because starting one costs as much as training a small
run. Everything a run leaves behind lies in storage; a group that dies is started again and goes on from there.
"""

import logging
import math
import time
from collections.abc import Iterable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray

from harness import checkpoint, sharding
from harness.assemble import Materials, Model, materials, model_of, save
from harness.checkpoint import agree
from harness.checkpoint_files import retain
from harness.data.batches import BatchOrder, rank_slice
from harness.elastic import Notices
from harness.encoders import build
from harness.evaluate import validation_scores
from harness.examples import Examples
from harness.flags import training_flags
from harness.journal import Journal
from harness.masked import at_step
from harness.milestones import wait_for_verdict
from harness.remote import Task
from harness.revision import check_sources
from harness.turns import Stopped, leased, taught
from studies.schema.execution import Execution
from studies.schema.record import Metric, State
from studies.schema.run import Student
from studies.schema.state import write_state
from studies.schema.storage import Storage, publish

logger = logging.getLogger(__name__)


class Diverged(Exception):
    """The loss is no longer a number."""


class Pruned(Exception):
    """A search has given the run up at a milestone; the run was saved there."""


def train_all(storage: Storage, tasks: Iterable[Task]) -> None:
    """Train runs in order, on every worker of their group; each is executed by as many workers as there are."""
    check_sources()
    torch.use_deterministic_algorithms(not torch.cuda.is_available())
    with suppress(Stopped):
        for declared in tasks:
            task = replace(declared, execution=declared.execution.by(dist.get_world_size()))
            torch.set_num_threads(task.execution.threads)
            if not taught(storage, task):
                continue
            with leased(storage, task) as owed:
                if not owed:
                    continue
                try:
                    train(storage, task)
                except Diverged as problem:
                    if dist.get_rank() == 0:
                        write_state(storage, task.key, State.FAILED, reason=str(problem))
                except Pruned as verdict:
                    if dist.get_rank() == 0:
                        write_state(storage, task.key, State.PRUNED, reason=str(verdict))


def train(storage: Storage, task: Task) -> None:
    """Train one run to its end on this worker, from its newest checkpoint if there is one."""
    rank, world_size = dist.get_rank(), dist.get_world_size()
    if rank == 0:
        write_state(storage, task.key, State.RUNNING)
    device = torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")
    data = _materials(storage, task, device)
    if task.run.schedule.steps == 0:
        _finish_untrained(storage, task)
        return
    with sharding.building(task.run, task.execution, world_size=world_size):
        model = model_of(storage, task.run)
    torch.manual_seed(task.run.seed * world_size + rank)
    engine = sharding.prepare(model, task.run, task.execution, world_size=world_size)
    try:
        start = checkpoint.restore(engine, storage.checkpoints(task.key), seed=task.run.seed)
        began = time.monotonic()
        notices = Notices()
        with notices.outlasted(), Journal(storage.journal(task.key)) if rank == 0 else nullcontext() as journal:
            _loop(engine, storage, task, data, journal, start, device, notices)
        last = checkpoint.save(engine, storage.checkpoints(task.key), task.run.schedule.steps)
        if rank == 0:
            held = sharding.held_weights(engine.module)
            facts = {"workers": world_size, "held_weights": held, **data.facts}
            _finish(storage, task, last, facts, seconds=time.monotonic() - began)
    finally:
        engine.destroy()


def _materials(storage: Storage, task: Task, device: torch.device) -> Materials:
    """Rank 0 builds and caches what the run reads, the others then find it in storage."""
    if dist.get_rank() == 0:
        built = materials(storage, task.run, task.execution, device)
        dist.barrier()
        return built
    dist.barrier()
    return materials(storage, task.run, task.execution, device)


def _loop(
    engine: Any,
    storage: Storage,
    task: Task,
    data: Materials,
    journal: Journal | None,
    start: int,
    device: torch.device,
    notices: Notices,
) -> None:
    """Steps from ``start`` to the end of the schedule, recording, saving and stopping between them.

    The loop is long because the order of record, save and stop within a step is what makes resume exact.
    """
    run, execution = task.run, task.execution
    order = BatchOrder(data.train.lengths, run.global_batch, run.seed)
    watched = held_out_steps(run.schedule.steps)
    judged = task.milestones.steps if task.milestones else ()
    window = Window()
    stop = storage.stop_request(task.study)
    for step in range(start + 1, run.schedule.steps + 1):
        # Asked before the step after a milestone, so that a run restored at one asks again.
        if step - 1 in judged:
            _heed(storage, task, step - 1)
        rate = engine.optimizer.param_groups[0]["lr"]
        shown = at_step(data.train, step)
        window.add(optimise(engine, shown, order.indices(step - 1), execution, device))
        metrics: dict[str, float] = {}
        if step % execution.log_every == 0 or step == run.schedule.steps:
            window.add({Metric.GRADIENT_NORM: float(engine.get_global_grad_norm())}, counted=False)
            metrics = window.close(device)
            metrics[Metric.LEARNING_RATE] = rate
        if step in watched:
            metrics[Metric.LOSS_HELD_OUT] = held_out_loss(engine, data.held_out, execution, device)
        # Metrics are means over the ranks, so every rank comes to the same conclusion.
        if not all(math.isfinite(value) for value in metrics.values()):
            raise Diverged(
                f"the loss of run {task.key} is not a number at step {step}; lower its learning rate "
                f"({run.optimiser.learning_rate}) or raise epsilon, under a new study version"
            )
        if journal is not None and step in judged:
            metrics |= _validation_score(engine, storage, task)
        if journal is not None and metrics:
            journal.append(step, metrics)
        is_noticed = step % execution.log_every == 0 and notices.ask()
        if (step % execution.checkpoint_every == 0 or step in judged) and step < run.schedule.steps:
            _save(engine, storage, task, step)
        elif step % execution.log_every == 0 and agree(stop.exists()):
            _save(engine, storage, task, step)
            raise Stopped
        elif is_noticed and step < run.schedule.steps:
            _save(engine, storage, task, step)


def _validation_score(engine: Any, storage: Storage, task: Task) -> dict[str, float]:
    """The score of the present weights, on rank 0, which up to ZeRO 2 has them whole; under ZeRO 3 it has not."""
    assert task.milestones is not None
    assert isinstance(task.run, Student)
    encoder = build(task.run.rung, task.run.teacher.token_size, dropout=0.0, seed=task.run.seed)
    encoder.load_state_dict({name: w.detach().float().cpu() for name, w in engine.module.state_dict().items()})
    return validation_scores(storage, task.run, encoder, task.milestones.evaluation)


def _heed(storage: Storage, task: Task, step: int) -> None:
    """Wait on every rank until the search has judged the score of a milestone; raises Pruned or Stopped."""
    assert task.milestones is not None
    stop = storage.stop_request(task.study)
    verdict = agree(wait_for_verdict(task.milestones, task.key, step, stop) if dist.get_rank() == 0 else None)
    if verdict is None:
        raise Stopped
    if not verdict.goes_on:
        raise Pruned(f"given up by {task.study} at step {step} with {verdict.score:.4g}")


def _save(engine: Any, storage: Storage, task: Task, step: int) -> None:
    checkpoints = storage.checkpoints(task.key)
    checkpoint.save(engine, checkpoints, step)
    if dist.get_rank() == 0:
        retain(checkpoints, task.execution.keep_checkpoints)


def optimise(
    engine: Any, examples: Examples, indices: NDArray[np.int64], execution: Execution, device: torch.device
) -> dict[str, float]:
    """One optimiser step over a global batch; returns this rank's mean loss and its parts."""
    local = rank_slice(indices, dist.get_rank(), dist.get_world_size())
    calls = local.reshape(-1, execution.calls(len(indices))[0])
    totals: dict[str, float] = {}
    for micro in calls:
        loss, parts = examples.loss(engine, micro, device)
        engine.backward(loss)
        engine.step()
        for name, value in {Metric.LOSS: loss.detach(), **parts}.items():
            totals[name] = totals.get(name, 0.0) + float(value) / len(calls)
    return totals


def held_out_loss(engine: Any, examples: Examples, execution: Execution, device: torch.device) -> float:
    """Mean loss over the held-out examples, with the same number of forward calls of one size on every rank."""
    local = rank_slice(np.arange(len(examples.lengths)), dist.get_rank(), dist.get_world_size())
    calls = local.reshape(-1, math.gcd(len(local), execution.micro_batch))
    engine.eval()
    with torch.no_grad():
        losses = [float(examples.loss(engine, micro, device)[0]) for micro in calls]
    engine.train()
    mean = torch.tensor(sum(losses) / len(losses), dtype=torch.float64, device=device)
    dist.all_reduce(mean)
    return float(mean) / dist.get_world_size()


def held_out_steps(steps: int) -> frozenset[int]:
    """Tenths of the budget, in steps: where the held-out loss is taken."""
    return frozenset(max(1, round(steps * tenth / 10)) for tenth in range(1, 11))


class Window:
    """Means over the steps since the last record, and over the ranks when closed."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._steps = 0

    def add(self, values: dict[str, float], *, counted: bool = True) -> None:
        self._steps += counted
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value

    def close(self, device: torch.device) -> dict[str, float]:
        """The means over steps and ranks; the window is empty afterwards."""
        names = sorted(self._sums)
        values = torch.tensor([self._sums[name] for name in names], dtype=torch.float64, device=device)
        dist.all_reduce(values)
        scale = {name: dist.get_world_size() * (1 if name == Metric.GRADIENT_NORM else self._steps) for name in names}
        self._sums, self._steps = {}, 0
        return {name: value / scale[name] for name, value in zip(names, values.tolist(), strict=True)}


def _finish(storage: Storage, task: Task, last: Path, facts: Mapping[str, Any], *, seconds: float) -> None:
    """Publish the weights of the ``last`` checkpoint as the run's result, and say how it ended."""
    model = model_of(storage, task.run)
    model.load_state_dict(checkpoint.full_precision_state(model, last))
    _publish(storage, task, model)
    flags = training_flags(storage, task)
    state = State.FLAGGED if flags else State.FINISHED
    write_state(storage, task.key, state, flags=flags, facts={"seconds": round(seconds, 1), **facts})
    retain(storage.checkpoints(task.key), 0)


def _finish_untrained(storage: Storage, task: Task) -> None:
    if dist.get_rank() == 0:
        _publish(storage, task, model_of(storage, task.run))
        write_state(storage, task.key, State.FINISHED)


def _publish(storage: Storage, task: Task, model: Model) -> None:
    with publish(storage.final(task.key), facts={"key": task.key}) as folder:
        save(storage, task.run, model, folder)
