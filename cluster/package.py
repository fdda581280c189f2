"""The sources that a job gets: what is left at home, how large the rest is, and a copy of exactly that."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from studies.schema.sources import sources_hash

LEFT_AT_HOME = (
    ".*",
    "__pycache__",
    "*.egg-info",
    "*.py[cod]",
    "venv",
    "build",
    "dist",
    "docs",
    "reports",
    "mlruns",
    "mlflow.db",
    "goldens",
    "node_modules",
)
"""Patterns of names, of files and of folders, that no job needs. Hidden ones hold histories, environments and caches.

They are never given to Ray as its own ``excludes``: under ``.*`` it takes every upload for the same one (ray#53635)."""

LIMIT_BYTES = 32 * 2**20
"""The sources are about a megabyte; whatever is larger is data, which belongs into storage. Ray takes 512 MiB."""

OFFENDERS = 3
"""How many of the largest entries a refusal names."""


@dataclass(frozen=True, kw_only=True)
class Package:
    """Files below ``top``, by their path relative to it in order, with their sizes in bytes; and the sources' hash."""

    top: Path
    files: tuple[tuple[Path, int], ...]
    sources: str

    @property
    def size(self) -> int:
        return sum(size for _, size in self.files)


def package(top: Path) -> Package:
    """What a job gets of the checkout at ``top``; ValueError when that is none, or larger than ``LIMIT_BYTES``."""
    if not (top / "harness" / "__main__.py").is_file():
        raise ValueError(f"{top} holds no package harness; submit from a checkout of the sources")
    files = tuple(sorted((path.relative_to(top), path.stat().st_size) for path in _walk(top)))
    found = Package(top=top, files=files, sources=sources_hash(top))
    if found.size > LIMIT_BYTES:
        largest = ", ".join(f"{name} ({size / 2**20:.1f} MiB)" for name, size in offenders(found))
        raise ValueError(
            f"the working directory {top} is {found.size / 2**20:.1f} MiB and may be {LIMIT_BYTES / 2**20:.0f}; "
            f"largest: {largest}; move data into storage, or below a folder whose name begins with a dot"
        )
    return found


def offenders(found: Package) -> list[tuple[str, int]]:
    """The largest entries, with their bytes: folders directly below ``top`` as a whole, files there by themselves."""
    sizes: dict[str, int] = {}
    for path, size in found.files:
        name = path.parts[0] + ("/" if len(path.parts) > 1 else "")
        sizes[name] = sizes.get(name, 0) + size
    return sorted(sizes.items(), key=lambda entry: -entry[1])[:OFFENDERS]


def copy(found: Package, folder: Path) -> None:
    """Copy a package into an empty folder, whose upload is then exactly what was measured and hashed."""
    for path, _ in found.files:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(found.top / path, folder / path)


def _walk(top: Path) -> Iterator[Path]:
    """Files that are shipped. Links are not followed: what lies elsewhere is no part of the sources."""
    for folder, folders, files in os.walk(top):
        folders[:] = [name for name in folders if not _is_left(name)]
        for name in files:
            path = Path(folder, name)
            if not _is_left(name) and path.is_file() and not path.is_symlink():
                yield path


def _is_left(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in LEFT_AT_HOME)
