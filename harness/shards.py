"""Many tensors in a few safetensors files, written and read one after another so that memory stays bounded."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

SHARD_BYTES = 256 * 2**20
"""A file is written once it holds this much: the writer keeps that and one tensor, and as much again to write it."""


class Shards:
    """Writes tensors by name into numbered files; nothing is whole before :meth:`flush`."""

    def __init__(self, folder: Path, *, shard_bytes: int = SHARD_BYTES) -> None:
        self._folder = folder
        self._shard_bytes = shard_bytes
        self._held: dict[str, Tensor] = {}
        self._bytes = 0
        self._written = 0

    def add(self, name: str, tensor: Tensor) -> None:
        """Take a copy of a tensor, on any device, under a name that no other has."""
        self._held[name] = tensor.detach().to("cpu", copy=True).contiguous()
        self._bytes += tensor.nbytes
        if self._bytes >= self._shard_bytes:
            self.flush()

    def flush(self) -> None:
        """Write what is held, if anything is."""
        if self._held:
            save_file(self._held, self._folder / f"tensors-{self._written:05d}.safetensors")
            self._written += 1
            self._held, self._bytes = {}, 0


class Reader:
    """The tensors of a folder that :class:`Shards` filled, each read when it is asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, Any] = {}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        for path in sorted(self._folder.glob("tensors-*.safetensors")):
            file = self._open.enter_context(safe_open(path, framework="pt"))
            self._files |= dict.fromkeys(file.keys(), file)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def tensor(self, name: str) -> Tensor:
        """Raises ValueError where there is no tensor of the name."""
        if name not in self._files:
            raise ValueError(
                f"checkpoint {self._folder} holds no {name}: another version of this software wrote it; go on with "
                "that one, or delete it to train from the start"
            )
        found: Tensor = self._files[name].get_tensor(name)
        return found
