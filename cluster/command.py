"""The command that a job runs, and the stamps that say which sources it must find."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from studies.schema.sources import REVISION_STAMP, SOURCES_STAMP


@dataclass(frozen=True, kw_only=True)
class Stamps:
    """The sources of a submission: their hash, and the git revision where there is one."""

    sources: str
    revision: str | None

    def environment(self) -> dict[str, str]:
        """The stamps as environment variables; the harness refuses to run sources of another hash."""
        revision: Mapping[str, str] = {REVISION_STAMP: self.revision} if self.revision else {}
        return {SOURCES_STAMP: self.sources, **revision}


def entrypoint(python: str, *words: str) -> str:
    """``python -m words...`` as one line for a shell."""
    return shlex.join([python, "-m", *words])


def run_words(study: str, storage: str, tracking_uri: str | None = None) -> list[str]:
    """The words after ``python -m`` that run a study."""
    words = ["harness", "run", study, "--storage", storage]
    return [*words, "--tracking-uri", tracking_uri] if tracking_uri else words
