"""What a run stands on: the collection it reads, the runs that have to be there before it."""

from typing import assert_never

from studies.schema.objective import group_size_of
from studies.schema.run import Atlas, LookUp, Run, Student, Teacher, Trained, TranslateQuery, Translator, teacher_of


def collection_of(run: Run) -> Atlas:
    """The collection that a run reads."""
    return run.bitext.collection if isinstance(run, Translator) else teacher_of(run).collection


def needs(run: Run) -> tuple[Trained, ...]:
    """The runs that have to be trained before this one can be trained or evaluated."""
    match run:
        case Teacher() | Translator():
            return ()
        case Student() | LookUp():
            return (run.teacher,)
        case TranslateQuery(teacher=teacher, translator=translator):
            return (teacher, translator) if isinstance(translator, Translator) else (teacher,)
        case unknown:
            assert_never(unknown)


def call_size_of(run: Trained) -> int:
    """Consecutive examples that a forward call of the run must hold together."""
    return 1 if isinstance(run, Translator) else group_size_of(run.objective)
