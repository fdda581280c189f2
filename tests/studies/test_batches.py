"""Numbers of workers between which an elastic run may move: those over which its batches come out whole."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.bases import ATLAS_TEACHER, OPTICAL_ATLAS
from studies.first_look import STUDY
from studies.ladders import XLM_R
from studies.schema.batches import check_batches, world_sizes
from studies.schema.execution import Execution
from studies.schema.fit import memory_of, remedies
from studies.schema.run import HELD_OUT_LINES, HELD_OUT_QUERIES, Student, Teacher
from studies.schema.rung import Precision
from studies.schema.study import expand


@given(
    most=st.integers(1, 24),
    fewest=st.integers(1, 24),
    micro_batch=st.sampled_from((4, 12, 32, 64, 96)),
    global_batch=st.sampled_from((32, 64, 96, 192, 256)),
    run=st.sampled_from((OPTICAL_ATLAS, ATLAS_TEACHER)),
)
def test_world_sizes_are_those_that_give_every_worker_whole_calls_and_whole_groups(
    most: int, fewest: int, micro_batch: int, global_batch: int, run: Student | Teacher
) -> None:
    fewest, most = sorted((fewest, most))
    run = replace(run, global_batch=global_batch)
    group = run.objective.group_size if isinstance(run, Teacher) else 1
    watched = HELD_OUT_QUERIES if isinstance(run, Teacher) else HELD_OUT_LINES

    def divides(workers: int) -> bool:
        share = global_batch / workers
        size = min(micro_batch, share)
        calls = [size * call for call in range(1, global_batch + 1)]
        held = [size for size in range(group, micro_batch + 1, group) if watched / workers % size == 0]
        return share in calls and size % group == 0 and bool(held)

    execution = Execution(workers=most, workers_min=fewest, micro_batch=micro_batch)
    assert world_sizes([run], execution) == tuple(n for n in range(fewest, most + 1) if divides(n))


def test_runs_of_a_group_share_the_world_sizes_that_all_of_them_have() -> None:
    execution = Execution(workers=8, workers_min=1, micro_batch=32)
    runs = [replace(OPTICAL_ATLAS, global_batch=64), replace(OPTICAL_ATLAS, global_batch=96)]
    both = set.intersection(*(set(world_sizes([run], execution)) for run in runs))
    assert set(world_sizes(runs, execution)) == both == {1, 4, 8}


def test_fewest_number_that_cannot_be_is_refused_with_the_arithmetic() -> None:
    check_batches(OPTICAL_ATLAS, Execution(workers=8, workers_min=2, micro_batch=32))
    with pytest.raises(ValueError, match=r"workers_min 3 cannot be: .* \d+ does not divide over 3 workers"):
        check_batches(OPTICAL_ATLAS, Execution(workers=8, workers_min=3, micro_batch=32))


def test_elasticity_moves_no_key() -> None:
    elastic = replace(STUDY, executions=(), execution=Execution(workers=2, workers_min=1, micro_batch=32))
    assert [point.key for point in expand(elastic)] == [point.key for point in expand(STUDY)]


@pytest.mark.parametrize("workers", [1, 5])
def test_group_outside_the_range_is_refused(workers: int) -> None:
    with pytest.raises(ValueError, match=f"has {workers} workers, the execution declares 2 to 4"):
        Execution(workers=4, workers_min=2).by(workers)


def test_memory_is_that_of_the_fewest_workers_and_remedies_make_them_more() -> None:
    run = replace(OPTICAL_ATLAS, rung=XLM_R.rungs[-1][0], precision=Precision.BF16)
    execution = Execution(workers=8, workers_min=2, micro_batch=8, gpus_per_worker=1, zero_stage=3)
    assert memory_of(run, execution) == memory_of(run, replace(execution, workers=2, workers_min=None))
    assert memory_of(run, execution).peak > execution.memory, "it fits, so that no remedy is asked"
    for remedy in remedies(run, execution):
        check_batches(run, remedy)
        assert memory_of(run, remedy.by(remedy.fewest)).peak <= remedy.memory
    assert any((remedy.workers_min or 0) > 2 for remedy in remedies(run, execution))
