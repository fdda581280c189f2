"""Save and restore a run in the middle of training, exactly: weights, optimiser, schedule, step and generators.

A checkpoint is a directory named by its step; its manifest is written last, and one without a manifest does not
exist. The position in the data is the step: the order of examples is a function of seed and step.

Weights and moments are written whole, in float32, by name. So a checkpoint can be read by any number of workers and
under any ZeRO stage; by the same ones a run goes on exactly.
"""

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from harness.checkpoint_files import FORMAT, check_format, newest, newest_first
from harness.masters import MOMENTS, masters_of, names, steps_taken, tensors
from harness.shards import Reader, Shards
from studies.schema.storage import publish

WEIGHT = "weight"
"""The part of a name that masters, frozen weights and buffers share; moments go by Adam's names."""


def agree(value: Any) -> Any:
    """Rank 0's value, on every rank."""
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def save(engine: Any, checkpoints: Path, step: int) -> Path:
    """Publish a checkpoint of all ranks; every rank must call this at the same step."""
    target = checkpoints / f"{step:08d}"
    if dist.get_rank() == 0:
        with publish(target, facts=_facts(engine, step)) as folder:
            _write_ranks(engine, agree(folder))
    else:
        _write_ranks(engine, agree(None))
    dist.barrier()
    return target


def restore(engine: Any, checkpoints: Path, *, seed: int) -> int:
    """Load the newest whole checkpoint on every rank and return its step, 0 when there is none.

    Damaged ones that are newer are deleted. One that another number of workers wrote has no generators for these:
    each rank's are then seeded from ``seed``, the step and the rank. Raises ValueError if it has another format.
    """
    found: tuple[Path, dict[str, Any]] | None = None
    if dist.get_rank() == 0:
        found = newest(checkpoints)
        for folder in newest_first(checkpoints):
            if found is None or folder > found[0]:
                shutil.rmtree(folder)
    found = agree(found)
    if found is None:
        return 0
    folder, facts = found
    check_format(folder, facts)
    step = int(facts["step"])
    _read_tensors(engine, folder, facts["optimiser_steps"])
    _set_position(engine, step, facts["schedule"])
    if facts["workers"] == dist.get_world_size():
        _restore_generators(load_file(folder / f"generators-{dist.get_rank()}.safetensors"))
    else:
        _seed_generators(seed, step)
    return step


def full_precision_state(model: nn.Module, folder: Path) -> dict[str, Tensor]:
    """The state dict of a model in float32 from a checkpoint: the optimiser's masters where there are such."""
    with Reader(folder) as stored:
        return {
            name: tensor
            for first, tied in names(model).items()
            for tensor in [_widened(stored.tensor(f"{WEIGHT}/{first}"))]
            for name in tied
        }


def _widened(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _facts(engine: Any, step: int) -> dict[str, int]:
    return {
        "format": FORMAT,
        "step": step,
        "workers": dist.get_world_size(),
        "zero_stage": engine.zero_optimization_stage(),
        "optimiser_steps": steps_taken(engine),
        "schedule": engine.lr_scheduler.last_epoch,
    }


def _write_ranks(engine: Any, folder: Path) -> None:
    shards = Shards(folder)
    for name, tensor in _whole(engine):
        if dist.get_rank() == 0:
            shards.add(name, tensor)
    shards.flush()
    save_file(_generators(), folder / f"generators-{dist.get_rank()}.safetensors")
    dist.barrier()


def _whole(engine: Any) -> Iterator[tuple[str, Tensor]]:
    """Everything that a model and its optimiser hold, one tensor after another; all ranks go through it together."""
    masters = masters_of(engine)
    masters.settle()
    for name, tensor in tensors(engine.module):
        if not tensor.requires_grad:
            with _gathered(tensor):
                yield f"{WEIGHT}/{name}", tensor.detach()
            continue
        yield f"{WEIGHT}/{name}", masters.read(tensor, None)
        for moment in MOMENTS:
            yield f"{moment}/{name}", masters.read(tensor, moment)


def _read_tensors(engine: Any, folder: Path, optimiser_steps: int) -> None:
    masters = masters_of(engine)
    masters.start(optimiser_steps)
    with Reader(folder) as stored, torch.no_grad():
        for name, tensor in tensors(engine.module):
            value = stored.tensor(f"{WEIGHT}/{name}")
            if not tensor.requires_grad:
                with _gathered(tensor, modifier_rank=0):
                    tensor.data.copy_(value)
                continue
            masters.write(tensor, None, value)
            for moment in MOMENTS:
                masters.write(tensor, moment, stored.tensor(f"{moment}/{name}"))
    masters.finish()


def _set_position(engine: Any, step: int, schedule: int) -> None:
    """Set the schedule to a position, and the engine's own counts to a step."""
    scheduler = engine.lr_scheduler
    scheduler.last_epoch = schedule
    rates = [base * factor(schedule) for base, factor in zip(scheduler.base_lrs, scheduler.lr_lambdas, strict=True)]
    for group, rate in zip(engine.optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
    engine.global_steps = step
    engine.global_samples = step * engine.train_batch_size()
    engine.micro_steps = step * engine.gradient_accumulation_steps()


def _gathered(tensor: Tensor, *, modifier_rank: int | None = None) -> AbstractContextManager[Any]:
    """Within, a weight of which ranks keep shares is whole; what ``modifier_rank`` made of it is shared out again."""
    if not hasattr(tensor, "ds_id"):
        return nullcontext()
    from deepspeed.runtime.zero.partition_parameters import GatheredParameters

    found: AbstractContextManager[Any] = GatheredParameters([tensor], modifier_rank=modifier_rank)
    return found


def _generators() -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def _restore_generators(states: dict[str, Tensor]) -> None:
    torch.set_rng_state(states["cpu"])
    if "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"])


def _seed_generators(seed: int, step: int) -> None:
    (mixed,) = np.random.SeedSequence([seed, step, dist.get_rank()]).generate_state(1, np.uint64)
    torch.manual_seed(int(mixed))
