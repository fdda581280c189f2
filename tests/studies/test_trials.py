"""The ledger of a search gives back what was entered, whatever moment its writer died in."""

from dataclasses import replace
from pathlib import Path

import pytest

from studies.schema.key import run_key
from studies.schema.search import run_of
from studies.schema.space import Parameter, Uniform
from studies.schema.storage import Damaged, Storage
from studies.schema.trials import LedgerWriter, Verdict, point_of, points_of, read_ledger
from studies.search_epsilon_lr import SEARCH

RUNG = SEARCH.base.rung
POINT = {"epsilon": 0.03, "learning_rate": 0.006}
OTHER = {"epsilon": 0.3, "learning_rate": 0.002}


@pytest.fixture
def path(storage: Path) -> Path:
    return Storage.at(storage).ledger(SEARCH.name, SEARCH.version)


def test_ledger_read_back_is_the_ledger_written(path: Path) -> None:
    assert not read_ledger(path).trials
    writer = LedgerWriter(path)
    trial = writer.add_trial(SEARCH, RUNG, POINT)
    assert trial.key == run_key(run_of(SEARCH, RUNG, POINT))
    writer.add_verdict(Verdict(key=trial.key, step=100, score=0.25, goes_on=True))
    writer.add_verdict(Verdict(key=trial.key, step=200, score=0.5, goes_on=False))
    writer.add_trial(SEARCH, RUNG, OTHER)
    assert read_ledger(path) == writer.ledger == LedgerWriter(path).ledger
    assert {step: verdict.goes_on for step, verdict in writer.ledger.judged(trial.key).items()} == {
        100: True,
        200: False,
    }


def test_ledger_cut_anywhere_gives_its_whole_lines_and_goes_on_after_them(path: Path) -> None:
    writer = LedgerWriter(path)
    writer.add_trial(SEARCH, RUNG, POINT)
    first = path.read_bytes()
    writer.add_trial(SEARCH, RUNG, OTHER)
    whole = path.read_bytes()
    for end in range(len(first), len(whole)):
        path.write_bytes(whole[:end])
        assert len(read_ledger(path).trials) == 1
        assert LedgerWriter(path).add_trial(SEARCH, RUNG, OTHER).number == 1
        assert path.read_bytes() == whole


def test_point_that_is_no_run_is_entered_with_the_reason(path: Path) -> None:
    clip = Parameter(name="clip", path="optimiser.clip_norm", domain=Uniform(low=-1.0, high=1.0))
    search = replace(SEARCH, space=(clip,), first=())
    trial = LedgerWriter(path).add_trial(search, RUNG, {"clip": -0.5})
    assert trial.key is None
    assert trial.reason is not None
    assert "clip_norm is -0.5; it must be above 0" in trial.reason
    assert read_ledger(path).trials == (trial,)


def test_broken_line_in_the_middle_is_damage(path: Path) -> None:
    writer = LedgerWriter(path)
    writer.add_trial(SEARCH, RUNG, POINT)
    for line in (b"{]\n", b'{"trial": 1}\n'):
        path.write_bytes(line + path.read_bytes())
        with pytest.raises(Damaged):
            read_ledger(path)


def test_points_are_the_teacher_and_each_run_once_under_its_first_trial(path: Path, storage: Path) -> None:
    writer = LedgerWriter(path)
    trials = [writer.add_trial(SEARCH, RUNG, values) for values in (POINT, OTHER, POINT)]
    teacher, *points = points_of(SEARCH, Storage.at(storage))
    assert teacher.run == SEARCH.base.teacher
    assert [point.key for point in points] == [trials[0].key, trials[1].key]
    assert points[0].labels.trial == "trial 0 · epsilon 0.03 · learning_rate 0.006"
    assert point_of(SEARCH, trials[1]).run == run_of(SEARCH, RUNG, OTHER)


def test_trial_of_a_rung_that_the_search_has_no_more_is_refused(path: Path) -> None:
    trial = replace(LedgerWriter(path).add_trial(SEARCH, RUNG, POINT), rung="atlas-1k")
    with pytest.raises(ValueError, match="'atlas-1k'; it has atlas-13k"):
        point_of(SEARCH, trial)
