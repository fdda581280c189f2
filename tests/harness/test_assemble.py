"""What a run trains on: the declared lines, the teacher's vectors of them, and nothing that is tested."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch

from harness.assemble import Materials, materials, passage_vectors, sequences
from harness.data.atlas import AtlasData
from harness.data.names import ENGLISH
from harness.data.tokenizer import encode as tokenize
from harness.encoders import build
from harness.examples import BitextExamples, RankingExamples, Sequences
from harness.families import BEGIN, END, PADDING
from harness.finished import trained
from harness.vectors import CachedTeacher, LiveTeacher, encode
from studies.bases import ATLAS_BITEXT, ATLAS_TEACHER, ATLAS_TWELVE, OPTICAL_ATLAS
from studies.first_look import STUDY
from studies.schema.evaluation import Split
from studies.schema.execution import Execution
from studies.schema.key import run_key
from studies.schema.lineage import embedded
from studies.schema.run import HELD_OUT_LINES, HELD_OUT_QUERIES, Student
from studies.schema.storage import Storage
from studies.schema.study import expand

CPU = torch.device("cpu")
EXECUTION = Execution()
TEACHER = replace(ATLAS_TEACHER, token_size=4)
STUDENT = replace(
    OPTICAL_ATLAS,
    teacher=TEACHER,
    bitext=replace(
        ATLAS_BITEXT,
        lines=300,
        exposure=tuple((code, 0.1 if code == "sw" else 1.0) for code in ATLAS_TWELVE.languages),
    ),
)


@pytest.fixture(scope="module")
def storage(atlas_storage: Storage) -> Storage:
    """The collection beside a teacher that was never trained; its vectors are as good as any here."""
    encoder = build(TEACHER.rung, TEACHER.token_size, dropout=0.0, seed=0)
    with atlas_storage.publish(atlas_storage.final(run_key(TEACHER))) as folder:
        encoder.save(folder)
    return atlas_storage


@pytest.fixture(scope="module")
def distillation(storage: Storage) -> Materials:
    return materials(storage, STUDENT, EXECUTION, CPU)


Tokens = tuple[int, ...]


def tokens_of(sides: Sequences) -> list[Tokens]:
    return [tuple(ids.tolist()) for ids in np.split(sides.ids, sides.offsets[1:-1])]


def query_tokens(atlas: AtlasData, split: Split, language: str) -> list[Tokens]:
    return tokens_of(sequences(atlas, [atlas.text(query, language) for query in atlas.queries[split]]))


def everything_within(value: Any, seen: set[int] | None = None) -> Iterator[tuple[str, Any]]:
    """Every attribute that can be reached from a value, by name."""
    seen = seen if seen is not None else set()
    if id(value) in seen:
        return
    seen.add(id(value))
    names = [field.name for field in fields(value)] if is_dataclass(value) else list(getattr(value, "__dict__", ()))
    for name in names:
        yield name, getattr(value, name)
        yield from everything_within(getattr(value, name), seen)


def test_no_judgement_reaches_a_student(distillation: Materials, atlas: AtlasData) -> None:
    """From what a student trains on, no passage, no query and no grade can be reached, by whatever name."""
    reachable = dict(everything_within(distillation))
    assert isinstance(distillation.train, BitextExamples)
    assert {"source", "english_of", "teacher"} <= reachable.keys()
    for name in reachable:
        assert not {"qrels", "relevant", "pairs", "queries", "passages", "grades"} & {name, name.strip("_")}
    assert not any(isinstance(value, AtlasData | RankingExamples) for value in reachable.values())
    passages = {passage.id for passage in atlas.passages}
    strings = [value for value in reachable.values() if isinstance(value, str)]
    assert passages.isdisjoint(strings)


@pytest.mark.parametrize("rotation", ["0", "1"])
def test_no_test_query_is_among_the_training_lines_of_first_look(atlas: AtlasData, rotation: str) -> None:
    run = next(
        point.run for point in expand(STUDY) if isinstance(point.run, Student) and point.labels.rotation == rotation
    )
    assert embedded(run)[0].collection == atlas.declaration
    tested = atlas.queries[Split.TEST]
    compositions = {frozenset(query.names) for query in tested}
    texts = {atlas.text(query, code).casefold() for query in tested for code in (ENGLISH, *atlas.declaration.languages)}
    lines = atlas.bitext(embedded(run)[1])
    assert len(lines) == sum(round(share * run.bitext.lines) for _, share in run.bitext.exposure)
    assert compositions.isdisjoint(frozenset(line.names) for line in lines)
    assert texts.isdisjoint(line.text.casefold() for line in lines)
    assert texts.isdisjoint(line.english.casefold() for line in lines)


def test_student_trains_on_exactly_the_declared_lines(distillation: Materials, atlas: AtlasData) -> None:
    assert isinstance(distillation.train, BitextExamples)
    lines = atlas.bitext(embedded(STUDENT)[1])
    declared = tokens_of(sequences(atlas, [line.text for line in lines]))
    assert tokens_of(distillation.train.source) == declared
    assert distillation.facts["lines"] == {code: 30 if code == "sw" else 300 for code in ATLAS_TWELVE.languages}


def test_every_line_meets_the_teacher_s_vectors_of_its_own_english(
    distillation: Materials, atlas: AtlasData, storage: Storage
) -> None:
    assert isinstance(distillation.train, BitextExamples)
    lines = atlas.bitext(embedded(STUDENT)[1])
    chosen = np.arange(0, len(lines), 371)
    found_BMH, mask_BM = distillation.train.teacher.take(distillation.train.english_of[chosen])
    english = sequences(atlas, [lines[line].english for line in chosen])
    expected = encode(trained(storage, run_key(TEACHER)), english, CPU)
    assert mask_BM.sum(dim=1).tolist() == expected.lengths.tolist()
    torch.testing.assert_close(found_BMH[mask_BM], expected.tokens_TH, rtol=0, atol=1e-5)


def test_teacher_that_does_not_fit_the_cache_is_asked_in_step_and_says_the_same(
    distillation: Materials, storage: Storage
) -> None:
    assert isinstance(distillation.train, BitextExamples)
    live = materials(storage, STUDENT, replace(EXECUTION, teacher_cache_bytes=0), CPU).train
    assert isinstance(live, BitextExamples)
    assert isinstance(live.teacher, LiveTeacher)
    assert isinstance(distillation.train.teacher, CachedTeacher)
    lines = np.array([0, 500, 1000])
    cached_BMH, mask_BM = distillation.train.teacher.take(distillation.train.english_of[lines])
    live_BMH, live_mask_BM = live.teacher.take(live.english_of[lines])
    assert torch.equal(mask_BM, live_mask_BM)
    torch.testing.assert_close(cached_BMH[mask_BM], live_BMH[mask_BM], rtol=0, atol=1e-5)


def test_held_out_lines_are_validation_queries_spread_evenly_over_languages(
    distillation: Materials, atlas: AtlasData
) -> None:
    assert isinstance(distillation.held_out, BitextExamples)
    found = tokens_of(distillation.held_out.source)
    assert len(found) == HELD_OUT_LINES
    languages = atlas.declaration.languages
    for place, language in enumerate(languages):
        own = found[place :: len(languages)]
        assert len(own) == HELD_OUT_LINES // len(languages)
        assert set(own) <= set(query_tokens(atlas, Split.VALIDATION, language))


def test_teacher_ranks_training_queries_without_passages_held_out(storage: Storage, atlas: AtlasData) -> None:
    ranking = materials(storage, TEACHER, EXECUTION, CPU)
    assert isinstance(ranking.train, RankingExamples)
    assert isinstance(ranking.held_out, RankingExamples)
    held_out = {place for place, passage in enumerate(atlas.passages) if passage.held_out}
    assert held_out
    assert held_out.isdisjoint(ranking.train.pairs[:, 1].tolist())
    asked = set(tokens_of(ranking.train.queries))
    for split in (Split.TEST, Split.VALIDATION):
        assert asked.isdisjoint(query_tokens(atlas, split, ENGLISH))
    for query, passage in ranking.train.pairs[::997]:
        assert int(passage) in ranking.train.relevant[query]
    assert len(ranking.held_out.pairs) == HELD_OUT_QUERIES
    assert HELD_OUT_LINES % TEACHER.objective.group_size == 0


def test_every_text_of_the_collection_fits_the_models_and_nothing_is_cut(atlas: AtlasData) -> None:
    limit = min(point.run.rung.architecture.max_positions for point in expand(STUDY) if isinstance(point.run, Student))
    limit = min(limit, TEACHER.rung.architecture.max_positions)
    texts = [passage.text for passage in atlas.passages]
    texts += [text for query in atlas.queries[Split.TEST] for text in query.texts.values()]
    texts += [line.text for line in atlas.bitext(embedded(STUDENT)[1])]
    assert max(len(ids) for ids in tokenize(atlas.tokenizer(), texts)) <= limit


def test_special_tokens_of_the_collection_are_those_of_the_models(atlas: AtlasData) -> None:
    """A model never learns the embedding of its padding token, so it must not be one that texts hold."""
    tokenizer = atlas.tokenizer()
    assert (tokenizer.bos_token_id, tokenizer.pad_token_id, tokenizer.eos_token_id) == (BEGIN, PADDING, END)
    assert sequences(atlas, ["Kenya"]).padding == PADDING
    assert PADDING not in sequences(atlas, [passage.text for passage in atlas.passages]).ids


def test_passages_are_encoded_once_in_the_collection_s_order(storage: Storage, atlas: AtlasData) -> None:
    first = passage_vectors(storage, TEACHER, CPU)
    again = passage_vectors(storage, TEACHER, CPU)
    assert torch.equal(first.tokens_TH, again.tokens_TH)
    assert first.lengths.tolist() == sequences(atlas, [passage.text for passage in atlas.passages]).lengths.tolist()


def test_model_that_was_never_trained_is_asked_for_by_name(storage: Storage) -> None:
    key = run_key(replace(TEACHER, seed=99))
    with pytest.raises(ValueError, match=f"run {key} has no trained model in .*; train it first"):
        trained(storage, key)
