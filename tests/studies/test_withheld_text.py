"""Rotations over parallel text: a withheld language is on no side of any line, and no rotation has fewer lines."""

from dataclasses import replace
from typing import Any

import pytest

from studies.parallel_texts import NOT_FETCHED, nllb
from studies.published_bases import LINES_WITH_ENGLISH, MIRACL_SEVEN
from studies.schema.cost import training_flops
from studies.schema.estimand import UnseenDegradation
from studies.schema.evaluation import pair_name
from studies.schema.parallel import ParallelText
from studies.schema.record import Role
from studies.schema.run import Student
from studies.schema.study import bitexts, expand
from studies.schema.withheld import withheld_by
from studies.schema.withheld_text import withheld_text
from studies.unseen_pairs_miracl import BASE, DIRECT, LINES, PAIRS, STUDY, TEXT

EIGHT = (*MIRACL_SEVEN, "yo")


def test_withheld_language_is_on_no_side_of_a_corpus_and_all_rotations_have_the_same_lines() -> None:
    rotations = bitexts(expand(STUDY))
    assert isinstance(STUDY.estimand, UnseenDegradation)
    assert withheld_by(STUDY.estimand, rotations, STUDY.pairs) == {f"without-{code}": code for code in EIGHT}
    for label, text in rotations.items():
        assert isinstance(text, ParallelText)
        assert sum(cap for _, cap in text.caps) == text.total_lines == LINES
        assert {pair for pair, _ in text.caps} == set(text.pairs)
        read = {language for corpus in text.corpora for language in (corpus.source, corpus.target)}
        assert read - {"en"} == {code for code in EIGHT if label != f"without-{code}"}
        assert (text.kept_out, text.kept_out_text) == (TEXT.kept_out, TEXT.kept_out_text)


def test_direct_rotation_gives_half_of_a_sources_lines_to_its_pair_and_leaves_the_others() -> None:
    rotations = bitexts(expand(STUDY))
    caps, direct = (dict(rotations[label].caps) for label in ("all", "direct"))  # type: ignore[union-attr]
    assert rotations["direct"].direct == PAIRS
    for source, target in PAIRS:
        assert direct[pair_name((source, target))] == direct[f"{source}-en"] == caps[f"{source}-en"] / 2
    untouched = [code for code in EIGHT if code not in dict(PAIRS)]
    assert all(direct[f"{code}-en"] == caps[f"{code}-en"] for code in untouched)


def test_direct_rotation_has_the_flops_of_the_others() -> None:
    students = [point for point in expand(STUDY) if point.role is Role.STUDENT]
    flops = {
        point.labels.rotation: training_flops(point.run, tokens_per_example=32.0)
        for point in students
        if isinstance(point.run, Student) and point.labels.objective == "ot"
    }
    assert flops["direct"] == pytest.approx(flops["all"], rel=1e-3)
    as_long = replace(BASE, bitext=bitexts(students)["direct"])
    assert training_flops(as_long, tokens_per_example=32.0) > 1.05 * flops["all"]


def test_pairs_and_apart_languages_are_those_that_are_asked_and_withheld() -> None:
    assert {searched.name for searched in STUDY.retrieval} == {*EIGHT, *map(pair_name, PAIRS)}
    with pytest.raises(ValueError, match="name a collection for each pair"):
        replace(STUDY, pairs=PAIRS[:2])
    assert isinstance(STUDY.estimand, UnseenDegradation)
    with pytest.raises(ValueError, match="name some of those withheld"):
        replace(STUDY, estimand=replace(STUDY.estimand, apart=("de",)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lines": LINES + 1}, "cannot be shared out evenly over 8 languages and over 7"),
        ({"text": replace(TEXT, exposure=tuple((code, 1.0) for code in EIGHT))}, "and no exposure; leave both"),
        ({"text": replace(TEXT, corpora=(*TEXT.corpora, DIRECT[0]))}, "lines with English alone"),
    ],
)
def test_rotations_that_do_not_come_out_are_refused(change: dict[str, Any], message: str) -> None:
    declared: dict[str, Any] = {"text": TEXT, "lines": LINES, "direct": DIRECT}
    with pytest.raises(ValueError, match=message):
        withheld_text(**(declared | change))


def test_direct_corpus_needs_lines_of_both_languages_with_english() -> None:
    marathi = nllb("hi", "mr", names=("hin_Deva", "mar_Deva"), revision=NOT_FETCHED)
    for corpus in (marathi, DIRECT[2]):
        text = replace(LINES_WITH_ENGLISH, corpora=(*LINES_WITH_ENGLISH.corpora, corpus))
        with pytest.raises(ValueError, match="the teacher reads English; give both lines with English"):
            replace(BASE, bitext=text)


def test_pairs_with_english_stand_before_the_others_whatever_the_order_of_corpora() -> None:
    text = replace(TEXT, corpora=(*DIRECT, *TEXT.corpora))
    assert text.pairs == (*TEXT.pairs, *map(pair_name, PAIRS))
    assert text.languages == ("bn", "hi", "sw", *(code for code in EIGHT if code not in ("bn", "hi", "sw")))
