"""Resampling clusters: equal to drawing them by hand, wider than a bootstrap that is blind to them."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.bootstrap import design_effect, draw_clusters, draw_seeds, estimate, interval
from analysis.frame import Floats, RunRecord, query_scores
from analysis.scores import by_entity, by_query, cluster_names, cluster_sums
from tests.analysis import oracles
from tests.analysis.synthetic import LANGUAGES, Truth, graded_scores, records, study

RESAMPLES = 400


def _students(truth: Truth) -> list[RunRecord]:
    return [run for run in records(study(), truth).values() if run.role == "student"]


def test_draw_clusters_each_row_draws_as_many_as_there_are() -> None:
    weights = draw_clusters(37, resamples=50, rng=np.random.default_rng(0))
    assert (weights[0] == 1.0).all()
    assert (weights.sum(axis=1) == 37.0).all()


def test_draw_clusters_same_seed_is_the_same() -> None:
    first, second = (draw_clusters(9, resamples=20, rng=np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_draw_clusters_single_cluster_is_refused() -> None:
    with pytest.raises(ValueError, match="more entities"):
        draw_clusters(1, resamples=10, rng=np.random.default_rng(0))


def test_cluster_means_every_draw_equals_repeating_its_queries() -> None:
    runs = _students(Truth(num_entities=8, queries_per_entity=2))[:2]
    clusters = cluster_names(runs, by_entity)
    weights = draw_clusters(len(clusters), resamples=5, rng=np.random.default_rng(1))
    sums = cluster_sums(runs, measure="AP", languages=LANGUAGES, clusters=clusters)
    means = sums.means(weights)
    for draw in range(weights.shape[0]):
        drawn = {name: int(times) for name, times in zip(clusters, weights[draw], strict=True)}
        for place, run in enumerate(runs):
            for column, language in enumerate(LANGUAGES):
                assert means[draw, place, column] == pytest.approx(oracles.score(run, "AP", language, drawn), abs=1e-12)


def test_draw_seeds_runs_of_one_seed_are_drawn_together_within_a_rung() -> None:
    seeds = ["0", "0", "1", "1", "0", "1"]
    groups = ["a", "a", "a", "a", "b", "b"]
    weights = draw_seeds(seeds, groups, resamples=200, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(weights[:, 0], weights[:, 1])
    np.testing.assert_array_equal(weights[:, 2], weights[:, 3])
    assert (weights[:, 0] + weights[:, 2] == 2.0).all()
    assert (weights[:, 0] != weights[:, 4]).any()


def test_draw_seeds_single_seed_changes_nothing() -> None:
    assert (draw_seeds(["0", "0"], ["a", "b"], resamples=9, rng=np.random.default_rng(0)) == 1.0).all()


def _mean_draws(truth: Truth, seed: int, *, clustered: bool) -> Floats:
    run = _single(truth, seed)
    cluster = by_entity if clustered else by_query
    clusters = cluster_names([run], cluster)
    sums = cluster_sums([run], measure="AP", languages=("de",), clusters=clusters, cluster=cluster)
    means = sums.means(draw_clusters(len(clusters), resamples=RESAMPLES, rng=np.random.default_rng(seed)))
    return means[:, 0, 0]


def _single(truth: Truth, seed: int) -> RunRecord:
    rows = graded_scores(truth, {"de": 0.4}, np.random.default_rng(seed))
    base = next(iter(records(study(), Truth(num_entities=2, queries_per_entity=1)).values()))
    queries = query_scores(
        rows["language"], rows["query"], rows["entity"], rows["seen"], rows["cognate"], {"AP": rows["AP"]}
    )
    return replace(base, queries=queries)


def test_interval_of_correlated_clusters_is_wider_than_the_naive_one() -> None:
    truth = Truth(correlation=0.8)
    clustered, naive = (_mean_draws(truth, 3, clustered=flag) for flag in (True, False))
    wide, narrow = interval(clustered), interval(naive)
    assert wide.high - wide.low > 1.4 * (narrow.high - narrow.low)
    effect = design_effect(clustered, naive)
    assert effect is not None
    assert effect > 2.0


def test_design_effect_of_independent_queries_is_about_one() -> None:
    truth = Truth(correlation=0.0, num_entities=200, queries_per_entity=3)
    effect = design_effect(_mean_draws(truth, 4, clustered=True), _mean_draws(truth, 4, clustered=False))
    assert effect == pytest.approx(1.0, abs=0.25)


def test_design_effect_of_a_constant_is_undefined() -> None:
    assert design_effect(np.ones(5), np.ones(5)) is None


def test_interval_leaves_the_sample_itself_out() -> None:
    draws = np.concatenate([[1e6], np.linspace(0.0, 1.0, 1001)])
    assert estimate(draws).point == 1e6
    assert interval(draws).high == pytest.approx(0.975)


def test_interval_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        interval(np.array([0.0, 1.0, np.nan]))
