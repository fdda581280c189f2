"""An optimum over epsilon, from runs to its report: planted optima, refusals in words, and a page that shows both."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.bootstrap import Resampling
from analysis.declared import DeclaredOptimum, declared, declared_comparison, declared_optimum
from analysis.epsilon import EpsilonFindings, find_optima
from analysis.epsilon_report import epsilon_report
from analysis.epsilon_result import document
from analysis.epsilon_words import answer, caveats, change_of_mind, contrasts_table, pairs_table, solver_table
from analysis.frame import RunRecord
from analysis.peak import NoPeak, Peak
from analysis.result import loads
from studies.schema.estimand import EpsilonOptimum, Scale
from tests.analysis import synthetic

STUDY = synthetic.optima()
ASKED = declared_optimum(STUDY)
RESAMPLING = Resampling(resamples=300)
APART = synthetic.Truth(optima={0.1: 0.05, 1.0: 0.0126})
NOWHERE = synthetic.Truth(optima={0.1: 0.0005, 1.0: 0.0126}, bend=0.6)


def found(truth: synthetic.Truth, changes: Mapping[str, dict[str, object]] | None = None) -> EpsilonFindings:
    """Findings of made-up runs; ``changes`` are made to the runs at an epsilon's label."""
    records = synthetic.records(STUDY, truth)
    runs: list[RunRecord] = []
    for point in ASKED.points:
        changed = (changes or {}).get(point.labels.objective, {})
        runs.append(replace(records[point.key], **changed))  # type: ignore[arg-type]
    return find_optima(ASKED, runs, RESAMPLING)


@pytest.fixture(scope="module")
def apart() -> EpsilonFindings:
    return found(APART)


def test_declaration_is_read_in_order_of_epsilon() -> None:
    assert list(ASKED.epsilons.values()) == sorted(synthetic.EPSILONS)
    assert ASKED.bitexts == ("joint", "swapped", "sw")
    assert set(ASKED.rates.values()) == {0.006}
    assert list(ASKED.rates) == list(ASKED.epsilons)
    for read in (declared, declared_comparison):
        with pytest.raises(ValueError, match="EpsilonOptimum"):
            read(STUDY)
    with pytest.raises(ValueError, match="not an EpsilonOptimum"):
        declared_optimum(synthetic.study())


def test_planted_optima_are_found_for_pairs_and_for_means(apart: EpsilonFindings) -> None:
    for (bitext, code), curve in apart.pairs.items():
        assert isinstance(curve.peak, Peak), (bitext, code)
        planted = APART.optima[apart.exposure[bitext, code]]
        assert np.log10(curve.peak.setting.point / planted) == pytest.approx(0.0, abs=0.12)
    difference = apart.primary.difference
    assert not isinstance(difference, str)
    assert difference.point == pytest.approx(np.log10(0.05 / 0.0126), abs=0.1)
    assert 0.0 not in difference.interval
    assert "at reduced exposure lies above that at full exposure, by 0.59 [0.5" in answer(apart)
    assert "bring the two optima together" in change_of_mind(apart)


def test_mean_curve_is_the_mean_over_its_cells(apart: EpsilonFindings) -> None:
    full = [
        curve.scores[2].point
        for (bitext, code), curve in apart.pairs.items()
        if bitext in ASKED.joint and apart.exposure[bitext, code] == 1.0
    ]
    assert apart.primary.lower.scores[2].point == pytest.approx(sum(full) / len(full))
    assert len(full) == len(synthetic.LANGUAGES)


def test_student_of_one_pair_has_a_curve_for_that_pair_alone(apart: EpsilonFindings) -> None:
    assert [cell for cell in apart.pairs if cell[0] not in ASKED.joint] == [("sw", "sw")]
    assert any(row[:2] == ("sw → en", "own") for row in pairs_table(apart).rows)


def test_optimum_on_the_edge_is_refused_and_the_grid_still_speaks() -> None:
    refused = found(NOWHERE)
    assert isinstance(refused.primary.upper.peak, NoPeak)
    assert isinstance(refused.primary.lower.peak, Peak)
    text = answer(refused)
    assert "cannot be said (reduced exposure: the top lies on the edge of the grid, at 0.002)" in text
    assert re.search(
        r"At reduced exposure 0\.002 is the best epsilon tried, with nDCG@10 0\.\d+ \[0\.\d+, 0\.\d+\]", text
    )
    assert "optimum on both sides" in change_of_mind(refused)
    assert contrasts_table(refused).rows[0][3] == "refused"


def test_optima_of_scores_as_they_are_need_no_teacher(tmp_path: Path) -> None:
    assert isinstance(STUDY.estimand, EpsilonOptimum)
    study = replace(STUDY, estimand=replace(STUDY.estimand, scale=Scale.RAW))
    asked = declared_optimum(study)
    records = synthetic.records(study, APART)
    without = [records[point.key] for point in asked.points if point.role != "teacher"]
    read = find_optima(asked, without, RESAMPLING)
    assert read.teacher is None
    assert read.num_clipped == 0
    assert isinstance(read.primary.upper.peak, Peak)
    assert isinstance(read.primary.lower.peak, Peak)
    # Planted apart by 0.6 decades on the logit; the score is a function of it that rises.
    assert read.primary.difference.point > 0.3  # type: ignore[union-attr]
    assert document(read, source="memory")["teacher"] == {asked.measure: None}
    with pytest.raises(ValueError, match="has 0 teachers"):
        find_optima(ASKED, without, RESAMPLING)


def test_epsilon_whose_solver_did_not_converge_is_in_no_fit_but_in_the_table() -> None:
    flags = ("solver_not_converged",)
    without = found(APART, {"0.002": {"state": "flagged", "flags": flags}})
    assert without.primary.upper.unsolved == ("0.002",)
    assert isinstance(without.primary.upper.peak, Peak)
    assert without.primary.upper.peak.low == pytest.approx(np.log10(0.005))
    assert any("In no fit of reduced exposure" in line for line in caveats(without))
    few = found(APART, {label: {"state": "flagged", "flags": flags} for label in ("0.002", "0.005", "0.5")})
    assert "4 settings can be fitted" in answer(few)
    assert len(solver_table(few).rows) == len(synthetic.EPSILONS)


def test_run_that_was_still_improving_is_compared_and_makes_the_answer_provisional() -> None:
    improving = found(APART, {"0.5": {"state": "flagged", "flags": ("still_improving",)}})
    assert isinstance(improving.primary.upper.peak, Peak)
    assert answer(improving).startswith("Some trainings were still improving, so this is provisional.")


def test_what_differs_undeclared_refuses_every_optimum() -> None:
    confounded = found(APART, {"0.5": {"split": "validation"}})
    assert "evaluation.split" in answer(confounded)
    assert all(isinstance(curve.peak, NoPeak) for curve in confounded.pairs.values())


def test_report_leaves_a_page_a_figure_and_the_result(tmp_path: Path) -> None:
    address = synthetic.write_store(tmp_path / "storage", STUDY, NOWHERE)
    page = epsilon_report(ASKED, tracking_uri=address, out=tmp_path / "reports", resampling=RESAMPLING)
    assert {path.name for path in page.parent.iterdir()} == {"index.html", "result.json", "epsilon.png", "epsilon.svg"}
    assert ElementTree.parse(page.parent / "epsilon.svg").getroot().tag.endswith("svg")
    result = loads((page.parent / "result.json").read_text())
    assert [row["primary"] for row in result["contrasts"]] == [True, False, False]
    assert {row["status"] for row in result["optima"]} == {"success", "refused"}
    assert all(len(row["scores"]) == len(synthetic.EPSILONS) for row in result["optima"])
    text = page.read_text()
    assert text.index(STUDY.question) < text.index('class="answer"') < text.index("<figure>")
    assert "What would change this" in text
    assert text.count("<figure>") == 1
    assert all(link.startswith("data:image/svg+xml;base64,") for link in re.findall(r'(?:src|href)="([^"]+)"', text))


def test_document_that_lacks_its_optima_is_refused() -> None:
    with pytest.raises(ValueError, match=r"optima\[0\] lacks"):
        loads(
            '{"schema": 1, "study": "", "version": "", "generated_from": {}, "teacher": {}, "ledger": {}, "runs": [],'
            ' "epsilons": [], "contrasts": [], "optima": [{}]}'
        )


def test_asked_is_what_every_study_declares() -> None:
    assert isinstance(ASKED, DeclaredOptimum)
    assert set(ASKED.varied) == {"rung", "optimiser.learning_rate", "objective", "bitext.exposure"}
