"""Encode queries, search passages exactly, and score per query: of the embedded collection, or of published ones.

Passages that the teacher reads are read once and reused for every student. Every judged query has a row in the result;
a query that got no passage scores zero, it is never left out: so does one that a translator left empty.
"""

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, assert_never

import ir_measures
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from ir_measures import Measure, Qrel, ScoredDoc

from harness.assemble import collection, passage_vectors, sequences, trained
from harness.collection_search import asked_of, forget_passages, search_collection
from harness.collections_read import read
from harness.data.atlas import AtlasData
from harness.data.compositions import Query
from harness.data.look_up import DictionaryLookUp, copy_through
from harness.data.names import ENGLISH
from harness.data.translations import is_empty
from harness.encoders import TokenEncoder
from harness.evaluation_key import key_of, revision_of
from harness.late_interaction import Ragged, search
from harness.translation_record import Asked, flags_of, translation_summary, write_translations
from harness.translations import translate
from harness.vectors import encode
from studies.schema.evaluation import Evaluation
from studies.schema.key import run_key
from studies.schema.parallel import ParallelText
from studies.schema.published_teacher import PublishedTeacher
from studies.schema.record import TRANSLATIONS_FILE, State, validation_name
from studies.schema.run import Bitext, LookUp, Retriever, Rung, Student, System, Teacher, TranslateQuery, teacher_of
from studies.schema.state import write_state
from studies.schema.storage import Storage, publish, read_manifest

SCHEMA = 1

Scores = Mapping[str, Mapping[str, float]]
"""Value by query and measure."""

Row = dict[str, str | bool | float]
"""One query in one language: what identifies it, and its score on every measure."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One language: what was asked for each query, what was retrieved and what it is worth."""

    asked: Sequence[str]
    ranking: Sequence[ScoredDoc]
    scores: Scores


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What a run retrieved, its rows, and what is said of them beside their means."""

    results: Mapping[str, Result]
    rows: Sequence[Row]
    summary: Mapping[str, Any]


def evaluate(storage: Storage, run: Retriever, evaluation: Evaluation) -> Path:
    """Evaluate a finished run and publish measures, per-query scores and the TREC run; returns where they lie."""
    key = key_of(run, evaluation)
    target = storage.evaluation(run_key(run), key)
    if read_manifest(target) is not None:
        return target
    found = _published(storage, run, evaluation) if evaluation.retrieval else _embedded(storage, run, evaluation)
    summary: dict[str, Any] = {
        "schema": SCHEMA,
        "run": run_key(run),
        "evaluation": key,
        "collection": revision_of(run, evaluation),
        "measures": _means(found.rows, evaluation.measures),
        "queries": {language: len(result.scores) for language, result in found.results.items()},
        **found.summary,
    }
    asked = {language: result.asked for language, result in found.results.items()}
    with publish(target, facts={"run": run_key(run), "evaluation": key}) as folder:
        (folder / "measures.json").write_text(json.dumps(summary, indent=1, sort_keys=True, allow_nan=False))
        pq.write_table(pa.Table.from_pylist(list(found.rows)), folder / "per_query.parquet")
        _write_trec(folder / "run.trec.gz", found.results, key)
        if isinstance(run, TranslateQuery) and not evaluation.retrieval:
            atlas = _atlas(storage, run)
            write_translations(folder / TRANSLATIONS_FILE, atlas, atlas.queries[evaluation.split], asked)
        if isinstance(run, System):
            _conclude(storage, run, asked)
    forget_passages(storage, run)
    return target


def _embedded(storage: Storage, run: Retriever, evaluation: Evaluation) -> _Found:
    """What a run finds in the embedded collection."""
    atlas = _atlas(storage, run)
    queries, measures = atlas.queries[evaluation.split], evaluation.measures
    reader = trained(storage, run_key(run if isinstance(run, Student) else teacher_of(run)))
    results = retrieve(storage, run, reader, evaluation)
    rows = _rows(run, atlas, queries, results)
    summary: dict[str, Any] = {
        "split": evaluation.split,
        "exposure": dict(_exposure(run)),
        "slices": {
            "seen": _means([row for row in rows if row["seen"]], measures),
            "unseen": _means([row for row in rows if not row["seen"]], measures),
            "cognate": _means([row for row in rows if row["cognate"]], measures),
            "not_cognate": _means([row for row in rows if not row["cognate"]], measures),
        },
    }
    if isinstance(run, TranslateQuery):
        asked = {language: result.asked for language, result in results.items()}
        summary["translation"] = translation_summary(atlas, queries, asked)
    return _Found(results=results, rows=rows, summary=summary)


def _published(storage: Storage, run: Retriever, evaluation: Evaluation) -> _Found:
    """What a run finds in the published and local collections that it is asked."""
    results: dict[str, Result] = {}
    rows: list[Row] = []
    readers: dict[str, str] = {}
    splits: dict[str, str] = {}
    for searched in asked_of(run, evaluation):
        asked, language = read(storage, searched), searched.language
        texts, ranking = search_collection(storage, run, searched, depth=evaluation.depth)
        scores = score(evaluation.measures, asked.qrels, ranking)
        results[language] = Result(asked=texts, ranking=ranking, scores=scores)
        readers[language], splits[language] = str(searched.reader), searched.split
        # No names are marked in published queries, so none counts as unseen or as spelled alike.
        rows += [
            {
                "language": language,
                "query": query,
                "entity": asked.cluster[query],
                "seen": True,
                "cognate": False,
                **scores[query],
            }
            for query in asked.topics
        ]
    summary = {
        "split": ", ".join(sorted(set(splits.values()))),
        "splits": splits,
        "readers": readers,
        "exposure": _exposure_asked(run, list(results)),
    }
    return _Found(results=results, rows=rows, summary=summary)


def _exposure_asked(run: Retriever, languages: Sequence[str]) -> dict[str, float]:
    """The share of its lines that a student had of each language it is asked; 0 for one without parallel text."""
    if not isinstance(run, Student) or not isinstance(run.bitext, ParallelText):
        return {}
    lines = run.bitext
    return {code: lines.exposure_of(code) if code in lines.languages else 0.0 for code in languages}


def _atlas(storage: Storage, run: Retriever) -> AtlasData:
    return collection(storage, _teacher(run).collection)


def _teacher(run: Retriever) -> Teacher:
    """The teacher of a run that is asked the embedded collection."""
    teacher = teacher_of(run)
    assert isinstance(teacher, Teacher)
    return teacher


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
        case Teacher() | Student() | PublishedTeacher():
            return word_by_word(copy_through)
        case unknown:
            assert_never(unknown)


def score(measures: Sequence[Measure], qrels: Mapping[str, Mapping[str, int]], ranking: Sequence[ScoredDoc]) -> Scores:
    """Value of every judged query on every measure; a query without any retrieved passage is zero on all."""
    judged = [Qrel(query, passage, grade) for query, grades in qrels.items() for passage, grade in grades.items()]
    scores: dict[str, dict[str, float]] = {query: {} for query in qrels}
    for metric in ir_measures.iter_calc(measures, judged, ranking):
        scores[metric.query_id][str(metric.measure)] = metric.value
    for query, values in scores.items():
        if len(values) != len(measures):
            wanted = [str(measure) for measure in measures]
            raise ValueError(f"query {query} was scored on {sorted(values)}, not on all of {wanted}")
    return scores


def _rows(run: Retriever, atlas: AtlasData, queries: Sequence[Query], results: Mapping[str, Result]) -> list[Row]:
    bitext = None if isinstance(run, Teacher | PublishedTeacher) else run.bitext
    named = atlas.names_in(bitext) if isinstance(bitext, Bitext) else None
    rows: list[Row] = []
    for language, result in results.items():
        for query in queries:
            text, english = atlas.text(query, language), atlas.text(query, ENGLISH)
            rows.append(
                {
                    "language": language,
                    "query": query.id,
                    "entity": query.subject,
                    "seen": named is None or named[language].issuperset(query.names),
                    "cognate": sorted(text.casefold().split()) == sorted(english.casefold().split()),
                    **result.scores[query.id],
                }
            )
    return rows


def _means(
    rows: Sequence[Mapping[str, str | bool | float]], measures: Sequence[Measure]
) -> dict[str, dict[str, float]]:
    """Mean by measure and language, over the languages that have a query among the rows."""
    of_language: dict[str, list[Mapping[str, str | bool | float]]] = {}
    for row in rows:
        of_language.setdefault(str(row["language"]), []).append(row)
    return {
        str(measure): {
            language: sum(float(row[str(measure)]) for row in found) / len(found)
            for language, found in of_language.items()
        }
        for measure in measures
    }


def _exposure(run: Retriever) -> tuple[tuple[str, float], ...]:
    return () if isinstance(run, Teacher | PublishedTeacher) or run.bitext is None else run.bitext.exposure


def _write_trec(path: Path, results: Mapping[str, Result], tag: str) -> None:
    """All rankings as one TREC run; a query's id there is language and id, the file is the same byte for byte."""
    lines: list[str] = []
    for language, result in results.items():
        rank: dict[str, int] = {}
        for query, passage, value in result.ranking:
            rank[query] = rank.get(query, 0) + 1
            lines.append(f"{language}.{query} Q0 {passage} {rank[query]} {value:.6f} {tag}\n")
    with (
        path.open("wb") as stream,
        gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=1, mtime=0, filename="") as packed,
    ):
        packed.write("".join(lines).encode())
