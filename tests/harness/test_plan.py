"""A plan's arithmetic against the study written out by hand."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from harness.assemble import sequences
from harness.data.atlas import AtlasData
from harness.plan import misfits, plan, plan_table, size
from harness.status import Phase, names
from studies.bases import ATLAS_BITEXT
from studies.ladders import XLM_R
from studies.schema import tokens
from studies.schema.execution import Execution
from studies.schema.fit import misfit
from studies.schema.run import Student, System
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
            assert (run.steps, run.examples, run.tokens, run.work.total, run.memory.peak) == (0, 0, 0, 0, 0)
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
        assert long.tokens == grows * short.tokens
        assert long.work.total == pytest.approx(grows * short.work.total)
        assert long.hours == pytest.approx(grows * short.hours)
        assert long.memory == short.memory


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


def test_tokens_that_a_plan_reckons_with_are_those_of_the_collection(atlas: AtlasData) -> None:
    lines = atlas.bitext(ATLAS_BITEXT)
    source = sequences(atlas, [line.text for line in lines]).lengths
    sides = sequences(atlas, sorted({line.english for line in lines})).lengths
    passages = sequences(atlas, [passage.text for passage in atlas.passages]).lengths
    assert len(sides) == ATLAS_BITEXT.lines
    assert len(passages) == tokens.PASSAGES
    for mean, found in ((tokens.LINE, source), (tokens.ENGLISH, sides), (tokens.PASSAGE, passages)):
        assert mean == pytest.approx(found.mean(), rel=0.12)
    assert source.max() == tokens.LONGEST_LINE
    queries = sequences(atlas, [pair.text for pair in atlas.teacher_pairs()]).lengths
    assert queries.max() + passages.max() == tokens.LONGEST_PAIR


def test_plan_that_cannot_fit_says_for_each_rung_what_would() -> None:
    rung = next(rung for rung, _ in XLM_R.rungs if rung.name == "xlm-r-xxl")
    large = replace(STUDY, executions=(("atlas-13k", Execution(workers=2, gpus_per_worker=1)),))
    runs = tuple(
        replace(run, point=replace(run.point, run=replace(run.point.run, rung=rung)))
        for run in plan(large).runs
        if isinstance(run.point.run, Student) and run.point.labels.rung == "atlas-13k"
    )
    priced = tuple(replace(run, misfit=misfit(run.point.run, run.execution)) for run in runs)
    (text,) = misfits(replace(plan(large), runs=priced))
    assert text.startswith("rung atlas-13k needs")
    assert "workers=16" in text
    assert misfits(plan(STUDY)) == []
