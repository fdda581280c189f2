"""In which order the runs of a study are trained, and which side by side."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from harness.fleet import rounds
from harness.remote import Task
from studies.bases import ATLAS_TRANSLATOR
from studies.first_look import STUDY
from studies.schema.execution import Execution
from studies.schema.key import run_key
from studies.schema.lineage import needs
from studies.schema.record import Role, State
from studies.schema.run import Trained
from studies.schema.state import write_state
from studies.schema.storage import Storage
from studies.schema.study import Study, expand

SIDE_BY_SIDE = Execution(workers=1, micro_batch=64, at_once=2)
ALONE = Execution(workers=2, micro_batch=32)
TRANSLATING = replace(STUDY, rivals=(Role.TRANSLATED,), translator=ATLAS_TRANSLATOR)


def trained(study: Study) -> list[str]:
    return [point.key for point in expand(study) if isinstance(point.run, Trained)]


def keys(owed: Sequence[Sequence[Sequence[Task]]]) -> list[str]:
    return [task.key for groups in owed for group in groups for task in group]


@pytest.mark.parametrize(
    "study",
    [STUDY, replace(STUDY, executions=(), execution=ALONE), replace(STUDY, execution=ALONE), TRANSLATING],
    ids=["all side by side", "one after another", "the teacher on two workers", "with translators"],
)
def test_rounds_hold_every_owed_run_once_and_no_student_waits_for_a_later_teacher(study: Study, tmp_path: Path) -> None:
    owed = rounds(study, Storage.at(tmp_path), expand(study))
    assert sorted(keys(owed)) == sorted(trained(study))
    done: set[str] = set()
    for groups in owed:
        assert len(groups) == groups[0][0].execution.at_once or len(keys([groups])) < groups[0][0].execution.at_once
        for group in groups:
            # Beside it a group may train the teacher, before anything else: to wait for it is to wait for no student.
            before = done | {other[0].key for other in groups if other is not group}
            for task in group:
                assert {run_key(run) for run in needs(task.run)} <= before
                before.add(task.key)
        done.update(keys([groups]))


def test_students_of_a_teacher_that_failed_are_not_owed(tmp_path: Path) -> None:
    storage = Storage.at(tmp_path)
    write_state(storage, trained(STUDY)[0], State.FAILED, reason="its loss is not a number")
    assert rounds(STUDY, storage, expand(STUDY)) == []


def test_round_shares_its_runs_evenly_and_leaves_out_what_is_trained(tmp_path: Path) -> None:
    storage = Storage.at(tmp_path)
    study = replace(STUDY, executions=(), execution=SIDE_BY_SIDE)
    owed = trained(study)
    for key in owed[:4]:
        write_state(storage, key, State.FINISHED)
    (groups,) = rounds(study, storage, expand(study))
    assert sorted(keys([groups])) == sorted(owed[4:])
    assert len({len(group) for group in groups}) <= 2
    assert max(map(len, groups)) - min(map(len, groups)) <= 1
