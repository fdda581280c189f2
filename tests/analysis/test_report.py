"""From a real MLflow store to a page that a browser opens without a network."""

import re
import shutil
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient
from typer.testing import CliRunner

from analysis.__main__ import app, source
from analysis.bootstrap import Resampling
from analysis.declared import Declared
from analysis.figures.canvas import spread
from analysis.findings import Findings, find
from analysis.frame import IncompleteStudy, RunRecord
from analysis.page import page
from analysis.report import draw, report, svg
from analysis.result import loads
from studies.languages import LANGUAGES

FIGURES = ("effect", "levels", "languages", "training")


@pytest.fixture(scope="module")
def written(address: str, asked: Declared, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reports")
    return report(asked, tracking_uri=address, out=out, resampling=Resampling(resamples=100)).parent


def test_report_leaves_the_page_its_figures_and_the_result(written: Path) -> None:
    names = {"index.html", "result.json"} | {f"{name}.{kind}" for name in FIGURES for kind in ("png", "svg")}
    assert {path.name for path in written.iterdir()} == names
    assert loads((written / "result.json").read_text())["study"] == "planted"


def test_report_page_needs_nothing_from_elsewhere(written: Path) -> None:
    text = (written / "index.html").read_text()
    targets = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]+)""", text)
    assert len(targets) == len(FIGURES)
    assert all(target.startswith("data:image/svg+xml;base64,") for target in targets)
    assert "<script" not in text


def test_report_page_opens_with_question_and_answer(written: Path, asked: Declared) -> None:
    text = (written / "index.html").read_text()
    answer = text.index('class="answer"')
    assert text.index(asked.question) < answer < text.index("<figure>")
    assert re.search(r"more exposure helps: \d\.\d\d \[\d\.\d\d, \d\.\d\d\] logits", text[answer : answer + 600])
    assert "conditional on these trained models" in text
    assert "nan" not in re.sub(r"base64,[^\"]+", "", text).lower().split()


def test_report_figures_are_well_formed(written: Path) -> None:
    for name in FIGURES:
        assert (written / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert ElementTree.parse(written / f"{name}.svg").getroot().tag.endswith("svg")


def test_report_written_again_is_the_same_to_the_byte(written: Path, address: str, asked: Declared) -> None:
    before = {path.name: path.read_bytes() for path in written.iterdir()}
    report(asked, tracking_uri=address, out=written.parent, resampling=Resampling(resamples=100))
    assert {path.name: path.read_bytes() for path in written.iterdir()} == before


def test_report_incomplete_study_writes_nothing(store: Path, tmp_path: Path, asked: Declared) -> None:
    shutil.copy(store / "mlflow" / "mlflow.db", tmp_path / "mlflow.db")
    address = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = MlflowClient(tracking_uri=address)
    experiment = client.get_experiment_by_name("planted")
    assert experiment is not None
    key = asked.points[-1].key
    run = client.search_runs([experiment.experiment_id], f"tags.`harness.key` = '{key}'")[0]
    client.set_tag(run.info.run_id, "harness.state", "failed")
    with pytest.raises(IncompleteStudy, match=f"{key}.*state is failed"):
        report(asked, tracking_uri=address, out=tmp_path / "reports")
    assert not (tmp_path / "reports").exists()


def _rendered(found: Findings) -> str:
    figures = {strand.objective: draw(found, strand) for strand in found.strands}
    return page(found, {name: {key: svg(each) for key, each in drawn.items()} for name, drawn in figures.items()})


def test_page_flagged_rung_is_listed_and_in_no_fit(asked: Declared, runs: tuple[RunRecord, ...]) -> None:
    flagged = tuple(
        replace(run, state="flagged", flags=("still_improving",))
        if run.role == "student" and run.labels.rung == asked.hold_out
        else run
        for run in runs
    )
    found = find(asked, flagged, LANGUAGES, Resampling(resamples=50))
    text = _rendered(found)
    assert "The largest rung is flagged (still improving)" in text
    assert "no fair test: flagged" in text
    assert all(asked.hold_out not in each.fit.rungs for each in found.strands[0].fits)


def test_page_effect_that_cannot_be_estimated_is_refused_in_words(asked: Declared, runs: tuple[RunRecord, ...]) -> None:
    alone = tuple(replace(run, exposure={**run.exposure, "te": 1.0}) if run.exposure else run for run in runs)
    found = find(asked, alone, LANGUAGES, Resampling(resamples=50))
    assert "This study cannot answer its question: te occur" in _rendered(found)


def test_page_two_objectives_stand_in_sections_of_their_own(asked: Declared, runs: tuple[RunRecord, ...]) -> None:
    rivals = tuple(
        replace(run, key=f"mse-{run.key}", labels=replace(run.labels, objective="mse"))
        for run in runs
        if run.role == "student"
    )
    text = _rendered(find(asked, (*runs, *rivals), LANGUAGES, Resampling(resamples=50)))
    assert "Objective: mse" in text


def test_command_unknown_study_is_one_line() -> None:
    outcome = CliRunner().invoke(app, ["report", "first_lok"])
    assert outcome.exit_code == 2
    assert outcome.output.startswith("error: there is no study or search 'first_lok'; did you mean first_look?")
    assert outcome.output.count("\n") == 1


def test_command_storage_without_records_says_what_to_do(tmp_path: Path) -> None:
    outcome = CliRunner().invoke(app, ["report", "first_look", "--storage", str(tmp_path)])
    assert outcome.exit_code == 2
    assert "run the study first" in outcome.output


def test_source_storage_is_read_without_a_server(store: Path, address: str) -> None:
    assert source(str(store), "") == (address, None)
    assert source("", "http://127.0.0.1:5000") == ("http://127.0.0.1:5000", None)


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=9), st.floats(0.01, 0.2))
def test_spread_labels_keep_order_and_distance(heights: list[float], distance: float) -> None:
    wanted = np.sort(np.array(heights))
    placed = spread(wanted, distance)
    assert (np.diff(placed) >= distance - 1e-9).all()
    if (np.diff(wanted) >= distance).all():
        np.testing.assert_allclose(placed, wanted)
