"""What stands beside a study's students and is made of them: teachers, pretraining, rivals and their translators."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import assert_never

from studies.schema.asked import is_english
from studies.schema.atlas import Bitext
from studies.schema.evaluation import Searched
from studies.schema.optimiser import Schedule
from studies.schema.parallel import ParallelText
from studies.schema.points import Labels, Point, point_of, student_of
from studies.schema.published_teacher import PublishedTeacher
from studies.schema.record import SUPERVISED, Role
from studies.schema.run import LookUp, Supervised, Teacher, TranslateQuery, Translator
from studies.schema.translation import Decoding, PublishedTranslator


def _teacher(retrieval: Sequence[Searched], student: Point) -> Point | None:
    """The teacher; a published one where it is asked anything."""
    teacher = student_of(student).teacher
    match teacher:
        case Teacher() | Supervised():
            return point_of(teacher, Role.TEACHER, Labels(rung=teacher.rung.name, seed=str(teacher.seed)))
        case PublishedTeacher():
            asked = any(is_english(searched) for searched in retrieval)
            return point_of(teacher, Role.TEACHER, Labels()) if asked else None
        case unknown:
            assert_never(unknown)


def _pretraining(student: Point) -> Point | None:
    """What the student's encoder starts from, where that is trained as well."""
    pretraining = student_of(student).pretraining
    if pretraining is None:
        return None
    return point_of(pretraining, Role.PRETRAINING, Labels(rung=student.labels.rung, seed=str(pretraining.seed)))


def _embedded(bitext: Bitext | ParallelText) -> Bitext:
    if isinstance(bitext, ParallelText):
        raise ValueError(
            "a dictionary and a translator of one's own are made of the embedded collection's "
            f"lines alone; with parallel text leave the rival {Role.DICTIONARY} out, and name a PublishedTranslator"
        )
    return bitext


def _untrained(student: Point) -> Point:
    """The same rung before any step; the objective it never saw is that of the rung's first student."""
    run = student_of(student)
    full = tuple((language, 1.0) for language, _ in run.bitext.exposure)
    schedule = Schedule(steps=0, warmup_steps=0)
    bare = replace(run, schedule=schedule, bitext=replace(run.bitext, exposure=full))
    return point_of(bare, Role.UNTRAINED, Labels(rung=student.labels.rung, seed=student.labels.seed))


def _dictionary(student: Point) -> Point:
    run = student_of(student)
    look_up = LookUp(teacher=run.teacher, bitext=_embedded(run.bitext))
    return point_of(look_up, Role.DICTIONARY, Labels(bitext=student.labels.bitext, rotation=student.labels.rotation))


def _copy_through(student: Point) -> Point:
    return point_of(LookUp(teacher=student_of(student).teacher, bitext=None), Role.COPY_THROUGH, Labels())


def _translator(recipe: Translator, student: Point) -> Point:
    """The translator with the lines and the seed of a student."""
    run = student_of(student)
    trained = replace(recipe, bitext=_embedded(run.bitext), seed=run.seed)
    labels = replace(student.labels, rung=str(Role.TRANSLATOR), objective="-")
    return point_of(trained, Role.TRANSLATOR, labels)


def _translated(recipe: Translator | PublishedTranslator, decoding: Decoding, student: Point) -> Point:
    teacher, labels = student_of(student).teacher, Labels()
    if isinstance(recipe, Translator):
        trained = _translator(recipe, student)
        assert isinstance(trained.run, Translator)
        recipe, labels = trained.run, replace(trained.labels, rung="-")
    query = TranslateQuery(teacher=teacher, translator=recipe, decoding=decoding)
    return point_of(query, Role.TRANSLATED, labels)


def _supervised(role: Role, recipe: Supervised, student: Point) -> Point:
    """The recipe at a student's rung, with its seed and the learning rate that the rung's first student has."""
    run = student_of(student)
    optimiser = replace(recipe.optimiser, learning_rate=run.optimiser.learning_rate)
    trained = replace(recipe, rung=run.rung, seed=run.seed, optimiser=optimiser)
    return point_of(trained, role, Labels(rung=student.labels.rung, seed=student.labels.seed))


_RIVALS: Mapping[Role, Callable[[Point], Point]] = {
    Role.UNTRAINED: _untrained,
    Role.DICTIONARY: _dictionary,
    Role.COPY_THROUGH: _copy_through,
}


def builders(
    rivals: Sequence[Role],
    retrieval: Sequence[Searched],
    translator: Translator | PublishedTranslator | None,
    decoding: Decoding,
    supervised: Mapping[Role, Supervised],
) -> Iterator[Callable[[Point], Point | None]]:
    """What makes teachers, pretraining and rivals of the students, in order."""
    yield partial(_teacher, retrieval)
    yield _pretraining
    for role in rivals:
        if role is Role.TRANSLATED and translator is not None:
            if isinstance(translator, Translator):
                yield partial(_translator, translator)
            yield partial(_translated, translator, decoding)
        elif role in SUPERVISED:
            yield partial(_supervised, role, supervised[role])
        else:
            yield _RIVALS[role]
