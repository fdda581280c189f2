"""How fast parallel text is made ready, and in how much memory: python -m tests.benchmarks.bench_bitext [LINES]

Made lines (about 20 words a side, drawn by Zipf's law from 30,000) are filtered, compared with 10,000 test queries,
freed of repetitions, drawn and tokenised on both sides by a fast tokenizer of 8,000 tokens made here. Each size runs in
a process of its own; memory is its peak, beside what it held before the first line. The aim is one million lines in at
most 60 seconds on two cores, and memory that does not grow with the file.
"""

import gzip
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from harness.data.guard import Guard
from harness.data.parallel import prepare
from harness.data.records import revision_of_files
from studies.schema.parallel import Corpus, Filters, ParallelText, Tsv

SIZES = (250_000, 1_000_000)
WORDS = 30_000
LONGEST = 64  # tokens
MIB = 2**20  # bytes


def main() -> None:
    if len(sys.argv) == 3:
        _one(Path(sys.argv[1]), int(sys.argv[2]))
        return
    sizes = (int(sys.argv[1]),) if len(sys.argv) == 2 else SIZES
    print("    lines   file MiB   seconds   cpu s   lines/s   before MiB   peak MiB")
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            _make(Path(folder) / "lines.tsv.gz", size)
            command = [sys.executable, "-m", "tests.benchmarks.bench_bitext", folder, str(size)]
            subprocess.run(command, check=True, env={**os.environ, "TOKENIZERS_PARALLELISM": "true"})


def _make(path: Path, size: int) -> None:
    draw = random.Random(size)
    words = _words()
    weights = list(accumulate(1 / rank for rank in range(1, WORDS + 1)))
    with gzip.open(path, "wt", encoding="utf-8", compresslevel=1) as file:
        for _ in range(size):
            chosen = draw.choices(words, cum_weights=weights, k=draw.randint(8, 32))
            other = draw.choices(words, cum_weights=weights, k=max(4, len(chosen) + draw.randint(-4, 4)))
            file.write(f"{draw.uniform(1.0, 1.3):.4f}\t{' '.join(chosen)}\t{' '.join(other)}\n")


def _words() -> list[str]:
    draw = random.Random(0)
    syllables = [consonant + vowel for consonant in "bcdfghjklmnprstvwyz" for vowel in "aeiou"]
    return ["".join(draw.choices(syllables, k=draw.randint(1, 4))) for _ in range(WORDS)]


def _one(folder: Path, size: int) -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    tokenizer.train_from_iterator(_words(), trainers.BpeTrainer(vocab_size=8_000, show_progress=False))
    tokenizer.enable_truncation(LONGEST)

    def tokenize(texts: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in tokenizer.encode_batch_fast(list(texts))]

    path = folder / "lines.tsv.gz"
    corpus = Corpus(
        name="made",
        source="sw",
        target="en",
        files=Tsv(path=path.name, columns=3, score=0, source=1, target=2),
        licence=None,
        revision=revision_of_files(folder, (path.name,)),
        least_score=1.0,
    )
    declaration = ParallelText(corpora=(corpus,), filters=Filters(), lines=size, exponent=0.3, seed=0)
    words = _words()
    guard = Guard(" ".join(words[first : first + 6]) for first in range(10_000))
    before = _peak()
    start, start_cpu = time.perf_counter(), time.process_time()
    prepared = prepare(folder, declaration, source=tokenize, target=tokenize, guard=guard, place=folder / "out")
    seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    peak = _peak()
    used = len(prepared.pair_of)
    print(
        f"{size:9,d} {path.stat().st_size / MIB:10.0f} {seconds:9.1f} {cpu:7.1f} {size / seconds:9,.0f} "
        f"{before:12.0f} {peak:10.0f}   ({used:,} lines kept, {len(prepared.ids[0]) / used:.0f} tokens each)",
        flush=True,
    )


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB


if __name__ == "__main__":
    main()
