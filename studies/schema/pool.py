"""Comparable pools: one size and one number of queries for all languages, whatever the size of their collections."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Pool:
    """The passages judged for some queries of a split, filled up with the best of BM25 to one fixed size.

    ``queries`` are drawn from the judged ones by a hash of their ids. BM25 (Robertson and Zaragoza 2009) as in Lucene,
    with the ``k1`` and ``b`` of MIRACL's baselines. Scores in a pool are higher than in the whole collection; they
    serve to compare languages.
    """

    queries: int
    size: int
    k1: float = 0.9
    b: float = 0.4

    def __post_init__(self) -> None:
        if self.queries < 1 or self.size < self.queries:
            raise ValueError(
                f"Pool has {self.queries} queries and {self.size} passages; it has at least one query, and a passage "
                "for each"
            )
        if self.k1 < 0 or not 0 <= self.b <= 1:
            raise ValueError(f"Pool has k1 {self.k1} and b {self.b}; k1 is at least 0, b between 0 and 1")
