"""A run under an execution: batch arithmetic that multiplies out, and an optimiser that does what its paper says."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from harness.sharding import adamw, deepspeed_config
from studies.bases import ATLAS_TEACHER, OPTICAL_ATLAS
from studies.ladders import XLM_R
from studies.schema.cost import parameters_of
from studies.schema.execution import Execution
from studies.schema.memory import BUCKET_ELEMENTS
from studies.schema.optimiser import Optimiser
from studies.schema.rung import Precision


@given(
    workers=st.integers(1, 8),
    micro_batch=st.integers(1, 64),
    accumulation=st.integers(1, 8),
    zero_stage=st.integers(0, 3),
)
def test_batch_is_micro_batch_times_accumulation_times_workers(
    workers: int, micro_batch: int, accumulation: int, zero_stage: int
) -> None:
    run = replace(OPTICAL_ATLAS, global_batch=workers * micro_batch * accumulation)
    execution = Execution(workers=workers, micro_batch=micro_batch, zero_stage=zero_stage)
    config = deepspeed_config(run, execution, world_size=workers)
    assert config["train_batch_size"] == run.global_batch
    assert config["train_micro_batch_size_per_gpu"] == micro_batch
    assert config["gradient_accumulation_steps"] == accumulation
    assert config["zero_optimization"]["stage"] == zero_stage


@given(workers=st.integers(1, 8), micro_batch=st.integers(1, 64), global_batch=st.integers(1, 512))
def test_batch_that_leaves_a_remainder_is_refused(workers: int, micro_batch: int, global_batch: int) -> None:
    share, rest = divmod(global_batch, workers)
    assume(rest or (share > micro_batch and share % micro_batch))
    run = replace(OPTICAL_ATLAS, global_batch=global_batch)
    with pytest.raises(ValueError, match=f"{global_batch} does not divide over {workers} workers"):
        deepspeed_config(run, Execution(workers=workers, micro_batch=micro_batch), world_size=workers)


def test_candidate_group_is_never_split_over_forward_calls() -> None:
    execution = Execution(workers=2, micro_batch=16)
    assert (
        deepspeed_config(OPTICAL_ATLAS, execution, world_size=2)["gradient_accumulation_steps"]
        == OPTICAL_ATLAS.global_batch // 32
    )
    with pytest.raises(ValueError, match=r"micro-batch 16, 2 workers\) splits a candidate group of 32"):
        deepspeed_config(ATLAS_TEACHER, execution, world_size=2)


@pytest.mark.parametrize("world_size", [1, 3])
def test_group_of_workers_that_is_not_the_declared_one_is_refused(world_size: int) -> None:
    with pytest.raises(ValueError, match=f"worker group has {world_size} workers, the execution declares 2"):
        deepspeed_config(OPTICAL_ATLAS, Execution(workers=2), world_size=world_size)


def values(config: Any) -> list[Any]:
    return [leaf for value in config.values() for leaf in values(value)] if isinstance(config, dict) else [config]


@pytest.mark.parametrize("precision", list(Precision))
def test_nothing_is_left_to_be_chosen_elsewhere(precision: Precision) -> None:
    config = deepspeed_config(replace(OPTICAL_ATLAS, precision=precision), Execution(), world_size=2)
    assert all(isinstance(value, bool | int | float) for value in values(config))
    assert config["bf16"]["enabled"] is (precision is Precision.BF16)
    assert "optimizer" not in config
    assert "scheduler" not in config


def test_bucket_is_never_larger_than_the_model() -> None:
    large = replace(OPTICAL_ATLAS, rung=XLM_R.rungs[0][0])
    for run, expected in ((OPTICAL_ATLAS, parameters_of(OPTICAL_ATLAS).total), (large, BUCKET_ELEMENTS)):
        zero = deepspeed_config(run, Execution(), world_size=2)["zero_optimization"]
        assert zero["reduce_bucket_size"] == zero["allgather_bucket_size"] == expected


def test_adamw_takes_the_steps_of_its_paper() -> None:
    """Algorithm 2 of arXiv 1711.05101 on one weight, in double precision."""
    declared = Optimiser(learning_rate=0.1, beta1=0.8, beta2=0.9, epsilon=1e-3, weight_decay=0.05)
    model = torch.nn.Linear(1, 1, bias=False, dtype=torch.float64)
    optimiser = adamw(model, declared)
    weight, first, second = model.weight.item(), 0.0, 0.0
    for step, gradient in enumerate([0.3, -2.0, 0.01, 5.0], start=1):
        model.weight.grad = torch.full_like(model.weight, gradient)
        optimiser.step()
        first = declared.beta1 * first + (1 - declared.beta1) * gradient
        second = declared.beta2 * second + (1 - declared.beta2) * gradient**2
        corrected, scale = first / (1 - declared.beta1**step), (second / (1 - declared.beta2**step)) ** 0.5
        weight -= declared.learning_rate * (corrected / (scale + declared.epsilon) + declared.weight_decay * weight)
        assert model.weight.item() == pytest.approx(weight, abs=1e-12)
