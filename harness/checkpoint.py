"""Save and restore a run in the middle of training, exactly: weights, optimiser, schedule, step and generators.

A checkpoint is a directory named by its step; its manifest is written last, and one without a manifest does not
exist. The position in the data is the step: the order of examples is a function of seed and step.
"""

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch import Tensor

from studies.schema.storage import Damaged, publish, read_manifest

logger = logging.getLogger(__name__)

TAG = "engine"


def agree(value: Any) -> Any:
    """Rank 0's value, on every rank."""
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def save(engine: Any, checkpoints: Path, step: int) -> Path:
    """Publish a checkpoint of all ranks; every rank must call this at the same step."""
    target = checkpoints / f"{step:08d}"
    if dist.get_rank() == 0:
        with publish(target, facts={"step": step, **_layout(engine)}) as folder:
            _write_ranks(engine, agree(folder), step)
    else:
        _write_ranks(engine, agree(None), step)
    dist.barrier()
    return target


def restore(engine: Any, checkpoints: Path) -> int:
    """Load the newest whole checkpoint on every rank and return its step, 0 when there is none.

    Damaged ones that are newer are deleted. Raises ValueError if it was written by another number of workers or
    another ZeRO stage.
    """
    found: tuple[Path, dict[str, Any]] | None = None
    if dist.get_rank() == 0:
        found = newest(checkpoints)
        for folder in _newest_first(checkpoints):
            if found is None or folder > found[0]:
                shutil.rmtree(folder)
    found = agree(found)
    if found is None:
        return 0
    folder, facts = found
    check_layout(folder, facts, **_layout(engine))
    engine.load_checkpoint(str(folder), tag=TAG)
    _restore_generators(load_file(folder / f"generators-{dist.get_rank()}.safetensors"))
    return int(facts["step"])


def check_layout(folder: Path, facts: Mapping[str, Any], **layout: int) -> None:
    """Raise ValueError if a checkpoint was cut into files by another layout: ``workers`` and ``zero_stage``."""
    for what, here in layout.items():
        if facts[what] != here:
            raise ValueError(
                f"checkpoint {folder} was written with {what} {facts[what]} and cannot be read with {here}; go on with "
                f"{what} {facts[what]}, or delete it to train from the start"
            )


def newest(checkpoints: Path) -> tuple[Path, dict[str, Any]] | None:
    """The newest checkpoint that can be read, with the facts of its manifest; damaged ones are passed over aloud."""
    for folder in _newest_first(checkpoints):
        try:
            manifest = read_manifest(folder)
        except Damaged as damage:
            logger.warning("%s; the run goes on from the checkpoint before it, or from the start", damage)
            continue
        if manifest is not None:
            return folder, dict(manifest.facts)
    return None


def _newest_first(checkpoints: Path) -> list[Path]:
    return sorted(checkpoints.glob("[0-9]*"), reverse=True)


def retain(checkpoints: Path, keep: int) -> None:
    """Delete all but the newest ``keep`` checkpoints; called by one rank."""
    for folder in _newest_first(checkpoints)[keep:]:
        shutil.rmtree(folder, ignore_errors=True)


def full_precision_state(engine: Any, folder: Path) -> dict[str, Tensor]:
    """The model's weights in float32 from a checkpoint of all ranks: the optimiser's master copy where there is one."""
    if engine.zero_optimization_stage() == 0:
        return {name: weight.detach().float().cpu() for name, weight in engine.module.state_dict().items()}
    from deepspeed.utils.zero_to_fp32 import get_fp32_state_dict_from_zero_checkpoint

    return dict(get_fp32_state_dict_from_zero_checkpoint(str(folder), tag=TAG))


def _write_ranks(engine: Any, folder: Path, step: int) -> None:
    engine.save_checkpoint(str(folder), tag=TAG, client_state={"step": step}, save_latest=False)
    save_file(_generators(), folder / f"generators-{dist.get_rank()}.safetensors")
    dist.barrier()


def _layout(engine: Any) -> dict[str, int]:
    """What decides how DeepSpeed cuts its files."""
    return {"workers": dist.get_world_size(), "zero_stage": engine.zero_optimization_stage()}


def _generators() -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def _restore_generators(states: dict[str, Tensor]) -> None:
    torch.set_rng_state(states["cpu"])
    if "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"])
