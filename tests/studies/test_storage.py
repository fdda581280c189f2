"""Storage: what is published is whole, what is damaged is refused, and a lock dies with its process."""

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from studies.schema.lease import process_start
from studies.schema.storage import (
    Damaged,
    Lease,
    LeaseHeld,
    RecipeChanged,
    Storage,
    lease_owner,
    publish,
    read_manifest,
    write_json_atomic,
)

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_SECONDS = 20


def start_holding(program: str, *arguments: str) -> subprocess.Popen[str]:
    """Run a program in a process of its own until it says that it holds something."""
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "holding\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(DEADLINE_SECONDS)
    if process.stdout is not None:
        process.stdout.close()


HOLD_A_LEASE = """
import subprocess, sys, time
from pathlib import Path
from studies.schema.storage import Lease
Lease(Path(sys.argv[1]), purpose="train").acquire()
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], stdout=subprocess.DEVNULL)
Path(sys.argv[2]).write_text(str(child.pid))
print("holding", flush=True)
time.sleep(60)
"""

PUBLISH_HALF = """
import sys, time
from pathlib import Path
from studies.schema.storage import publish
with publish(Path(sys.argv[1])) as partial:
    (partial / "weights").write_bytes(b"half")
    print("holding", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize(
    ("place", "root"),
    [
        ("/data/harness", "/data/harness"),
        ("/data//harness/../runs/", "/data/runs"),
        ("file:///data/har%20ness", "/data/har ness"),
        ("file://localhost/data", "/data"),
        ("file:/data", "/data"),
    ],
)
def test_storage_at_an_absolute_place_is_there(place: str, root: str) -> None:
    assert Storage.at(place).root == Path(root)


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("runs", f"write '{Path.cwd() / 'runs'}'"),
        ("~/runs", f"write '{Path.home() / 'runs'}'"),
        ("", "relative"),
        ("s3://bucket/runs", "scheme 's3'.*file:///"),
        ("file://elsewhere/data", "host 'elsewhere'"),
        ("file:runs", "relative"),
    ],
)
def test_storage_at_another_place_says_what_to_write(place: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Storage.at(place)


@pytest.mark.parametrize("name", ["", "..", "../other", "a/b", ".hidden", "a\0b", "a\n"])
def test_storage_name_that_would_leave_its_place_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a file"):
        Storage.at(tmp_path).run(name)


def test_storage_root_that_is_usable_is_left_as_it_was(tmp_path: Path) -> None:
    storage = Storage.at(tmp_path / "new")
    storage.check_writable()
    assert list(storage.root.iterdir()) == []


def test_storage_root_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot be written"):
        Storage.at(tmp_path / "file" / "runs").check_writable()


def test_storage_root_on_a_read_only_file_system_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        Storage.at("/proc/harness").check_writable()


def test_storage_root_without_the_needed_space_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="GB are needed"):
        Storage.at(tmp_path).check_writable(needed_bytes=1 << 60)


def test_write_that_finds_no_room_names_the_root_and_the_remedy(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match=rf"storage root {tmp_path} is full .* free some space"),
        Storage.at(tmp_path).room_needed(),
        open("/dev/full", "wb", buffering=0) as full,
    ):
        full.write(b"1")


def test_json_that_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_json_atomic(path, {"state": "running"})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json_atomic(path, {"loss": math.nan})
    assert json.loads(path.read_text()) == {"state": "running"}
    assert os.listdir(tmp_path) == ["state.json"]


def test_identity_of_a_root_is_made_once_and_differs_between_roots(tmp_path: Path) -> None:
    first = Storage.at(tmp_path / "a").identity()
    assert first == Storage.at(tmp_path / "a").identity()
    assert first != Storage.at(tmp_path / "b").identity()


def published(target: Path) -> Path:
    facts: dict[str, int] = {}
    with publish(target, facts) as partial:
        (partial / "shards").mkdir()
        (partial / "shards" / "0.bin").write_bytes(bytes(range(256)) * 16)
        (partial / "empty").write_bytes(b"")
        facts["step"] = 7
    return target


def test_published_directory_reads_back_with_its_facts(tmp_path: Path) -> None:
    manifest = read_manifest(published(tmp_path / "checkpoints" / "7"))
    assert manifest is not None
    assert manifest.facts == {"step": 7}
    assert {name: file.size for name, file in manifest.files.items()} == {"shards/0.bin": 4096, "empty": 0}
    assert os.listdir(tmp_path / "checkpoints") == ["7"]


def publish_and_fail(target: Path) -> None:
    with publish(target) as partial:
        (partial / "weights").write_bytes(b"half")
        raise KeyError("a defect")


def test_publication_that_raises_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        publish_and_fail(tmp_path / "final")
    assert list(tmp_path.iterdir()) == []


def test_publication_that_is_killed_leaves_nothing_readable_and_is_cleanable(tmp_path: Path) -> None:
    target = tmp_path / "final"
    process = start_holding(PUBLISH_HALF, str(target))
    assert Storage.at(tmp_path).leftovers() == ()
    kill(process)
    assert read_manifest(target) is None
    assert not target.exists()
    (leftover,) = Storage.at(tmp_path).leftovers()
    assert (leftover / "weights").exists()
    published(target)
    assert read_manifest(target) is not None


def test_publication_over_a_valid_one_keeps_the_first(tmp_path: Path) -> None:
    target = tmp_path / "final"
    with publish(target, {"who": "late"}), publish(target, {"who": "early"}) as partial:
        (partial / "weights").write_bytes(b"early")
    manifest = read_manifest(target)
    assert manifest is not None
    assert manifest.facts == {"who": "early"}
    assert os.listdir(tmp_path) == ["final"]


@pytest.mark.parametrize("remains", ["no manifest", "damaged"])
def test_publication_over_a_broken_one_replaces_it(tmp_path: Path, remains: str) -> None:
    target = published(tmp_path / "final")
    (target / ("manifest.json" if remains == "no manifest" else "empty")).unlink()
    published(target)
    assert read_manifest(target) is not None
    assert os.listdir(tmp_path) == ["final"]


def truncate(directory: Path) -> None:
    os.truncate(directory / "shards" / "0.bin", 100)


def flip_a_bit(directory: Path) -> None:
    content = bytearray((directory / "shards" / "0.bin").read_bytes())
    content[1000] ^= 1
    (directory / "shards" / "0.bin").write_bytes(content)


def remove(directory: Path) -> None:
    (directory / "empty").unlink()


def change_a_fact(directory: Path) -> None:
    manifest = json.loads((directory / "manifest.json").read_text())
    manifest["facts"]["step"] = 8
    (directory / "manifest.json").write_text(json.dumps(manifest))


def truncate_the_manifest(directory: Path) -> None:
    os.truncate(directory / "manifest.json", 40)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (truncate, r"0\.bin is damaged: expected 4096 bytes, found 100 bytes; delete"),
        (flip_a_bit, r"0\.bin is damaged: expected SHA-256 [0-9a-f]{64}, found SHA-256"),
        (remove, r"empty is damaged: expected 0 bytes, found no file"),
        (change_a_fact, r"manifest\.json is damaged"),
        (truncate_the_manifest, r"manifest\.json is damaged: expected a manifest, found 40 bytes"),
    ],
)
def test_damaged_directory_is_refused_with_place_and_remedy(
    tmp_path: Path, damage: Callable[[Path], None], says: str
) -> None:
    target = published(tmp_path / "final")
    damage(target)
    with pytest.raises(Damaged, match=says):
        read_manifest(target)


def test_directory_without_a_manifest_does_not_exist(tmp_path: Path) -> None:
    published(tmp_path / "final")
    (tmp_path / "final" / "manifest.json").unlink()
    assert read_manifest(tmp_path / "final") is None
    assert read_manifest(tmp_path / "nowhere") is None


def test_lease_that_is_held_names_its_owner(tmp_path: Path) -> None:
    storage = Storage.at(tmp_path)
    path = storage.run_lease("a1")
    with storage.lease(path, purpose="train"):
        owner = lease_owner(path)
        assert owner is not None
        assert (owner.pid, owner.purpose) == (os.getpid(), "train")
        with pytest.raises(LeaseHeld, match=rf"process {os.getpid()} on .*\(train\).* after waiting 0.2 s"):
            Lease(path, wait_seconds=0.2).acquire()
    assert lease_owner(path) is None
    with storage.lease(path):
        pass


def test_lease_of_a_killed_process_is_free_although_its_child_lives(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    process = start_holding(HOLD_A_LEASE, str(path), str(tmp_path / "child"))
    child = int((tmp_path / "child").read_text())
    try:
        with pytest.raises(LeaseHeld, match=f"process {process.pid}"):
            Lease(path).acquire()
        kill(process)
        assert process_start(child) is not None
        with Lease(path, wait_seconds=1):
            assert process_start(process.pid) is None
    finally:
        os.kill(child, signal.SIGKILL)


def test_lease_on_a_file_that_was_deleted_is_taken_on_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    with Lease(path):
        path.unlink()
        with Lease(path):
            assert path.exists()


RECIPE = {"runs": [{"objective": {"epsilon": 0.03}, "seed": 0}], "measures": ("nDCG@10",)}


def test_recipe_that_is_unchanged_is_accepted(tmp_path: Path) -> None:
    storage = Storage.at(tmp_path)
    storage.record_recipe("first_look", "2026.11.20", RECIPE)
    first = storage.recipe("first_look", "2026.11.20").read_bytes()
    storage.record_recipe("first_look", "2026.11.20", json.loads(json.dumps(RECIPE)))
    storage.record_recipe("first_look", "2026.11.21", {})
    assert storage.recipe("first_look", "2026.11.20").read_bytes() == first


def test_recipe_that_drifted_names_every_field_and_the_remedy(tmp_path: Path) -> None:
    storage = Storage.at(tmp_path)
    storage.record_recipe("first_look", "1", RECIPE)
    changed = {"runs": [{"objective": {"epsilon": 0.1}, "seed": 0.0}], "measures": ["nDCG@10"], "law": "linear"}
    with pytest.raises(RecipeChanged, match="raise the study's version") as caught:
        storage.record_recipe("first_look", "1", changed)
    assert [str(change) for change in caught.value.changes] == [
        'law: (absent) -> "linear"',
        "runs[0].objective.epsilon: 0.03 -> 0.1",
        "runs[0].seed: 0 -> 0.0",
    ]
    storage.record_recipe("first_look", "1", RECIPE)
