"""The estimands equal slow loops over the definition, and their intervals cover what was planted."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from analysis.bootstrap import Resampling, draw_clusters, interval
from analysis.declared import Declared
from analysis.findings import Findings, find
from analysis.frame import RunRecord
from analysis.gaps import Curve, Ladder, NoCurve, arrange, class_gap, resource_effect
from analysis.result import document
from analysis.scales import SCALES, clip
from analysis.scores import ClusterSums
from studies.languages import LANGUAGES
from tests.analysis import oracles

LOGIT = SCALES["logit"]


def _of_role(runs: tuple[RunRecord, ...], role: str) -> list[RunRecord]:
    return [run for run in runs if run.role == role]


def _curve(findings: Findings, target: str) -> Curve:
    contrast = findings.strands[0].contrast("nDCG@10", target)
    assert isinstance(contrast, Curve)
    return contrast


def test_effect_every_rung_equals_the_loop_over_languages(findings: Findings, runs: tuple[RunRecord, ...]) -> None:
    students, teacher = _of_role(runs, "student"), _of_role(runs, "teacher")[0]
    for point in _curve(findings, "effect.logit").points():
        expected = oracles.effect(students, teacher, "nDCG@10", point.rung)
        assert point.value.point == pytest.approx(expected, abs=1e-12)
        assert point.value.point in point.value.interval


def test_gap_every_rung_equals_the_loop_over_classes(findings: Findings, runs: tuple[RunRecord, ...]) -> None:
    students = _of_role(runs, "student")
    for point in _curve(findings, "gap.raw").points():
        expected = oracles.gap(students, "nDCG@10", point.rung, high=["de", "fr", "ru"], low=["sw", "te"])
        assert point.value.point == pytest.approx(expected, abs=1e-12)


def test_effect_scores_in_any_order_of_runs_are_the_same(asked: Declared, runs: tuple[RunRecord, ...]) -> None:
    small = Resampling(resamples=20)
    first = _curve(find(asked, runs, LANGUAGES, small), "effect.logit")
    shuffled = tuple(runs[place] for place in np.random.default_rng(0).permutation(len(runs)))
    second = _curve(find(asked, shuffled, LANGUAGES, small), "effect.logit")
    assert first.rungs == second.rungs
    np.testing.assert_allclose(first.values_BG, second.values_BG, rtol=0, atol=1e-12)


def test_effect_of_errors_equals_its_formula_in_raw_levels(findings: Findings) -> None:
    measured = findings.strands[0].measured["nDCG@10"]
    assert measured.full is not None
    assert measured.reduced is not None
    expected = np.log((1 - measured.reduced.by_language_GL) / (1 - measured.full.by_language_GL)).mean(axis=1)
    np.testing.assert_allclose(_curve(findings, "effect.error").values_BG[0], expected, atol=1e-12)


def test_effect_of_language_without_control_is_refused(runs: tuple[RunRecord, ...]) -> None:
    students = [replace(run, exposure={**run.exposure, "te": 1.0}) for run in _of_role(runs, "student") if run.exposure]
    ladder = arrange(students)
    scores = np.full((2, len(students), len(ladder.languages)), 0.5)
    scaled = LOGIT.apply(scores, np.array([0.9, 0.9]), np.full(len(ladder.languages), 300.0))
    refused = resource_effect(scaled, ladder, np.ones((2, len(students))), scale="logit", unit="logits")
    assert isinstance(refused, NoCurve)
    assert refused.reason.startswith("te occur")


def test_gap_without_low_languages_is_refused(runs: tuple[RunRecord, ...]) -> None:
    students = _of_role(runs, "student")
    ladder = arrange(students)
    scaled = SCALES["raw"].apply(np.zeros((2, len(students), len(ladder.languages))), np.ones(2), np.ones(1))
    refused = class_gap(scaled, ladder, np.ones((2, len(students))), {"de": "high"}, scale="raw", unit="points")
    assert isinstance(refused, NoCurve)
    assert "'low'" in refused.reason


def test_arrange_size_not_recorded_is_refused(runs: tuple[RunRecord, ...]) -> None:
    run = _of_role(runs, "student")[0]
    with pytest.raises(ValueError, match=r"parameters\.non_embedding"):
        arrange([replace(run, parameters={})])


def test_clip_shares_outside_the_scale_are_counted_and_stay_finite() -> None:
    share = np.array([[[0.0, 0.5, 1.2]], [[1.0, 0.5, 0.5]]])
    clipped, count = clip(share, np.array([100.0, 100.0, 50.0]))
    assert count == 2
    np.testing.assert_allclose(clipped[0, 0], [0.005, 0.5, 0.99])


def test_logit_of_silent_teacher_is_refused() -> None:
    with pytest.raises(ValueError, match="teacher scores 0"):
        LOGIT.apply(np.full((1, 1, 1), 0.5), np.array([0.0]), np.array([10.0]))


def _one_rung(num_languages: int) -> Ladder:
    first = np.arange(num_languages) % 2 == 0
    return Ladder(
        rungs=("only",),
        sizes_G=np.array([1e4]),
        languages=tuple(f"l{place}" for place in range(num_languages)),
        member_GR=np.ones((1, 2), dtype=np.bool_),
        full_RL=np.stack([first, ~first]),
        seeds=("0", "0"),
        flagged={},
    )


def test_effect_interval_over_repetitions_covers_the_planted_effect() -> None:
    """Two rotations, four languages, queries correlated within entities: 95 % intervals should cover 95 %."""
    rng = np.random.default_rng(11)
    num_languages, num_entities, per_entity, repetitions, effect, teacher = 4, 80, 4, 240, 0.8, 0.9
    ladder = _one_rung(num_languages)
    offsets = np.linspace(-0.4, 0.4, num_languages)
    logits = offsets + np.where(ladder.full_RL, effect / 2, -effect / 2)
    means_RL = teacher / (1 + np.exp(-logits))
    hits = 0
    for _ in range(repetitions):
        shared = rng.standard_normal((num_entities, 1))
        uniform = norm.cdf(np.sqrt(0.5) * shared + np.sqrt(0.5) * rng.standard_normal((num_entities, per_entity)))
        own = rng.random((2, num_languages, num_entities, per_entity))
        # Half of a query's difficulty is its own in each language and run, half is shared by all of them.
        latent = norm.cdf((norm.ppf(uniform) + norm.ppf(own)) / np.sqrt(2))
        sums = (latent < means_RL[:, :, None, None]).sum(axis=-1).astype(np.float64)
        counts = np.full_like(sums, per_entity)
        weights = draw_clusters(num_entities, resamples=300, rng=rng)
        students = ClusterSums(languages=ladder.languages, sums_RLC=sums, counts_RLC=counts).means(weights)
        of_teacher = (uniform < teacher).sum(axis=-1).astype(np.float64)[None, None]
        english = ClusterSums(languages=("en",), sums_RLC=of_teacher, counts_RLC=counts[:1, :1]).means(weights)
        queries = np.full(num_languages, float(num_entities * per_entity))
        scaled = LOGIT.apply(students, english[:, 0, 0], queries)
        curve = resource_effect(scaled, ladder, np.ones((301, 2)), scale="logit", unit="logits")
        assert isinstance(curve, Curve)
        hits += effect in interval(curve.values_BG[:, 0])
    assert 0.91 <= hits / repetitions <= 0.985


def test_without_a_teacher_raw_scores_are_compared_and_shares_of_its_score_refused(
    asked: Declared, runs: tuple[RunRecord, ...]
) -> None:
    """As where students read passages that the teacher cannot."""
    alone, few = [run for run in runs if run.role != "teacher"], Resampling(resamples=20)
    with pytest.raises(ValueError, match="the study has 0 teachers"):
        find(asked, alone, LANGUAGES, few)
    found = find(replace(asked, scale="raw"), alone, LANGUAGES, few)
    (strand,) = found.strands
    measured = strand.measured[asked.measure]
    assert measured.teacher is None
    assert isinstance(measured.contrasts["effect.logit"], NoCurve)
    assert "asks the teacher nothing" in measured.contrasts["effect.logit"].reason
    whole = find(asked, runs, LANGUAGES, few).strands[0].measured[asked.measure]
    raw, known = measured.contrasts["effect.raw"], whole.contrasts["effect.raw"]
    assert isinstance(raw, Curve)
    assert isinstance(known, Curve)
    np.testing.assert_allclose(raw.values_BG[0], known.values_BG[0])
    assert document(found, source="sqlite")["teacher"][asked.measure] is None
