"""A plan's arithmetic against the study written out by hand."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from harness.plan import plan, plan_table, size
from harness.status import Phase, names
from studies.schema.run import System
from studies.schema.storage import Storage
from studies.schema.study import expand
from tests.harness.small_study import leave_evaluation, leave_weights, small_study

STUDY = small_study()
POINTS = expand(STUDY)


def test_plan_prices_every_run_in_order_and_touches_nothing(storage: Path) -> None:
    absent = storage / "not-there"
    planned = plan(STUDY, Storage.at(absent))
    assert [run.point for run in planned.runs] == list(POINTS)
    assert planned.owed == planned.runs
    assert not absent.exists()
    for run in planned.runs:
        if isinstance(run.point.run, System):
            assert (run.steps, run.examples, run.flops, run.state_bytes) == (0, 0, 0, 0)
        else:
            assert run.examples == run.point.run.schedule.steps * run.point.run.global_batch


def test_plan_without_storage_says_nothing_of_progress() -> None:
    assert {run.phase for run in plan(STUDY).runs} == {None}


def test_plan_counts_a_run_as_owed_until_it_is_trained_and_evaluated(storage: Path) -> None:
    place = Storage.at(storage)
    for done, point in enumerate(POINTS, start=1):
        leave_weights(place, point)
        assert len(plan(STUDY, place).owed) == len(POINTS) - done + 1
        leave_evaluation(place, STUDY, point)
        planned = plan(STUDY, place)
        assert len(planned.owed) == len(POINTS) - done
        assert planned.runs[done - 1].phase is Phase.FINISHED


@pytest.mark.parametrize("factor", [2, 5])
def test_plan_of_more_steps_costs_in_proportion(factor: int) -> None:
    schedule = replace(STUDY.base.schedule, steps=factor * STUDY.base.schedule.steps)
    longer = replace(STUDY, base=replace(STUDY.base, schedule=schedule))
    for short, long in zip(plan(STUDY).runs, plan(longer).runs, strict=True):
        grows = factor if short.steps and short.point.run != STUDY.base.teacher else 1
        assert long.examples == grows * short.examples
        assert long.flops == pytest.approx(grows * short.flops)
        assert long.state_bytes == short.state_bytes


@pytest.mark.parametrize("width", [80, 100, 160])
def test_plan_table_has_a_line_for_every_run_and_fits(width: int) -> None:
    planned = plan(STUDY)
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(plan_table(planned, width=width))
    lines = capture.get().splitlines()
    assert max(map(len, lines)) <= width
    for (key, name), line in zip(names(POINTS).items(), lines[1:-1], strict=True):
        assert name in line
        assert key[:8] in line


@given(count=st.integers(1, 2**50))
def test_size_is_within_half_a_unit_of_the_bytes_it_stands_for(count: int) -> None:
    number, unit = size(count).split()
    scale = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}[unit]
    assert float(number) * scale == pytest.approx(count, abs=0.5 * scale)
