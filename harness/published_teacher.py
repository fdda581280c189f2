"""A published multi-vector checkpoint as a frozen teacher: found, looked over, loaded, and asked for vectors.

Its files are looked over before anything of them is loaded: weights have to be safetensors, and no code of theirs runs.
"""

import hashlib
import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from sentence_transformers import MultiVectorEncoder

from harness.late_interaction import Ragged
from harness.vectors import ENCODE_BATCH, store, stored
from studies.schema.key import digest
from studies.schema.published_teacher import PublishedTeacher
from studies.schema.storage import Storage

OURS = ("sentence_transformers.", "pylate.")
"""Modules that a checkpoint may be made of; those of pylate are read by sentence-transformers' own."""

PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
NEVER_FETCHED = [f"*{suffix}" for suffix in (*PICKLES, ".h5", ".msgpack", ".onnx", ".py")]


class Side(StrEnum):
    """What a text is read as: checkpoints may prefix, pad or mask queries and documents in their own ways."""

    QUERY = "query"
    DOCUMENT = "document"


class PublishedEncoder:
    """The teacher in memory. Raises ValueError where the checkpoint is not what is declared or cannot be trusted."""

    def __init__(self, declared: PublishedTeacher, device: torch.device) -> None:
        folder = _found(declared)
        look_over(folder)
        try:
            self._model = MultiVectorEncoder(
                str(folder), device=str(device), trust_remote_code=False, local_files_only=True
            )
        except (ValueError, OSError, KeyError, TypeError) as error:
            raise ValueError(
                f"sentence-transformers cannot load {declared.checkpoint} as a multi-vector encoder: {error}"
            ) from error
        self._model.eval().requires_grad_(False)
        (probe,) = self.encode(["a"], Side.DOCUMENT).tokens_TH[:1]
        if len(probe) != declared.token_size:
            raise ValueError(
                f"{declared.checkpoint} gives vectors of width {len(probe)}, declared is token_size "
                f"{declared.token_size}; declare {len(probe)}, and students of that width"
            )

    @torch.no_grad()
    def encode(self, texts: Sequence[str], side: Side) -> Ragged:
        """Token vectors of every text in order, on the CPU in float32, those alone that count in a score."""
        read = self._model.encode_query if side is Side.QUERY else self._model.encode_document
        vectors = read(list(texts), batch_size=ENCODE_BATCH, show_progress_bar=False)
        lengths = torch.tensor([len(found) for found in vectors])
        return Ragged(tokens_TH=torch.cat(list(vectors)).float().cpu(), lengths=lengths)


def vectors(
    storage: Storage, declared: PublishedTeacher, texts: Sequence[str], side: Side, device: torch.device
) -> Ragged:
    """Vectors of the texts, from storage where they lie there, else computed and left there."""
    directory = storage.embeddings(declared.key, f"{side}-{digest('texts/1', list(texts))}")
    found = stored(directory)
    if found is None:
        found = PublishedEncoder(declared, device).encode(texts, side)
        store(directory, found)
    return found


def content_revision(folder: Path) -> str:
    """The revision of a directory: a hash of the names and contents of all its files."""
    whole = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as stream:
            whole.update(path.relative_to(folder).as_posix().encode() + b"\0")
            whole.update(hashlib.file_digest(stream, "sha256").digest())
    return f"content:{whole.hexdigest()[:16]}"


def look_over(folder: Path) -> None:
    """Raise ValueError for a checkpoint with weights that are no safetensors, or that would run code of its own."""
    modules = folder / "modules.json"
    if not modules.is_file() and not (folder / "config.json").is_file():
        raise ValueError(f"{folder} has neither modules.json nor config.json; name the directory of a checkpoint")
    listed = json.loads(modules.read_text()) if modules.is_file() else []
    foreign = [module["type"] for module in listed if not module["type"].startswith(OURS)]
    for config in folder.rglob("config.json"):
        foreign += list(json.loads(config.read_text()).get("auto_map", {}).values())
    if foreign:
        raise ValueError(
            f"{folder} is read by code of its own ({foreign[0]}), which is never run here; name a checkpoint made of "
            "sentence-transformers' modules over an encoder that transformers knows"
        )
    if not any(folder.rglob("*.safetensors")):
        raise ValueError(
            f"{folder} has no weights as safetensors; load it elsewhere and save it with safe_serialization"
        )
    for path in folder.rglob("*"):
        if path.suffix in PICKLES and not any(path.parent.glob("*.safetensors")):
            raise ValueError(
                f"{path} is a pickle, which can run code when it is read; save these weights as safetensors"
            )


def _found(declared: PublishedTeacher) -> Path:
    """The checkpoint's directory, verified or fetched at its revision."""
    if not declared.is_local:
        try:
            return Path(
                snapshot_download(declared.checkpoint, revision=declared.revision, ignore_patterns=NEVER_FETCHED)
            )
        except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
            raise ValueError(
                f"teacher {declared.checkpoint} at {declared.revision[:12]} cannot be had ({error}); check the network "
                "and, for a gated one, the hub's token, or name a directory of this machine"
            ) from error
    folder = Path(declared.checkpoint)
    if not folder.is_dir():
        raise ValueError(f"teacher {folder} is no directory of this machine; name one, or a hub id")
    revision = content_revision(folder)
    if revision != declared.revision:
        raise ValueError(
            f"teacher {folder} has {revision}, declared is {declared.revision}; its files are others than those that "
            "were declared: restore them, or declare what is there under a new study version"
        )
    return folder
