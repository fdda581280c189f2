"""Supervised retrieval as it is declared: what may go together, what is whose identity, what it costs."""

from dataclasses import replace
from typing import Any

import pytest

from harness.evaluation_key import key_of, revision_of
from studies.collections import marco, miracl, wikiclir
from studies.first_look import STUDY as FIRST_LOOK
from studies.gap_by_size_miracl import STUDY, TRANSLATE_TRAIN
from studies.ladders import ATLAS
from studies.published_bases import COLLECTIONS
from studies.schema.asked import reader_of
from studies.schema.collection import Collection
from studies.schema.cost import parameters_of, training_flops
from studies.schema.evaluation import Searched
from studies.schema.fit import memory_of
from studies.schema.key import run_key
from studies.schema.lineage import call_size_of, collection_of, needs
from studies.schema.objective import Contrastive, Ranking, group_size_of
from studies.schema.objective_cost import objective_flops
from studies.schema.parallel import ParallelText
from studies.schema.price import examples_of, final_bytes, kept, line_vector_bytes, tokens_read, work_of
from studies.schema.reading import Reader
from studies.schema.record import Role
from studies.schema.run import LookUp, Student, Supervised, TranslateQuery, teacher_of
from studies.schema.study import Point, Study, expand, recipe
from studies.schema.translation import PublishedTranslator
from studies.schema.triples import MARCO, RandomOthers, RetrievalTriples, TextTriples, ids_of
from studies.supervised import (
    OWN_PASSAGES,
    late_interaction,
    marco_text_triples,
    marco_triples,
    wikiclir_judgments,
)

TEXT = TRANSLATE_TRAIN.text
ENGLISH_MIRACL = miracl("en")
KEPT_OUT = (*COLLECTIONS, ENGLISH_MIRACL)
TEACHER = late_interaction(
    TRANSLATE_TRAIN.rung, 1e-5, (marco_triples("en", "en"),), triples=100_000, steps=1_000, kept_out=KEPT_OUT
)
LOCAL_TEXT = marco_text_triples(revision="0" * 12)


def rivals(study: Study = STUDY) -> list[Point]:
    return [point for point in expand(study) if point.role is Role.TRANSLATE_TRAIN]


def taught(study: Study = STUDY, teacher: Supervised = TEACHER) -> Study:
    """The study with a teacher that is trained on MS MARCO, and asked MIRACL's English."""
    assert isinstance(study.base.bitext, ParallelText)
    bitext = replace(study.base.bitext, kept_out=KEPT_OUT)
    return replace(
        study,
        base=replace(study.base, teacher=teacher, bitext=bitext),
        retrieval=(Searched(collection=ENGLISH_MIRACL, pool=study.retrieval[0].pool), *study.retrieval),
        supervised=tuple(
            (role, replace(each, text=replace(each.text, kept_out=KEPT_OUT))) for role, each in study.supervised
        ),
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sources": ()}, "names no source"),
        ({"sources": (TEXT.sources[0], TEXT.sources[0])}, "or one name twice"),
        ({"sources": (TEXT.sources[0], wikiclir_judgments("sw", others=3))}, "unlike numbers of other passages"),
        ({"triples": 0}, "triples is 0; it must be at least 1"),
        ({"exponent": 1.5}, "the exponent lies between 0 and 1"),
        ({"seed": -1}, "a seed is below"),
        ({"caps": (("de-de", 5),)}, "give each of ar-ar, hi-hi at most one"),
        ({"caps": (("hi-hi", 0),)}, "of 1 or more triples"),
        ({"query_tokens": 2}, "query_tokens is 2; it must be at least 3"),
        (
            {"sources": (LOCAL_TEXT,), "kept_out": (marco("de", "de"),)},
            "triples msmarco-triples-small have no ids, so the test queries and judged passages of mmarco/v2/de cannot",
        ),
        (
            {"sources": (wikiclir_judgments("sw"),), "kept_out": (wikiclir("sw"),)},
            "split 'all' of wikiclir/sw is trained on and kept out",
        ),
    ],
)
def test_text_that_cannot_be_drawn_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(TEXT, **change)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: replace(marco_triples("ar", "ar"), split="test"), "has no split 'test'; it has train, dev"),
        (
            lambda: replace(wikiclir_judgments("sw"), others=RandomOthers(relevant_from=3)),
            "grades of wikiclir/sw are 1, 2",
        ),
        (lambda: RandomOthers(relevant_from=0), "relevant_from is 0"),
        (lambda: replace(LOCAL_TEXT, path="../x"), "write it relative to the data folder"),
        (lambda: replace(LOCAL_TEXT, revision="x"), "12 hexadecimal digits"),
        (lambda: Ranking(group_size=0, temperature=1.0), "group_size is 0; it must be at least 1"),
        (lambda: replace(TRANSLATE_TRAIN, rung=ATLAS.rungs[0][0]), "has random weights and no tokenizer of its own"),
        (lambda: replace(TRANSLATE_TRAIN, global_batch=100), "does not divide into candidate groups of 8"),
        (
            lambda: replace(STUDY.base, teacher=TRANSLATE_TRAIN),
            "was trained on ar-ar, hi-hi, and the teacher reads English",
        ),
        (lambda: LookUp(teacher=TEACHER, bitext=FIRST_LOOK.base.bitext), "leave the bitext out"),  # type: ignore[arg-type]
    ],
)
def test_what_does_not_go_together_is_refused(build: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


def test_every_choice_of_the_text_is_another_run() -> None:
    texts = [
        TEXT,
        replace(TEXT, sources=TEXT.sources[:1]),
        replace(TEXT, triples=5),
        replace(TEXT, exponent=0.5),
        replace(TEXT, seed=1),
        replace(TEXT, caps=(("hi-hi", 5),)),
        replace(TEXT, query_tokens=32),
        replace(TEXT, passage_tokens=200),
        replace(TEXT, kept_out=()),
        replace(TEXT, sources=(marco_triples("ar", "en"),)),
        replace(TEXT, sources=(wikiclir_judgments("ar"),)),
        replace(TEXT, sources=(wikiclir_judgments("ar", relevant_from=2),)),
    ]
    runs = [replace(TRANSLATE_TRAIN, text=text) for text in texts]
    runs.append(replace(TRANSLATE_TRAIN, objective=OWN_PASSAGES))
    assert len({run_key(run) for run in runs}) == len(runs)


def test_translations_of_one_collection_share_its_ids() -> None:
    declared: list[Collection] = [marco("en", "en"), marco("de", "en"), marco("hi", "hi")]
    assert {ids_of(each) for each in declared} == {MARCO}
    assert ids_of(miracl("sw")) == "miracl/sw"
    assert TextTriples(**{**vars(LOCAL_TEXT)}).ids_of == MARCO


def test_rival_has_one_run_for_every_rung_with_the_rungs_learning_rate_and_no_rotation() -> None:
    points = rivals()
    assert [point.labels.rung for point in points] == ["xlm-r-base", "xlm-r-large", "xlm-r-xl"]
    students = [point for point in expand(STUDY) if point.role is Role.STUDENT]
    for point in points:
        assert isinstance(point.run, Supervised)
        beside = next(each.run for each in students if each.labels.rung == point.labels.rung)
        assert isinstance(beside, Student)
        assert point.run.rung == beside.rung
        assert point.run.optimiser.learning_rate == beside.optimiser.learning_rate
        assert point.labels.rotation == "-"
        assert needs(point.run) == ()
        assert collection_of(point.run) is None
        assert teacher_of(point.run) == point.run
        assert call_size_of(point.run) == group_size_of(point.run.objective) == 8


def test_rival_and_recipe_go_together_and_are_part_of_what_is_recorded() -> None:
    with pytest.raises(ValueError, match="and a recipe in supervised go together"):
        replace(STUDY, supervised=())
    with pytest.raises(ValueError, match="and a recipe in supervised go together"):
        replace(STUDY, rivals=(Role.UNTRAINED,))
    assert "supervised" in recipe(STUDY)
    assert "supervised" not in recipe(FIRST_LOOK)
    both = replace(
        STUDY,
        rivals=(Role.TRANSLATE_TRAIN, Role.SYNTHETIC_TRAIN),
        supervised=(
            *STUDY.supervised,
            (Role.SYNTHETIC_TRAIN, replace(TRANSLATE_TRAIN, text=replace(TEXT, sources=(wikiclir_judgments("sw"),)))),
        ),
    )
    assert len({point.key for point in expand(both)}) == len(expand(STUDY)) - 3 + 3
    assert {p.key for p in expand(STUDY) if p.role is Role.STUDENT} < {p.key for p in expand(both)}


def test_what_a_study_cannot_ask_of_a_rival_is_refused() -> None:
    forgotten = replace(TRANSLATE_TRAIN, text=replace(TEXT, kept_out=COLLECTIONS[1:]))
    with pytest.raises(
        ValueError, match=r"asks miracl/sw, whose queries may be in the triples of translate_train; .*Ret"
    ):
        replace(STUDY, supervised=((Role.TRANSLATE_TRAIN, forgotten),))
    with pytest.raises(ValueError, match="trains translate_train on English alone, which is what a teacher is"):
        replace(STUDY, supervised=((Role.TRANSLATE_TRAIN, TEACHER),))
    with pytest.raises(ValueError, match="asks the embedded collection, which translate_train does not read"):
        replace(FIRST_LOOK, rivals=(Role.TRANSLATE_TRAIN,), supervised=STUDY.supervised)


def test_teacher_trained_on_english_triples_comes_first_and_is_part_of_its_students_keys() -> None:
    study = taught()
    first, *others = expand(study)
    assert (first.role, first.run) == (Role.TEACHER, TEACHER)
    students = [point for point in others if point.role is Role.STUDENT]
    assert all(needs(point.run) == (TEACHER,) for point in students)
    other = taught(teacher=replace(TEACHER, seed=1))
    assert {p.key for p in students}.isdisjoint(p.key for p in expand(other) if p.role is Role.STUDENT)
    query = TranslateQuery(teacher=TEACHER, translator=PublishedTranslator(weights="a/b", revision="a" * 40))
    assert needs(query) == (TEACHER,)
    with pytest.raises(ValueError, match="trains its teacher and asks it nothing"):
        replace(study, retrieval=study.retrieval[1:])
    forgetful = replace(TEACHER, text=replace(TEACHER.text, kept_out=COLLECTIONS))
    with pytest.raises(ValueError, match=r"asks miracl/en, whose queries may be in its teacher's triples"):
        taught(teacher=forgetful)


def test_evaluation_says_that_a_rival_reads_passages_itself() -> None:
    english = Searched(collection=miracl("en"))
    student, rival = STUDY.base, TRANSLATE_TRAIN
    assert reader_of(rival, english) is reader_of(rival, STUDY.retrieval[0]) is Reader.ITSELF
    assert reader_of(student, english) is Reader.TEACHER
    assert revision_of(rival, STUDY.evaluation) != revision_of(student, STUDY.evaluation)
    assert key_of(rival, STUDY.evaluation) != key_of(student, STUDY.evaluation)


def test_cost_of_a_triple_is_that_of_its_query_and_its_passages() -> None:
    execution = STUDY.execution
    tokens = 10.0 + 2 * 130.0
    assert examples_of(TRANSLATE_TRAIN) == 2_400 * 256
    assert tokens_read(TRANSLATE_TRAIN) == tokens * 2_400 * 256
    assert work_of(TRANSLATE_TRAIN, execution).encoder == training_flops(TRANSLATE_TRAIN, tokens_per_example=tokens)
    as_contrastive = objective_flops(
        Contrastive(group_size=16, temperature=1.0), student_tokens=10.0, teacher_tokens=130.0, token_size=128
    )
    assert work_of(TRANSLATE_TRAIN, execution).objective == pytest.approx(as_contrastive * 2_400 * 256)
    assert parameters_of(TRANSLATE_TRAIN) == parameters_of(STUDY.base)
    assert final_bytes(TRANSLATE_TRAIN) == final_bytes(STUDY.base)
    assert line_vector_bytes(TRANSLATE_TRAIN) == 0.0
    assert kept([(TRANSLATE_TRAIN, execution)], STUDY.retrieval).passages > 0
    shorter = replace(TRANSLATE_TRAIN, text=replace(TEXT, passage_tokens=90))
    assert memory_of(shorter, execution).activations < memory_of(TRANSLATE_TRAIN, execution).activations


def test_text_is_english_only_where_both_sides_are() -> None:
    def text(*pairs: tuple[str, str]) -> RetrievalTriples:
        return RetrievalTriples(sources=tuple(marco_triples(*pair) for pair in pairs), triples=1)

    assert text(("en", "en")).is_english
    assert not text(("en", "en"), ("de", "en")).is_english
    assert text(("en", "en"), ("de", "en")).languages == ("de", "en")
    assert text(("en", "en"), ("de", "en")).pairs == ("en-en", "de-en")
