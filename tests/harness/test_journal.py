"""The journal: whatever kills its writer, every complete line survives and none is doubled."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.journal import Journal, JournalMismatch, read, read_all
from studies.schema.storage import Damaged

ROOT = Path(__file__).resolve().parents[2]

WRITE_ON = """
import sys
from pathlib import Path
from harness.journal import Journal
with Journal(Path(sys.argv[1]), exact=("loss",)) as journal:
    for step in range(1, int(sys.argv[2]) + 1):
        journal.append(step, {"loss": 1 / step, "learning_rate": 1e-3})
"""


WRITE_UNTIL_FULL = """
import resource, signal, sys
from pathlib import Path
from harness.journal import Journal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (250, 250))
with Journal(Path(sys.argv[1])) as journal:
    for step in range(1, 100):
        journal.append(step, {"loss": 1 / step})
"""


def steps(path: Path) -> list[int]:
    return [point.step for point in read_all(path)]


def test_journal_reads_back_what_was_written_bit_for_bit(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    values = {step: {"loss": math.pi / step, "transport.iterations": 3.0 * step} for step in range(1, 50)}
    with Journal(path) as journal:
        assert all(journal.append(step, metrics) for step, metrics in values.items())
        assert journal.last_step == 49
    assert {point.step: point.metrics for point in read_all(path)} == values
    assert all(abs(point.time / 1000 - time.time()) < 60 for point in read_all(path))


@pytest.mark.parametrize("torn", [b'{"step": 3, "ti', b"\0" * 100, b"{"])
def test_journal_with_a_torn_line_drops_it_and_goes_on(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.append(1, {"loss": 1.0})
        journal.append(2, {"loss": 0.5})
    with path.open("ab") as stream:
        stream.write(torn)
    assert steps(path) == [1, 2]
    with Journal(path) as journal:
        assert journal.last_step == 2
        journal.append(3, {"loss": 0.3})
    assert steps(path) == [1, 2, 3]


def test_journal_cut_at_any_byte_keeps_every_complete_line(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jsonl"
    with Journal(whole) as journal:
        for step in (1, 2, 3):
            journal.append(step, {"loss": 1 / step})
    content = whole.read_bytes()
    path = tmp_path / "cut.jsonl"
    for length in range(len(content)):
        path.write_bytes(content[:length])
        complete = content[:length].count(b"\n")
        with Journal(path) as journal:
            for step in (1, 2, 3):
                assert journal.append(step, {"loss": 1 / step}) == (step > complete)
        assert steps(path) == [1, 2, 3]


def test_journal_of_a_writer_killed_at_work_is_completed_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    endless = [sys.executable, "-c", WRITE_ON, str(path), "100000000"]
    process = subprocess.Popen(endless, cwd=ROOT, env=environment)
    deadline = time.monotonic() + 30
    while not (path.exists() and path.stat().st_size > 20_000):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    last = steps(path)[-1]
    assert last > 100
    subprocess.run([*endless[:-1], str(last + 10)], cwd=ROOT, env=environment, check=True, timeout=60)
    assert steps(path) == list(range(1, last + 11))
    assert all(point.metrics["loss"] == 1 / point.step for point in read_all(path))


def test_journal_that_no_longer_fits_keeps_its_complete_lines(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    command = [sys.executable, "-c", WRITE_UNTIL_FULL, str(path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert "OSError" in result.stderr
    assert steps(path) == list(range(1, len(steps(path)) + 1))
    assert len(steps(path)) > 1
    assert path.read_bytes().endswith(b"\n")


def test_journal_without_a_line_has_no_last_step(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.jsonl") as journal:
        assert journal.last_step is None


def test_journal_read_in_pieces_gives_every_line_once(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    assert read(path) == ((), 0)
    with Journal(path) as journal:
        for step in range(1, 200):
            journal.append(step, {"loss": 1 / step})
    found: list[int] = []
    offset = 0
    while True:
        points, offset = read(path, offset, limit=97)
        if not points:
            break
        assert points[-1].end == offset
        found += [point.step for point in points]
    assert found == list(range(1, 200))
    assert offset == path.stat().st_size


def test_journal_replayed_after_a_resume_is_not_doubled(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        for step in (10, 20, 30):
            journal.append(step, {"loss": 1 / step})
    before = path.read_bytes()
    with Journal(path, exact=("loss",)) as journal:
        assert not journal.append(20, {"loss": 1 / 20})
        assert not journal.append(25, {"loss": 7.0})
        assert not journal.append(30, {"loss": 1 / 30, "seconds": 3.0})
        assert path.read_bytes() == before
        assert journal.append(40, {"loss": 1 / 40})


def test_journal_replayed_with_another_value_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.append(10, {"loss": 0.1})
    with Journal(path, exact=("loss",)) as journal, pytest.raises(JournalMismatch, match=r"step 10 .* loss = 0\.1"):
        journal.append(10, {"loss": math.nextafter(0.1, 1)})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_journal_value_that_is_not_finite_is_refused(tmp_path: Path, value: float) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal, pytest.raises(ValueError, match=r"loss is .* at step 1"):
        journal.append(1, {"loss": value})
    assert path.read_bytes() == b""


@pytest.mark.parametrize("name", ["nDCG@10", "", "loss\n", "größe"])
def test_journal_metric_that_mlflow_would_refuse_is_refused(tmp_path: Path, name: str) -> None:
    with Journal(tmp_path / "journal.jsonl") as journal, pytest.raises(ValueError, match="cannot name a metric"):
        journal.append(1, {name: 1.0})


@pytest.mark.parametrize("line", ["garbage", '{"step": 1}', json.dumps({"step": 1, "time": 0, "metrics": {"a": 1}})])
def test_journal_broken_in_the_middle_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.append(5, {"loss": 1.0})
    with path.open("a") as stream:
        stream.write(line + "\n")
    with pytest.raises(Damaged, match=r"journal\.jsonl is damaged"):
        Journal(path)
