"""One real MLflow store with a planted study, written once for all tests of the analysis."""

from pathlib import Path

import numpy as np
import pytest

from analysis.bootstrap import Resampling
from analysis.declared import Declared, declared
from analysis.findings import Findings, find
from analysis.frame import Floats, Frame, RunRecord
from analysis.gaps import Curve
from analysis.runs import read_frame
from studies.languages import LANGUAGES
from tests.analysis import synthetic


@pytest.fixture(scope="session")
def asked() -> Declared:
    return declared(synthetic.study())


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage root whose MLflow records hold the planted study."""
    root = tmp_path_factory.mktemp("planted")
    synthetic.write_store(root, synthetic.study(), synthetic.Truth())
    return root


@pytest.fixture(scope="session")
def address(store: Path) -> str:
    return f"sqlite:///{store / 'mlflow' / 'mlflow.db'}"


@pytest.fixture(scope="session")
def frame(address: str, asked: Declared) -> Frame:
    return read_frame(tracking_uri=address, study=asked.study, version=asked.version)


@pytest.fixture(scope="session")
def runs(asked: Declared, frame: Frame) -> tuple[RunRecord, ...]:
    return tuple(frame.runs[point.key] for point in asked.points)


@pytest.fixture(scope="session")
def findings(asked: Declared, runs: tuple[RunRecord, ...]) -> Findings:
    return find(asked, runs, LANGUAGES, Resampling(resamples=200))


def curve_of(
    sizes: Floats, upper_BG: Floats, lower_BG: Floats | None = None, *, by_seed_SG: Floats | None = None
) -> Curve:
    """A contrast with given numbers and no flagged rung."""
    lower = np.zeros_like(upper_BG) if lower_BG is None else lower_BG
    return Curve(
        target="effect.logit",
        unit="logits",
        rungs=tuple(f"rung-{place}" for place in range(sizes.size)),
        sizes_G=sizes,
        sound_G=np.ones(sizes.size, dtype=np.bool_),
        upper_BG=upper_BG,
        lower_BG=lower,
        by_seed_SG=(upper_BG - lower)[:1] if by_seed_SG is None else by_seed_SG,
        num_clipped=0,
        flagged={},
    )
