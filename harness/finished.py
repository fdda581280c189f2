"""Weights that finished runs left."""

from functools import lru_cache
from pathlib import Path

from harness.encoders import TokenEncoder
from studies.schema.storage import Storage, read_manifest


@lru_cache(maxsize=2)
def trained(storage: Storage, key: str) -> TokenEncoder:
    """The encoder that a finished run left; the last two are kept, a teacher and a student.

    Raises ValueError when there is none, Damaged when it was altered.
    """
    return TokenEncoder.load(weights_of(storage, key))


def weights_of(storage: Storage, key: str) -> Path:
    """Where a finished run left its weights; ValueError when there are none."""
    folder = storage.final(key)
    if read_manifest(folder) is None:
        raise ValueError(f"run {key} has no trained model in {folder}; train it first")
    return folder
