"""Checkpoints of a run as files: which there are, which can be read, which are kept. Without torch, for drivers."""

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from studies.schema.storage import Damaged, read_manifest

logger = logging.getLogger(__name__)

FORMAT = 2
"""1 were DeepSpeed's own files, which one layout alone could read."""


def check_format(folder: Path, facts: Mapping[str, Any]) -> None:
    """Raise ValueError if a checkpoint was not written in the present format."""
    if facts.get("format") != FORMAT:
        raise ValueError(
            f"checkpoint {folder} has format {facts.get('format', 1)} and {FORMAT} is read; go on with the version of "
            "this software that wrote it, or delete it to train from the start"
        )


def newest(checkpoints: Path) -> tuple[Path, dict[str, Any]] | None:
    """The newest checkpoint that can be read, with the facts of its manifest; damaged ones are passed over aloud."""
    for folder in newest_first(checkpoints):
        try:
            manifest = read_manifest(folder)
        except Damaged as damage:
            logger.warning("%s; the run goes on from the checkpoint before it, or from the start", damage)
            continue
        if manifest is not None:
            return folder, dict(manifest.facts)
    return None


def newest_first(checkpoints: Path) -> list[Path]:
    """All checkpoints of a run, whole or not."""
    return sorted(checkpoints.glob("[0-9]*"), reverse=True)


def retain(checkpoints: Path, keep: int) -> None:
    """Delete all but the newest ``keep`` checkpoints; called by one rank."""
    for folder in newest_first(checkpoints)[keep:]:
        shutil.rmtree(folder, ignore_errors=True)
