"""Exact late-interaction search over collections whose vectors do not fit into memory.

Vectors of a collection are written in blocks, one directory each, as they are encoded; a search maps one after another,
and keeps the best of each query. What has been written survives an interruption.

Shapes: Q queries, k results, T tokens of a block's passages, H width.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from harness.late_interaction import Ragged, search
from studies.schema.publication import publish, read_manifest

BYTES_PER_COMPONENT = 2 + 4 * 2
"""While a block is encoded or searched: once as stored, in float16, and twice in float32."""


Block = tuple[Sequence[str], Callable[[], Ragged]]
"""Ids of some passages, and a function that encodes them."""


def block_passages(budget_bytes: int, tokens_per_passage: int, width: int) -> int:
    """Passages per block so that encoding or searching one stays within a memory budget.

    ``tokens_per_passage`` is the most a passage is cut to. ValueError when not even one fits.
    """
    count = budget_bytes // (tokens_per_passage * width * BYTES_PER_COMPONENT)
    if count < 1:
        raise ValueError(
            f"{budget_bytes:,} bytes do not hold one passage of {tokens_per_passage} vectors of width {width}; "
            "give more memory, or cut passages shorter"
        )
    return count


def encode_blocks(place: Path, blocks: Iterable[Block], *, total: int | None = None) -> int:
    """Write each block's ids and vectors below ``place``, those already there left as they are; returns how many.

    Vectors are kept in float16: cosines change by
    at most about 1e-3. ValueError when the number of passages is not ``total``, or a block there holds other passages.
    """
    number = passages = 0
    for number, (ids, encode) in enumerate(blocks, start=1):
        target = place / f"block-{number - 1:06d}"
        manifest = read_manifest(target, verify=False)
        if manifest is None:
            _write(target, ids, encode())
        elif _ids(target) != list(ids):
            raise ValueError(
                f"{target} holds the vectors of other passages; delete {place} to have it made again, or name another"
            )
        passages += len(ids)
    if total is not None and passages != total:
        raise ValueError(f"{place}: {passages:,} passages were encoded, the collection has {total:,}; read it anew")
    with publish(place / "whole", facts={"blocks": number, "passages": passages}):
        pass
    return number


def search_blocks(place: Path, queries: Ragged, *, k: int) -> tuple[Tensor, list[list[str]]]:
    """The best k passages of every query among all blocks: scores [Q, k] and ids, best first.

    Of equal scores the passage that was written first comes first, as in a search over all at once. Memory is that of
    one block in float32. FileNotFoundError when the blocks are not complete.
    """
    manifest = read_manifest(place / "whole")
    if manifest is None:
        raise FileNotFoundError(f"{place} holds no complete collection of vectors; encode it first")
    best_Qk = torch.empty(len(queries.lengths), 0)
    names: list[list[str]] = [[] for _ in range(len(queries.lengths))]
    for number in range(manifest.facts["blocks"]):
        target = place / f"block-{number:06d}"
        if read_manifest(target, verify=False) is None:
            raise FileNotFoundError(f"{target} is missing; encode the collection again, the other blocks are kept")
        found_Qk, index_Qk = search(queries, _read(target), k=k)
        best_Qk, names = _merge(best_Qk, names, found_Qk, index_Qk, _ids(target), k)
    return best_Qk, names


def _write(target: Path, ids: Sequence[str], vectors: Ragged) -> None:
    if len(vectors.lengths) != len(ids):
        raise ValueError(f"{len(ids)} passages were encoded to {len(vectors.lengths)} texts; one each is needed")
    with publish(target) as folder:
        np.save(folder / "tokens.npy", vectors.tokens_TH.to(torch.float16).numpy())
        np.save(folder / "lengths.npy", vectors.lengths.numpy())
        (folder / "ids.txt").write_text("\n".join(ids), encoding="utf-8")


def _read(target: Path) -> Ragged:
    tokens_TH = np.load(target / "tokens.npy", mmap_mode="r")
    return Ragged(
        tokens_TH=torch.from_numpy(tokens_TH.astype(np.float32)),
        lengths=torch.from_numpy(np.load(target / "lengths.npy")),
    )


def _ids(target: Path) -> list[str]:
    return (target / "ids.txt").read_text(encoding="utf-8").split("\n")


def _merge(
    best_Qk: Tensor, names: list[list[str]], found_Qk: Tensor, index_Qk: Tensor, ids: Sequence[str], k: int
) -> tuple[Tensor, list[list[str]]]:
    """The best k of what was best and what was found; of equal scores the former comes first."""
    scores = torch.cat([best_Qk, found_Qk.cpu()], dim=1)
    order = torch.argsort(scores, dim=1, descending=True, stable=True)[:, :k]
    known = [[*old, *(ids[place] for place in row)] for old, row in zip(names, index_Qk.tolist(), strict=True)]
    merged = [[row[place] for place in chosen] for row, chosen in zip(known, order.tolist(), strict=True)]
    return scores.gather(1, order), merged
