"""Everything final that a study leaves behind, in a form that can be compared bit for bit, and MLflow's copy of it."""

import json
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from mlflow import MlflowClient

from harness.evaluation_key import key_of
from harness.journal import read_all
from studies.schema.record import VALIDATION, Kind, Tag
from studies.schema.storage import Storage, read_manifest
from studies.schema.study import Point, Study, expand


class Named(Protocol):
    """A study, a search or a heading."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...


def results(storage: Storage, study: Study) -> dict[str, Any]:
    """By run and part: state, weights, journal and evaluation; all times left out."""
    found: dict[str, Any] = {}
    for point in expand(study):
        found |= trained(storage, point.key)
        manifest = read_manifest(storage.evaluation(point.key, key_of(point.run, study.evaluation)))
        found[f"{point.key} evaluation"] = None if manifest is None else dict(manifest.files)
    return found


def trained(storage: Storage, key: str) -> dict[str, Any]:
    """State, weights and journal of one run, without times and without the scores that a search asked for."""
    state: dict[str, Any] = {}
    if storage.state(key).exists():
        state = json.loads(storage.state(key).read_bytes())
        state["facts"].pop("seconds", None)
    own = [
        (step, {name: value for name, value in metrics.items() if not name.startswith(VALIDATION)})
        for step, metrics in journal(storage, key)
    ]
    return {f"{key} state": state, f"{key} weights": weights(storage, key), f"{key} journal": own}


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


def run_differences(storage: Storage, study: Named, points: Sequence[Point]) -> list[str]:
    """Where MLflow does not have exactly one run for each of ``points``, in words."""
    found = Counter(run.data.tags[Tag.KEY] for run in _recorded(storage, study))
    wanted = {point.key for point in points}
    return [f"{key} is {found[key]} times in MLflow" for key in sorted(wanted) if found[key] != 1] + [
        f"{key} is in MLflow and no run of {study.name}" for key in sorted(found.keys() - wanted)
    ]


def point_differences(storage: Storage, study: Named) -> list[str]:
    """Where a metric in MLflow is not the journal's, value by value with step and time, each once; in words."""
    client, wrong = _client(storage), []
    for run in _recorded(storage, study):
        points = read_all(storage.journal(run.data.tags[Tag.KEY]))
        for name in sorted({name for point in points for name in point.metrics}):
            recorded = [(p.step, p.metrics[name], p.time) for p in points if name in p.metrics]
            history = client.get_metric_history(run.info.run_id, name)
            copied = sorted((m.step, m.value, m.timestamp) for m in history)
            if copied != recorded:
                wrong.append(f"{run.info.run_name}: {len(copied)} points of {name} for {len(recorded)} in the journal")
    return wrong


def fingerprint(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of every file below a folder."""
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _client(storage: Storage) -> MlflowClient:
    logging.getLogger("alembic").setLevel(logging.WARNING)
    return MlflowClient(f"sqlite:///{storage.mlflow_database()}")


def _recorded(storage: Storage, study: Named) -> list[Any]:
    """The runs of a study version that MLflow has, its parent left out."""
    client = _client(storage)
    experiment = client.get_experiment_by_name(study.name)
    if experiment is None:
        return []
    asked = f"tags.`{Tag.KIND}` = '{Kind.RUN}' and tags.`{Tag.VERSION}` = '{study.version}'"
    return list(client.search_runs([experiment.experiment_id], asked))
