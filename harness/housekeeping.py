"""What can be deleted from a storage root without losing a result, and its deletion.

Kept whatever happens: final weights, journals, states, the present evaluation of every run, and everything of
a run that somebody holds.
"""

import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.delivery import REPLACED
from harness.evaluation_key import key_of
from studies.schema.key import run_key, translator_key
from studies.schema.run import Preparatory, TranslateQuery, teacher_of
from studies.schema.search import Search
from studies.schema.state import read_state
from studies.schema.storage import Damaged, LeaseHeld, Storage, lease_owner, read_manifest
from studies.schema.study import Point, Study, expand
from studies.schema.trials import points_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Garbage:
    """Something that nobody needs, in bytes, and why; ``key`` is the run it belongs to, if it does to one."""

    path: Path
    size: int
    reason: str
    key: str | None


def garbage(storage: Storage, studies: Sequence[Study | Search]) -> tuple[Garbage, ...]:
    """Everything under a storage root that can go; ``studies`` are all studies and searches that still count."""
    return (
        *_leftovers(storage),
        *_checkpoints(storage),
        *_evaluations(storage, studies),
        *_caches(storage, studies),
    )


def delete(storage: Storage, found: Sequence[Garbage]) -> tuple[Garbage, ...]:
    """Delete what was found, each under its run's lease, and return what is gone; what is held stays."""
    gone = []
    for item in found:
        try:
            if item.key is None:
                _remove(item.path)
            else:
                with storage.lease(storage.run_lease(item.key), purpose="gc"):
                    _remove(item.path)
        except LeaseHeld as held:
            logger.warning("kept %s: %s", item.path, held)
        except OSError as error:
            logger.warning("could not delete %s (%s); delete it by hand", item.path, error.strerror)
        else:
            gone.append(item)
    return tuple(gone)


def _leftovers(storage: Storage) -> Iterator[Garbage]:
    for path in storage.leftovers():
        yield _item(path, "left by an attempt that died")
    for path in sorted(storage.mlflow().glob(f"{REPLACED}*")):
        yield _item(path, "MLflow store that a rebuild replaced")


def _checkpoints(storage: Storage) -> Iterator[Garbage]:
    """Checkpoints of runs whose final weights are there."""
    for key in _free_runs(storage):
        path = storage.checkpoints(key)
        if path.is_dir() and _has_result(storage, key):
            yield _item(path, "checkpoints of a finished run", key)


def _evaluations(storage: Storage, studies: Sequence[Study | Search]) -> Iterator[Garbage]:
    """Evaluations that no study asks for, of runs that have every evaluation some study asks for."""
    asked: dict[str, set[str]] = {}
    for study in studies:
        for point in _points(study, storage):
            asked.setdefault(point.key, set()).add(key_of(point.run, study.evaluation))
    for key in _free_runs(storage):
        present = _directories(storage.evaluations(key))
        wanted = asked.get(key, set())
        if not wanted or not all(_is_whole(storage.evaluation(key, name)) for name in wanted):
            continue
        for path in present:
            if path.name not in wanted:
                yield _item(path, "evaluation superseded by a newer one", key)


def _caches(storage: Storage, studies: Sequence[Study | Search]) -> Iterator[Garbage]:
    """What teachers and translators that no study uses left; none while any run is held: it may be reading them."""
    if any(_is_held(storage, key) for key in storage.run_keys()):
        return
    runs = [point.run for study in studies for point in _points(study, storage)]
    teachers = {run_key(teacher_of(run)) for run in runs if not isinstance(run, Preparatory)}
    for path in _directories(storage.root / "embeddings"):
        if path.name not in teachers:
            yield _item(path, "cached vectors of a teacher that no study uses")
    translators = {translator_key(run.translator) for run in runs if isinstance(run, TranslateQuery)}
    for path in _directories(storage.root / "translations"):
        if path.name not in translators:
            yield _item(path, "cached translations of a translator that no study uses")


def _points(study: Study | Search, storage: Storage) -> tuple[Point, ...]:
    return points_of(study, storage) if isinstance(study, Search) else expand(study)


def _free_runs(storage: Storage) -> Iterator[str]:
    return (key for key in storage.run_keys() if not _is_held(storage, key))


def _is_held(storage: Storage, key: str) -> bool:
    return lease_owner(storage.run_lease(key)) is not None


def _has_result(storage: Storage, key: str) -> bool:
    try:
        return read_state(storage, key).state.has_result and _is_whole(storage.final(key))
    except Damaged as damage:
        logger.warning("%s", damage)
        return False


def _is_whole(directory: Path) -> bool:
    try:
        return read_manifest(directory) is not None
    except Damaged as damage:
        logger.warning("%s", damage)
        return False


def _directories(parent: Path) -> list[Path]:
    """Published or finished directories: unfinished pieces begin with a dot and are leftovers."""
    if not parent.is_dir():
        return []
    return sorted(path for path in parent.iterdir() if path.is_dir() and not path.name.startswith("."))


def _item(path: Path, reason: str, key: str | None = None) -> Garbage:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return Garbage(path=path, size=sum(file.stat().st_size for file in files), reason=reason, key=key)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
