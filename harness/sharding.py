"""A run under an execution, as DeepSpeed wants it: all batch arithmetic is done here, from the real world size."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from studies.schema.cost import parameters_of
from studies.schema.execution import Execution
from studies.schema.lineage import call_size_of
from studies.schema.run import Optimiser, Precision, Schedule, Trained

BUCKET_ELEMENTS = 50_000_000
"""Weights that are communicated at once. DeepSpeed allocates a whole bucket in every step, also for a model that fills
a thousandth of its default of 500 million, so a bucket is never larger than the model."""


def deepspeed_config(run: Trained, execution: Execution, *, world_size: int) -> dict[str, Any]:
    """The DeepSpeed configuration; nothing is left to "auto".

    Raises ValueError when the group of workers is not the declared one or the batch does not divide over it.
    """
    if world_size != execution.workers:
        raise ValueError(f"the worker group has {world_size} workers, the execution declares {execution.workers}")
    micro_batch, accumulation = execution.calls(run.global_batch, call_size_of(run))
    bucket = min(BUCKET_ELEMENTS, parameters_of(run).total)
    return {
        "train_batch_size": run.global_batch,
        "train_micro_batch_size_per_gpu": micro_batch,
        "gradient_accumulation_steps": accumulation,
        "gradient_clipping": run.optimiser.clip_norm,
        "bf16": {"enabled": run.precision is Precision.BF16},
        "zero_optimization": {
            "stage": execution.zero_stage,
            "overlap_comm": False,
            "reduce_bucket_size": bucket,
            "allgather_bucket_size": bucket,
        },
        "zero_allow_untested_optimizer": True,
        "steps_per_print": 10**9,
    }


def adamw(model: nn.Module, optimiser: Optimiser) -> torch.optim.Optimizer:
    """PyTorch's AdamW: DeepSpeed's own CPU kernel would be compiled at first use and is not needed."""
    return torch.optim.AdamW(
        model.parameters(),
        lr=optimiser.learning_rate,
        betas=(optimiser.beta1, optimiser.beta2),
        eps=optimiser.epsilon,
        weight_decay=optimiser.weight_decay,
        fused=True,
    )


def initialize(model: nn.Module, run: Trained, execution: Execution, *, world_size: int) -> Any:
    """A DeepSpeed engine around a model, with the run's optimiser and schedule; called inside a worker."""
    if not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    # DeepSpeed's autotuner imports MLflow where there is one: three seconds and 100 MB of a worker that never tunes.
    with _without("mlflow"):
        import deepspeed
    from deepspeed.utils import logger

    logger.setLevel("WARNING")
    # Its own shared-memory collective would be compiled on first use (30 s, behind a lock file that a killed process
    # leaves locked for ever), and gloo does the same work.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    optimiser = adamw(model, run.optimiser)
    schedule: Schedule = run.schedule
    engine, _, _, _ = deepspeed.initialize(
        model=model,
        optimizer=optimiser,
        lr_scheduler=torch.optim.lr_scheduler.LambdaLR(optimiser, schedule.factor),
        config=deepspeed_config(run, execution, world_size=world_size),
        dist_init_required=False,
    )
    return engine


@contextmanager
def _without(package: str) -> Iterator[None]:
    """Have imports of a package that is not loaded yet fail as if it were not installed."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[package]
