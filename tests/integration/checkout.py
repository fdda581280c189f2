"""A repository of the sources with a tiny study among the others, and the commands that are given in it."""

import shutil
import subprocess
import sys
from pathlib import Path

from harness.drills.tiny import write_study
from studies.schema.sources import TOP

COMMAND_SECONDS = 600.0


def make_checkout(folder: Path, call: str) -> None:
    """Copy and commit the sources that jobs need, and a study named tiny that an expression declares."""
    rubbish = shutil.ignore_patterns("__pycache__")
    for package in ("studies", "harness", "cluster"):
        shutil.copytree(TOP / package, folder / package, ignore=rubbish)
    shutil.copy(TOP / ".gitignore", folder)
    write_study(folder / "studies", call)
    _git(folder, "init")
    _git(folder, "add", ".")
    _git(folder, "commit", "--message", "all")


def command(checkout: Path, environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """``python -m cluster`` with words after it."""
    return subprocess.run(
        [sys.executable, "-m", "cluster", *words],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_SECONDS,
    )


def _git(checkout: Path, *words: str) -> None:
    identity = ("-c", "user.name=tester", "-c", "user.email=tester@localhost")
    subprocess.run(["git", *identity, *words], cwd=checkout, check=True, capture_output=True, timeout=20)
