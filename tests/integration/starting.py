"""What the fixtures of the integration tests hand out."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from harness.drills.command import Command
from studies.schema.storage import Storage

NewStudies = Callable[[str], Path]
"""Makes a folder with a study named tiny, declared by an expression."""


class Start(Protocol):
    """Starts the command line as :class:`Command` does, and ends it with the test."""

    def __call__(self, storage: Storage, studies: Path, *words: str, log: Path | None = None) -> Command: ...
