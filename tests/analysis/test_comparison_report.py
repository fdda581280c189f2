"""The report of a comparison, from a real MLflow store to a page that needs no network."""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest

from analysis.bootstrap import Resampling
from analysis.comparison import TRANSLATED, compare_systems
from analysis.comparison_report import comparison_report, draw, page
from analysis.declared import declared_comparison
from analysis.report import svg
from analysis.result import loads
from studies.languages import LANGUAGES
from studies.schema.study import Study
from tests.analysis import synthetic

STUDY = synthetic.comparison(num_seeds=1, rungs=("atlas-28k",))
TRUTH = synthetic.Truth(shifts={"mse": -0.5, "greedy": 0.3})
RESAMPLING = Resampling(resamples=300)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    address = synthetic.write_store(tmp_path_factory.mktemp("compared"), STUDY, TRUTH)
    out = tmp_path_factory.mktemp("reports")
    return comparison_report(declared_comparison(STUDY), tracking_uri=address, out=out, resampling=RESAMPLING).parent


def test_report_leaves_the_page_its_figures_and_the_result(written: Path) -> None:
    figures = {f"{name}.{kind}" for name in ("ranking", "parts") for kind in ("png", "svg")}
    assert {path.name for path in written.iterdir()} == {"index.html", "result.json"} | figures
    result = loads((written / "result.json").read_text())
    assert result["study"] == "planted_comparison"
    assert result["runs"][0]["role"] == "teacher"
    for name in ("ranking", "parts"):
        assert ElementTree.parse(written / f"{name}.svg").getroot().tag.endswith("svg")


def test_page_opens_with_question_and_answer_and_needs_nothing_from_elsewhere(written: Path) -> None:
    text = (written / "index.html").read_text()
    assert text.index(STUDY.question) < text.index('class="answer"') < text.index("<figure>")
    assert re.search(r"rank 2 of 6: it loses to greedy by 0\.\d\d\d \[0\.\d\d\d, 0\.\d\d\d\]; beats mse", text)
    assert "One seed: every interval is conditional on these trained models" in text
    assert "Where ot loses" in text
    targets = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]+)""", text)
    assert len(targets) == 2
    assert all(target.startswith("data:image/svg+xml;base64,") for target in targets)


@pytest.mark.parametrize("declared", [STUDY, synthetic.amounts()], ids=lambda study: study.name)
def test_every_figure_that_is_drawn_is_shown(declared: Study) -> None:
    asked = declared_comparison(declared)
    records = synthetic.records(declared, TRUTH)
    runs = [records[point.key] for point in asked.points]
    runs += [replace(run, key=f"t{run.key}", role=TRANSLATED) for run in runs if run.role == "dictionary"]
    found = compare_systems(asked, runs, LANGUAGES, RESAMPLING)
    images = {name: svg(figure) for name, figure in draw(found).items()}
    assert set(images) == {"ranking", "parts", "gain"} | ({"amounts"} if asked.amounts else set())
    assert page(found, images).count("<figure>") == len(images)
