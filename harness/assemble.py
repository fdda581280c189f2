"""The only place that turns schema values into objects: data, encoders and cached vectors of a run."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, assert_never

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from harness.criteria import criterion
from harness.data.atlas import AtlasData, open_atlas
from harness.data.bitext import DirectLine, Line
from harness.data.names import ENGLISH
from harness.data.own_tokenizer import own_tokenizer
from harness.data.pretraining import Text
from harness.data.tokenizer import encode as tokenize
from harness.document_frequency import inverse_document_frequency
from harness.encoders import TokenEncoder, build
from harness.examples import (
    BitextExamples,
    Examples,
    RankingExamples,
    Sequences,
    TeacherVectors,
    TokenWeights,
    TranslationExamples,
)
from harness.finished import trained, weights_of
from harness.late_interaction import Ragged
from harness.masked import MaskedExamples, MaskedModel, build_masked
from harness.parallel_examples import parallel_lines
from harness.supervised_examples import triple_examples
from harness.translator import TranslationModel, build_translator
from harness.vectors import CachedTeacher, LiveTeacher, encode, store, stored
from studies.schema.atlas import Atlas, Bitext
from studies.schema.evaluation import Split
from studies.schema.execution import Execution
from studies.schema.key import digest, run_key
from studies.schema.objective import Objective, uses_idf
from studies.schema.parallel import ParallelText
from studies.schema.published_teacher import PublishedTeacher
from studies.schema.run import (
    HELD_OUT_LINES,
    HELD_OUT_QUERIES,
    Pretraining,
    Retriever,
    Student,
    Supervised,
    Teacher,
    Trained,
    Translator,
    teacher_of,
)
from studies.schema.rung import Rung
from studies.schema.storage import Storage


@dataclass(frozen=True, kw_only=True)
class Materials:
    """What a run trains on. ``facts`` are counts for the record."""

    train: Examples
    held_out: Examples
    facts: Mapping[str, Any]


@cache
def collection(storage: Storage, declaration: Atlas) -> AtlasData:
    """The collection in memory; opened once per process."""
    return open_atlas(storage, declaration)


def tokenizer_of(atlas: AtlasData, rung: Rung) -> PreTrainedTokenizerFast:
    """What a rung reads with: a pretrained one with its own tokenizer, others with the collection's."""
    return atlas.tokenizer() if rung.weights is None else own_tokenizer(rung)


def reading_tokenizer(storage: Storage, run: Retriever) -> PreTrainedTokenizerFast:
    """The tokenizer that a trained run reads queries with."""
    assert isinstance(run, Teacher | Supervised | Student)
    teacher = teacher_of(run)
    if not isinstance(teacher, Teacher):
        return own_tokenizer(run.rung)
    return tokenizer_of(collection(storage, teacher.collection), run.rung)


def sequences(atlas: AtlasData, texts: Sequence[str], rung: Rung | None = None) -> Sequences:
    """Texts as the token ids that a rung reads; as those of the collection's tokenizer where none is named."""
    tokenizer = atlas.tokenizer() if rung is None else tokenizer_of(atlas, rung)
    padding = tokenizer.pad_token_id
    assert isinstance(padding, int)
    return Sequences.of(tokenize(tokenizer, texts), padding)


Model = TokenEncoder | TranslationModel | MaskedModel
"""What is trained."""


def model_of(storage: Storage, run: Trained) -> Model:
    """The model of a run before its first step; ValueError where it starts from weights that nobody has trained."""
    match run:
        case Pretraining():
            return build_masked(run)
        case Teacher() | Supervised():
            return build(run.rung, run.token_size, dropout=run.dropout, seed=run.seed)
        case Student():
            encoder = build(run.rung, run.teacher.token_size, dropout=run.dropout, seed=run.seed)
            if run.pretraining is not None:
                encoder.start_from(weights_of(storage, run_key(run.pretraining)))
            return encoder
        case Translator():
            return build_translator(run.architecture, dropout=run.dropout, seed=run.seed)
        case unknown:
            assert_never(unknown)


def save(storage: Storage, run: Trained, model: Model, folder: Path) -> None:
    """Write a trained model; a translator's directory is one that transformers translates with as it is."""
    model.save(folder)
    if isinstance(run, Translator):
        shutil.copytree(collection(storage, run.bitext.collection).tokenizer_folder, folder, dirs_exist_ok=True)


def materials(storage: Storage, run: Trained, execution: Execution, device: torch.device) -> Materials:
    """The training data of a run, with everything it caches already in storage afterwards."""
    match run:
        case Teacher():
            return _ranking(collection(storage, run.collection), run)
        case Supervised():
            train, held_out, prepared = triple_examples(storage, run)
            return Materials(train=train, held_out=held_out, facts=prepared.record)
        case Student(teacher=PublishedTeacher() | Supervised() as teacher, bitext=ParallelText() as bitext):
            parallel = parallel_lines(storage, teacher, bitext, run.rung, execution.teacher_cache_bytes, device)
            return Materials(
                train=parallel.train(run.objective), held_out=parallel.held_out(run.objective), facts=parallel.facts
            )
        case Student():
            assert isinstance(run.teacher, Teacher)
            assert isinstance(run.bitext, Bitext)
            reader = run.rung if run.rung.weights is not None else run.teacher.rung
            lines = _lines(storage, run.teacher, run.bitext, reader, execution.teacher_cache_bytes, device)
            return Materials(
                train=_bitext_examples(lines.train, run.objective, lines.weights),
                held_out=_bitext_examples(lines.held_out, run.objective, lines.weights),
                facts=lines.facts,
            )
        case Translator():
            return _translation(collection(storage, run.bitext.collection), run)
        case Pretraining():
            return _pretraining(collection(storage, run.text.collection), run)
        case unknown:
            assert_never(unknown)


def passage_vectors(storage: Storage, teacher: Teacher, device: torch.device) -> Ragged:
    """The teacher's vectors of every passage, in the collection's order."""
    atlas = collection(storage, teacher.collection)
    key = run_key(teacher)
    directory = storage.embeddings(key, f"passages-{atlas.declaration.revision}")
    found = stored(directory)
    if found is None:
        texts = sequences(atlas, [passage.text for passage in atlas.passages], teacher.rung)
        found = encode(trained(storage, key), texts, device)
        store(directory, found)
    return found


def _ranking(atlas: AtlasData, run: Teacher) -> Materials:
    place = {passage.id: index for index, passage in enumerate(atlas.passages)}
    passages = sequences(atlas, [passage.text for passage in atlas.passages], run.rung)

    def examples(
        texts: Sequence[str], answers: Sequence[Sequence[str]], shown: Sequence[Sequence[str]]
    ) -> RankingExamples:
        """Pairs of each query and the passages shown beside it; no answer to the query serves as a negative."""
        return RankingExamples(
            queries=sequences(atlas, texts, run.rung),
            passages=passages,
            pairs=np.array([(i, place[passage]) for i, found in enumerate(shown) for passage in sorted(found)]),
            relevant=[frozenset(place[passage] for passage in found) for found in answers],
            objective=run.objective,
        )

    pairs = atlas.teacher_pairs()
    positives = [pair.positives for pair in pairs]
    train = examples([pair.text for pair in pairs], positives, positives)
    watched = atlas.queries[Split.VALIDATION][:HELD_OUT_QUERIES]
    held_out = examples(
        [atlas.text(query, ENGLISH) for query in watched],
        [query.names for query in watched],
        [(query.subject,) for query in watched],
    )
    facts = {"training_pairs": len(train.pairs), "training_queries": len(pairs)}
    return Materials(train=train, held_out=held_out, facts=facts)


@dataclass(frozen=True, kw_only=True)
class _Sides:
    """Lines as token ids, beside the teacher's vectors of their English sides; students read ``direct`` sides."""

    source: Sequences
    english_of: NDArray[np.int64]
    teacher: TeacherVectors
    direct: Sequences | None = None


@dataclass(frozen=True, kw_only=True)
class _Lines:
    """What students of every size and objective share."""

    train: _Sides
    held_out: _Sides
    weights: TokenWeights
    facts: Mapping[str, Any]


@lru_cache(maxsize=2)
def _lines(
    storage: Storage, teacher: Teacher, bitext: Bitext, reader: Rung, cache_bytes: int, device: torch.device
) -> _Lines:
    """Kept for the next run of a worker group, which often has the same bitext.

    ``reader`` reads as the student's rung does: every rung without a tokenizer of its own reads as the teacher does.
    """
    atlas = collection(storage, teacher.collection)
    lines, direct = atlas.bitext(bitext), atlas.direct(bitext)
    watched = _validation_lines(atlas)
    english = sorted({text for _, text in [*((line.text, line.english) for line in lines), *watched]})
    place = {text: index for index, text in enumerate(english)}
    english_ids = sequences(atlas, english, teacher.rung)
    vectors = _teacher_vectors(storage, teacher, english_ids, english, cache_bytes, device)

    def sides(pairs: Sequence[tuple[str, str]]) -> _Sides:
        return _Sides(
            source=sequences(atlas, [text for text, _ in pairs], reader),
            english_of=np.array([place[text] for _, text in pairs]),
            teacher=vectors,
        )

    train = _with_direct(sides([(line.text, line.english) for line in lines]), direct, len(english), atlas, reader)
    source_size, english_size = (rung.architecture.vocabulary_size for rung in (reader, teacher.rung))
    times = np.bincount(train.english_of[: len(lines)], minlength=len(english))
    weights = TokenWeights(
        source_V=inverse_document_frequency(train.source, source_size),
        english_V=inverse_document_frequency(english_ids, english_size, times),
        english=english_ids,
    )
    facts: dict[str, Any] = {"lines": _counts(lines)} | ({"direct_lines": _counts(direct)} if direct else {})
    facts["tokens_per_line"] = round(float(train.source.lengths.mean()), 2)
    return _Lines(train=train, held_out=sides(watched), weights=weights, facts=facts)


def _with_direct(
    sides: _Sides, direct: Sequence[DirectLine], num_english: int, atlas: AtlasData, reader: Rung
) -> _Sides:
    """Lines with English, then those without; the other side of these is numbered after all English ones."""
    if not direct:
        return sides
    number = {text: num_english + place for place, text in enumerate(dict.fromkeys(line.other for line in direct))}
    source = sequences(atlas, [line.text for line in direct], reader)
    return _Sides(
        source=sides.source.followed_by(source),
        english_of=np.concatenate([sides.english_of, [number[line.other] for line in direct]]),
        teacher=sides.teacher,
        direct=sequences(atlas, [line.other for line in direct], reader),
    )


def _bitext_examples(sides: _Sides, objective: Objective, weights: TokenWeights) -> BitextExamples:
    return BitextExamples(
        source=sides.source,
        english_of=sides.english_of,
        teacher=sides.teacher,
        criterion=criterion(objective),
        weights=weights if uses_idf(objective) else None,
        direct=sides.direct,
    )


def _translation(atlas: AtlasData, run: Translator) -> Materials:
    lines = atlas.bitext(run.bitext)

    def examples(pairs: Sequence[tuple[str, str]]) -> TranslationExamples:
        english = {text: place for place, text in enumerate(dict.fromkeys(text for _, text in pairs))}
        return TranslationExamples(
            source=sequences(atlas, [text for text, _ in pairs]),
            english=sequences(atlas, list(english)),
            english_of=np.array([english[text] for _, text in pairs]),
        )

    train = examples([(line.text, line.english) for line in lines])
    facts = {"lines": _counts(lines), "tokens_per_line": round(float(train.source.lengths.mean()), 2)}
    return Materials(train=train, held_out=examples(_validation_lines(atlas)), facts=facts)


def _pretraining(atlas: AtlasData, run: Pretraining) -> Materials:
    """The declared texts, and validation compositions in all languages in turn to be watched."""

    def examples(texts: Sequence[str]) -> MaskedExamples:
        return MaskedExamples(
            texts=sequences(atlas, texts),
            vocabulary=run.text.collection.vocabulary_size,
            rate=run.mask_rate,
            seed=run.seed,
        )

    texts = atlas.pretraining(run.text)
    train = examples([text.text for text in texts])
    languages = (ENGLISH, *atlas.declaration.languages)
    queries = atlas.queries[Split.VALIDATION]
    watched = [atlas.text(queries[i % len(queries)], languages[i % len(languages)]) for i in range(HELD_OUT_LINES)]
    facts = {"texts": _counts(texts), "tokens_per_text": round(float(train.lengths.mean()), 2)}
    return Materials(train=train, held_out=examples(watched), facts=facts)


def _validation_lines(atlas: AtlasData) -> list[tuple[str, str]]:
    """Validation compositions as lines: text in a language and in English, languages in turn."""
    languages = atlas.declaration.languages
    queries = atlas.queries[Split.VALIDATION]
    chosen = [(queries[i % len(queries)], languages[i % len(languages)]) for i in range(HELD_OUT_LINES)]
    return [(atlas.text(query, language), atlas.text(query, ENGLISH)) for query, language in chosen]


def _teacher_vectors(
    storage: Storage,
    teacher: Teacher,
    texts: Sequences,
    english: Sequence[str],
    cache_bytes: int,
    device: torch.device,
) -> TeacherVectors:
    key = run_key(teacher)
    if 4 * teacher.token_size * len(texts.ids) > cache_bytes:
        return LiveTeacher(trained(storage, key), texts, device)
    directory = storage.embeddings(key, f"english-{digest('english/1', list(english))}")
    found = stored(directory)
    if found is None:
        found = encode(trained(storage, key), texts, device)
        store(directory, found)
    return CachedTeacher(found)


def _counts(lines: Sequence[Line] | Sequence[DirectLine] | Sequence[Text]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for line in lines:
        counts[line.language] = counts.get(line.language, 0) + 1
    return counts
