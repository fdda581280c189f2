"""In which order the runs of a study are trained, and which side by side."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from harness.fleet import rounds
from harness.remote import Task
from studies.first_look import STUDY
from studies.schema.execution import Execution
from studies.schema.key import run_key
from studies.schema.record import State
from studies.schema.run import LookUp, Teacher, teacher_of
from studies.schema.state import write_state
from studies.schema.storage import Storage
from studies.schema.study import Study, expand

SIDE_BY_SIDE = Execution(workers=1, micro_batch=256, at_once=2)
TRAINED = [point.key for point in expand(STUDY) if not isinstance(point.run, LookUp)]


def keys(owed: Sequence[Sequence[Sequence[Task]]]) -> list[str]:
    return [task.key for groups in owed for group in groups for task in group]


@pytest.mark.parametrize(
    "study",
    [STUDY, replace(STUDY, executions=()), replace(STUDY, executions=(), execution=SIDE_BY_SIDE)],
    ids=["as declared", "one after another", "all side by side"],
)
def test_rounds_hold_every_owed_run_once_and_a_teacher_before_its_students(study: Study, tmp_path: Path) -> None:
    owed = rounds(study, Storage.at(tmp_path), expand(study))
    assert sorted(keys(owed)) == sorted(TRAINED)
    done: set[str] = set()
    for groups in owed:
        assert len(groups) == groups[0][0].execution.at_once or len(keys([groups])) < groups[0][0].execution.at_once
        for group in groups:
            before = set(done)
            for task in group:
                assert isinstance(task.run, Teacher) or run_key(teacher_of(task.run)) in before
                before.add(task.key)
        done.update(keys([groups]))


def test_round_shares_its_runs_evenly_and_leaves_out_what_is_trained(tmp_path: Path) -> None:
    storage = Storage.at(tmp_path)
    study = replace(STUDY, executions=(), execution=SIDE_BY_SIDE)
    for key in TRAINED[:4]:
        write_state(storage, key, State.FINISHED)
    (groups,) = rounds(study, storage, expand(study))
    assert sorted(keys([groups])) == sorted(TRAINED[4:])
    assert len({len(group) for group in groups}) <= 2
    assert max(map(len, groups)) - min(map(len, groups)) <= 1
