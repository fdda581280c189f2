"""What is lost on unseen languages equals a slow loop, is paired, keeps its sign, and is refused where unfair."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from analysis.bootstrap import Resampling
from analysis.declared import DeclaredUnseen, declared, declared_comparison, declared_unseen
from analysis.falls import ALL, APART, BETWEEN, ISOLATED, RELATED, UNSEEN_LANGUAGE, UNSEEN_PAIR
from analysis.frame import RunRecord
from analysis.result import check, dumps, loads
from analysis.unseen import Unseen, find_unseen
from analysis.unseen_result import document
from analysis.unseen_words import answer, change_of_mind, kinship, languages_table, levels, means_table, pairs_table
from studies.languages import LANGUAGES
from tests.analysis import synthetic

STUDY = synthetic.unseen()
ASKED = declared_unseen(STUDY)
TRUTHS = {
    "ot": synthetic.Truth(effect=2.0, seed_noise=0.05),
    "mse": synthetic.Truth(effect=1.0, seed_noise=0.05),
}


def recorded(truths: Mapping[str, synthetic.Truth] = TRUTHS) -> tuple[RunRecord, ...]:
    """Students of each objective under its own truth; everything else under the first."""
    by_truth = {label: synthetic.records(STUDY, truth) for label, truth in truths.items()}
    first = next(iter(by_truth.values()))
    return tuple(by_truth.get(point.labels.objective, first)[point.key] for point in ASKED.points)


def found_in(runs: tuple[RunRecord, ...], asked: DeclaredUnseen = ASKED) -> Unseen:
    return find_unseen(asked, runs, LANGUAGES, Resampling(resamples=200))


@pytest.fixture(scope="module")
def found() -> Unseen:
    return found_in(recorded())


def _score(found: Unseen, objective: str, rotation: str, language: str) -> float:
    """Mean over seeds of the mean over a language's queries, the slow way."""
    means = []
    for run in found.runs:
        if run.role == "student" and (run.labels.objective, run.labels.rotation) == (objective, rotation):
            assert run.queries is not None
            rows = zip(run.queries.language, run.queries.scores["nDCG@10"], strict=True)
            means.append(np.mean([score for code, score in rows if code == language]))
    assert len(means) == 2
    return float(np.mean(means))


def test_language_that_pretraining_has_not_seen_stands_beside_the_contrast(found: Unseen) -> None:
    apart = synthetic.LANGUAGES[0]
    again = found_in(recorded(), replace(ASKED, apart=(apart,)))
    rest = tuple(code for code in ASKED.withheld.values() if code != apart)
    assert again.primary.languages == rest
    assert again.primary.degradation.point == pytest.approx(
        np.mean([again.fall("mse", code).degradation.point for code in rest])
    )
    alone = again.mean("ot", APART)
    assert alone is not None
    assert alone.languages == (apart,)
    assert alone.degradation == found.fall("ot", apart).degradation
    assert found.mean("ot", APART) is None


@pytest.mark.parametrize("objective", ["ot", "mse"])
def test_degradation_of_every_language_equals_a_loop_over_queries(found: Unseen, objective: str) -> None:
    for language in synthetic.LANGUAGES:
        trained = _score(found, objective, "all", language)
        unseen = _score(found, objective, f"without-{language}", language)
        row = found.fall(objective, language)
        assert row.trained.point == pytest.approx(trained)
        assert row.degradation.point == pytest.approx(trained - unseen)
        assert row.relative is not None
        assert row.relative.point == pytest.approx((trained - unseen) / trained)


def test_primary_contrast_is_the_difference_of_mean_degradations_with_its_planted_sign(found: Unseen) -> None:
    own, other = found.mean("ot"), found.mean("mse")
    assert own is not None
    assert other is not None
    assert other.difference is not None
    assert other.difference.point == pytest.approx(own.degradation.point - other.degradation.point)
    assert other.difference.interval.low > 0.0
    assert own.difference is None
    assert "ot loses 0." in answer(found)
    assert "more than mse" in answer(found)
    assert "What would change this" in change_of_mind(found)


def test_objectives_with_the_same_scores_differ_by_exactly_nothing() -> None:
    truth = synthetic.Truth()
    runs = recorded({"ot": truth, "mse": truth})
    primary = found_in(runs).primary.difference
    assert primary is not None
    assert (primary.point, primary.interval.low, primary.interval.high) == pytest.approx((0.0, 0.0, 0.0))
    assert "loses as much as mse" in answer(found_in(runs))


def test_language_is_related_where_another_has_its_family_and_script(found: Unseen) -> None:
    assert found.kin["de"] == ("fr",)
    assert found.kin["fr"] == ("de",)
    assert all(found.kin[code] == () for code in ("sw", "te", "ru", "bn"))
    groups = {group: found.mean("ot", group) for group in (ALL, RELATED, ISOLATED)}
    assert {group: row.languages for group, row in groups.items() if row is not None} == {
        ALL: synthetic.LANGUAGES,
        RELATED: ("de", "fr"),
        ISOLATED: ("sw", "te", "ru", "bn"),
    }
    assert "related languages (de, fr) lose" in kinship(found)


@pytest.mark.parametrize("objective", ["ot", "mse"])
def test_pairs_are_read_at_three_levels_and_only_under_objectives(found: Unseen, objective: str) -> None:
    for x, y in synthetic.PAIRS:
        trained = _score(found, objective, "direct", f"{x}-{y}")
        pair, language = (found.fall(objective, x, y, level) for level in (UNSEEN_PAIR, UNSEEN_LANGUAGE))
        assert pair.trained == language.trained
        assert pair.trained.point == pytest.approx(trained)
        assert pair.unseen.point == pytest.approx(_score(found, objective, "all", f"{x}-{y}"))
        assert language.unseen.point == pytest.approx(_score(found, objective, f"without-{x}", f"{x}-{y}"))
        assert 0.0 < pair.degradation.point < language.degradation.point
    assert found.mean("dictionary", BETWEEN) is None
    assert "Under ot a pair with lines of its own scores 0." in levels(found)


def test_rival_without_seeds_stands_for_all_of_them_and_loses_what_it_was_given(found: Unseen) -> None:
    row = found.mean("dictionary")
    assert row is not None
    assert row.trained.point == pytest.approx(0.45, abs=0.06)
    assert row.unseen.point == pytest.approx(0.2, abs=0.06)
    assert found.floor["ru"] < 0.1


def test_result_keeps_what_the_schema_promises_and_names_what_lacks(found: Unseen) -> None:
    result = document(found, source="sqlite")
    read = loads(dumps(result))
    assert read["primary"]["estimate"]["value"] == pytest.approx(found.primary.difference.point)  # type: ignore[union-attr]
    assert len(read["degradations"]) == 3 * (3 * 6 + 2 * 2 * 2)
    del read["degradations"][0]["relative"]
    with pytest.raises(ValueError, match="lacks relative"):
        check(read)


def test_tables_have_a_row_for_every_system_and_language(found: Unseen) -> None:
    assert len(languages_table(found, {"sw": "Swahili"}).rows) == 6 * 3
    assert len(means_table(found, "AP").rows) == 3 * 3 + 2 * 2
    assert len(pairs_table(found).rows) == 2 * 2


def test_missing_seed_is_named() -> None:
    runs = tuple(
        run for run in recorded() if (run.labels.rotation, run.labels.objective, run.labels.seed) != ("all", "mse", "1")
    )
    with pytest.raises(ValueError, match=r"system mse has seeds 0 in rotation all, others have 0, 1"):
        found_in(runs)


def test_confounded_trainings_are_not_compared() -> None:
    runs = tuple(
        replace(run, parameters=dict(run.parameters) | {"global_batch": "32"}) if run.labels.objective == "mse" else run
        for run in recorded()
    )
    found = found_in(runs)
    assert found.primary.difference is None
    assert "cannot answer its question" in answer(found)
    assert document(found, source="sqlite")["primary"]["refused"]


def test_other_estimands_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="declares a ResourceEffect, not an UnseenDegradation"):
        declared_unseen(synthetic.study())
    with pytest.raises(ValueError, match="declares a UnseenDegradation, not a ResourceEffect"):
        declared(STUDY)
    with pytest.raises(ValueError, match="UnseenDegradation, which compares no systems"):
        declared_comparison(STUDY)
