"""Which evaluation a study owes of a run; knows neither torch nor data, so that asking costs nothing."""

from studies.schema.alignment import Alignment
from studies.schema.asked import reader_of
from studies.schema.evaluation import Evaluation
from studies.schema.key import canonical, digest, evaluation_key
from studies.schema.lineage import collection_of
from studies.schema.run import Run, Student

VERSION = 1
"""Version of the evaluating code: raise it whenever a number could change."""

ALIGNMENT_VERSION = 1
"""Version of the code that measures alignment; evaluations without alignment do not depend on it."""


def key_of(run: Run, evaluation: Evaluation) -> str:
    """The evaluation key of a run on the queries of its collection, or on those of published and local ones."""
    return evaluation_key(
        run,
        evaluation,
        collection_revision=revision_of(run, evaluation),
        version=VERSION,
        alignment_version=None if alignment_of(run, evaluation) is None else ALIGNMENT_VERSION,
    )


def revision_of(run: Run, evaluation: Evaluation) -> str:
    """What is searched: the revision of the embedded collection, or a hash over the others and who reads each."""
    embedded = collection_of(run)
    if embedded is not None:
        return embedded.revision
    return digest("retrieval/1", [[canonical(each), str(reader_of(run, each))] for each in evaluation.retrieval])


def alignment_of(run: Run, evaluation: Evaluation) -> Alignment | None:
    """The alignment that an evaluation asks of a run: only a student is read before and after distillation."""
    return evaluation.alignment if isinstance(run, Student) else None
