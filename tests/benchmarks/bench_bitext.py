"""How fast parallel text is made ready, and in how much memory: python -m tests.benchmarks.bench_bitext [LINES]

Made lines (about 20 words a side, drawn by Zipf's law from 30,000) are filtered, compared with 10,000 test queries,
freed of repetitions, drawn and tokenised for the student: what the harness does with them before training. The aim for
one million is at most 60 seconds on two cores, and memory that does not grow with the file. After that the English
sides are tokenised alone, which a teacher does again as it encodes them. The tokenizer has XLM-R's shape (a unigram
model behind NFKC) and 8,000 tokens made here. Each size runs in a process of its own; memory is the peak until the
lines are ready, beside what the process held before the first.
"""

import gzip
import random
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from itertools import accumulate, pairwise
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from harness.data.growing import BATCH
from harness.data.guard import Guard
from harness.data.parallel import Prepared, prepare
from harness.data.records import revision_of_files
from harness.data.tokenizer import encode, on_all_cores
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
    print("    lines   file MiB   student s   teacher s   both s   cpu s   before MiB   peak MiB")
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            _make(Path(folder) / "lines.tsv.gz", size)
            command = [sys.executable, "-m", "tests.benchmarks.bench_bitext", folder, str(size)]
            subprocess.run(command, check=True)


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
    tokenizer = _tokenizer()
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
    prepared = prepare(folder, declaration, tokenize=partial(encode, tokenizer), guard=guard, place=folder / "out")
    student, peak = time.perf_counter() - start, _peak()
    teacher_tokens = _read_english(prepared, tokenizer)
    both, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    used = len(prepared.pair_of)
    print(
        f"{size:9,d} {path.stat().st_size / MIB:10.0f} {student:11.1f} {both - student:11.1f} {both:8.1f} {cpu:7.1f} "
        f"{before:12.0f} {peak:10.0f}   ({used:,} lines kept, {len(prepared.ids) / used:.0f} and "
        f"{teacher_tokens / used:.0f} tokens each)",
        flush=True,
    )


def _tokenizer() -> PreTrainedTokenizerFast:
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    trainer = trainers.UnigramTrainer(vocab_size=8_000, special_tokens=special, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(_words(), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("<s>", "</s>")]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=LONGEST)


def _read_english(prepared: Prepared, tokenizer: PreTrainedTokenizerFast) -> int:
    """Tokens of the English sides, read a batch at a time."""
    offsets, tokens = prepared.text_offsets, 0
    with on_all_cores():
        for first in range(0, len(offsets) - 1, BATCH):
            ends = offsets[first : first + BATCH + 1].tolist()
            texts = [prepared.text[begin:end].tobytes().decode() for begin, end in pairwise(ends)]
            tokens += sum(map(len, encode(tokenizer, texts)))
    return tokens


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB


if __name__ == "__main__":
    main()
