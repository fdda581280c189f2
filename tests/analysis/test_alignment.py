"""What is planted in alignment is found, and the report says it without help from elsewhere."""

import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.alignment import Aligned, Reading, find_alignment
from analysis.alignment_report import alignment_report, draw, page
from analysis.alignment_result import document
from analysis.alignment_words import answer, levels_table
from analysis.bootstrap import Resampling
from analysis.declared import declared_alignment, declared_comparison
from analysis.frame import RunRecord
from analysis.gaps import Curve, NoCurve
from analysis.report import svg
from analysis.result import check, dumps, loads
from studies.languages import LANGUAGES
from studies.schema.alignment import AlignmentMeasure
from studies.schema.estimand import Exposure
from tests.analysis import synthetic
from tests.analysis import synthetic_alignment as planted

STUDY = planted.study()
ASKED = declared_alignment(STUDY)
RESAMPLING = Resampling(resamples=300)


def runs_of(**changes: object) -> list[RunRecord]:
    records = synthetic.records(STUDY, synthetic.Truth(), columns=planted.columns)
    return [replace(records[point.key], **changes) for point in ASKED.points]  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def runs() -> list[RunRecord]:
    return runs_of()


@pytest.fixture(scope="module")
def found(runs: list[RunRecord]) -> Aligned:
    return find_alignment(ASKED, runs, LANGUAGES, RESAMPLING)


def test_sentences_of_their_own_are_read_in_the_place_of_queries(runs: list[RunRecord], found: Aligned) -> None:
    """Published text is measured on sentences that are no queries: other rows, and none of the retrieval measures."""
    apart = []
    for run in runs:
        if run.queries is None or run.role != "student":
            apart.append(run)
            continue
        columns = {name: values for name, values in run.queries.scores.items() if name.startswith("clca_")}
        others = {name: values for name, values in run.queries.scores.items() if name not in columns}
        sentences = replace(run.queries, scores=columns)
        apart.append(replace(run, sentences=sentences, queries=replace(run.queries, scores=others)))
    again = find_alignment(ASKED, apart, LANGUAGES, RESAMPLING)
    assert again.primary.slope == found.primary.slope
    silent = [replace(run, sentences=None) for run in apart]
    with pytest.raises(ValueError, match="was evaluated without clca_"):
        find_alignment(ASKED, silent, LANGUAGES, RESAMPLING)


@pytest.mark.parametrize("measure", AlignmentMeasure)
def test_effect_of_exposure_on_the_improvement_is_the_planted_one(found: Aligned, measure: AlignmentMeasure) -> None:
    for strand in found.strands:
        contrast = strand.gained[measure].contrasts["effect.improvement"]
        assert isinstance(contrast, Curve)
        for point in contrast.points():
            assert point.value.point == pytest.approx(100 * planted.effect(strand.objective, point.size), abs=1e-9)
            assert point.value.interval.low < point.value.point < point.value.interval.high


def test_primary_slope_is_the_planted_difference_per_tenfold_size_without_the_held_out_rung(found: Aligned) -> None:
    wanted = 100 * (planted.EFFECT_SLOPE["ot"] - planted.EFFECT_SLOPE["mse"])
    slope = found.primary.slope
    assert slope is not None
    assert slope.point == pytest.approx(wanted)
    assert wanted in slope.interval
    assert STUDY.hold_out not in found.primary.trend.rungs
    assert found.primary.held_out is not None
    assert found.primary.held_out.forecast == pytest.approx(found.primary.held_out.observed.point)


def test_levels_are_before_after_their_difference_and_its_share_of_what_was_missing(found: Aligned) -> None:
    strand = found.strand("ot")
    size = int(strand.ladder.sizes_G[-1])
    levels = strand.gained[AlignmentMeasure.TOKEN_OT].levels
    for exposure, side in ((Exposure.FULL, 0.5), (Exposure.REDUCED, -0.5)):
        gain = planted.GAIN + side * planted.effect("ot", size)
        for place, code in enumerate(synthetic.LANGUAGES):
            before = planted.BEFORE + 0.02 * place
            wanted = {
                Reading.BEFORE: before,
                Reading.AFTER: before + gain,
                Reading.IMPROVEMENT: gain,
                Reading.SHARE: gain / (1 - before),
            }
            for reading, value in wanted.items():
                assert levels[exposure, reading].by_language[code][-1].point == pytest.approx(100 * value)


def _wholly(run: RunRecord) -> RunRecord:
    assert run.queries is not None
    scores = dict(run.queries.scores)
    if run.role == "student":
        scores["clca_mexa.before"] = np.ones_like(scores["clca_mexa.before"])
    return replace(run, queries=replace(run.queries, scores=scores))


def test_share_of_nothing_missing_is_refused_and_the_rest_is_not(runs: list[RunRecord]) -> None:
    found = find_alignment(ASKED, [_wholly(run) for run in runs], LANGUAGES, RESAMPLING)
    contrasts = found.strands[0].gained[AlignmentMeasure.MEXA].contrasts
    assert isinstance(contrasts["effect.share"], NoCurve)
    assert isinstance(contrasts["effect.improvement"], Curve)
    assert "had no share to gain" in page(found, {name: svg(each) for name, each in draw(found).items()})
    check(document(found, source="sqlite"))


def test_run_without_alignment_is_named(runs: list[RunRecord]) -> None:
    bare = synthetic.records(STUDY, synthetic.Truth())
    key = next(run.key for run in runs if run.role == "student")
    mixed = [bare[run.key] if run.key == key else run for run in runs]
    with pytest.raises(ValueError, match=f"run {key} was evaluated without clca_token_ot_raw.before"):
        find_alignment(ASKED, mixed, LANGUAGES, RESAMPLING)


def test_flagged_rung_enters_no_fit_and_the_answer_says_so(runs: list[RunRecord]) -> None:
    flagged = [
        replace(run, state="flagged", flags=("still_improving",)) if run.labels.rung == "atlas-13k" else run
        for run in runs
    ]
    found = find_alignment(ASKED, flagged, LANGUAGES, RESAMPLING)
    assert found.primary.slope is None
    text = answer(found)
    assert text.startswith("Some trainings are flagged, so this is provisional. How what exposure is worth")
    assert "atlas-13k left out because flagged" in text
    assert "atlas-13k (still improving)" in {row[1] for row in levels_table(found, AlignmentMeasure.MEXA).rows}


def test_declaration_is_read_as_what_it_is() -> None:
    assert (ASKED.aligned, ASKED.reference, ASKED.against) == ("clca_token_ot", "ot", "mse")
    with pytest.raises(ValueError, match="concludes by AlignmentImprovement, which compares no systems"):
        declared_comparison(STUDY)
    with pytest.raises(ValueError, match="declares a ResourceEffect, not an AlignmentImprovement"):
        declared_alignment(synthetic.study())


def test_result_written_and_read_is_the_same_and_lacks_nothing(found: Aligned) -> None:
    result = document(found, source="sqlite")
    assert loads(dumps(result)) == json.loads(json.dumps(result))
    rows = {
        (row["objective"], row["measure"], row["exposure"], row["rung"], row["language"])
        for row in result["improvements"]
    }
    assert len(rows) == len(result["improvements"]) == 2 * 3 * 2 * 5 * (1 + len(synthetic.LANGUAGES))
    assert {(each["measure"], each["reading"]) for each in result["interactions"]} == {
        (str(measure), str(reading)) for measure, reading in found.interactions
    }
    del result["improvements"][0]["share"]
    with pytest.raises(ValueError, match=r"improvements\[0\] lacks share; write the report again"):
        check(result)


def test_report_opens_with_the_answer_and_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    address = synthetic.write_store(tmp_path / "store", STUDY, synthetic.Truth(), columns=planted.columns)
    written = alignment_report(ASKED, tracking_uri=address, out=tmp_path / "reports", resampling=RESAMPLING)
    figures = ("difference", "improvement-token_ot", "improvement-mexa", "improvement-rankc")
    names = {"index.html", "result.json"} | {f"{name}.{kind}" for name in figures for kind in ("png", "svg")}
    assert {path.name for path in written.parent.iterdir()} == names
    assert loads((written.parent / "result.json").read_text())["study"] == STUDY.name
    for name in figures:
        assert ElementTree.parse(written.parent / f"{name}.svg").getroot().tag.endswith("svg")
    text = written.read_text()
    assert text.index(STUDY.question) < text.index('class="answer"') < text.index("<figure>")
    assert re.search(
        r'class="answer">With size what exposure is worth in the improvement of clca_token_ot .* grows: ', text
    )
    assert re.search(r"grows: 3\.\d\d \[\d\.\d\d, \d\.\d\d\] points of alignment per tenfold size", text)
    assert "What would change this" in text
    assert text.count("<figure>") == len(figures)
    targets = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]+)""", text)
    assert all(target.startswith("data:image/svg+xml;base64,") for target in targets)
