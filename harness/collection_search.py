"""What a run retrieves from published and local collections: passages encoded in blocks, searched one after another.

Passages in the teacher's language are read by it once and kept for every run; others are read by the student itself,
and their vectors are deleted when its evaluation is there.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, assert_never

import torch
from ir_measures import ScoredDoc

from harness.block_search import Block, block_passages, encode_blocks, search_blocks
from harness.collections_read import Asked, read
from harness.data.retrieval import Document
from harness.data.translations import is_empty
from harness.late_interaction import Ragged
from harness.scoring import Found, Result, Row, means, score
from harness.text_readers import LONGEST_TEXT, TextTeacher, reader
from harness.translations import translate
from studies.schema.asked import is_english, reader_of
from studies.schema.atlas import ENGLISH
from studies.schema.evaluation import Evaluation, Searched
from studies.schema.key import run_key
from studies.schema.parallel import ParallelText
from studies.schema.published_teacher import PublishedTeacher, Side
from studies.schema.reading import Reader
from studies.schema.run import LookUp, Retriever, Student, Supervised, Teacher, TranslateQuery, teacher_of
from studies.schema.storage import Storage, read_manifest

BLOCK_BYTES = 2**30
"""Memory for the vectors of a block while it is encoded or searched."""

Encode = Callable[[Sequence[str], Side], Ragged]
"""Token vectors of texts as one side."""


def asked_of(run: Retriever, evaluation: Evaluation) -> tuple[Searched, ...]:
    """The collections a run is asked: what reads English alone those in English, others those in other languages."""
    if isinstance(run, PublishedTeacher) or (isinstance(run, Supervised) and run.text.is_english):
        return tuple(searched for searched in evaluation.retrieval if is_english(searched))
    return tuple(searched for searched in evaluation.retrieval if searched.language != ENGLISH)


def ask_collections(storage: Storage, run: Retriever, evaluation: Evaluation) -> Found:
    """What a run finds in the published and local collections that it is asked."""
    results: dict[str, Result] = {}
    across: dict[str, Result] = {}
    rows: list[Row] = []
    readers: dict[str, str] = {}
    splits: dict[str, str] = {}
    for searched in asked_of(run, evaluation):
        asked, name = read(storage, searched), searched.name
        texts, ranking = search_collection(storage, run, searched, depth=evaluation.depth)
        scores = score(evaluation.measures, asked.qrels, ranking)
        found = across if searched.is_between else results
        found[name] = Result(asked=texts, ranking=ranking, scores=scores)
        readers[name], splits[name] = str(reader_of(run, searched)), searched.split
        # No names are marked in published queries, so none counts as unseen or as spelled alike.
        rows += [
            {
                "language": name,
                "query": query,
                "entity": asked.cluster[query],
                "seen": True,
                "cognate": False,
                **scores[query],
            }
            for query in asked.topics
        ]
    summary: dict[str, Any] = {
        "split": ", ".join(sorted(set(splits.values()))),
        "splits": splits,
        "readers": readers,
        "exposure": _exposure_asked(run, list(results)),
    }
    if across:
        summary["pairs"] = means([row for row in rows if row["language"] in across], evaluation.measures)
    return Found(results=results, across=across, rows=rows, summary=summary)


def _exposure_asked(run: Retriever, languages: Sequence[str]) -> dict[str, float]:
    """The share of its lines that a student had of each language it is asked; 0 for one without parallel text."""
    if not isinstance(run, Student) or not isinstance(run.bitext, ParallelText):
        return {}
    lines = run.bitext
    return {code: lines.exposure_of(code) if code in lines.languages else 0.0 for code in languages}


def search_collection(
    storage: Storage, run: Retriever, searched: Searched, *, depth: int
) -> tuple[list[str], list[ScoredDoc]]:
    """What is asked for each query of a collection, in order, and the passages found for it, best first.

    For an empty text nothing is found.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    asked = read(storage, searched)
    texts = _put(storage, run, searched.language)(list(asked.topics.values()))
    place, encode = _passages(storage, run, searched, asked, device)
    if read_manifest(place / "whole", verify=False) is None:
        size = block_passages(BLOCK_BYTES, LONGEST_TEXT, teacher_of(run).token_size)
        encode_blocks(place, _blocks(asked, encode, size), total=asked.count)
    queries = [(query, text) for query, text in zip(asked.topics, texts, strict=True) if not is_empty(text)]
    if not queries:
        return texts, []
    vectors = reader(storage, _query_reader(run, searched), device).encode([text for _, text in queries], Side.QUERY)
    scores, names = search_blocks(place, vectors, k=depth)
    ranking = [
        ScoredDoc(query, passage, score)
        for (query, _), found, values in zip(queries, names, scores.tolist(), strict=True)
        for passage, score in zip(found, values, strict=True)
    ]
    return texts, ranking


def forget_passages(storage: Storage, run: Retriever) -> None:
    """Delete the vectors of passages that a run has read itself: but for a teacher's, nobody else needs them."""
    if isinstance(run, Student) or (isinstance(run, Supervised) and not run.text.is_english):
        shutil.rmtree(storage.embeddings(run_key(run), "passages").parent, ignore_errors=True)


def _put(storage: Storage, run: Retriever, language: str) -> Callable[[Sequence[str]], list[str]]:
    """What becomes of queries before they are encoded: nothing, or a translation."""
    match run:
        case TranslateQuery(translator=translator, decoding=decoding):
            return lambda texts: translate(storage, translator, decoding, texts, language)
        case Student() | Teacher() | Supervised() | PublishedTeacher() | LookUp():
            return list
        case unknown:
            assert_never(unknown)


def _passages(
    storage: Storage, run: Retriever, searched: Searched, asked: Asked, device: torch.device
) -> tuple[Path, Encode]:
    """Where the vectors of the passages lie, and who makes them."""
    teacher = teacher_of(run)
    assert not isinstance(teacher, Teacher)
    match reader_of(run, searched):
        case Reader.TEACHER:
            maker: TextTeacher | Student = teacher
        case Reader.STUDENT | Reader.ITSELF:
            maker = _own_reader(run)
        case unknown:
            assert_never(unknown)
    return storage.embeddings(run_key(maker), f"passages-{asked.identity}"), reader(storage, maker, device).encode


def _query_reader(run: Retriever, searched: Searched) -> TextTeacher | Student:
    """A student reads queries in its own languages; English ones, and those put into English, are the teacher's."""
    return _own_reader(run) if searched.collection.pair.query != ENGLISH else _teacher(run)


def _own_reader(run: Retriever) -> TextTeacher | Student:
    """A student itself; of any other run the teacher, which what was trained to retrieve is of its own."""
    return run if isinstance(run, Student) else _teacher(run)


def _teacher(run: Retriever) -> TextTeacher:
    teacher = teacher_of(run)
    assert not isinstance(teacher, Teacher)
    return teacher


def _blocks(asked: Asked, encode: Encode, size: int) -> Iterator[Block]:
    def encoded(block: Sequence[Document]) -> Ragged:
        return encode([passage.text for passage in block], Side.DOCUMENT)

    for block in asked.passages(size):
        yield [passage.id for passage in block], partial(encoded, block)
