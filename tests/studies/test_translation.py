"""The rival that translates the query: what it may be, what it needs, and where a study puts it."""

from dataclasses import replace
from typing import Any

import pytest
from ir_measures import nDCG

from studies.bases import ATLAS_BITEXT, ATLAS_LANGUAGES, ATLAS_TEACHER, ATLAS_TRANSLATOR, OPTICAL_ATLAS
from studies.ladders import ATLAS
from studies.schema.axes import cross, rotations, seeds
from studies.schema.execution import Execution
from studies.schema.key import run_key, translator_key
from studies.schema.lineage import collection_of, needs
from studies.schema.record import Role
from studies.schema.run import LookUp, Student, TranslateQuery, Translator
from studies.schema.study import Law, Point, ResourceEffect, Study, expand, recipe
from studies.schema.translation import Decoding, PublishedTranslator

NLLB = PublishedTranslator(
    weights="facebook/nllb-200-distilled-600M",
    revision="f8d333a098d19b4fd9a8b18f94170487ad3f821d",
    languages=tuple((language, f"{language}_code") for language in ATLAS_LANGUAGES),
    target="eng_Latn",
)
RIVALS = (Role.DICTIONARY, Role.TRANSLATED)


def study(**changes: Any) -> Study:
    declared: dict[str, Any] = {
        "name": "tried",
        "version": "1",
        "question": "Is the query translated?",
        "base": replace(OPTICAL_ATLAS, bitext=replace(ATLAS_BITEXT, lexical_coverage=0.5)),
        "axes": cross(ATLAS.axis("atlas-3k", "atlas-13k"), rotations(2, ATLAS_LANGUAGES, low=0.1), seeds(2)),
        "measures": (nDCG @ 10,),
        "estimand": ResourceEffect(measure=nDCG @ 10),
        "law": Law.CONSTANT,
        "hold_out": "atlas-13k",
        "rivals": RIVALS,
        "translator": ATLAS_TRANSLATOR,
    }
    return Study(**(declared | changes))


def of_role(points: tuple[Point, ...], role: Role) -> list[Point]:
    return [point for point in points if point.role is role]


def test_every_bitext_and_seed_of_the_students_has_one_translator_and_one_system_that_asks_it() -> None:
    points = expand(study())
    students = [point.run for point in points if isinstance(point.run, Student)]
    wanted = {(student.bitext, student.seed) for student in students}
    translators = [point.run for point in of_role(points, Role.TRANSLATOR) if isinstance(point.run, Translator)]
    assert len(translators) == len(wanted) == 4
    assert {(run.bitext, run.seed) for run in translators} == wanted
    assert all(replace(run, bitext=ATLAS_TRANSLATOR.bitext, seed=0) == ATLAS_TRANSLATOR for run in translators)
    asked = [point.run for point in of_role(points, Role.TRANSLATED)]
    assert asked == [TranslateQuery(teacher=ATLAS_TEACHER, translator=run) for run in translators]
    places = [(point.labels.rotation, point.labels.seed) for point in of_role(points, Role.TRANSLATED)]
    assert sorted(places) == [(rotation, seed) for rotation in "01" for seed in "01"]


def test_whatever_a_run_needs_stands_before_it() -> None:
    before: set[str] = set()
    for point in expand(study()):
        assert {run_key(run) for run in needs(point.run)} <= before
        assert collection_of(point.run) == ATLAS_TEACHER.collection
        before.add(point.key)


def test_published_translator_is_asked_once_and_trained_never() -> None:
    points = expand(study(translator=NLLB, decoding=Decoding(beams=4)))
    assert not of_role(points, Role.TRANSLATOR)
    (asked,) = of_role(points, Role.TRANSLATED)
    assert asked.run == TranslateQuery(teacher=ATLAS_TEACHER, translator=NLLB, decoding=Decoding(beams=4))
    assert needs(asked.run) == (ATLAS_TEACHER,)


def test_translator_changes_no_other_run_and_enters_the_recipe_only_where_there_is_one() -> None:
    with_it, without = study(), study(rivals=(Role.DICTIONARY,), translator=None)
    added = {Role.TRANSLATED, Role.TRANSLATOR}
    assert [point for point in expand(with_it) if point.role not in added] == list(expand(without))
    assert recipe(with_it).keys() - recipe(without).keys() == {"translator", "decoding"}
    other = replace(ATLAS_TRANSLATOR, dropout=0.1)
    assert recipe(study(translator=other)) != recipe(with_it)


def test_execution_can_be_given_to_translators_alone() -> None:
    alone = Execution(workers=1, micro_batch=64)
    declared = study(executions=(("translator", alone),))
    given = {point.role for point in expand(declared) if declared.execution_of(point) == alone}
    assert given == {Role.TRANSLATOR}


def test_keys_tell_translators_and_ways_of_decoding_apart() -> None:
    query = TranslateQuery(teacher=ATLAS_TEACHER, translator=ATLAS_TRANSLATOR)
    other = replace(ATLAS_TRANSLATOR, seed=1)
    runs = (
        ATLAS_TRANSLATOR,
        other,
        query,
        replace(query, translator=other),
        replace(query, translator=NLLB),
        replace(query, decoding=Decoding(beams=2)),
        LookUp(teacher=ATLAS_TEACHER, bitext=ATLAS_TRANSLATOR.bitext),
    )
    assert len({run_key(run) for run in runs}) == len(runs)
    assert translator_key(ATLAS_TRANSLATOR) == run_key(ATLAS_TRANSLATOR)
    assert translator_key(NLLB) != translator_key(replace(NLLB, target=None))


ELSEWHERE = replace(ATLAS_TEACHER.collection, revision="elsewhere")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: study(translator=None), "translator None"),
        (lambda: study(rivals=(Role.DICTIONARY,)), "go together"),
        (lambda: replace(NLLB, revision=None), "needs the commit"),
        (lambda: PublishedTranslator(weights="/models/nllb", revision="abc"), "absolute path has none"),
        (lambda: replace(NLLB, languages=(("de", "a"), ("de", "b"))), "names a language twice"),
        (
            lambda: TranslateQuery(teacher=ATLAS_TEACHER, translator=replace(NLLB, languages=NLLB.languages[1:])),
            "has no code for de",
        ),
        (
            lambda: TranslateQuery(
                teacher=ATLAS_TEACHER, translator=ATLAS_TRANSLATOR, decoding=Decoding(max_tokens=129)
            ),
            "has 128 positions",
        ),
        (
            lambda: TranslateQuery(
                teacher=ATLAS_TEACHER,
                translator=replace(ATLAS_TRANSLATOR, bitext=replace(ATLAS_TRANSLATOR.bitext, collection=ELSEWHERE)),
            ),
            "is drawn from atlas elsewhere",
        ),
        (lambda: replace(ATLAS_TRANSLATOR, dropout=1.0), r"Translator\.dropout is 1\.0"),
        (
            lambda: replace(ATLAS_TRANSLATOR, architecture=replace(ATLAS_TRANSLATOR.architecture, vocabulary_size=100)),
            "architecture of the translator knows 100 tokens",
        ),
        (lambda: replace(ATLAS_TRANSLATOR.architecture, num_heads=5), "not a multiple of num_heads 5"),
        (lambda: Decoding(beams=0), "beams is 0"),
    ],
)
def test_what_cannot_translate_is_refused_with_what_was_found(build: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
