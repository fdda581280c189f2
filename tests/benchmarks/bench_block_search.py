"""A collection encoded and searched by blocks: python -m tests.benchmarks.bench_block_search [PASSAGES]

Made-up passages of 20 to 40 words are written as a local collection, which a checkpoint of two layers and vectors of
width 128 reads, and searches for 50 queries, as an evaluation does. Peak memory is printed beside what the process held
with the model loaded and one text read. Vectors take 256 bytes per token on disk: 16 GiB for a million passages.
"""

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from transformers import AutoTokenizer

from harness.collection_search import search_collection
from harness.data.records import revision_of_files
from harness.encoders import build
from harness.export import write_model
from harness.published_files import content_revision
from harness.text_readers import reader
from studies.schema.collection import Judge, LocalCollection, LocalSplit, Pair, Relevance
from studies.schema.evaluation import Searched
from studies.schema.files import Documents, Layout, Topics
from studies.schema.published_teacher import PublishedTeacher, Side
from studies.schema.storage import Storage
from tests.harness.published_encoder import SYLLABLES, write_encoder

PASSAGES = 100_000
QUERIES = 50
DEPTH = 100
WIDTH = 128
WORDS = (20, 40)
CHUNK = 100_000
GIB = 2**30  # bytes


def main() -> None:
    torch.set_num_threads(1)
    total = int(sys.argv[1]) if len(sys.argv) > 1 else PASSAGES
    with tempfile.TemporaryDirectory() as folder:
        storage = Storage.at(Path(folder) / "storage")
        collection = _write_collection(storage.data(), total)
        teacher = _teacher(Path(folder))
        searched = Searched(collection=collection)
        reader(storage, teacher, torch.device("cpu")).encode(["kata"], Side.DOCUMENT)
        before, began = _peak(), time.monotonic()
        _, ranking = search_collection(storage, teacher, searched, depth=DEPTH)
        seconds = time.monotonic() - began
        vectors = list(storage.root.rglob("tokens.npy"))
        disk = sum(path.stat().st_size for path in vectors)
        assert len(ranking) == QUERIES * min(DEPTH, total)
    print(
        f"{total:,} passages of {disk / 2 / WIDTH / total:.0f} tokens in {len(vectors):,} blocks, {disk / GIB:.1f} GiB "
        f"on disk; read, encoded and searched for {QUERIES} queries in {seconds:.0f} s; memory {before:.2f} GiB with "
        f"the model, {_peak() - before:.2f} GiB more at most"
    )


def _write_collection(folder: Path, total: int) -> LocalCollection:
    """Passages of words of two syllables; each query is some words of the passage that answers it."""
    draw = np.random.default_rng(0)
    words = np.array([first + second for first in SYLLABLES for second in SYLLABLES])
    folder.mkdir(parents=True, exist_ok=True)
    queries: list[str] = []
    with (folder / "docs.tsv").open("w", encoding="utf-8") as file:
        for first in range(0, total, CHUNK):
            count = min(CHUNK, total - first)
            lengths = draw.integers(WORDS[0], WORDS[1], count, endpoint=True)
            texts = np.split(words[draw.integers(0, len(words), lengths.sum())], lengths.cumsum()[:-1])
            file.writelines(f"d{first + place}\t{' '.join(text)}\n" for place, text in enumerate(texts))
            queries += [" ".join(text[3:9]) for text in texts[: QUERIES - len(queries)]]
    numbered = list(enumerate(queries))
    (folder / "topics.tsv").write_text("".join(f"{place}\t{query}\n" for place, query in numbered), encoding="utf-8")
    (folder / "qrels.txt").write_text("".join(f"{place} 0 d{place} 1\n" for place, _ in numbered), encoding="utf-8")
    documents, topics, qrels = "docs.tsv", "topics.tsv", "qrels.txt"
    columns = ("id", "text")
    return LocalCollection(
        name="made-up",
        pair=Pair(query="en", document="en"),
        documents=Documents(
            layout=Layout.TSV, paths=(documents,), columns=columns, id_field="id", text_fields=columns[1:]
        ),
        splits=(
            LocalSplit(
                name="dev",
                topics=Topics(
                    layout=Layout.TSV, paths=(topics,), columns=columns, id_field="id", text_fields=columns[1:]
                ),
                qrels=(qrels,),
            ),
        ),
        relevance=Relevance(grades=(0, 1), relevant_from=1, judge=Judge.PEOPLE),
        licence=None,
        revision=revision_of_files(folder, (documents, topics, qrels)),
    )


def _teacher(folder: Path) -> PublishedTeacher:
    rung = write_encoder(folder / "encoder")
    encoder = build(rung, WIDTH, dropout=0.0, seed=3).eval()
    write_model(encoder, AutoTokenizer.from_pretrained(str(rung.weights)), folder / "teacher")
    place = folder / "teacher"
    return PublishedTeacher(checkpoint=str(place), revision=content_revision(place), token_size=WIDTH)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB


if __name__ == "__main__":
    main()
