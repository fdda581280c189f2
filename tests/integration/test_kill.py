"""SIGKILL of a worker, the driver or the tracking server changes no final number and leaves nothing: three drills."""

from pathlib import Path

import pytest

from harness.drills.perform import chosen, perform
from harness.drills.scene import Home

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


@pytest.mark.parametrize("name", ["worker", "driver", "mlflow"])
def test_study_that_loses_a_process_ends_as_if_left_in_peace(name: str, home: Home, tmp_path: Path) -> None:
    (drill,) = chosen(name)
    report = perform(drill, home, tmp_path / name)
    assert report.skipped is None
    assert not {aspect: wrong for aspect, wrong in report.found.items() if wrong}
    assert report.found.keys() == {"promise", "numbers", "points", "runs", "left behind"}
