"""What a run stands on: the collection it reads, the runs that have to be there before it."""

from typing import assert_never

from studies.schema.objective import group_size_of
from studies.schema.run import (
    Atlas,
    LookUp,
    Preparatory,
    Pretraining,
    Run,
    Student,
    Teacher,
    Trained,
    TranslateQuery,
    Translator,
    teacher_of,
)


def collection_of(run: Run) -> Atlas:
    """The collection that a run reads."""
    match run:
        case Translator(bitext=source) | Pretraining(text=source):
            return source.collection
        case _:
            return teacher_of(run).collection


def needs(run: Run) -> tuple[Trained, ...]:
    """The runs that have to be trained before this one can be trained or evaluated."""
    match run:
        case Teacher() | Translator() | Pretraining():
            return ()
        case Student(teacher=teacher, pretraining=pretraining):
            return (teacher,) if pretraining is None else (teacher, pretraining)
        case LookUp():
            return (run.teacher,)
        case TranslateQuery(teacher=teacher, translator=translator):
            return (teacher, translator) if isinstance(translator, Translator) else (teacher,)
        case unknown:
            assert_never(unknown)


def call_size_of(run: Trained) -> int:
    """Consecutive examples that a forward call of the run must hold together."""
    return 1 if isinstance(run, Preparatory) else group_size_of(run.objective)
