"""What of a run's storage has reached MLflow, and what an MLflow run shows of it; files only, no server."""

import json
import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import ir_measures

from harness.description import described, flattened
from harness.journal import read
from studies.schema.publication import MANIFEST
from studies.schema.record import FULL_EXPOSURE, Side, metric_name
from studies.schema.storage import Storage, write_json_atomic

MAX_PARAMETER_CHARACTERS = 6000
"""MLflow's own limit; a longer value is refused, never cut."""

# The parent run's record lies beside those of the runs; a run key is sixteen hex digits, so this is none.
PARENT = "study"


REPLACED = "replaced-"
"""How the folder of a store that a rebuild put aside begins, beside the new one."""


class Unavailable(RuntimeError):
    """MLflow is away or in trouble; another try later may do."""


@dataclass(frozen=True, kw_only=True)
class Heading:
    """The study as its parent run shows it; ``revision`` is that of the code."""

    name: str
    version: str
    question: str
    revision: str


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One run of a study as MLflow shows it.

    ``primary`` is the primary measure as ``ir_measures`` spells it, ``evaluation`` the key of the
    evaluation that this study asks for, None where it asks for none. ``revision`` is that of the code that first showed
    the run, empty for the heading's.
    """

    key: str
    role: str
    labels: Mapping[str, str]
    name: str
    primary: str
    evaluation: str | None
    revision: str = ""


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """What has arrived for one run. ``store`` tells MLflow stores apart, ``offset`` counts journal bytes.

    ``journal`` is the time of the journal's first line (ms), which changes when a run is made afresh;
    ``state`` is a digest of the state file, so that changed flags arrive too.
    """

    store: str
    run_id: str
    journal: int | None = None
    offset: int = 0
    step: int = 0
    is_described: bool = False
    evaluation: str | None = None
    state: str = ""


def read_delivered(path: Path, store: str) -> Delivered | None:
    """The record of what arrived in ``store``; None when there is no readable one of that store."""
    try:
        delivered = Delivered(**json.loads(path.read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return delivered if delivered.store == store else None


def write_delivered(path: Path, delivered: Delivered) -> None:
    """Publish the record; losing it costs a repetition, never a point."""
    write_json_atomic(path, asdict(delivered))


def forget(storage: Storage, store: str) -> None:
    """Drop every record of what arrived in a store that is gone, so that all of it is owed again."""
    for path in (storage.mlflow() / "delivered").glob("*/*/*.json"):
        if read_delivered(path, store) is not None:
            path.unlink(missing_ok=True)


def is_owed(storage: Storage, entry: Entry, delivered: Delivered | None) -> bool:
    """Whether storage holds anything of the run that has not arrived; without a description there is no run yet."""
    if not storage.description(entry.key).exists():
        return False
    if delivered is None or not delivered.is_described or delivered.state != state_digest(storage, entry.key):
        return True
    if evaluation_owed(storage, entry, delivered) is not None:
        return True
    journal = storage.journal(entry.key)
    return is_remade(journal, delivered) or read(journal, delivered.offset, limit=1)[1] > delivered.offset


def is_remade(journal: Path, delivered: Delivered) -> bool:
    """Whether the journal is another one than the one that was delivered."""
    if delivered.journal is None:
        return False
    return journal_start(journal) != delivered.journal or journal.stat().st_size < delivered.offset


def journal_start(journal: Path) -> int | None:
    """Time of a journal's first line, ms since the epoch."""
    points, _ = read(journal, limit=1)
    return points[0].time if points else None


def started(storage: Storage, key: str) -> int:
    """When a run began, ms since the epoch: its first journal line, or its plan where nothing was trained yet.

    Never the time of delivery, which may come after the run's end.
    """
    planned = storage.description(key).stat().st_mtime_ns // 1_000_000
    return journal_start(storage.journal(key)) or planned


def evaluation_owed(storage: Storage, entry: Entry, delivered: Delivered) -> Path | None:
    """The published evaluation that has not arrived, if there is one."""
    if entry.evaluation is None or entry.evaluation == delivered.evaluation:
        return None
    directory = storage.evaluation(entry.key, entry.evaluation)
    return directory if (directory / MANIFEST).exists() else None


def state_digest(storage: Storage, key: str) -> str:
    """Digest of a run's state file, empty when there is none."""
    try:
        return sha256(storage.state(key).read_bytes()).hexdigest()
    except FileNotFoundError:
        return ""


def parameters(description: Mapping[str, Any]) -> dict[str, str]:
    """A run's choices and its size as MLflow shows them, few and short; ValueError for what MLflow cannot hold.

    The choices of its teacher are those of another run, which MLflow has too, and stand there by that run's key.
    """
    flat = described(description["run"]) | dict(flattened(description["parameters"], "parameters"))
    for name, value in flat.items():
        if len(value) > MAX_PARAMETER_CHARACTERS:
            raise ValueError(
                f"parameter {name} has {len(value)} characters and MLflow takes {MAX_PARAMETER_CHARACTERS}; shorten it"
            )
    return flat


def aggregates(measures: Mapping[str, Any], primary: str) -> dict[str, float]:
    """Means over languages under their MLflow names; for the primary measure also over both sides of exposure.

    Of alignment also the means of every measure before and after distillation.
    Of translated queries also chrF and BLEU, and the number of empty translations in all languages together.
    """
    found: dict[str, float] = {}
    if "translation" in measures:
        translation = measures["translation"]
        found |= {f"translation.{name}": _mean(name, translation[name], translation[name]) for name in ("chrf", "bleu")}
        found["translation.empty"] = float(sum(translation["empty"].values()))
    for name, by_language in measures.get("alignment", {}).items():
        found[f"alignment.{name}"] = _mean(name, by_language, by_language)
    for spelling, by_language in measures["measures"].items():
        measure = ir_measures.parse_measure(spelling)
        found[metric_name(measure)] = _mean(spelling, by_language, by_language)
        if measure == ir_measures.parse_measure(primary):
            for side, languages in sides(measures["exposure"]).items():
                found[metric_name(measure, side)] = _mean(spelling, by_language, languages)
    if metric_name(ir_measures.parse_measure(primary)) not in found:
        raise ValueError(f"the evaluation lacks the primary measure {primary}; it has {sorted(measures['measures'])}")
    return found


def sides(exposure: Mapping[str, float]) -> dict[Side, tuple[str, ...]]:
    """Languages at full and at reduced exposure; empty when all are on one side."""
    full = tuple(language for language, share in exposure.items() if share >= FULL_EXPOSURE)
    reduced = tuple(language for language, share in exposure.items() if share < FULL_EXPOSURE)
    return {Side.HIGH: full, Side.LOW: reduced} if full and reduced else {}


def _mean(spelling: str, by_language: Mapping[str, float], languages: Iterable[str]) -> float:
    missing = [language for language in languages if language not in by_language]
    if missing:
        raise ValueError(f"the evaluation has exposures but no {spelling} for {missing}; evaluate the run again")
    mean = statistics.fmean(by_language[language] for language in languages)
    if not math.isfinite(mean):
        raise ValueError(f"{spelling} is {mean} over languages {by_language}; evaluate the run again")
    return mean
