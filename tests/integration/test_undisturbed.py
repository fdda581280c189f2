"""What an undisturbed study leaves behind, which is what drills compare with."""

import pytest

from harness.drills.results import point_differences, run_differences
from harness.drills.scene import Home
from studies.schema.study import expand

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


def test_nothing_is_compiled_under_a_lock_that_a_killed_worker_would_leave_for_ever(home: Home) -> None:
    assert not home.command.compiled.exists()


def test_undisturbed_study_is_in_mlflow_point_by_point_and_was_on_loopback_only(home: Home) -> None:
    assert run_differences(home.storage, home.study, expand(home.study)) == []
    assert point_differences(home.storage, home.study) == []
    # The store in which torch's workers find each other listens everywhere and cannot be told otherwise.
    assert home.command.exposed <= {"ray::RayTrainWorker"}
