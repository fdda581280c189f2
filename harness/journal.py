"""A run's journal: metrics over steps, append-only, one JSON object per line.

The journal is the record; whatever else shows metrics is a copy of it. A line is written in one call, so a
killed writer leaves at most one torn line at the end, which readers skip and the next writer cuts off.
"""

import json
import math
import os
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from studies.schema.record import METRIC_NAME
from studies.schema.storage import Damaged

READ_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class JournalPoint:
    """One line: ``time`` in ms since the epoch, ``end`` the byte offset after the line."""

    step: int
    time: int
    metrics: Mapping[str, float]
    end: int


class JournalMismatch(RuntimeError):
    """A step that was recorded came out differently when it was repeated after a resume."""

    def __init__(self, path: Path, step: int, name: str, old: float | None, new: float | None) -> None:
        super().__init__(
            f"{path}: step {step} was recorded with {name} = {old!r} and now gives {new!r}; the resumed run does not "
            "repeat the interrupted one: compare thread counts, software and data, or delete the run to start afresh"
        )


class Journal:
    """Opens a journal for appending; whoever does holds the run's lease.

    Steps at or below the last recorded one are skipped: they are a resumed run repeating itself. Metrics
    named in ``exact`` must then come out equal bit for bit, or JournalMismatch is raised.
    """

    def __init__(self, path: Path, *, exact: Collection[str] = ()) -> None:
        self.path = path
        self._exact = tuple(exact)
        self._last: int | None = None
        self._recorded: dict[int, dict[str, float]] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            self._recover()
        except BaseException:
            os.close(self._descriptor)
            raise

    @property
    def last_step(self) -> int | None:
        """The last recorded step, None in an empty journal."""
        return self._last

    def append(self, step: int, metrics: Mapping[str, float]) -> bool:
        """Record the metrics of a step, all in one call; says whether they were new.

        Non-finite values are refused: what a run does about a NaN is its own decision, to be made before
        this.
        """
        values = {name: _value(self.path, step, name, value) for name, value in metrics.items()}
        if not values:
            raise ValueError(f"{self.path}: step {step} has no metrics to record")
        if self._last is not None and step <= self._last:
            self._compare(step, values)
            return False
        line = json.dumps({"step": step, "time": time.time_ns() // 1_000_000, "metrics": values}, allow_nan=False)
        content = line.encode() + b"\n"
        start = os.fstat(self._descriptor).st_size
        try:
            written = os.write(self._descriptor, content)
        except OSError:
            os.ftruncate(self._descriptor, start)
            raise
        if written != len(content):
            os.ftruncate(self._descriptor, start)
            raise OSError(
                f"{self.path}: only {written} of {len(content)} bytes fitted; free some space and resume the run"
            )
        self._remember(step, values)
        return True

    def sync(self) -> None:
        """Have everything survive a power cut; call it before a checkpoint is published."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.fsync(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _recover(self) -> None:
        end = 0
        for point in read_all(self.path):
            if self._last is not None and point.step <= self._last:
                raise Damaged(
                    self.path, f"steps that rise, above {self._last} before byte {point.end}", str(point.step)
                )
            self._remember(point.step, point.metrics)
            end = point.end
        if os.fstat(self._descriptor).st_size > end:
            os.ftruncate(self._descriptor, end)

    def _remember(self, step: int, metrics: Mapping[str, float]) -> None:
        self._last = step
        self._recorded[step] = {name: metrics[name] for name in self._exact if name in metrics}

    def _compare(self, step: int, values: Mapping[str, float]) -> None:
        recorded = self._recorded.get(step)
        if recorded is None:
            return
        for name in self._exact:
            if recorded.get(name) != values.get(name):
                raise JournalMismatch(self.path, step, name, recorded.get(name), values.get(name))


def read(path: Path, offset: int = 0, *, limit: int = READ_BYTES) -> tuple[tuple[JournalPoint, ...], int]:
    """Read complete lines from a byte offset on, about ``limit`` bytes of them; returns them and the new offset.

    A torn line at the end is left for later, a missing journal is an empty one, a broken line in the middle is Damaged.
    """
    try:
        with path.open("rb") as stream:
            stream.seek(offset)
            content = stream.read(limit)
            # Never stop inside a line that is longer than the limit.
            if content and not content.endswith(b"\n"):
                content += stream.readline()
    except FileNotFoundError:
        return (), offset
    found: list[JournalPoint] = []
    for line in content.splitlines(keepends=True):
        if not line.endswith(b"\n"):
            break
        offset += len(line)
        found.append(_parse(path, line, offset))
    return tuple(found), offset


def read_all(path: Path) -> tuple[JournalPoint, ...]:
    """Every complete line of a journal in order."""
    found: list[JournalPoint] = []
    offset = 0
    while True:
        batch, offset = read(path, offset)
        if not batch:
            return tuple(found)
        found.extend(batch)


def _parse(path: Path, line: bytes, end: int) -> JournalPoint:
    try:
        entry = json.loads(line)
        metrics = {str(name): float(value) for name, value in entry["metrics"].items()}
        return JournalPoint(step=int(entry["step"]), time=int(entry["time"]), metrics=metrics, end=end)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        place = f"a journal line before byte {end}"
        raise Damaged(path, place, f"{line[:40]!r} ({type(error).__name__})") from error


def _value(path: Path, step: int, name: str, value: float) -> float:
    if not METRIC_NAME.match(name):
        raise ValueError(f"{path}: {name!r} cannot name a metric; use letters, digits, '_', '.', '-' and '/'")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(
            f"{path}: {name} is {number} at step {step}; decide what the run does about it, then record that"
        )
    return number
