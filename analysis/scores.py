"""Per-query scores summed by cluster, so that a resample is one matrix product.

Legend: B draws (row 0 is the sample itself), R runs, L languages, C clusters.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.frame import Bools, Floats, QueryScores, RunRecord, Texts

Cluster = Callable[[QueryScores], Texts]
Slice = Callable[[QueryScores], Bools]


def by_entity(queries: QueryScores) -> Texts:
    """Queries about one entity form a cluster."""
    return queries.entity


def by_query(queries: QueryScores) -> Texts:
    """Each query is its own cluster, shared between languages: what a bootstrap blind to entities would draw."""
    return queries.query


def every_query(queries: QueryScores) -> Bools:
    """The slice that holds all queries."""
    return np.ones(queries.num_rows, dtype=np.bool_)


@dataclass(frozen=True, kw_only=True)
class ClusterSums:
    """Sums of scores and numbers of queries, both [R, L, C]."""

    languages: tuple[str, ...]
    sums_RLC: Floats
    counts_RLC: Floats

    @property
    def num_queries_RL(self) -> Floats:
        counted: Floats = self.counts_RLC.sum(axis=-1)
        return counted

    def means(self, weights_BC: Floats) -> Floats:
        """Mean score over the drawn queries, [B, R, L]; raises ValueError where a draw holds no query."""
        num_runs, num_languages, num_clusters = self.sums_RLC.shape
        totals = weights_BC @ self.sums_RLC.reshape(-1, num_clusters).T
        counts = weights_BC @ self.counts_RLC.reshape(-1, num_clusters).T
        if (counts <= 0.0).any():
            raise ValueError(
                "a draw of entities holds no query of some language; the collection has too few queries to resample"
            )
        means: Floats = (totals / counts).reshape(-1, num_runs, num_languages)
        return means


def cluster_names(runs: Sequence[RunRecord], cluster: Cluster) -> tuple[str, ...]:
    """All clusters that occur in any of the runs, sorted."""
    return tuple(sorted(set().union(*(cluster(evaluated(run)).tolist() for run in runs))))


def cluster_sums(
    runs: Sequence[RunRecord],
    *,
    measure: str,
    languages: Sequence[str],
    clusters: Sequence[str],
    cluster: Cluster = by_entity,
    part: Slice = every_query,
) -> ClusterSums:
    """Sum a measure by run, language and cluster, over the queries that ``part`` selects."""
    places = {name: place for place, name in enumerate(clusters)}
    rows = {name: place for place, name in enumerate(languages)}
    shape = (len(runs), len(languages), len(clusters))
    sums, counts = np.zeros(shape), np.zeros(shape)
    for place, run in enumerate(runs):
        queries = evaluated(run)
        missing = sorted(set(languages) - set(queries.language.tolist()))
        if missing:
            raise ValueError(
                f"run {run.key} was not evaluated on {', '.join(missing)}, other runs of the study were; evaluate it "
                "again on the same languages"
            )
        chosen = part(queries) & np.isin(queries.language, list(languages))
        row = np.array([rows[name] for name in queries.language[chosen].tolist()], dtype=np.intp)
        column = np.array([places[name] for name in cluster(queries)[chosen].tolist()], dtype=np.intp)
        np.add.at(sums[place], (row, column), queries.scores[measure][chosen])
        np.add.at(counts[place], (row, column), 1.0)
    return ClusterSums(languages=tuple(languages), sums_RLC=sums, counts_RLC=counts)


def evaluated(run: RunRecord) -> QueryScores:
    """A run's per-query scores; raises ValueError when it has none."""
    if run.queries is None:
        raise ValueError(f"run {run.key} has no per-query scores; finish it first")
    return run.queries
