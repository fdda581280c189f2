"""Students of published teachers: what may go together, what is asked, and what is part of whose identity."""

from dataclasses import replace
from typing import Any

import pytest

from harness.evaluation_key import key_of
from studies.bases import ATLAS_BITEXT, ATLAS_TEACHER, atlas_pretraining
from studies.collections import miracl, miracl_in_english
from studies.gap_by_size_miracl import STUDY
from studies.ladders import ATLAS
from studies.published_bases import COLBERT, LINES_WITH_ENGLISH, MIRACL_SEVEN
from studies.schema.collection import People, Reader
from studies.schema.evaluation import Evaluation, Searched
from studies.schema.execution import Execution
from studies.schema.key import run_key
from studies.schema.lineage import collection_of, needs
from studies.schema.objective import Marginals, Transport
from studies.schema.pool import Pool
from studies.schema.price import kept, searched_vector_bytes
from studies.schema.published_teacher import Side
from studies.schema.run import LookUp, Student, TranslateQuery, teacher_of
from studies.schema.search import LogUniform, Parameter, Search
from studies.schema.study import ResourceEffect, Scale, Study, expand

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


def test_search_from_a_published_teacher_is_refused() -> None:
    with pytest.raises(ValueError, match="starts from a student of a published teacher"):
        Search(
            name="search_published",
            version="1",
            question="Which?",
            base=BASE,
            space=(Parameter(name="epsilon", path="objective.epsilon", domain=LogUniform(low=0.01, high=0.1)),),
            measure=STUDY.measures[0],
            trials=1,
            seed=0,
        )


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
