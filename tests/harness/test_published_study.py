"""The study over published data in small, but for its training: what students read, are asked, and are refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from ir_measures import ScoredDoc
from sentence_transformers import MultiVectorEncoder

from harness.assemble import materials, model_of, reading_tokenizer
from harness.available import check_available
from harness.collections_read import read
from harness.data.own_tokenizer import own_tokenizer
from harness.evaluate import evaluate
from harness.examples import BitextExamples
from harness.export import write_model
from harness.scoring import score
from harness.sentence_alignment import half_away
from harness.text_readers import LiveReader
from studies.schema.alignment import COLUMNS
from studies.schema.key import run_key
from studies.schema.objective import PooledMSE
from studies.schema.parallel import ParallelText
from studies.schema.published_teacher import PublishedTeacher, Side
from studies.schema.record import Role, State
from studies.schema.run import HELD_OUT_LINES, Student
from studies.schema.state import read_state, write_state
from studies.schema.storage import Storage
from studies.schema.study import Point, Study, expand
from studies.schema.topic_makers import Translator
from studies.schema.translation import PublishedTranslator
from tests.harness.published_study import (
    DIRECT,
    LINES,
    PAIR,
    QUERIES,
    SENTENCES,
    aligned_study,
    direct_text,
    held_out_sentences,
    small_study,
    small_text,
    topics_of,
    translated_study,
    translated_topics,
    write_world,
)

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world").resolve()
    write_world(folder, folder / "storage" / "data")
    return folder


@pytest.fixture(scope="module")
def place(world: Path) -> Storage:
    return Storage.at(world / "storage")


@pytest.fixture(scope="module")
def study(world: Path, place: Storage) -> Study:
    return small_study(world, place.data())


@pytest.fixture(scope="module")
def translated(world: Path, place: Storage) -> Study:
    return translated_study(world, place.data())


def first(study: Study, role: Role = Role.STUDENT) -> Point:
    return next(point for point in expand(study) if point.role is role)


def leave_model(storage: Storage, run: Student) -> None:
    """What training leaves: the encoder as it was read, with a new projection."""
    if read_state(storage, run_key(run)).state is State.FINISHED:
        return
    with storage.publish(storage.final(run_key(run))) as folder:
        model_of(storage, run).save(folder)
    write_state(storage, run_key(run), State.FINISHED)


@pytest.fixture(scope="module")
def read_lines(study: Study, place: Storage) -> tuple[BitextExamples, BitextExamples, dict[str, dict[str, object]]]:
    found = materials(place, student(study), study.execution, CPU)
    assert isinstance(found.train, BitextExamples)
    assert isinstance(found.held_out, BitextExamples)
    return found.train, found.held_out, dict(found.facts)


def student(study: Study) -> Student:
    run = first(study).run
    assert isinstance(run, Student)
    return run


def test_lines_are_shared_out_by_exposure_beside_those_that_are_watched(
    read_lines: tuple[BitextExamples, BitextExamples, dict[str, dict[str, object]]], study: Study
) -> None:
    train, held_out, facts = read_lines
    left = LINES - HELD_OUT_LINES // len(PAIR)
    assert dict(student(study).bitext.exposure) == {"sw": 1.0, "te": 0.1}
    assert facts["lines"] == {"sw": left, "te": round(0.1 * left)}
    assert len(held_out.lengths) == HELD_OUT_LINES
    assert len(train.lengths) == left + round(0.1 * left)


def test_no_test_topic_is_a_line_on_either_side_and_what_was_dropped_is_counted(
    read_lines: tuple[BitextExamples, BitextExamples, dict[str, dict[str, object]]], study: Study, world: Path
) -> None:
    train, held_out, facts = read_lines
    corpora = facts["corpora"]
    dropped = [counts["kept for tests"] for counts in corpora.values()]  # type: ignore[index]
    assert dropped == [QUERIES + SENTENCES, QUERIES + SENTENCES]
    tokenizer = own_tokenizer(student(study).rung)
    seen = {
        tuple(examples.source.ids[begin:end].tolist())
        for examples in (train, held_out)
        for begin, end in zip(examples.source.offsets[:-1], examples.source.offsets[1:], strict=True)
    }
    for language in PAIR:
        asked = [*topics_of(language, "dev").values(), *held_out_sentences(language)]
        assert not seen & {tuple(tokenizer(text)["input_ids"]) for text in asked}


def test_loss_of_lines_is_the_same_with_vectors_cached_and_computed(study: Study, place: Storage) -> None:
    run = replace(student(study), objective=PooledMSE())
    model = model_of(place, run).eval()
    some = np.arange(4)
    cached = materials(place, run, study.execution, CPU).train
    teacher = run.teacher
    assert isinstance(teacher, PublishedTeacher)
    other = replace(run, teacher=replace(teacher, lines=Side.QUERY))
    live = materials(place, other, replace(study.execution, teacher_cache_bytes=1000), CPU).train
    assert isinstance(live, BitextExamples)
    assert isinstance(live.teacher, LiveReader)
    with torch.no_grad():
        losses = [float(examples.loss(model, some, CPU)[0]) for examples in (cached, live)]
    # The checkpoint of the test reads both sides alike.
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)
    assert losses[0] > 0


def test_students_read_passages_in_their_language_and_queries_without_an_answer_score_zero(
    study: Study, place: Storage
) -> None:
    run = student(study)
    leave_model(place, run)
    folder = evaluate(place, run, study.evaluation)
    summary = json.loads((folder / "measures.json").read_text())
    assert summary["readers"] == dict.fromkeys(PAIR, "student")
    assert summary["queries"] == dict.fromkeys(PAIR, 8)
    assert summary["exposure"] == {"sw": 1.0, "te": 0.1}
    rows = pq.read_table(folder / "per_query.parquet").to_pylist()
    assert len(rows) == 16
    assert len({row["entity"] for row in rows}) == 16, "queries of two collections are independent"
    assert not (place.root / "embeddings" / run_key(run)).exists(), "nobody else reads its passages"
    asked = read(place, study.retrieval[0])
    assert asked.count == 40
    query, passage = next((query, name) for query, grades in asked.qrels.items() for name in grades)
    scores = score(study.measures, asked.qrels, [ScoredDoc(query, passage, 1.0)])
    assert sorted(values["nDCG@10"] for values in scores.values()) == [*[0.0] * 7, 1.0]


def test_exported_student_ranks_as_it_was_evaluated(study: Study, place: Storage, tmp_path: Path) -> None:
    run = student(study)
    leave_model(place, run)
    summary = evaluate(place, run, study.evaluation) / "measures.json"
    encoder = model_of(place, run)
    write_model(encoder, reading_tokenizer(place, run), tmp_path / "model")  # type: ignore[arg-type]
    reader = MultiVectorEncoder(str(tmp_path / "model"), device="cpu")
    searched = study.retrieval[0]
    asked = read(place, searched)
    passages = [passage for block in asked.passages(100) for passage in block]
    similarity = reader.similarity(
        reader.encode_query(list(asked.topics.values())), reader.encode_document([each.text for each in passages])
    )
    ranking = [
        ScoredDoc(query, passages[place].id, float(similarity[row, place]))
        for row, query in enumerate(asked.topics)
        for place in range(len(passages))
    ]
    theirs = score(study.measures, asked.qrels, ranking)
    ours = json.loads(summary.read_text())["measures"]["nDCG@10"][searched.language]
    assert np.mean([values["nDCG@10"] for values in theirs.values()]) == pytest.approx(ours, abs=1e-3)


def test_teacher_reads_english_passages_for_everybody_and_english_queries_for_itself(
    translated: Study, place: Storage
) -> None:
    teacher, run = first(translated, Role.TEACHER).run, student(translated)
    assert isinstance(teacher, PublishedTeacher)
    leave_model(place, run)
    folders = [evaluate(place, each, translated.evaluation) for each in (teacher, run)]
    of_teacher, of_student = (json.loads((folder / "measures.json").read_text()) for folder in folders)
    assert list(of_teacher["measures"]["nDCG@10"]) == ["en"]
    assert of_teacher["queries"] == {"en": QUERIES}
    assert sorted(of_student["measures"]["nDCG@10"]) == sorted(PAIR)
    assert of_student["readers"] == dict.fromkeys(PAIR, "teacher")
    assert len(list((place.root / "embeddings" / run_key(teacher)).glob("passages-*"))) == 1
    entities = pq.read_table(folders[1] / "per_query.parquet").column("entity").to_pylist()
    assert len(set(entities)) == QUERIES, "parallel queries are one cluster"
    assert read_state(place, run_key(teacher)).state is State.FINISHED


def test_originals_of_translated_topics_are_kept_out_of_training_too(translated: Study, place: Storage) -> None:
    facts = materials(place, student(translated), translated.execution, CPU).facts
    assert [counts["kept for tests"] for counts in facts["corpora"].values()] == [QUERIES + SENTENCES] * 2


def test_alignment_of_published_sentences_is_whole_between_copies_and_the_same_where_nothing_was_trained(
    study: Study, place: Storage, world: Path
) -> None:
    aligned = aligned_study(world, place.data())
    assert {point.key for point in expand(aligned)} < {point.key for point in expand(study)}
    run = student(aligned)
    leave_model(place, run)
    folder = evaluate(place, run, aligned.evaluation)
    rows = pq.read_table(folder / "alignment.parquet").to_pylist()
    assert len(rows) == 2 * SENTENCES
    assert len({row["entity"] for row in rows}) == SENTENCES, "the same English sentence is one cluster"
    for column in COLUMNS:
        before, after = ([row[f"{column}.{stage}"] for row in rows] for stage in ("before", "after"))
        assert before == pytest.approx(after, abs=1e-5)
    found = json.loads((folder / "measures.json").read_text())["alignment"]
    # Telugu is a copy of English here.
    for measure in ("clca_mexa", "clca_rankc"):
        assert found[f"{measure}.before"]["te"] == pytest.approx(1.0)
        assert found[f"{measure}.before"]["sw"] < 0.9
    assert found["clca_token_ot.before"]["te"] > found["clca_token_ot.before"]["sw"]
    assert set(json.loads((folder / "measures.json").read_text())["measures"]["nDCG@10"]) == set(PAIR)


def test_chance_is_another_sentence_far_away() -> None:
    for number in (2, 5, 1012):
        found = half_away(number)
        assert sorted(found.tolist()) == list(range(number))
        assert min(abs(found - np.arange(number))) >= number // 2
    with pytest.raises(ValueError, match="give at least two"):
        half_away(1)


def test_sentences_that_alignment_is_measured_on_have_to_be_kept_out(world: Path, place: Storage) -> None:
    aligned = aligned_study(world, place.data())
    assert isinstance(aligned.base.bitext, ParallelText)
    base = replace(aligned.base, bitext=replace(aligned.base.bitext, kept_out_text=()))
    with pytest.raises(ValueError, match=r"flores-devtest-sw-en, whose sentences may be lines .*kept_out_text"):
        replace(aligned, base=base)


def test_direct_lines_come_last_are_drawn_to_the_students_own_vectors_and_leave_the_others_alone(
    study: Study, place: Storage, world: Path
) -> None:
    english = replace(small_text(place.data(), ()), caps=(), lines=2000)
    both = direct_text(place.data(), english)
    run = replace(student(study), objective=PooledMSE())
    found, alone = (materials(place, replace(run, bitext=text), study.execution, CPU) for text in (both, english))
    train, without = found.train, alone.train
    assert isinstance(train, BitextExamples)
    assert isinstance(without, BitextExamples)
    assert isinstance(found.held_out, BitextExamples)
    assert found.facts["direct_lines"] == {"sw": DIRECT - HELD_OUT_LINES // 3}
    assert train.direct is not None
    number = len(train.direct.lengths)
    assert number == DIRECT - HELD_OUT_LINES // 3
    assert found.held_out.direct is not None
    assert len(found.held_out.direct.lengths) == HELD_OUT_LINES // 3
    model = model_of(place, run).eval()
    with torch.no_grad():
        # Both sides of these lines are one text, which the student reads alike.
        own = np.arange(len(train.lengths) - number, len(train.lengths))[:8]
        assert float(train.loss(model, own, CPU)[0]) == pytest.approx(0.0, abs=1e-6)
        by_text = {tuple(text_of(without, line)): line for line in range(len(without.lengths))}
        shared = next(line for line in range(len(train.lengths)) if tuple(text_of(train, line)) in by_text)
        same = by_text[tuple(text_of(train, shared))]
        losses = [
            float(examples.loss(model, np.array([line]), CPU)[0])
            for examples, line in ((train, shared), (without, same))
        ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)
    assert losses[0] > 1e-3


def text_of(examples: BitextExamples, line: int) -> list[int]:
    begin, end = examples.source.offsets[line : line + 2]
    return list(examples.source.ids[begin:end].tolist())


def test_what_is_missing_is_said_at_once_with_its_place(study: Study, place: Storage, tmp_path: Path) -> None:
    runs = [point.run for point in expand(study)]
    check_available(place, runs, study.evaluation)
    empty = Storage.at(tmp_path)
    teacher = study.base.teacher
    assert isinstance(teacher, PublishedTeacher)
    base = replace(study.base, teacher=replace(teacher, checkpoint=str(tmp_path / "none")))
    with pytest.raises(ValueError, match="5 things that the study reads are missing") as refused:
        check_available(empty, [base], study.evaluation)
    said = str(refused.value)
    assert f"{tmp_path}/data has no file NLLB/te.txt; put it there" in said
    assert "none is no directory of this machine" in said


def test_collection_that_is_asked_has_to_be_kept_out(study: Study) -> None:
    assert isinstance(study.base.bitext, ParallelText)
    with pytest.raises(ValueError, match=r"asks miracl/sw, whose queries may be lines .*kept_out"):
        replace(study, base=replace(study.base, bitext=replace(study.base.bitext, kept_out=())))


def test_translator_that_made_the_topics_is_refused_as_rival_on_them(
    translated: Study, world: Path, place: Storage
) -> None:
    made = replace(
        translated_topics(place.data(), "sw"), by=Translator(model="facebook/nllb-200-3.3B", revision="1", chrf=None)
    )
    assert isinstance(translated.base.bitext, ParallelText)
    bitext = replace(translated.base.bitext, kept_out=(made, *translated.base.bitext.kept_out))
    english, _, telugu = translated.retrieval
    base = replace(translated.base, bitext=bitext)
    asked = (english, replace(english, collection=made), telugu)
    rival = PublishedTranslator(weights="facebook/nllb-200-3.3B", revision="a" * 40)
    with pytest.raises(ValueError, match="cannot be the rival on them"):
        replace(translated, base=base, retrieval=asked, rivals=(Role.TRANSLATED,), translator=rival)
    other = replace(rival, weights="google/madlad400-3b-mt")
    accepted = replace(translated, base=base, retrieval=asked, rivals=(Role.TRANSLATED,), translator=other)
    assert first(accepted, Role.TRANSLATED)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rivals": (Role.COPY_THROUGH,)}, "the teacher reads the passages, and it cannot read those of miracl/sw"),
        ({"rivals": (Role.DICTIONARY,)}, "with parallel text leave the rival dictionary out"),
        ({"retrieval": ()}, "asks 0 collections"),
    ],
)
def test_what_nobody_can_read_is_refused(study: Study, change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(study, **change)  # type: ignore[arg-type]
