"""A study whose teacher and rivals are trained to retrieve, but for its training: what they read, are asked, refuse."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.assemble import materials, model_of, reading_tokenizer
from harness.available import check_available
from harness.collections_read import read
from harness.data.own_tokenizer import own_tokenizer
from harness.data.tokenizer import encode as tokenize
from harness.evaluate import evaluate
from harness.examples import TripleExamples
from harness.export import export
from harness.text_readers import LONGEST_TEXT
from studies.schema.key import run_key
from studies.schema.objective import Ranking
from studies.schema.record import Role, State
from studies.schema.run import HELD_OUT_QUERIES, Student, Supervised
from studies.schema.state import read_state, write_state
from studies.schema.storage import Storage
from studies.schema.study import Point, Study, expand
from tests.harness.published_study import PAIR, QUERIES
from tests.harness.supervised_study import (
    TRAINED_QUERIES,
    linked_source,
    planted,
    supervised_study,
    write_supervised_world,
)

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world").resolve()
    write_supervised_world(folder, folder / "storage" / "data")
    return folder


@pytest.fixture(scope="module")
def place(world: Path) -> Storage:
    return Storage.at(world / "storage")


@pytest.fixture(scope="module")
def study(world: Path, place: Storage) -> Study:
    return supervised_study(world, place.data())


def retriever(study: Study, role: Role) -> Supervised:
    run = first(study, role).run
    assert isinstance(run, Supervised)
    return run


def first(study: Study, role: Role) -> Point:
    return next(point for point in expand(study) if point.role is role)


def leave_model(storage: Storage, run: Student | Supervised) -> None:
    """What training leaves: the encoder as it was read, with a new projection."""
    if read_state(storage, run_key(run)).state is State.FINISHED:
        return
    with storage.publish(storage.final(run_key(run))) as folder:
        model_of(storage, run).save(folder)
    write_state(storage, run_key(run), State.FINISHED)


def examples(storage: Storage, study: Study, run: Supervised) -> tuple[TripleExamples, TripleExamples]:
    found = materials(storage, run, study.execution, CPU)
    assert isinstance(found.train, TripleExamples)
    assert isinstance(found.held_out, TripleExamples)
    return found.train, found.held_out


def score_of(query: list[list[float]], passage: list[list[float]]) -> float:
    """Mean over query tokens of the largest product with a token of the passage, by a loop."""
    best = [max(sum(a * b for a, b in zip(q, p, strict=True)) for p in passage) for q in query]
    return sum(best) / len(best)


ROLES = (Role.TEACHER, Role.TRANSLATE_TRAIN, Role.SYNTHETIC_TRAIN)


@pytest.mark.parametrize("role", ROLES)
def test_no_test_topic_is_a_query_of_training_and_what_was_dropped_is_counted(
    role: Role, study: Study, place: Storage
) -> None:
    run = retriever(study, role)
    train, held_out = examples(place, study, run)
    facts = materials(place, run, study.execution, CPU).facts
    for counts in facts["sources"].values():
        of_each = counts["query kept for tests"] / len(planted())
        assert of_each == {Role.TEACHER: 1, Role.TRANSLATE_TRAIN: 2, Role.SYNTHETIC_TRAIN: 2}[role]
    assert len(held_out.lengths) == HELD_OUT_QUERIES
    assert set(train.triples_TK[:, 0]).isdisjoint(held_out.triples_TK[:, 0])
    tested = {tuple(ids) for ids in tokenize(own_tokenizer(run.rung), planted())}
    queries = train.queries
    read = {
        tuple(queries.ids[begin:end].tolist())
        for begin, end in zip(queries.offsets[:-1], queries.offsets[1:], strict=True)
    }
    assert not tested & read
    assert len(read) <= TRAINED_QUERIES * len(run.text.sources)


@pytest.mark.parametrize("group_size", [1, 4])
def test_loss_is_the_softmax_over_the_groups_passages_by_a_loop(group_size: int, study: Study, place: Storage) -> None:
    """Read one text at a time, so without any padding, and scored by a loop."""
    run = replace(retriever(study, Role.TRANSLATE_TRAIN), objective=Ranking(group_size=group_size, temperature=0.2))
    train, _ = examples(place, study, run)
    model = model_of(place, run).eval()
    chosen = np.arange(8)

    def vectors(side: str, number: int) -> list[list[float]]:
        ids, mask = getattr(train, side).padded(np.array([number]))
        found: list[list[float]] = model(ids, mask)[0].tolist()
        return found

    with torch.no_grad():
        found = float(train.loss(model, chosen, CPU)[0])
        terms = []
        for i, row in enumerate(train.triples_TK[chosen].tolist()):
            group = train.triples_TK[chosen][i // group_size * group_size :][:group_size, 1:].ravel().tolist()
            query = vectors("queries", row[0])
            relevant = {r for q, r in train.triples_TK[:, :2].tolist() if q == row[0]}
            scores = [
                score_of(query, vectors("passages", p)) / 0.2
                for place_of, p in enumerate(group)
                if p not in relevant or place_of == i % group_size * 2
            ]
            own = score_of(query, vectors("passages", row[1])) / 0.2
            terms.append(np.logaddexp.reduce(scores) - own)
    assert found == pytest.approx(np.mean(terms), abs=1e-4)


def test_texts_are_cut_as_declared_with_their_closing_token(study: Study, place: Storage) -> None:
    run = retriever(study, Role.SYNTHETIC_TRAIN)
    short = replace(run, text=replace(run.text, query_tokens=5, passage_tokens=7))
    train, _ = examples(place, study, short)
    assert int(train.queries.lengths.max()) == 5
    assert int(train.passages.lengths.max()) == 7
    closing = own_tokenizer(run.rung).eos_token_id
    for side in (train.queries, train.passages):
        assert set(side.ids[side.offsets[1:] - 1].tolist()) == {closing}


def test_rival_reads_passages_itself_and_leaves_no_vectors(study: Study, place: Storage) -> None:
    run = retriever(study, Role.TRANSLATE_TRAIN)
    leave_model(place, run)
    summary = json.loads((evaluate(place, run, study.evaluation) / "measures.json").read_text())
    assert summary["readers"] == dict.fromkeys(PAIR, "retriever itself")
    assert summary["queries"] == dict.fromkeys(PAIR, QUERIES)
    assert summary["exposure"] == {}
    assert not (place.root / "embeddings" / run_key(run)).exists()


def test_trained_teacher_is_asked_in_english_and_reads_lines_and_passages_for_its_students(
    study: Study, place: Storage
) -> None:
    teacher, student = retriever(study, Role.TEACHER), first(study, Role.STUDENT).run
    assert isinstance(student, Student)
    for run in (teacher, student):
        leave_model(place, run)
    of_teacher, of_student = (
        json.loads((evaluate(place, run, study.evaluation) / "measures.json").read_text()) for run in (teacher, student)
    )
    assert of_teacher["queries"] == {"en": QUERIES}
    assert of_teacher["readers"] == {"en": "retriever itself"}
    assert of_student["readers"] == dict.fromkeys(PAIR, "teacher")
    assert len(list((place.root / "embeddings" / run_key(teacher)).glob("passages-*"))) == 1, "read once for all"
    lines = materials(place, student, study.execution, CPU)
    live = materials(place, student, replace(study.execution, teacher_cache_bytes=1000), CPU)
    model = model_of(place, student).eval()
    with torch.no_grad():
        cached, computed = (float(each.train.loss(model, np.arange(4), CPU)[0]) for each in (lines, live))
    assert cached == pytest.approx(computed, abs=1e-6)


def test_exported_rival_names_its_sources_and_reads_as_it_was_evaluated(
    study: Study, place: Storage, tmp_path: Path
) -> None:
    point = first(study, Role.SYNTHETIC_TRAIN)
    assert isinstance(point.run, Supervised)
    leave_model(place, point.run)
    evaluate(place, point.run, study.evaluation)
    card = (export(place, study, point, tmp_path / "model") / "README.md").read_text()
    source = linked_source(place.data())
    assert "wikiclir-sw en-sw all, queries in en, passages in sw, judged by links between articles" in card
    assert f"revision `{source.revision}`" in card
    assert "read by the retriever itself" in card
    assert "It reads queries and passages in English, Swahili" in card
    assert reading_tokenizer(place, point.run).model_max_length <= LONGEST_TEXT
    assert read(place, study.retrieval[0]).count


def test_every_missing_file_is_named_in_one_error(study: Study, place: Storage, tmp_path: Path) -> None:
    runs = [point.run for point in expand(study)]
    check_available(place, runs, study.evaluation)
    with pytest.raises(ValueError, match="things that the study reads are missing") as refused:
        check_available(Storage.at(tmp_path), runs, study.evaluation)
    said = str(refused.value)
    for path in (
        "triples.train.small.tsv",
        "google/collections/arabic_collection.tsv",
        "google/collections/hindi_collection.tsv",
        "wiki-clir/swahili/wiki_sw.documents",
        "NLLB/sw.txt",
        "local/topics.te.tsv",
    ):
        assert f"{tmp_path}/data has no file {path}; put it there" in said
