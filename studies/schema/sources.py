"""Which sources these are: a hash of every file that can change a number, and the git revision where there is one."""

import subprocess
from hashlib import sha256
from pathlib import Path

PACKAGES = ("studies", "harness")
"""Packages whose sources can change a number."""

TOP = Path(__file__).resolve().parents[2]
"""The folder that holds the packages."""

REVISION_STAMP = "HARNESS_REVISION"
"""Environment variable that carries the git revision to where no repository is, such as a submitted job."""

SOURCES_STAMP = "HARNESS_SOURCES"
"""Environment variable that carries the hash of the sources that were submitted."""


def sources_hash(top: Path) -> str:
    """The first twelve hexadecimal digits of the SHA-256 of every Python source below the packages."""
    digest = sha256()
    for package in PACKAGES:
        for path in sorted((top / package).rglob("*.py")):
            digest.update(f"{path.relative_to(top).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def git_revision(top: Path) -> str | None:
    """The short revision, with ``+changes`` where a source differs from it; None where git knows nothing."""
    revision = git(top, "rev-parse", "--short=12", "HEAD")
    changed = git(top, "status", "--porcelain", "--", *PACKAGES)
    if revision is None or changed is None:
        return None
    return f"{revision}+changes" if changed else revision


def git(top: Path, *words: str) -> str | None:
    """What git answers about the repository at ``top``; None where there is none, or no git."""
    command = ["git", "-C", str(top), *words]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
