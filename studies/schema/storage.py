"""Where everything lies under one storage root, and what has to hold there.

Storage is the truth: a run is what its directory says. Names are decided here and nowhere else.
"""

import errno
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from studies.schema.drift import Change, RecipeChanged, differences
from studies.schema.lease import Lease, LeaseHeld, Owner, lease_owner
from studies.schema.publication import (
    Damaged,
    File,
    Manifest,
    leftovers,
    publish,
    read_manifest,
    write_json_atomic,
    write_json_once,
)

__all__ = [
    "Change",
    "Damaged",
    "File",
    "Lease",
    "LeaseHeld",
    "Manifest",
    "Owner",
    "RecipeChanged",
    "Storage",
    "lease_owner",
    "publish",
    "read_manifest",
    "write_json_atomic",
]

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._+-]*\Z")


@dataclass(frozen=True)
class Storage:
    """One storage root; every method that returns a path only names it and touches nothing."""

    root: Path

    @classmethod
    def at(cls, place: str | os.PathLike[str]) -> "Storage":
        """Storage at an absolute path or a ``file:`` URI; else a ValueError that says what to write."""
        return cls(_absolute(os.fspath(place)))

    @classmethod
    def named(cls, place: str) -> "Storage":
        """Storage at the place a person named, or, for an empty name, under the user's data directory."""
        if place:
            return cls.at(place)
        data = os.environ.get("XDG_DATA_HOME", "")
        # The XDG base directory specification has relative paths ignored.
        home = Path(data) if os.path.isabs(data) else Path.home() / ".local" / "share"
        return cls.at(home / "harness-storage")

    def check_writable(self, needed_bytes: int = 0) -> None:
        """Prove by writing, flushing and locking a small file that the root can be used."""
        probe = self.root / f".probe-{secrets.token_hex(4)}"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with probe.open("wb") as stream:
                stream.write(b"\0" * 4096)
                stream.flush()
                os.fsync(stream.fileno())
            Lease(probe, purpose="write probe").acquire().release()
        except OSError as error:
            raise ValueError(_unusable(self.root, error)) from error
        finally:
            _remove_quietly(probe)
        self.check_room(needed_bytes)

    def check_room(self, needed_bytes: int) -> None:
        """Raise ValueError when less than this is free."""
        free = shutil.disk_usage(self.root).free
        if free < needed_bytes:
            raise ValueError(
                f"storage root {self.root} has {free / 1e9:.2f} GB free and {needed_bytes / 1e9:.2f} GB are needed; "
                "free some space or choose another root"
            )

    @contextmanager
    def room_needed(self) -> Iterator[None]:
        """Say of a write that finds no room which root is full and what to do: ValueError in place of OSError."""
        try:
            yield
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise ValueError(_unusable(self.root, error)) from error
            raise

    # Runs

    def runs(self) -> Path:
        return self.root / "runs"

    def run(self, key: str) -> Path:
        return self.runs() / _name("run key", key)

    def run_keys(self) -> Iterator[str]:
        """Keys of every run that has a directory, sorted."""
        if self.runs().is_dir():
            yield from sorted(entry.name for entry in self.runs().iterdir() if _NAME.match(entry.name))

    def description(self, key: str) -> Path:
        return self.run(key) / "run.json"

    def run_lease(self, key: str) -> Path:
        return self.run(key) / "lease"

    def journal(self, key: str) -> Path:
        return self.run(key) / "journal.jsonl"

    def state(self, key: str) -> Path:
        return self.run(key) / "state.json"

    def checkpoints(self, key: str) -> Path:
        return self.run(key) / "checkpoints"

    def checkpoint(self, key: str, step: int) -> Path:
        return self.checkpoints(key) / str(step)

    def final(self, key: str) -> Path:
        return self.run(key) / "final"

    def evaluations(self, key: str) -> Path:
        return self.run(key) / "evaluation"

    def evaluation(self, key: str, evaluation_key: str) -> Path:
        return self.evaluations(key) / _name("evaluation key", evaluation_key)

    # Data

    def collection(self, name: str) -> Path:
        """A built collection; ``name`` carries its revision, as in ``atlas-3f2a``."""
        return self.root / "collections" / _name("collection", name)

    def data(self) -> Path:
        """Files that a user puts there: parallel text, local collections, translated topics."""
        return self.root / "data"

    def embeddings(self, teacher_key: str, name: str) -> Path:
        return self.root / "embeddings" / _name("teacher key", teacher_key) / _name("embeddings", name)

    def translations(self, translator_key: str, name: str) -> Path:
        return self.root / "translations" / _name("translator key", translator_key) / _name("translations", name)

    def studies(self) -> Path:
        return self.root / "studies"

    def recipe(self, study: str, version: str) -> Path:
        return self.studies() / _name("study", study) / f"{_name('version', version)}.json"

    def roster(self, study: str, version: str) -> Path:
        """Which runs of a study version MLflow shows, and how."""
        return self.studies() / _name("study", study) / "shown" / f"{_name('version', version)}.json"

    def ledger(self, search: str, version: str) -> Path:
        """What a search has asked for and decided, append-only."""
        return self.studies() / _name("search", search) / f"{_name('version', version)}.trials.jsonl"

    def study_lease(self, study: str) -> Path:
        """Held by the one driver that brings a study to its end."""
        return self.studies() / _name("study", study) / "lease"

    def stop_request(self, study: str) -> Path:
        """A file whose presence asks the driver of a study to save and end."""
        return self.studies() / _name("study", study) / "stop"

    # The readable copy

    def mlflow(self) -> Path:
        return self.root / "mlflow"

    def mlflow_database(self) -> Path:
        return self.mlflow() / "mlflow.db"

    def mlflow_artifacts(self) -> Path:
        return self.mlflow() / "artifacts"

    def server_record(self) -> Path:
        return self.mlflow() / "server.json"

    def server_log(self) -> Path:
        return self.mlflow() / "server.log"

    def deliver_lease(self) -> Path:
        return self.mlflow() / "deliver.lock"

    def delivered(self, study: str, version: str, key: str) -> Path:
        return (
            self.mlflow()
            / "delivered"
            / _name("study", study)
            / _name("version", version)
            / f"{_name('key', key)}.json"
        )

    # What has to hold

    def lease(self, path: Path, *, purpose: str = "", wait_seconds: float = 0.0) -> Lease:
        """An exclusive lease on ``path``; enter it to hold it. Raises LeaseHeld naming the owner."""
        return Lease(path, purpose=purpose, wait_seconds=wait_seconds)

    def publish(self, target: Path, facts: Mapping[str, Any] | None = None) -> AbstractContextManager[Path]:
        """Fill a directory that becomes ``target`` whole or not at all, as :func:`publish` says."""
        return publish(target, facts)

    def leftovers(self) -> tuple[Path, ...]:
        """Unfinished pieces of dead attempts: ignored by every reader, free to delete."""
        return leftovers(self.root)

    def identity(self) -> str:
        """The root's own id, made on first use: tells two roots apart that deliver to one MLflow server."""
        path = self.root / "storage.json"
        write_json_once(path, {"schema": 1, "id": secrets.token_hex(8)})
        return str(_read_json(path)["id"])

    def record_recipe(self, study: str, version: str, recipe: Mapping[str, Any]) -> None:
        """Record a study's recipe under its version; RecipeChanged when another one is recorded there."""
        path = self.recipe(study, version)
        present = json.loads(json.dumps(recipe, allow_nan=False))
        if write_json_once(path, present):
            return
        changes = differences(_read_json(path), present)
        if changes:
            raise RecipeChanged(study, version, changes)


def _absolute(place: str) -> Path:
    scheme, separator, _ = place.partition(":")
    if separator and re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]+", scheme):
        parts = urlsplit(place)
        if scheme.lower() != "file":
            raise ValueError(
                f"storage root {place!r} has scheme {scheme!r}; leases and atomic renames need a file system: "
                "mount it and write an absolute path or a file: URI, such as file:///data/harness"
            )
        if parts.netloc not in ("", "localhost"):
            raise ValueError(
                f"storage root {place!r} names the host {parts.netloc!r}; write file:///{parts.netloc}{parts.path} if "
                "that is a directory, or mount the host's directory and name the mount"
            )
        place = unquote(parts.path)
    if not os.path.isabs(place):
        suggestion = os.path.abspath(os.path.expanduser(place))
        raise ValueError(f"storage root {place!r} is relative and would move with each process; write {suggestion!r}")
    return Path(os.path.normpath(place))


def _name(what: str, name: str) -> str:
    if not _NAME.match(name):
        raise ValueError(
            f"{what} {name!r} cannot name a file; "
            "use letters, digits, '.', '_', '+' and '-', and a letter or digit first"
        )
    return name


def _read_json(path: Path) -> Any:
    content = path.read_bytes()
    try:
        return json.loads(content)
    except ValueError as error:
        raise Damaged(path, "JSON", f"{len(content)} bytes that are none ({error})") from error


def _unusable(root: Path, error: OSError) -> str:
    if error.errno in _NO_ROOM:
        return f"storage root {root} is full ({error.strerror}); free some space or choose another root"
    place = f": {error.filename}" if error.filename else ""
    return f"storage root {root} cannot be written ({error.strerror}{place}); choose a directory you may write to"


def _remove_quietly(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return
