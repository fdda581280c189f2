"""Which evaluation a study owes of a run; knows neither torch nor data, so that asking costs nothing."""

from studies.schema.evaluation import Evaluation
from studies.schema.key import canonical, digest, evaluation_key
from studies.schema.lineage import collection_of
from studies.schema.run import Run

VERSION = 1
"""Version of the evaluating code: raise it whenever a number could change."""


def key_of(run: Run, evaluation: Evaluation) -> str:
    """The evaluation key of a run on the queries of its collection, or on those of published and local ones."""
    return evaluation_key(run, evaluation, collection_revision=revision_of(run, evaluation), version=VERSION)


def revision_of(run: Run, evaluation: Evaluation) -> str:
    """What is searched: the revision of the embedded collection, or a hash over the others and who reads each."""
    embedded = collection_of(run)
    if embedded is not None:
        return embedded.revision
    return digest("retrieval/1", [[canonical(searched), str(searched.reader)] for searched in evaluation.retrieval])
