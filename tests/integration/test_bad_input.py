"""What a person or a machine gets wrong is said once, with place and remedy, and costs nothing that was finished."""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from studies.schema.record import State
from studies.schema.state import read_state
from studies.schema.storage import Storage
from studies.schema.study import expand
from tests.integration.command import STEPS, Command, Home, NewStudies, Start
from tests.integration.results import assert_mlflow_equals_journals, fingerprint, last_step, results
from tests.integration.tiny import tiny_study

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

BAD_INPUT = 2
UNFINISHED = 1


def complaint(command: Command) -> str:
    """The one error that a refused command says; it must have started no Ray and show no traceback."""
    assert command.wait() == BAD_INPUT, command.output()
    assert not [title for title in command.titles if "ray" in title], "Ray was started before the input was checked"
    said = command.output()
    assert said.startswith("error: "), said
    assert said.count("error: ") == 1
    assert "Traceback" not in said
    command.assert_no_process_left()
    return said


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 640 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=640m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system needs root")
    yield place
    # MLflow's client, once used, keeps the database open for as long as this process lives.
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path, *, leave: int = 0) -> Path:
    """A file that takes all room of a file system but ``leave`` bytes."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        while shutil.disk_usage(disk).free > leave:
            stream.write(bytes(min(2**20, shutil.disk_usage(disk).free - leave)))
    return filler


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (
            "replace(tiny_study({revision!r}), axes=(vary('seed', 'optimizer.learning_rate', {{'0': 1.0}}),))",
            ["studies/tiny.py", "'optimizer'", "optimiser"],
        ),
        (
            "tiny_study({revision!r}, execution=Execution(micro_batch=7))",
            ["studies/tiny.py", "batch of 32", "2 workers in calls of 7", "divides 32 / 2"],
        ),
        ("tiny_study('2a47d0266bb0')", ["'2a47d0266bb0'", "babel==", "{revision!r}"]),
    ],
    ids=["misspelt path", "indivisible batch", "another Babel"],
)
def test_study_that_cannot_be_run_is_refused_before_anything_starts(
    call: str, named: list[str], revision: str, new_studies: NewStudies, tmp_path: Path, start: Start
) -> None:
    storage = Storage.at(tmp_path / "storage")
    said = complaint(start(storage, new_studies(call.format(revision=revision)), "run", "tiny"))
    assert all(words.format(revision=revision) in said for words in named), said
    assert not list(storage.root.glob("collections/*"))


def test_changed_recipe_under_an_old_version_names_the_field_and_touches_nothing(
    home: Home, new_studies: NewStudies, start: Start
) -> None:
    revision = home.study.base.bitext.collection.revision
    before = fingerprint(home.storage.root)
    said = complaint(start(home.storage, new_studies(f"tiny_study({revision!r}, steps={STEPS + 10})"), "run", "tiny"))
    assert f"base.schedule.steps: {STEPS} -> {STEPS + 10}" in said, said
    assert "version" in said
    assert fingerprint(home.storage.root) == before


def test_storage_below_a_file_is_refused(home: Home, tmp_path: Path, start: Start) -> None:
    (tmp_path / "file").write_text("")
    storage = Storage.at(tmp_path / "file" / "storage")
    said = complaint(start(storage, home.studies, "run", "tiny", log=tmp_path / "log"))
    assert str(storage.root) in said
    assert "choose a directory you may write to" in said


def test_disk_without_room_for_a_study_is_refused(home: Home, disk: Path, tmp_path: Path, start: Start) -> None:
    fill(disk, leave=64 * 2**20)
    said = complaint(start(Storage.at(disk / "storage"), home.studies, "run", "tiny", log=tmp_path / "log"))
    assert str(disk) in said
    assert "GB are needed" in said


def test_disk_that_fills_in_mid_run_is_named_and_the_study_goes_on_when_there_is_room(
    home: Home, disk: Path, tmp_path: Path, start: Start
) -> None:
    storage = Storage.at(disk / "storage")
    *_, first, second = [point.key for point in expand(home.study)]
    command = start(storage, home.studies, "run", "tiny", log=tmp_path / "log")
    command.wait_until(lambda: last_step(storage, second) >= 10)
    filler = fill(disk)
    assert command.wait() == BAD_INPUT, command.output()
    assert f"error: storage root {storage.root} " in command.output()
    assert "free some space or choose another root" in command.output()
    assert "Traceback" not in command.output()
    command.assert_nothing_left()
    assert read_state(storage, first).state.has_result
    filler.unlink()
    again = start(storage, home.studies, "run", "tiny", log=tmp_path / "again")
    assert again.wait() == 0, again.output()
    again.assert_nothing_left()
    assert results(storage, home.study) == results(home.storage, home.study)
    assert_mlflow_equals_journals(storage, home.study)


def test_tracking_server_that_does_not_answer_is_refused_soon(home: Home, tmp_path: Path, start: Start) -> None:
    storage = Storage.at(tmp_path / "storage")
    began = time.monotonic()
    said = complaint(start(storage, home.studies, "run", "tiny", "--tracking-uri", "http://127.0.0.1:9"))
    # The answer takes under five seconds, the imports before it the rest on a busy machine.
    assert time.monotonic() - began < 40
    assert "http://127.0.0.1:9" in said


def test_study_that_another_process_runs_is_refused_with_its_owner(home: Home, start: Start) -> None:
    with home.storage.lease(home.storage.study_lease("tiny"), purpose="test"):
        said = complaint(start(home.storage, home.studies, "run", "tiny"))
    assert "wait for that process to end, or stop it" in said


def test_checkpoint_of_another_sharding_is_refused_with_what_to_change(
    home: Home, tmp_path: Path, start: Start
) -> None:
    storage, teacher = Storage.at(tmp_path / "storage"), expand(home.study)[0]
    checkpoint = storage.checkpoints(teacher.key) / "00000020"
    with storage.publish(checkpoint, facts={"step": 20, "workers": 2, "zero_stage": 3}) as folder:
        (folder / "engine").write_bytes(b"weights")
    said = complaint(start(storage, home.studies, "run", "tiny"))
    assert f"{checkpoint} was written with zero_stage 3 and cannot be read with 2; go on with zero_stage 3" in said


def test_loss_that_is_no_number_fails_its_run_alone(
    revision: str, new_studies: NewStudies, tmp_path: Path, start: Start
) -> None:
    rates = "((16, 6e-3), (32, 1e30))"
    folder, storage = (
        new_studies(f"tiny_study({revision!r}, steps=20, rates={rates})"),
        Storage.at(tmp_path / "storage"),
    )
    command = start(storage, folder, "run", "tiny")
    assert command.wait() == UNFINISHED, command.output()
    assert "Traceback" not in command.output()
    command.assert_nothing_left()
    study = tiny_study(revision, steps=20, rates=((16, 6e-3), (32, 1e30)))
    for point in expand(study):
        recorded = read_state(storage, point.key)
        if point.labels.rung == "tiny-32" and point.labels.rotation != "-":
            assert recorded.state is State.FAILED
            assert recorded.reason is not None
            assert "not a number at step" in recorded.reason
            assert recorded.reason in command.output()
        else:
            assert recorded.state in (State.FINISHED, State.FLAGGED), point.labels
    before = fingerprint(storage.runs())
    again = start(storage, folder, "run", "tiny")
    assert again.wait() == UNFINISHED, again.output()
    assert not [title for title in again.titles if "ray" in title]
    assert fingerprint(storage.runs()) == before
