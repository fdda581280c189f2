"""What a run stands on: the collection it reads, the runs that have to be there before it."""

from typing import assert_never

from studies.schema.atlas import Atlas, Bitext
from studies.schema.objective import group_size_of
from studies.schema.published_teacher import PublishedTeacher
from studies.schema.run import (
    AnyTeacher,
    LookUp,
    Preparatory,
    Pretraining,
    Run,
    Student,
    Supervised,
    Teacher,
    Trained,
    TranslateQuery,
    Translator,
    teacher_of,
)


def collection_of(run: Run) -> Atlas | None:
    """The embedded collection that a run reads; None for one that reads published or local data."""
    match run:
        case Translator(bitext=source) | Pretraining(text=source):
            return source.collection
        case _:
            teacher = teacher_of(run)
            return teacher.collection if isinstance(teacher, Teacher) else None


def embedded(run: Student) -> tuple[Teacher, Bitext]:
    """The teacher and the lines of a student of the embedded collection; TypeError for one of published data."""
    if not isinstance(run.teacher, Teacher) or not isinstance(run.bitext, Bitext):
        raise TypeError(
            f"a student of {type(run.teacher).__name__} on {type(run.bitext).__name__} reads published data"
        )
    return run.teacher, run.bitext


def needs(run: Run) -> tuple[Trained, ...]:
    """The runs that have to be trained before this one can be trained or evaluated."""
    match run:
        case Teacher() | Supervised() | Translator() | Pretraining() | PublishedTeacher():
            return ()
        case Student(teacher=teacher, pretraining=pretraining):
            return _trained(teacher) if pretraining is None else (*_trained(teacher), pretraining)
        case LookUp():
            return _trained(run.teacher)
        case TranslateQuery(teacher=teacher, translator=translator):
            return (*_trained(teacher), translator) if isinstance(translator, Translator) else _trained(teacher)
        case unknown:
            assert_never(unknown)


def _trained(teacher: AnyTeacher) -> tuple[Trained, ...]:
    return () if isinstance(teacher, PublishedTeacher) else (teacher,)


def call_size_of(run: Trained) -> int:
    """Consecutive examples that a forward call of the run must hold together."""
    return 1 if isinstance(run, Preparatory) else group_size_of(run.objective)
