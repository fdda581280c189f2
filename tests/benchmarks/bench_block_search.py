"""Search by blocks in a stated memory: python -m tests.benchmarks.bench_block_search [PASSAGES]

A collection made here, of random unit vectors of width 128 and passages of 20 to 100 tokens, is written and searched by
blocks in a process of its own within a budget of 256 MiB a block; peak memory is printed beside what the process held
before. Encoding is left out, since it costs what the model costs; vectors take 256 bytes per token on disk.
"""

import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch

from harness.block_search import Block, block_passages, encode_blocks, search_blocks
from harness.late_interaction import Ragged

PASSAGES = 100_000
QUERIES = 50
WIDTH = 128
TOKENS = (20, 100)
BUDGET = 256 * 2**20  # bytes
MIB = 2**20  # bytes


def main() -> None:
    torch.set_num_threads(1)
    total = int(sys.argv[1]) if len(sys.argv) > 1 else PASSAGES
    size = block_passages(BUDGET, TOKENS[1], WIDTH)
    queries = _texts(QUERIES, (8, 32), 0)
    before = _peak()
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        blocks = encode_blocks(Path(folder) / "vectors", _blocks(total, size), total=total)
        written = time.process_time()
        scores, _ = search_blocks(Path(folder) / "vectors", queries, k=100)
        searched = time.process_time()
        disk = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    print(
        f"{total:,} passages in {blocks} blocks of {size:,}: {disk / MIB:,.0f} MiB on disk, made and written in "
        f"{written - start:.0f} s, {len(scores)} queries searched in {searched - written:.0f} s (processor time); "
        f"memory {before:.0f} MiB before, {_peak():.0f} MiB at most"
    )


def _blocks(total: int, size: int) -> Iterator[Block]:
    for first in range(0, total, size):
        count = min(size, total - first)
        yield (
            [f"{number}#0" for number in range(first, first + count)],
            partial(_texts, count, TOKENS, first + 1),
        )


def _texts(number: int, tokens: tuple[int, int], seed: int) -> Ragged:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(tokens[0], tokens[1] + 1, (number,), generator=generator)
    tokens_TH = torch.randn(int(lengths.sum()), WIDTH, generator=generator)
    return Ragged(tokens_TH=torch.nn.functional.normalize(tokens_TH, dim=1, out=tokens_TH), lengths=lengths)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB


if __name__ == "__main__":
    main()
