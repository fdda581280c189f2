"""What is read back from a real MLflow store is what was recorded there."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient

from analysis.declared import Declared
from analysis.frame import Frame
from analysis.runs import check_means, read_frame
from tests.analysis import synthetic


def _copied(store: Path, folder: Path) -> tuple[str, MlflowClient]:
    """A copy of the store's database that a test may change; artifacts stay where they are."""
    shutil.copy(store / "mlflow" / "mlflow.db", folder / "mlflow.db")
    address = f"sqlite:///{folder / 'mlflow.db'}"
    return address, MlflowClient(tracking_uri=address)


def _run_id(client: MlflowClient, key: str) -> str:
    experiment = client.get_experiment_by_name("planted")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id], f"tags.`harness.key` = '{key}'")
    return str(found[0].info.run_id)


def test_read_frame_planted_study_equals_what_was_recorded(frame: Frame) -> None:
    expected = synthetic.records(synthetic.study(), synthetic.Truth())
    assert set(frame.runs) == set(expected)
    for key, run in expected.items():
        read = frame.runs[key]
        assert (read.role, read.labels, read.state) == (run.role, run.labels, run.state)
        assert (read.parameters, read.measures, read.exposure) == (run.parameters, run.measures, run.exposure)
        assert read.queries is not None
        assert run.queries is not None
        for measure in synthetic.MEASURES:
            np.testing.assert_array_equal(read.queries.scores[measure], run.queries.scores[measure])


def test_read_frame_journal_keeps_every_step_in_order(frame: Frame) -> None:
    students = [run for run in frame.runs.values() if run.role == "student"]
    for run in students:
        assert run.series["loss"].steps.tolist() == list(range(0, 1501, 50))
        assert np.isfinite(run.series["transport.iterations"].values).all()


def test_read_frame_unknown_study_says_how_to_run_it(address: str) -> None:
    with pytest.raises(ValueError, match="python -m harness run absent"):
        read_frame(tracking_uri=address, study="absent", version="1")


def test_read_frame_other_version_is_empty(address: str) -> None:
    assert read_frame(tracking_uri=address, study="planted", version="other").runs == {}


def test_read_frame_key_recorded_twice_is_refused(store: Path, tmp_path: Path, asked: Declared) -> None:
    address, client = _copied(store, tmp_path)
    first, second = asked.points[0].key, asked.points[1].key
    client.set_tag(_run_id(client, first), "harness.key", second)
    with pytest.raises(ValueError, match="recorded twice"):
        read_frame(tracking_uri=address, study="planted", version=asked.version)


def test_read_frame_named_storage_passes_over_other_roots(store: Path, tmp_path: Path, asked: Declared) -> None:
    address, client = _copied(store, tmp_path)
    client.set_tag(_run_id(client, asked.points[0].key), "harness.storage", "another")
    read = read_frame(tracking_uri=address, study="planted", version=asked.version, storage="mine")
    assert asked.points[0].key not in read.runs
    assert len(read.runs) == len(asked.points) - 1


def test_read_frame_evaluation_half_delivered_is_not_read(store: Path, tmp_path: Path, asked: Declared) -> None:
    address, client = _copied(store, tmp_path)
    client.delete_tag(_run_id(client, asked.points[0].key), "harness.evaluation")
    read = read_frame(tracking_uri=address, study="planted", version=asked.version)
    assert read.runs[asked.points[0].key].queries is None


def test_check_means_of_another_evaluation_is_refused(frame: Frame) -> None:
    run = next(run for run in frame.runs.values() if run.role == "student")
    assert run.queries is not None
    changed = json.loads(json.dumps(run.measures))
    changed["AP"]["de"] += 1e-6
    with pytest.raises(ValueError, match="not of one evaluation"):
        check_means(run.key, changed, run.queries)
