"""What a plan reckons: memory that obeys its laws, remedies that do fit, and prices of what is shared counted once."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.bases import ATLAS_TEACHER, OPTICAL_ATLAS
from studies.first_look import STUDY
from studies.ladders import ATLAS, MT5_ENCODERS, XLM_R, Ladder
from studies.schema.batches import check_batches
from studies.schema.devices import KINDS, Device
from studies.schema.execution import Execution
from studies.schema.fit import memory_of, misfit, remedies
from studies.schema.memory import activation_bytes
from studies.schema.objective import PooledMSE
from studies.schema.price import device_hours, kept, work_of
from studies.schema.run import LookUp, Student
from studies.schema.rung import Precision
from studies.schema.study import expand

GPU = Execution(workers=8, micro_batch=32, gpus_per_worker=1, zero_stage=0)


def student_of(ladder: Ladder, name: str) -> Student:
    (rung,) = [rung for rung, _ in ladder.rungs if rung.name == name]
    return replace(OPTICAL_ATLAS, rung=rung, precision=Precision.BF16)


@pytest.mark.parametrize("rung", [rung for rung, _ in (*ATLAS.rungs, *XLM_R.rungs)], ids=lambda rung: rung.name)
def test_every_remedy_would_do_and_is_offered_only_where_one_is_needed(rung: object) -> None:
    run = replace(OPTICAL_ATLAS, rung=rung, precision=Precision.BF16)  # type: ignore[arg-type]
    if memory_of(run, GPU).peak <= GPU.memory:
        assert misfit(run, GPU) is None
        return
    found = misfit(run, GPU)
    assert found is not None
    assert "H100" in found
    offered = remedies(run, GPU)
    assert offered
    for execution in offered:
        check_batches(run, execution)
        assert memory_of(run, execution).peak <= execution.memory
        assert execution != GPU


def test_what_no_change_alone_can_mend_is_mended_by_several() -> None:
    run = student_of(MT5_ENCODERS, "mt5-xxl")
    execution = replace(GPU, workers=2, micro_batch=128)
    (several,) = remedies(run, execution)
    assert several.zero_stage == 3
    assert several.gradient_checkpointing
    text = misfit(run, execution)
    assert text is not None
    assert "zero_stage=3" in text
    assert "gradient_checkpointing=True" in text


@given(workers=st.sampled_from((2, 4, 8, 16)), micro_batch=st.sampled_from((4, 8, 16)))
def test_memory_falls_with_stages_workers_and_smaller_calls(workers: int, micro_batch: int) -> None:
    run = student_of(XLM_R, "xlm-r-large")
    execution = replace(GPU, workers=workers, micro_batch=micro_batch)
    held = []
    for stage in range(1, 4):
        memory = memory_of(run, replace(execution, zero_stage=stage))
        held.append(memory.weights + memory.gradients + memory.optimiser)
    assert all(after < before for before, after in pairwise(held))
    smaller, checkpointed = replace(execution, micro_batch=1), replace(execution, gradient_checkpointing=True)
    sharded, wider = (replace(execution, zero_stage=3, workers=count) for count in (workers, 2 * workers))
    left = activation_bytes(run, execution, tokens=58)
    for less, times in ((smaller, 2), (checkpointed, 4)):
        assert all(
            after < before / times for before, after in zip(left, activation_bytes(run, less, tokens=58), strict=True)
        )
        assert memory_of(run, less).peak <= memory_of(run, execution).peak
    assert memory_of(run, wider).peak < memory_of(run, sharded).peak


def test_checkpointing_trades_a_third_more_work_of_the_encoder_for_memory() -> None:
    run = student_of(XLM_R, "xlm-r-base")
    plain, checkpointed = (work_of(run, replace(GPU, gradient_checkpointing=on)) for on in (False, True))
    assert checkpointed.encoder == plain.encoder
    assert checkpointed.recomputed == pytest.approx(plain.encoder / 3)
    assert checkpointed.objective == plain.objective > 0


def test_objective_has_its_own_price_and_a_look_up_none() -> None:
    pooled = replace(OPTICAL_ATLAS, objective=PooledMSE())
    assert work_of(pooled, Execution()).objective < work_of(OPTICAL_ATLAS, Execution()).objective
    look_up = LookUp(teacher=ATLAS_TEACHER, bitext=None)
    assert work_of(look_up, Execution()).total == device_hours(look_up, Execution()) == 0
    assert misfit(look_up, Execution()) is None


def test_hours_of_a_device_are_work_over_what_it_is_taken_to_reach() -> None:
    run = student_of(XLM_R, "xlm-r-base")
    kind = KINDS[Device.A100]
    found = device_hours(run, replace(GPU, device=Device.A100))
    assert found == pytest.approx(work_of(run, GPU).total / (kind.utilisation * kind.bf16 * 3600))
    assert found > device_hours(run, GPU)


def test_worker_has_one_kind_of_device() -> None:
    with pytest.raises(ValueError, match="a worker computes on one kind"):
        Execution(device=Device.H100)
    with pytest.raises(ValueError, match="a worker computes on one kind"):
        replace(GPU, device=Device.CPU_PAIR)


def test_what_runs_share_is_stored_once() -> None:
    runs = [(point.run, STUDY.execution_of(point)) for point in expand(STUDY)]
    whole, one = kept(runs), kept([runs[-1]])
    assert whole.passages == one.passages
    assert whole.lines == one.lines > 0
    assert whole.final > one.final
