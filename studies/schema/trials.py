"""The ledger of a search: which points were asked for and which runs were judged, in order.

An append-only file under the search's folder in storage, written by the one driver that holds the search's lease. A
trial is entered before its training starts, a verdict before the trial learns of it, so a killed search is rebuilt
from here and from its runs' own directories, and from nothing else.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studies.schema.key import run_key
from studies.schema.record import Role
from studies.schema.rung import Rung
from studies.schema.search import Search, run_of
from studies.schema.space import Value
from studies.schema.storage import Damaged, Storage
from studies.schema.study import Labels, Point


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A point that was asked for. ``key`` is None where there can be no such run; ``reason`` then says why."""

    number: int
    rung: str
    values: Mapping[str, Value]
    key: str | None
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What was decided about a run at a milestone, by its score there."""

    key: str
    step: int
    score: float
    goes_on: bool


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """Everything a search has asked for and decided so far, in order."""

    trials: tuple[Trial, ...] = ()
    verdicts: tuple[Verdict, ...] = ()

    def judged(self, key: str) -> dict[int, Verdict]:
        """The verdicts on a run by step."""
        return {verdict.step: verdict for verdict in self.verdicts if verdict.key == key}


@dataclass
class LedgerWriter:
    """Adds to a ledger; whoever does holds the search's lease. A line torn by a death is cut off first."""

    path: Path
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.ledger, end = _read(self.path)
        if self.path.exists() and self.path.stat().st_size > end:
            os.truncate(self.path, end)

    def add_trial(self, search: Search, rung: Rung, values: Mapping[str, Value]) -> Trial:
        """Enter a point under the next number, with the key of its run or why there is none."""
        key = reason = None
        try:
            key = run_key(run_of(search, rung, values))
        except ValueError as error:
            reason = str(error)
        number = len(self.ledger.trials)
        trial = Trial(number=number, rung=rung.name, values=dict(values), key=key, reason=reason)
        self._append({"trial": number, "rung": rung.name, "values": dict(values), "key": key, "reason": reason})
        self.ledger = Ledger(trials=(*self.ledger.trials, trial), verdicts=self.ledger.verdicts)
        return trial

    def add_verdict(self, verdict: Verdict) -> None:
        """Enter what was decided; the run may look at it from now on."""
        self._append({"judged": verdict.key, "step": verdict.step, "score": verdict.score, "goes_on": verdict.goes_on})
        self.ledger = Ledger(trials=self.ledger.trials, verdicts=(*self.ledger.verdicts, verdict))

    def _append(self, entry: Mapping[str, Any]) -> None:
        content = json.dumps(entry, allow_nan=False).encode() + b"\n"
        with self.path.open("ab", buffering=0) as stream:
            if stream.write(content) != len(content):
                raise OSError(f"{self.path}: a line did not fit; free some space and start the search again")
            os.fsync(stream.fileno())


def read_ledger(path: Path) -> Ledger:
    """The ledger without a line that is not whole yet; empty when there is none. Damaged for a broken line."""
    return _read(path)[0]


def points_of(search: Search, storage: Storage) -> tuple[Point, ...]:
    """The runs of a search so far, each once: its teacher where that is asked anything, then the trials in order."""
    found: dict[str, Point] = {}
    teacher = search.base.teacher
    if search.asks_teacher:
        found[run_key(teacher)] = Point(key=run_key(teacher), run=teacher, role=Role.TEACHER, labels=Labels())
    for trial in read_ledger(storage.ledger(search.name, search.version)).trials:
        if trial.key is not None:
            found.setdefault(trial.key, point_of(search, trial))
    return tuple(found.values())


def point_of(search: Search, trial: Trial) -> Point:
    """The run of a trial with its place in the search; ValueError for a trial that has none."""
    run = run_of(search, rung_of(search, trial), trial.values)
    spoken = " · ".join([f"trial {trial.number}", *(f"{name} {spell(value)}" for name, value in trial.values.items())])
    return Point(key=run_key(run), run=run, role=Role.STUDENT, labels=Labels(rung=trial.rung, trial=spoken))


def rung_of(search: Search, trial: Trial) -> Rung:
    """The size that a trial was asked for."""
    known = {rung.name: rung for rung in search.all_rungs}
    if trial.rung not in known:
        raise ValueError(
            f"trial {trial.number} of {search.name} was asked for rung {trial.rung!r}; it has {', '.join(known)}"
        )
    return known[trial.rung]


def spell(value: Value) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _read(path: Path) -> tuple[Ledger, int]:
    """The whole lines of a ledger and the byte at which they end."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Ledger(), 0
    end = content.rfind(b"\n") + 1
    trials: list[Trial] = []
    verdicts: list[Verdict] = []
    for entry in _parsed(path, content[:end]):
        try:
            if "judged" in entry:
                verdicts.append(
                    Verdict(key=entry["judged"], step=entry["step"], score=entry["score"], goes_on=entry["goes_on"])
                )
            else:
                trials.append(
                    Trial(
                        number=entry["trial"],
                        rung=entry["rung"],
                        values=entry["values"],
                        key=entry["key"],
                        reason=entry["reason"],
                    )
                )
        except (KeyError, TypeError) as error:
            raise Damaged(path, "a trial or a verdict", repr(entry)) from error
    return Ledger(trials=tuple(trials), verdicts=tuple(verdicts)), end


def _parsed(path: Path, content: bytes) -> Iterator[dict[str, Any]]:
    for line in content.splitlines():
        try:
            yield json.loads(line)
        except ValueError as error:
            raise Damaged(path, "a line of JSON", repr(line[:40])) from error
