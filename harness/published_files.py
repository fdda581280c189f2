"""Files of the hub: found or fetched, and those of a checkpoint looked over before anything of them is loaded.

Weights have to be safetensors, and no code of theirs runs. Needs no tensor library.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from studies.schema.published_teacher import PublishedTeacher
from studies.schema.rung import Rung

OURS = ("sentence_transformers.", "pylate.")
"""Modules that a checkpoint may be made of; those of pylate are read by sentence-transformers' own."""

PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
NEVER_FETCHED = [f"*{suffix}" for suffix in (*PICKLES, ".h5", ".msgpack", ".onnx", ".py")]


def found(declared: PublishedTeacher) -> Path:
    """The checkpoint's directory, verified or fetched at its revision."""
    if not declared.is_local:
        return _fetched(
            f"teacher {declared.checkpoint} at {declared.revision[:12]}", declared.checkpoint, declared.revision
        )
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


def find_weights(rung: Rung) -> None:
    """Have a rung's weights, configuration and tokenizer on this machine, fetched from the hub where they are there.

    ValueError where they cannot be had, or have no safetensors.
    """
    assert rung.weights is not None
    is_local = rung.weights.startswith("/")
    folder = Path(rung.weights) if is_local else _fetched(f"rung {rung.name}: {rung.weights}", rung.weights)
    if not folder.is_dir() or not any(folder.glob("*.safetensors")):
        raise ValueError(
            f"rung {rung.name}: {folder} has no weights as safetensors; name a directory that has them, or a hub id"
        )


def fetched_data(what: str, name: str, revision: str, patterns: Sequence[str]) -> Path:
    """The directory that has those files of a data set on the hub, fetched where they are not there yet."""
    return _fetched(what, name, revision, repo_type="dataset", allow_patterns=list(patterns))


def _fetched(what: str, name: str, revision: str | None = None, **chosen: Any) -> Path:
    """The directory in which a hub's files lie on this machine, fetched where they are not there yet."""
    try:
        return Path(snapshot_download(name, revision=revision, ignore_patterns=NEVER_FETCHED, **chosen))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ValueError(
            f"{what} cannot be had ({type(error).__name__}); check the network and, for a gated one, the hub's token, "
            "copy the folder that HF_HOME names from a machine that has it, or name a directory of this machine"
        ) from error


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
