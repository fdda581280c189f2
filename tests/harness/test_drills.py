"""What a drill compares: anything that differs in storage or in MLflow is found."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.drills.disks import refused
from harness.drills.perform import DRILLS, Report, chosen, sentence
from harness.drills.results import trained
from harness.drills.scene import Skipped
from studies.schema.storage import Storage
from tests.harness.recorded import KEYS, finish_run, make_run

KEY = KEYS[0]


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """One run with a journal, weights and a state."""
    storage = Storage.at(tmp_path / "root")
    make_run(storage, KEY, steps=3)
    finish_run(storage, KEY)
    with storage.publish(storage.final(KEY)) as folder:
        (folder / "model.safetensors").write_bytes(b"weights")
    return storage


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("weights", lambda storage: _flip(storage.final(KEY) / "model.safetensors")),
        ("journal", lambda storage: _replace(storage.journal(KEY), "5.0", "5.1")),
        ("state", lambda storage: _replace(storage.state(KEY), "undertrained", "overtrained")),
        ("state", lambda storage: storage.state(KEY).unlink()),
    ],
)
def test_every_final_part_of_a_run_counts(storage: Storage, part: str, change: Callable[[Storage], None]) -> None:
    before = trained(storage, KEY)
    change(storage)
    after = trained(storage, KEY)
    assert {name for name in before if before[name] != after[name]} == {f"{KEY} {part}"}


def test_times_and_scores_that_a_search_asked_for_do_not_count(storage: Storage) -> None:
    before = trained(storage, KEY)
    lines = [json.loads(line) for line in storage.journal(KEY).read_text().splitlines()]
    for line in lines:
        line["time"] += 5
        line["metrics"]["validation.nDCG_at_10"] = 0.5
    storage.journal(KEY).write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert trained(storage, KEY) == before


def test_drills_have_names_and_promises_of_their_own() -> None:
    assert len({drill.name for drill in DRILLS}) == len({drill.promise for drill in DRILLS}) == len(DRILLS)
    assert chosen("all") == DRILLS
    assert [drill.name for drill in chosen("worker")] == ["worker"]


def test_one_thing_wrong_is_enough_and_is_said() -> None:
    drill = chosen("worker")[0]
    good = Report(drill=drill, seconds=1.0, found={"numbers": [], "runs": []})
    bad = Report(drill=drill, seconds=1.0, found={"numbers": [], "runs": ["k is 2 times in MLflow"]})
    assert (good.holds, bad.holds) == (True, False)
    assert "DOES NOT HOLD" in sentence(bad)
    assert "k is 2 times in MLflow" in sentence(bad)


def test_storage_is_refused_and_given_back_while_somebody_writes_to_it(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    over = threading.Event()
    written = [0]

    def write() -> None:
        while not over.is_set():
            try:
                (root / "file").write_bytes(bytes(2**16))
                written[0] += 1
            except OSError:
                over.wait(1e-4)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(20):
            before = written[0]
            with refused(root), pytest.raises(OSError, match=r"Read-only|Permission"):
                (root / "other").touch()
            (root / "other").touch()
            while written[0] == before:
                over.wait(1e-3)
    except Skipped as reason:
        pytest.skip(str(reason))
    finally:
        over.set()
        writer.join()
    assert [path.name for path in tmp_path.iterdir()] == ["root"]
