"""Atomic publication: a directory or a file appears whole under its name, or not at all.

A directory is written beside its place, its manifest (sizes and SHA-256 of every file) last, flushed to
disk and renamed. Whatever has no manifest does not exist; whatever does not match its manifest is refused.
"""

import errno
import hashlib
import json
import logging
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studies.schema.lease import process_start

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
SCHEMA = 1
# Elsewhere a process cannot be asked whether it lives; after a day an unfinished piece is nobody's.
FOREIGN_LEFTOVER_SECONDS = 86_400

_PARTIAL = re.compile(r"^\..+\.(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-(?P<start>\d+)-[0-9a-f]{8}\.partial\Z")


class Damaged(ValueError):
    """Something on disk is not what was published there; the message names file, expectation and remedy."""

    def __init__(self, path: Path, expected: str, found: str) -> None:
        self.path = path
        super().__init__(
            f"{path} is damaged: expected {expected}, found {found}; delete {path.parent} to have it made again, "
            "or restore it from a copy"
        )


@dataclass(frozen=True, kw_only=True)
class File:
    """One published file: bytes and SHA-256 in hex."""

    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a published directory holds. ``time`` in ms since the epoch; ``facts`` is the publisher's own JSON."""

    files: Mapping[str, File]
    facts: Mapping[str, Any]
    time: int


@contextmanager
def publish(target: Path, facts: Mapping[str, Any] | None = None) -> Iterator[Path]:
    """Yield a directory to fill; when the block ends well it becomes ``target`` in one step.

    ``facts`` is read when the block ends, so it may be filled inside. A valid ``target`` that appeared
    meanwhile is kept and ours is dropped; one that is damaged or has no manifest is replaced. An error
    leaves nothing behind.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = _beside(target)
    partial.mkdir()
    try:
        yield partial
        _write_manifest(partial, facts or {})
        _move_into_place(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def read_manifest(directory: Path, *, verify: bool = True) -> Manifest | None:
    """Read what was published at ``directory``; None when nothing was, Damaged when it is not that any more.

    Sizes are always compared; ``verify=False`` skips hashing the contents.
    """
    path = directory / MANIFEST
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    manifest = _parse_manifest(path, content)
    for name, file in manifest.files.items():
        _check_file(directory / name, file, verify=verify)
    return manifest


def write_json_atomic(path: Path, value: Any) -> None:
    """Replace ``path`` by ``value`` as JSON; a reader sees the old file or the new one, never a mixture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _beside(path)
    try:
        _write_and_flush(partial, json.dumps(value, indent=1, sort_keys=True, allow_nan=False).encode() + b"\n")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    flush_directory(path.parent)


def write_json_once(path: Path, value: Any) -> bool:
    """Write ``value`` unless ``path`` exists; says whether this call wrote it, also when two race."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _beside(path)
    try:
        _write_and_flush(partial, json.dumps(value, indent=1, sort_keys=True, allow_nan=False).encode() + b"\n")
        os.link(partial, path)
    except FileExistsError:
        return False
    finally:
        partial.unlink(missing_ok=True)
    flush_directory(path.parent)
    return True


def leftovers(root: Path) -> tuple[Path, ...]:
    """Unfinished pieces under ``root`` whose writer is dead; they are never read and may be deleted."""
    found: list[Path] = []
    for directory, subdirectories, files in os.walk(root):
        pieces = [name for name in (*subdirectories, *files) if _PARTIAL.match(name)]
        found.extend(Path(directory, name) for name in pieces if _is_abandoned(Path(directory, name)))
        subdirectories[:] = [name for name in subdirectories if name not in pieces]
    return tuple(sorted(found))


def flush_directory(directory: Path) -> None:
    """Have the names in ``directory`` survive a power cut, not only the files' contents."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _beside(target: Path) -> Path:
    pid = os.getpid()
    host = _host_mark()
    return target.with_name(f".{target.name}.{host}-{pid}-{process_start(pid) or 0}-{secrets.token_hex(4)}.partial")


def _host_mark() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _is_abandoned(path: Path) -> bool:
    match = _PARTIAL.match(path.name)
    if match is None:
        return False
    if match["host"] == _host_mark():
        return process_start(int(match["pid"])) != int(match["start"])
    try:
        return time.time() - path.stat().st_mtime > FOREIGN_LEFTOVER_SECONDS
    except FileNotFoundError:
        return False


def _write_manifest(directory: Path, facts: Mapping[str, Any]) -> None:
    if (directory / MANIFEST).exists():
        raise ValueError(f"{MANIFEST} is the publication's own file; give yours another name")
    paths = sorted(path for path in directory.rglob("*") if path.is_file())
    files = {}
    for path in paths:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            os.fsync(stream.fileno())
        files[path.relative_to(directory).as_posix()] = {"size": path.stat().st_size, "sha256": digest}
    body = {"schema": SCHEMA, "time": time.time_ns() // 1_000_000, "files": files, "facts": dict(facts)}
    content = json.dumps({**body, "digest": _digest(body)}, indent=1, sort_keys=True, allow_nan=False)
    _write_and_flush(directory / MANIFEST, content.encode() + b"\n")
    for subdirectory in {path.parent for path in paths} | {directory}:
        flush_directory(subdirectory)


def _parse_manifest(path: Path, content: bytes) -> Manifest:
    try:
        body = json.loads(content)
        digest = body.pop("digest")
        schema = body["schema"]
        files = {name: File(size=entry["size"], sha256=entry["sha256"]) for name, entry in body["files"].items()}
        manifest = Manifest(files=files, facts=body["facts"], time=body["time"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged(path, "a manifest", f"{len(content)} bytes that are none ({error!r})") from error
    if digest != _digest(body):
        raise Damaged(path, f"contents with digest {digest}", f"digest {_digest(body)}")
    if schema != SCHEMA:
        raise ValueError(f"{path} has schema {schema}, this version reads {SCHEMA}; use the version that wrote it")
    return manifest


def _check_file(path: Path, file: File, *, verify: bool) -> None:
    try:
        size = path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        raise Damaged(path, f"{file.size} bytes", "no file") from None
    if size != file.size:
        raise Damaged(path, f"{file.size} bytes", f"{size} bytes")
    if verify:
        with path.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        if sha256 != file.sha256:
            raise Damaged(path, f"SHA-256 {file.sha256}", f"SHA-256 {sha256}")


def _move_into_place(partial: Path, target: Path) -> None:
    try:
        os.rename(partial, target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        if _is_whole(target):
            return
        logger.warning("replacing %s, which was damaged or never finished", target)
        aside = _beside(target)
        os.rename(target, aside)
        os.rename(partial, target)
        shutil.rmtree(aside, ignore_errors=True)
    flush_directory(target.parent)


def _is_whole(directory: Path) -> bool:
    try:
        return read_manifest(directory) is not None
    except Damaged:
        return False


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _write_and_flush(path: Path, content: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
