"""Everything final that a study leaves behind, in a form that can be compared bit for bit, and MLflow's copy of it."""

import json
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from harness.evaluation_key import key_of
from harness.journal import read_all
from studies.schema.record import Kind, Tag
from studies.schema.storage import Storage, read_manifest
from studies.schema.study import Study, expand


def results(storage: Storage, study: Study) -> dict[str, Any]:
    """By run and part: state, weights, journal and evaluation; all times left out."""
    found: dict[str, Any] = {}
    for point in expand(study):
        key = point.key
        state = json.loads(storage.state(key).read_bytes())
        state["facts"].pop("seconds", None)
        found[f"{key} state"] = state
        found[f"{key} weights"] = weights(storage, key)
        found[f"{key} journal"] = journal(storage, key)
        evaluation = storage.evaluation(key, key_of(point.run, study.evaluation))
        manifest = read_manifest(evaluation)
        assert manifest is not None, f"{key} was not evaluated"
        found[f"{key} evaluation"] = dict(manifest.files)
    return found


def weights(storage: Storage, key: str) -> dict[str, bytes]:
    """Final weights by file, empty for a run that is not trained."""
    folder = storage.final(key)
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.safetensors"))}


def journal(storage: Storage, key: str) -> list[tuple[int, dict[str, float]]]:
    """The journal without its times."""
    return [(point.step, dict(point.metrics)) for point in read_all(storage.journal(key))]


def last_step(storage: Storage, key: str) -> int:
    """The last step in the journal of a run, 0 without one."""
    return max((point.step for point in read_all(storage.journal(key))), default=0)


def assert_mlflow_equals_journals(storage: Storage, study: Study) -> None:
    """One MLflow run per run of the study, and in it every journal value exactly once, at its step and time."""
    client = MlflowClient(f"sqlite:///{storage.mlflow_database()}")
    experiment = client.get_experiment_by_name(study.name)
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id], f"tags.`{Tag.KIND}` = '{Kind.RUN}'")
    assert sorted(run.data.tags[Tag.KEY] for run in found) == sorted(point.key for point in expand(study))
    for run in found:
        points = read_all(storage.journal(run.data.tags[Tag.KEY]))
        for name in {name for point in points for name in point.metrics}:
            recorded = [(p.step, p.metrics[name], p.time) for p in points if name in p.metrics]
            history = client.get_metric_history(run.info.run_id, name)
            assert sorted((m.step, m.value, m.timestamp) for m in history) == recorded, (run.info.run_name, name)


def fingerprint(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of every file below a folder."""
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
