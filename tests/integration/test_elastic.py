"""The drill ``shrink`` under ZeRO 3, where a machine takes its shares of the weights with it; alone it is of ZeRO 2."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from harness.drills.losses import shrink
from harness.drills.perform import chosen, perform
from harness.drills.scene import Home

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


def test_run_in_shares_that_loses_a_machine_goes_on_along_the_same_curve(home: Home, tmp_path: Path) -> None:
    (drill,) = chosen("shrink")
    drill = replace(drill, perform=partial(shrink, zero_stage=3))
    report = perform(drill, home, tmp_path / drill.name)
    assert report.skipped is None
    assert not {aspect: wrong for aspect, wrong in report.found.items() if wrong}
    assert report.found.keys() == {"promise", "numbers", "points", "runs", "left behind"}
