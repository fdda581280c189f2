"""What a person or a machine gets wrong is said once, with place and remedy, and costs nothing that was finished."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.drills.command import Command
from harness.drills.disks import fill, mount_disk
from harness.drills.results import fingerprint
from harness.drills.scene import Home, Skipped
from harness.drills.tiny import STEPS
from studies.schema.storage import Storage
from studies.schema.study import expand
from tests.integration.starting import NewStudies, Start

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

BAD_INPUT = 2


def complaint(command: Command) -> str:
    """The one error that a refused command says; it must have started no Ray and show no traceback."""
    assert command.wait() == BAD_INPUT, command.output()
    assert not [title for title in command.titles if "ray" in title], "Ray was started before the input was checked"
    said = command.output()
    assert said.startswith("error: "), said
    assert said.count("error: ") == 1
    assert "Traceback" not in said
    assert not command.left_processes()
    return said


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own."""
    try:
        place = mount_disk(tmp_path / "disk")
    except Skipped as reason:
        pytest.skip(str(reason))
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


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
    revision = home.revision
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


def test_tracking_server_that_does_not_answer_is_refused_soon(home: Home, tmp_path: Path, start: Start) -> None:
    storage = Storage.at(tmp_path / "storage")
    began = time.monotonic()
    said = complaint(start(storage, home.studies, "run", "tiny", "--tracking-uri", "http://127.0.0.1:9"))
    # The answer takes under five seconds, the imports before it the rest on a busy machine.
    assert time.monotonic() - began < 40
    assert "http://127.0.0.1:9" in said


def test_checkpoint_in_an_old_format_is_refused_with_what_to_do(home: Home, tmp_path: Path, start: Start) -> None:
    storage, teacher = Storage.at(tmp_path / "storage"), expand(home.study)[0]
    checkpoint = storage.checkpoints(teacher.key) / "00000020"
    with storage.publish(checkpoint, facts={"step": 20, "workers": 2, "zero_stage": 2}) as folder:
        (folder / "engine").write_bytes(b"weights")
    said = complaint(start(storage, home.studies, "run", "tiny"))
    assert f"checkpoint {checkpoint} has format 1 and 2 is read" in said
    assert "delete it to train from the start" in said
