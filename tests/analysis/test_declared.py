"""A study is complete or its missing runs are named."""

from dataclasses import replace

import pytest

from analysis.declared import Declared, completed
from analysis.frame import Frame, IncompleteStudy


def test_completed_every_run_recorded_keeps_declared_order(asked: Declared, frame: Frame) -> None:
    assert [run.key for run in completed(asked, frame)] == [point.key for point in asked.points]


def test_completed_run_missing_is_named_with_the_command(asked: Declared, frame: Frame) -> None:
    absent = asked.points[3].key
    runs = {key: run for key, run in frame.runs.items() if key != absent}
    with pytest.raises(IncompleteStudy, match=rf"(?s)1 of the .*{absent}.*not recorded.*harness run planted"):
        completed(asked, replace(frame, runs=runs))


@pytest.mark.parametrize("state", ["planned", "running", "pruned", "failed"])
def test_completed_run_without_result_is_named_with_its_state(asked: Declared, frame: Frame, state: str) -> None:
    key = asked.points[-1].key
    runs = dict(frame.runs) | {key: replace(frame.runs[key], state=state)}
    with pytest.raises(IncompleteStudy, match=f"state is {state}"):
        completed(asked, replace(frame, runs=runs))


def test_completed_run_not_evaluated_is_named(asked: Declared, frame: Frame) -> None:
    key = asked.points[-1].key
    runs = dict(frame.runs) | {key: replace(frame.runs[key], queries=None)}
    with pytest.raises(IncompleteStudy, match="evaluation is not recorded"):
        completed(asked, replace(frame, runs=runs))


def test_completed_measure_missing_is_named(asked: Declared, frame: Frame) -> None:
    wanted = replace(asked, measures=(*asked.measures, "R@100"))
    with pytest.raises(IncompleteStudy, match="evaluated without R@100"):
        completed(wanted, frame)
