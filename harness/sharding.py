"""A run under an execution, as DeepSpeed wants it: all batch arithmetic is done here, from the real world size."""

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import nn

from harness.encoders import TokenEncoder
from harness.environment import variable
from harness.masked import MaskedModel
from harness.translator import TranslationModel
from studies.schema.cost import gathered_weights, trained_weights
from studies.schema.execution import Execution
from studies.schema.lineage import call_size_of
from studies.schema.memory import BUCKET_ELEMENTS
from studies.schema.optimiser import Optimiser, Schedule
from studies.schema.run import Student, Trained, Translator
from studies.schema.rung import Precision


def deepspeed_config(run: Trained, execution: Execution, *, world_size: int) -> dict[str, Any]:
    """The DeepSpeed configuration; nothing is left to "auto".

    Raises ValueError when the group of workers is not the declared one or the batch does not divide over it.
    """
    if world_size != execution.workers:
        raise ValueError(f"the worker group has {world_size} workers, the execution declares {execution.workers}")
    micro_batch, accumulation = execution.calls(run.global_batch, call_size_of(run))
    bucket = min(BUCKET_ELEMENTS, trained_weights(run))
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
            **_gathered(run),
        },
        "zero_allow_untested_optimizer": True,
        "steps_per_print": 10**9,
    }


def _gathered(run: Trained) -> dict[str, int]:
    """How much of a model ZeRO 3 has whole at once. DeepSpeed's own limits are a thousand million weights, which is all
    of most models from their first layer to their last gradient."""
    if isinstance(run, Translator):
        return {}
    gathered = gathered_weights(run.rung.architecture)
    return {
        "stage3_max_live_parameters": gathered.at_once,
        "stage3_max_reuse_distance": 0,
        "stage3_prefetch_bucket_size": gathered.ahead,
        "stage3_param_persistence_threshold": gathered.kept_below,
    }


def adamw(model: nn.Module, optimiser: Optimiser) -> torch.optim.Optimizer:
    """PyTorch's AdamW over what is trained: DeepSpeed's own CPU kernel would be compiled at first use."""
    return torch.optim.AdamW(
        [weight for weight in model.parameters() if weight.requires_grad],
        lr=optimiser.learning_rate,
        betas=(optimiser.beta1, optimiser.beta2),
        eps=optimiser.epsilon,
        weight_decay=optimiser.weight_decay,
        fused=True,
    )


@contextmanager
def building(run: Trained, execution: Execution, *, world_size: int) -> Iterator[None]:
    """Within, transformers reads pretrained weights into shares where the execution is ZeRO 3.

    Rank 0 reads one weight after another, memory-mapped, and every rank keeps its share. The request is global to the
    process, so it is withdrawn at the end; whatever else is built belongs outside. Random weights are drawn whole, on
    the host, as their values are those of one sequence of draws, and are shared out by :func:`prepare`.
    """
    if execution.zero_stage != 3 or isinstance(run, Translator) or run.rung.weights is None:
        yield
        return
    _deepspeed()
    from transformers.integrations.deepspeed import HfDeepSpeedConfig, unset_hf_deepspeed_config

    held = HfDeepSpeedConfig(deepspeed_config(run, execution, world_size=world_size))
    try:
        yield
    finally:
        unset_hf_deepspeed_config()
        del held


def prepare(
    model: TokenEncoder | TranslationModel | MaskedModel, run: Trained, execution: Execution, *, world_size: int
) -> Any:
    """A DeepSpeed engine around a model, as the run and its execution want it trained; called inside a worker.

    Under ZeRO 3 weights go to their device one at a time and leave it as shares, so that it never holds all of them.
    """
    if isinstance(run, Student) and isinstance(model, TokenEncoder) and run.frozen_embeddings:
        model.freeze_embeddings()
    if execution.gradient_checkpointing and isinstance(model, TokenEncoder):
        model.checkpoint_gradients()
    if execution.zero_stage == 3 and isinstance(model, TokenEncoder):
        if run.precision is Precision.BF16:
            model.to(torch.bfloat16)
        config = deepspeed_config(run, execution, world_size=world_size)
        _deepspeed().zero.Init(module=model, config_dict_or_path=config)
    return initialize(model, run, execution, world_size=world_size)


def initialize(model: nn.Module, run: Trained, execution: Execution, *, world_size: int) -> Any:
    """A DeepSpeed engine around a model, with the run's optimiser and schedule; called inside a worker."""
    optimiser = adamw(model, run.optimiser)
    schedule: Schedule = run.schedule
    engine, _, _, _ = _deepspeed().initialize(
        model=model,
        optimizer=optimiser,
        lr_scheduler=torch.optim.lr_scheduler.LambdaLR(optimiser, schedule.factor),
        config=deepspeed_config(run, execution, world_size=world_size),
        dist_init_required=False,
    )
    if not hasattr(engine.optimizer, "_global_grad_norm"):
        _keep_gradient_norm(engine)
    return engine


def _keep_gradient_norm(engine: Any) -> None:
    """Have an engine with a bare optimiser, as under ZeRO 0 in float32, keep the norm that it clips by.

    DeepSpeed computes it there as elsewhere and throws it away, so that ``get_global_grad_norm`` would answer None.
    """
    from deepspeed.runtime.utils import clip_grad_norm_

    def clip() -> None:
        engine._global_grad_norm = clip_grad_norm_(engine.module.parameters(), engine.gradient_clipping())

    engine.clip_fp32_gradients = clip


def held_weights(model: nn.Module) -> int:
    """Weights in this rank's memory: its shares, and what of the others it has whole at the moment."""
    shares = (getattr(weight, "ds_tensor", None) for weight in model.parameters())
    held = sum(weight.numel() for weight in model.parameters())
    return held + sum(int(share.numel()) for share in shares if share is not None)


def _deepspeed() -> Any:
    """DeepSpeed, imported inside a worker and kept from compiling what is not needed."""
    if not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    # DeepSpeed's autotuner imports MLflow where there is one: 2.4 s of a core and 100 MB of a worker that never tunes.
    with _without("mlflow"):
        import deepspeed
    # An engine asks whether its optimiser is Muon, whose module has torch's compiler imported to decorate a function:
    # 2.4 s of a core as well.
    with _compiling_nothing():
        import deepspeed.runtime.zero.muon.muon_optimizer
    from deepspeed.utils import logger

    logger.setLevel("WARNING")
    # Its own shared-memory collective would be compiled on first use (30 s, behind a lock file that a killed process
    # leaves locked for ever), and gloo does the same work.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    # Weights are cut up before there is an engine, and how many workers share them is known from here on.
    backend = deepspeed.accelerator.get_accelerator().communication_backend_name()
    deepspeed.init_distributed(dist_backend=backend, dist_init_required=False)
    return deepspeed


def _compiling_nothing() -> AbstractContextManager[None]:
    """Have ``torch.compile`` give functions back as they are."""
    return variable("TORCHDYNAMO_DISABLE", "1")


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
