"""Which evaluation a study owes of a run; knows neither torch nor data, so that asking costs nothing."""

from studies.schema.evaluation import Evaluation
from studies.schema.key import evaluation_key
from studies.schema.lineage import collection_of
from studies.schema.run import Run

VERSION = 1
"""Version of the evaluating code: raise it whenever a number could change."""


def key_of(run: Run, evaluation: Evaluation) -> str:
    """The evaluation key of a run on the queries of its collection."""
    revision = collection_of(run).revision
    return evaluation_key(run, evaluation, collection_revision=revision, version=VERSION)
