"""Per-query rows have one order, and no row is doubled or undefined."""

import numpy as np
import pytest

from analysis.frame import query_scores


def _build(order: list[int], scores: list[float]) -> list[object]:
    """Columns of four rows that are given in some order."""
    language, query, entity = ["de", "de", "fr", "fr"], ["q1", "q2", "q1", "q2"], ["a", "b", "a", "b"]
    seen, cognate = [True, False, True, True], [False, False, True, False]
    built = query_scores(
        [language[place] for place in order],
        [query[place] for place in order],
        [entity[place] for place in order],
        [seen[place] for place in order],
        [cognate[place] for place in order],
        {"AP": [scores[place] for place in order]},
    )
    columns = (built.language, built.query, built.entity, built.seen, built.cognate, built.scores["AP"])
    return [column.tolist() for column in columns]


def test_query_scores_any_order_of_rows_is_the_same() -> None:
    scores = [0.1, 0.2, 0.3, 0.4]
    expected = _build([0, 1, 2, 3], scores)
    rng = np.random.default_rng(0)
    for _ in range(10):
        assert _build(rng.permutation(4).tolist(), scores) == expected


def test_query_scores_query_scored_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="scored twice"):
        _build([0, 1, 2, 2], [0.1, 0.2, 0.3, 0.4])


def test_query_scores_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        _build([0, 1, 2, 3], [0.1, float("nan"), 0.3, 0.4])
