"""A run that loses one of two machines goes on with one worker, along the same loss curve, under every ZeRO stage."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from harness.drills.losses import shrink
from harness.drills.perform import chosen, perform
from harness.drills.scene import Drill, Home

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_run_that_loses_a_machine_goes_on_along_the_same_curve(stage: int, home: Home, tmp_path: Path) -> None:
    (drill,) = chosen("shrink")
    _see_that_it_holds(replace(drill, perform=partial(shrink, zero_stage=stage)), home, tmp_path)


def test_notice_is_answered_by_a_save_and_counts_as_no_failure(home: Home, tmp_path: Path) -> None:
    (drill,) = chosen("notice")
    _see_that_it_holds(drill, home, tmp_path)


def _see_that_it_holds(drill: Drill, home: Home, folder: Path) -> None:
    report = perform(drill, home, folder / drill.name)
    assert report.skipped is None
    assert not {aspect: wrong for aspect, wrong in report.found.items() if wrong}
    assert report.found.keys() == {"promise", "numbers", "points", "runs", "left behind"}
