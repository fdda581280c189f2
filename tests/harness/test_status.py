"""The status of runs, read back from files against what was written there."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ir_measures import AP

from harness import journal
from harness.status import TAIL_BYTES, Phase, RunStatus, have_begun, names, read_tail, statuses, steps_of, time_left
from studies.bases import ATLAS_TRANSLATOR
from studies.schema.record import Flag, Role, State
from studies.schema.state import write_state
from studies.schema.storage import Damaged, Storage
from studies.schema.study import Point, expand
from tests.harness.small_study import leave_evaluation, leave_journal, leave_weights, small_study

STUDY = small_study()
POINTS = expand(STUDY)
STUDENT = POINTS[-1]
HEAVY = ("torch", "ray", "mlflow", "deepspeed", "transformers", "numpy", "pyarrow")


def status_of(point: Point, storage: Storage) -> RunStatus:
    return next(row for row in statuses(STUDY, storage) if row.point.key == point.key)


def test_status_of_an_empty_storage_is_planned_and_creates_nothing(storage: Path) -> None:
    rows = statuses(STUDY, Storage.at(storage))
    assert [row.point for row in rows] == list(POINTS)
    assert {row.phase for row in rows} == {Phase.PLANNED}
    assert all(row.step == 0 and not row.evaluated and row.loss is None for row in rows)
    assert list(storage.iterdir()) == []


@given(lines=st.integers(0, 400), torn=st.integers(0, 60))
def test_tail_of_a_journal_is_the_end_of_all_its_complete_lines(
    tmp_path_factory: pytest.TempPathFactory, lines: int, torn: int
) -> None:
    place = Storage.at(tmp_path_factory.mktemp("storage"))
    path = leave_journal(place, STUDENT, range(1, lines + 1))
    written = path.read_bytes()
    path.write_bytes(written + b'{"step": 99999, "time": 1700000000000, "metrics": {"loss": 1'[:torn])
    tail = read_tail(path)
    whole, _ = journal.read(path)
    assert tail == whole[len(whole) - len(tail) :]
    assert bool(tail) == bool(lines)


def test_tail_of_a_long_journal_reads_no_more_than_its_bytes(storage: Path) -> None:
    path = leave_journal(Storage.at(storage), STUDENT, range(1, 5_000))
    tail = read_tail(path)
    assert path.stat().st_size - TAIL_BYTES <= tail[0].end <= tail[-1].end == path.stat().st_size
    assert len(tail) < 200


@given(first=st.integers(2, 50), second=st.integers(1, 20), pause=st.integers(0, 10**9))
def test_rate_ignores_the_pause_between_two_attempts(
    tmp_path_factory: pytest.TempPathFactory, first: int, second: int, pause: int
) -> None:
    place = Storage.at(tmp_path_factory.mktemp("storage"))
    with place.lease(place.run_lease(STUDENT.key)):
        write_state(place, STUDENT.key, State.RUNNING)
        path = leave_journal(place, STUDENT, range(10, 10 * first + 1, 10), ms_per_step=20)
        later = [10 * (first + count) for count in range(1, second + 1)]
        with path.open("a") as stream:
            for step in later:
                time = 1_700_000_000_000 + 20 * step + pause
                stream.write(f'{{"step": {step}, "time": {time}, "metrics": {{"loss": 0.5}}}}\n')
        row = status_of(STUDENT, place)
    expected = 50.0
    if first + second > 3:
        assert row.steps_per_second == pytest.approx(expected)
        assert row.seconds_left == pytest.approx((row.steps - later[-1]) / expected)


def test_run_is_running_only_while_somebody_holds_its_lease(storage: Path) -> None:
    place = Storage.at(storage)
    leave_journal(place, STUDENT, range(10, 101, 10))
    write_state(place, STUDENT.key, State.RUNNING)
    with place.lease(place.run_lease(STUDENT.key)):
        assert status_of(STUDENT, place).phase is Phase.RUNNING
    left = status_of(STUDENT, place)
    assert left.phase is Phase.INTERRUPTED
    assert (left.step, left.steps_per_second, left.seconds_left) == (100, None, None)


@pytest.mark.parametrize("state", [State.FINISHED, State.FLAGGED])
def test_trained_run_is_done_only_with_the_evaluation_its_study_asks_for(storage: Path, state: State) -> None:
    place = Storage.at(storage)
    leave_weights(place, STUDENT, state)
    assert status_of(STUDENT, place).phase is Phase.TO_EVALUATE
    leave_evaluation(place, replace(STUDY, measures=(*STUDY.measures, AP @ 7)), STUDENT)
    assert status_of(STUDENT, place).phase is Phase.TO_EVALUATE
    leave_evaluation(place, STUDY, STUDENT)
    row = status_of(STUDENT, place)
    assert row.phase == Phase(state)
    assert row.step == row.steps == steps_of(STUDENT.run)


def test_state_that_is_no_state_is_an_error_with_its_place(storage: Path) -> None:
    place = Storage.at(storage)
    write_state(place, STUDENT.key, State.RUNNING)
    place.state(STUDENT.key).write_text('{"state": "resting"}')
    with pytest.raises(Damaged, match=STUDENT.key):
        statuses(STUDY, place)


def test_time_left_is_the_owed_steps_at_the_pace_of_their_rung(storage: Path) -> None:
    place = Storage.at(storage)
    assert time_left(statuses(STUDY, place)) is None
    seconds_per_step = {}
    for point in POINTS:
        trained = steps_of(point.run)
        if trained and point.labels.rung not in seconds_per_step:
            leave_weights(place, point)
            seconds_per_step[point.labels.rung] = 30.0 / trained
            known = time_left(statuses(STUDY, place))
            assert known is not None
            assert known.is_lower_bound == (len(seconds_per_step) < 3)
    rows = statuses(STUDY, place)
    owed = [row for row in rows if row.steps and row.state is State.PLANNED]
    left = time_left(rows)
    assert left is not None
    assert left.seconds == pytest.approx(sum(row.steps * seconds_per_step[row.point.labels.rung] for row in owed))


@pytest.mark.parametrize(
    ("state", "step", "begun"),
    [
        (State.PLANNED, 0, False),
        (State.RUNNING, 0, False),
        (State.RUNNING, 1, True),
        (State.FINISHED, 0, True),
        (State.FAILED, 0, True),
    ],
)
def test_study_has_begun_once_a_run_took_a_step_or_ended(storage: Path, state: State, step: int, begun: bool) -> None:
    first, *others = statuses(STUDY, Storage.at(storage))
    assert have_begun([*others, replace(first, state=state, step=step)]) is begun


def test_names_tell_every_run_of_a_study_apart() -> None:
    called = names(POINTS)
    assert len(set(called.values())) == len(POINTS)
    assert not any("-" in name.split(" · ") for name in called.values())


def test_commands_are_found_without_a_library_that_trains_or_serves() -> None:
    program = f"import sys, harness.__main__\nprint(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert loaded.stdout.split() == []


def test_translator_is_done_when_it_is_trained_and_its_queries_when_they_are_evaluated(storage: Path) -> None:
    study = replace(STUDY, rivals=(Role.TRANSLATED,), translator=ATLAS_TRANSLATOR)
    place, points = Storage.at(storage), expand(study)
    translator, translated = (
        next(point for point in points if point.role is role) for role in (Role.TRANSLATOR, Role.TRANSLATED)
    )

    def phases() -> list[Phase]:
        return [status.phase for status in statuses(study, place) if status.point in (translator, translated)]

    assert phases() == [Phase.PLANNED, Phase.PLANNED]
    leave_weights(place, translator)
    assert phases() == [Phase.FINISHED, Phase.PLANNED]
    leave_evaluation(place, study, translated)
    assert phases() == [Phase.FINISHED, Phase.FINISHED]
    write_state(place, translated.key, State.FLAGGED, flags=[Flag.EMPTY_TRANSLATION])
    assert phases() == [Phase.FINISHED, Phase.FLAGGED]
