"""The report on unseen languages, from a real MLflow store to a page that needs no network."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from analysis.bootstrap import Resampling
from analysis.declared import declared_unseen
from analysis.result import loads
from analysis.unseen_report import unseen_report
from tests.analysis import synthetic

STUDY = synthetic.unseen(num_seeds=1)
FIGURES = ("contrast", "falls", "pairs")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    address = synthetic.write_store(tmp_path_factory.mktemp("unseen"), STUDY, synthetic.Truth(shifts={"mse": -0.5}))
    out = tmp_path_factory.mktemp("reports")
    asked = declared_unseen(STUDY)
    return unseen_report(asked, tracking_uri=address, out=out, resampling=Resampling(resamples=200)).parent


def test_report_leaves_the_page_its_figures_and_the_result(written: Path) -> None:
    figures = {f"{name}.{kind}" for name in FIGURES for kind in ("png", "svg")}
    assert {path.name for path in written.iterdir()} == {"index.html", "result.json"} | figures
    assert loads((written / "result.json").read_text())["study"] == "planted_unseen"
    for name in FIGURES:
        assert ElementTree.parse(written / f"{name}.svg").getroot().tag.endswith("svg")


def test_page_opens_with_question_answer_estimand_and_what_would_change_it(written: Path) -> None:
    text = (written / "index.html").read_text()
    places = [
        text.index(part)
        for part in (
            STUDY.question,
            'class="answer"',
            "Primary estimand",
            "What would change this",
            "<figure>",
            "Between other languages",
        )
    ]
    assert places == sorted(places)
    assert re.search(r"On a language that distillation never saw ot loses (as much as mse|0\.\d{3} \[)", text)
    targets = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]+)""", text)
    assert len(targets) == len(FIGURES)
    assert all(target.startswith("data:image/svg+xml;base64,") for target in targets)
