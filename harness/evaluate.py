"""Encode queries, search passages exactly, and score per query: of the embedded collection, or of published ones.

Passages are read by the teacher once and reused for every student. Every test query has a row in the result; a query
that got no passage scores zero, it is never left out: so does one that a translator left empty.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, assert_never

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from ir_measures import ScoredDoc

from harness.alignment import Aligned, alignment_means, alignment_scores
from harness.assemble import collection, passage_vectors, sequences
from harness.collection_search import ask_collections, forget_passages
from harness.data.atlas import AtlasData
from harness.data.compositions import Query
from harness.data.look_up import DictionaryLookUp, copy_through
from harness.data.names import ENGLISH
from harness.data.translations import is_empty
from harness.encoders import TokenEncoder
from harness.evaluation_key import alignment_of, key_of, revision_of
from harness.finished import trained
from harness.late_interaction import Ragged, search
from harness.scoring import Found, Result, Row, means, score, write_trec
from harness.sentence_alignment import by_language, sentence_scores
from harness.translation_record import Asked, flags_of, translation_summary, write_translations
from harness.translations import translate
from harness.vectors import encode
from studies.schema.atlas import Bitext
from studies.schema.evaluation import Evaluation, Pair, pair_name
from studies.schema.key import run_key
from studies.schema.published_teacher import PublishedTeacher
from studies.schema.record import ALIGNMENT_FILE, TRANSLATIONS_FILE, State, validation_name
from studies.schema.run import (
    AnyTeacher,
    LookUp,
    Retriever,
    Student,
    Supervised,
    System,
    Teacher,
    TranslateQuery,
    teacher_of,
)
from studies.schema.rung import Rung
from studies.schema.state import write_state
from studies.schema.storage import Storage, publish, read_manifest

SCHEMA = 1


def evaluate(storage: Storage, run: Retriever, evaluation: Evaluation) -> Path:
    """Evaluate a finished run and publish measures, per-query scores and the TREC run; returns where they lie."""
    key = key_of(run, evaluation)
    target = storage.evaluation(run_key(run), key)
    if read_manifest(target) is not None:
        return target
    found = ask_collections(storage, run, evaluation) if evaluation.retrieval else _embedded(storage, run, evaluation)
    rows = [row for row in found.rows if row["language"] in found.results]
    summary: dict[str, Any] = {
        "schema": SCHEMA,
        "run": run_key(run),
        "evaluation": key,
        "collection": revision_of(run, evaluation),
        "measures": means(rows, evaluation.measures),
        "queries": {language: len(result.scores) for language, result in found.results.items()},
        **found.summary,
    }
    asked = {language: result.asked for language, result in found.results.items()}
    sentences = _sentences(storage, run, evaluation)
    if sentences:
        summary["alignment"] = alignment_means(by_language(sentences))
    with publish(target, facts={"run": run_key(run), "evaluation": key}) as folder:
        (folder / "measures.json").write_text(json.dumps(summary, indent=1, sort_keys=True, allow_nan=False))
        pq.write_table(pa.Table.from_pylist(list(found.rows)), folder / "per_query.parquet")
        if sentences:
            pq.write_table(pa.Table.from_pylist(sentences), folder / ALIGNMENT_FILE)
        write_trec(folder / "run.trec.gz", {**found.results, **found.across}, key)
        if isinstance(run, TranslateQuery) and not evaluation.retrieval:
            atlas = _atlas(storage, run)
            write_translations(folder / TRANSLATIONS_FILE, atlas, atlas.queries[evaluation.split], asked)
        if isinstance(run, System):
            _conclude(storage, run, asked)
    forget_passages(storage, run)
    return target


def _embedded(storage: Storage, run: Retriever, evaluation: Evaluation) -> Found:
    """What a run finds in the embedded collection."""
    atlas = _atlas(storage, run)
    queries, measures = atlas.queries[evaluation.split], evaluation.measures
    reader = trained(storage, run_key(run if isinstance(run, Student) else teacher_of(run)))
    results = retrieve(storage, run, reader, evaluation)
    aligned = _aligned(storage, run, reader, evaluation)
    across = retrieve_pairs(atlas, run, reader, evaluation) if isinstance(run, Student) else {}
    english = {(language, ENGLISH): result for language, result in results.items()}
    every_row = _rows(run, atlas, queries, english | across, aligned)
    rows = [row for row in every_row if row["language"] in results]
    summary: dict[str, Any] = {
        "split": evaluation.split,
        "slices": {
            "seen": means([row for row in rows if row["seen"]], measures),
            "unseen": means([row for row in rows if not row["seen"]], measures),
            "cognate": means([row for row in rows if row["cognate"]], measures),
            "not_cognate": means([row for row in rows if not row["cognate"]], measures),
        },
        "exposure": dict(_exposure(run)),
    }
    if across:
        summary["pairs"] = means([row for row in every_row if row["language"] not in results], measures)
    if aligned:
        summary["alignment"] = alignment_means(aligned)
    if isinstance(run, TranslateQuery):
        asked = {language: result.asked for language, result in results.items()}
        summary["translation"] = translation_summary(atlas, queries, asked)
    named = {pair_name(pair): result for pair, result in across.items()}
    return Found(results=results, across=named, rows=every_row, summary=summary)


def _atlas(storage: Storage, run: Retriever) -> AtlasData:
    return collection(storage, _teacher(run).collection)


def _teacher(run: Retriever) -> Teacher:
    """The teacher of a run that is asked the embedded collection."""
    teacher = teacher_of(run)
    assert isinstance(teacher, Teacher)
    return teacher


def _aligned(storage: Storage, run: Retriever, reader: TokenEncoder, evaluation: Evaluation) -> Aligned:
    """How a student's alignment stands before and after distillation, where that is asked of it; else nothing."""
    asked = alignment_of(run, evaluation)
    if asked is None or not isinstance(run, Student):
        return {}
    return alignment_scores(storage, run, reader, evaluation, asked)


def _sentences(storage: Storage, run: Retriever, evaluation: Evaluation) -> list[Row]:
    """How a student's alignment stands on published sentences, where that is asked of it; else nothing."""
    asked = alignment_of(run, evaluation)
    if asked is None or not asked.sentences or not isinstance(run, Student):
        return []
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return sentence_scores(storage, run, trained(storage, run_key(run)), asked, device)


def _conclude(storage: Storage, run: System, asked: Asked) -> None:
    """State what became of a system, before its evaluation is published: were it lost, it would be evaluated again."""
    with storage.lease(storage.run_lease(run_key(run)), purpose="evaluate"):
        flags = flags_of(storage, run, asked)
        write_state(storage, run_key(run), State.FLAGGED if flags else State.FINISHED, flags=flags)


def validation_scores(
    storage: Storage, run: Student, encoder: TokenEncoder, evaluation: Evaluation
) -> dict[str, float]:
    """What a student would score as it is: the mean over languages of each measure, under its name in a journal."""
    results = retrieve(storage, run, encoder, evaluation)
    return {
        validation_name(measure): fmean(
            fmean(scores[str(measure)] for scores in result.scores.values()) for result in results.values()
        )
        for measure in evaluation.measures
    }


def languages(run: Retriever) -> tuple[str, ...]:
    """The languages of the queries a run answers: English for a teacher, the collection's for the others."""
    return (ENGLISH,) if isinstance(run, Teacher) else _teacher(run).collection.languages


def retrieve(storage: Storage, run: Retriever, reader: TokenEncoder, evaluation: Evaluation) -> dict[str, Result]:
    """What a run retrieves for the queries of an evaluation in each of its languages, read by ``reader``."""
    teacher = _teacher(run)
    atlas = collection(storage, teacher.collection)
    passages = passage_vectors(storage, teacher, torch.device("cpu"))
    english = translator(storage, run, atlas)
    rung = (run if isinstance(run, Student) else teacher).rung
    found = {}
    for language in languages(run):
        asked = english([atlas.text(query, language) for query in atlas.queries[evaluation.split]], language)
        found[language] = _search(atlas, reader, rung, passages, asked, evaluation)
    return found


def retrieve_pairs(atlas: AtlasData, run: Student, reader: TokenEncoder, evaluation: Evaluation) -> dict[Pair, Result]:
    """What a student finds among passages of another language than English, which it reads itself."""
    cpu = torch.device("cpu")
    found = {}
    for queries, passages in evaluation.pairs:
        lists = atlas.name_lists(passages)
        texts = sequences(atlas, [lists[passage.id] for passage in atlas.passages], run.rung)
        asked = [atlas.text(query, queries) for query in atlas.queries[evaluation.split]]
        vectors = encode(reader, texts, cpu)
        found[queries, passages] = _search(atlas, reader, run.rung, vectors, asked, evaluation)
    return found


def _search(
    atlas: AtlasData,
    reader: TokenEncoder,
    rung: Rung,
    passages: Ragged,
    asked: Sequence[str],
    evaluation: Evaluation,
) -> Result:
    """What the reader finds for what is asked for each query; for an empty text it finds nothing."""
    queries = [
        (query, text) for query, text in zip(atlas.queries[evaluation.split], asked, strict=True) if not is_empty(text)
    ]
    ranking: list[ScoredDoc] = []
    if queries:
        vectors = encode(reader, sequences(atlas, [text for _, text in queries], rung), torch.device("cpu"))
        found, places = search(vectors, passages, k=evaluation.depth)
        ranking = [
            ScoredDoc(query.id, atlas.passages[place].id, score)
            for (query, _), query_scores, query_places in zip(queries, found.tolist(), places.tolist(), strict=True)
            for score, place in zip(query_scores, query_places, strict=True)
        ]
    scores = score(evaluation.measures, atlas.qrels(evaluation.split), ranking)
    return Result(asked=asked, ranking=ranking, scores=scores)


Ask = Callable[[Sequence[str], str], list[str]]
"""Texts of queries and their language to what the reader is asked."""


def translator(storage: Storage, run: Retriever, atlas: AtlasData) -> Ask:
    """What happens to the texts of queries before they are encoded: nothing, or a translation for the rivals."""

    def word_by_word(look_up: Callable[[str, str], str]) -> Ask:
        return lambda texts, language: [look_up(text, language) for text in texts]

    match run:
        case LookUp(bitext=bitext):
            return word_by_word(copy_through if bitext is None else DictionaryLookUp(atlas.bitext(bitext)))
        case TranslateQuery():
            return lambda texts, language: translate(storage, run.translator, run.decoding, texts, language)
        case Teacher() | Supervised() | Student() | PublishedTeacher():
            return word_by_word(copy_through)
        case unknown:
            assert_never(unknown)


def _rows(
    run: Retriever,
    atlas: AtlasData,
    queries: Sequence[Query],
    results: Mapping[Pair, Result],
    aligned: Aligned | None = None,
) -> list[Row]:
    """A row for each query of each pair; where passages are English its language is that of the queries alone."""
    bitext = None if isinstance(run, AnyTeacher) else run.bitext
    named = atlas.names_in(bitext) if isinstance(bitext, Bitext) else None
    rows: list[Row] = []
    for (language, passages), result in results.items():
        for query in queries:
            text, same = atlas.text(query, language), atlas.text(query, passages)
            rows.append(
                {
                    "language": language if passages == ENGLISH else pair_name((language, passages)),
                    "query": query.id,
                    "entity": query.subject,
                    "seen": named is None or named[language].issuperset(query.names),
                    "cognate": sorted(text.casefold().split()) == sorted(same.casefold().split()),
                    **result.scores[query.id],
                    **(aligned[language][query.id] if aligned and passages == ENGLISH else {}),
                }
            )
    return rows


def _exposure(run: Retriever) -> tuple[tuple[str, float], ...]:
    return () if isinstance(run, AnyTeacher) or run.bitext is None else run.bitext.exposure
