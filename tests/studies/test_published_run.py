"""Students of published teachers: what may go together, what is asked, and what is part of whose identity."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.evaluation_key import key_of
from studies.bases import ATLAS_BITEXT, ATLAS_EPSILONS, ATLAS_TEACHER, atlas_pretraining
from studies.catalogue import every_search, every_study
from studies.clca_by_size_miracl import STUDY as ALIGNED
from studies.collections import clirmatrix, miracl, miracl_in_english
from studies.epsilon_by_pair_miracl import STUDY as BY_EPSILON
from studies.gap_by_size_miracl import STUDY
from studies.ladders import ATLAS
from studies.published_bases import COLBERT, LINES_WITH_ENGLISH, MIRACL_SEVEN, POOL, queries_of
from studies.schema.evaluation import Evaluation, Searched
from studies.schema.execution import Execution
from studies.schema.key import run_key
from studies.schema.lineage import collection_of, needs
from studies.schema.objective import Marginals, Transport
from studies.schema.parallel import ParallelText
from studies.schema.pool import Pool
from studies.schema.price import kept, searched_vector_bytes
from studies.schema.published_teacher import Side
from studies.schema.reading import Reader
from studies.schema.record import Role
from studies.schema.run import LookUp, Student, TranslateQuery, teacher_of
from studies.schema.search import Halving, run_of
from studies.schema.storage import Storage
from studies.schema.study import EpsilonOptimum, ResourceEffect, Scale, Study, expand
from studies.schema.topic_makers import People
from studies.schema.trials import points_of
from studies.search_epsilon_by_pair_miracl import SEARCH

BASE = STUDY.base
FOREIGN = replace(LINES_WITH_ENGLISH.corpora[0], target="ko")
TOPICS = miracl_in_english("sw", path="topics.sw.tsv", by=People(source="people"), revision="0" * 12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"teacher": ATLAS_TEACHER}, "a student of a Teacher is given ParallelText"),
        ({"bitext": ATLAS_BITEXT}, "a student of a PublishedTeacher is given Bitext"),
        ({"rung": ATLAS.rungs[0][0]}, "has random weights and no tokenizer of its own"),
        ({"objective": Transport(epsilon=0.03, marginals=Marginals.IDF)}, "use uniform marginals"),
        ({"pretraining": atlas_pretraining(*ATLAS.rungs[0])}, "pretraining reads the embedded collection"),
        (
            {"bitext": replace(LINES_WITH_ENGLISH, corpora=(FOREIGN,), caps=())},
            "is of sw-ko, and the teacher reads English",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(BASE, **change)


@pytest.mark.parametrize("exposure", [(("sw", 1.0),), tuple((code, 1.1) for code in MIRACL_SEVEN)])
def test_exposure_names_each_language_once_as_a_share(exposure: tuple[tuple[str, float], ...]) -> None:
    with pytest.raises(ValueError, match=r"give each of sw, te, .* one share from 0 to 1"):
        replace(LINES_WITH_ENGLISH, exposure=exposure)


def test_teacher_text_and_what_is_kept_out_are_identity_and_the_teacher_is_no_run_that_is_waited_for() -> None:
    others = [
        replace(BASE, teacher=replace(COLBERT, lines=Side.QUERY)),
        replace(BASE, bitext=replace(LINES_WITH_ENGLISH, kept_out=())),
        replace(BASE, bitext=replace(LINES_WITH_ENGLISH, exposure=tuple((code, 0.5) for code in MIRACL_SEVEN))),
    ]
    assert len({run_key(run) for run in (BASE, *others)}) == 4
    assert needs(BASE) == ()
    assert collection_of(BASE) is None
    assert teacher_of(COLBERT) == teacher_of(BASE) == COLBERT


@pytest.mark.parametrize(
    ("collection", "split", "message"),
    [
        (miracl("sw"), "test-a", "has no judged split 'test-a'; it has dev"),
        (TOPICS, "test", "has no judged split 'test'; it has dev"),
    ],
)
def test_split_that_cannot_be_asked_is_refused(collection: Any, split: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Searched(collection=collection, split=split)


def test_evaluation_is_identified_by_what_is_searched_and_by_who_reads_it() -> None:
    asked = Evaluation(measures=STUDY.measures, retrieval=STUDY.retrieval)
    first, *rest = STUDY.retrieval
    assert first.reader is Reader.STUDENT
    assert Searched(collection=TOPICS).reader is Reader.TEACHER
    others = [
        replace(asked, retrieval=tuple(rest)),
        replace(asked, retrieval=(replace(first, pool=None), *rest)),
        replace(asked, retrieval=(replace(first, pool=Pool(queries=200, size=10_000)), *rest)),
        replace(asked, retrieval=(Searched(collection=TOPICS), *rest)),
    ]
    assert len({key_of(BASE, evaluation) for evaluation in (asked, *others)}) == 5
    assert len({run_key(BASE)}) == 1, "what is asked is no part of what is trained"


def test_two_collections_in_one_language_are_refused() -> None:
    with pytest.raises(ValueError, match="name one collection for each"):
        Evaluation(measures=STUDY.measures, retrieval=(STUDY.retrieval[0], Searched(collection=TOPICS)))


def test_share_of_the_teachers_score_needs_something_to_ask_the_teacher() -> None:
    assert isinstance(STUDY.estimand, ResourceEffect)
    by_share = replace(STUDY.estimand, scale=Scale.LOGIT_OF_TEACHER_SHARE)
    with pytest.raises(ValueError, match="asks the teacher nothing"):
        replace(STUDY, estimand=by_share)


def test_rivals_that_learn_from_lines_are_refused_with_a_published_teacher() -> None:
    with pytest.raises(ValueError, match="leave the bitext out"):
        LookUp(teacher=COLBERT, bitext=ATLAS_BITEXT)
    assert needs(LookUp(teacher=COLBERT, bitext=None)) == ()
    assert isinstance(STUDY, Study)
    assert not any(isinstance(point.run, LookUp | TranslateQuery) for point in expand(STUDY))


def test_no_query_that_a_search_chooses_by_is_asked_by_a_study() -> None:
    asked = {(each.collection, each.split) for study in every_study() for each in study.retrieval}
    chosen_by = {(each.collection, each.split) for search in every_search() for each in search.retrieval}
    assert chosen_by
    assert not asked & chosen_by
    with pytest.raises(ValueError, match="asked its training queries, which measures memory"):
        replace(STUDY, retrieval=SEARCH.retrieval)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"retrieval": ()}, "starts from a student of ParallelText and asks 0 collections"),
        ({"halving": Halving(first=100, factor=2)}, "leave halving out"),
        ({"base": replace(SEARCH.base, bitext=replace(LINES_WITH_ENGLISH, kept_out=()))}, "in ParallelText.kept_out"),
    ],
)
def test_search_that_asks_nothing_or_too_early_or_what_was_seen_is_refused(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SEARCH, **change)


def test_search_of_published_text_owes_no_teacher_that_it_asks_nothing(tmp_path: Path) -> None:
    storage = Storage.at(tmp_path)
    assert points_of(SEARCH, storage) == ()
    english = Searched(collection=miracl("en"), split="dev")
    assert isinstance(SEARCH.base.bitext, ParallelText)
    kept_out = (*SEARCH.base.bitext.kept_out, english.collection)
    base = replace(SEARCH.base, bitext=replace(SEARCH.base.bitext, kept_out=kept_out))
    (teacher,) = points_of(replace(SEARCH, base=base, retrieval=(*SEARCH.retrieval, english)), storage)
    assert teacher.run == COLBERT


def test_joint_students_over_epsilon_are_trials_of_the_search_of_their_rates() -> None:
    tried = {run_key(run_of(SEARCH, SEARCH.all_rungs[0], values)) for values in SEARCH.first}
    joint = [point for point in expand(BY_EPSILON) if point.labels.bitext == "joint"]
    assert {point.key for point in joint} <= tried
    assert len(joint) == len(ATLAS_EPSILONS)
    assert isinstance(BY_EPSILON.estimand, EpsilonOptimum)
    assert BY_EPSILON.estimand.search == SEARCH.name


def test_curve_over_epsilon_without_a_control_is_refused_on_parallel_text_too() -> None:
    bitexts = next(axis for axis in BY_EPSILON.axes if axis.name == "bitext")
    joint = replace(bitexts.settings[0], label="swapped")
    axes = tuple(
        replace(axis, settings=(axis.settings[0], joint)) if axis is bitexts else axis for axis in BY_EPSILON.axes
    )
    with pytest.raises(ValueError, match=r"twice|have one exposure alone"):
        replace(BY_EPSILON, axes=axes)


def test_english_queries_count_for_the_language_of_their_passages_and_have_no_pool() -> None:
    somali = queries_of("so")
    assert (somali.language, somali.name, somali.reader, somali.is_between) == ("so", "so", Reader.STUDENT, False)
    between = Searched(collection=clirmatrix("sw", "yo"), split="test1")
    assert (between.language, between.name, between.is_between) == ("sw", "sw-yo", True)
    with pytest.raises(ValueError, match="BM25 fills a pool with what shares words"):
        replace(somali, pool=POOL)


def test_studies_of_size_train_the_same_students_once() -> None:
    trained = {point.key for point in expand(STUDY) if point.role is Role.STUDENT}
    assert {point.key for point in expand(ALIGNED)} == trained


def test_storage_counts_shared_passages_once_and_lines_beyond_the_budget_not_at_all() -> None:
    english = miracl("en")
    teachers = [Searched(collection=english), Searched(collection=TOPICS)]
    assert english.count is not None
    assert searched_vector_bytes(COLBERT, teachers) == 2 * 128 * 130 * english.count
    assert searched_vector_bytes(COLBERT, STUDY.retrieval) == 2 * 128 * 130 * 20_000
    runs = [(point.run, Execution(gpus_per_worker=1)) for point in expand(STUDY) if isinstance(point.run, Student)]
    assert kept(runs, STUDY.retrieval).lines == 0
    roomy = [(run, replace(execution, teacher_cache_bytes=2**40)) for run, execution in runs]
    assert kept(roomy, STUDY.retrieval).lines > 0
