"""Read a study's runs back from MLflow, the readable copy of what the storage holds."""

import json
import logging
import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet
from mlflow import MlflowClient
from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException

from analysis.frame import SIZES, Frame, Labels, QueryScores, RunRecord, Series, query_scores
from studies.schema.axes import AXIS_NAMES
from studies.schema.record import ALIGNMENT_FILE, EVALUATION_ARTIFACTS, VALIDATION, Metric, Tag

SERIES = tuple(Metric)
"""Journal metrics that are read back, beside scores on validation queries."""

ROUNDING = 1e-9
"""Largest difference between a recorded mean and the mean of its per-query scores: sums of float64 in another order."""

_COLUMNS = ("language", "query", "entity", "seen", "cognate")
_PAGE = 1000
_SAMPLED = f"{Tag.VALUE}."


def read_frame(*, tracking_uri: str, study: str, version: str, storage: str | None = None) -> Frame:
    """Read every run of one version of a study; needs no server when the address is a ``sqlite:`` file.

    ``storage`` is the identity of a storage root: with it, runs that another root delivered to the same server are
    passed over. Raises ValueError when the study was never recorded there, or a key is recorded twice.
    """
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # MLflow draws a bar for every file it hands out, even for one that lies on this machine.
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    client = MlflowClient(tracking_uri=tracking_uri)
    recorded = _search(client, study, version, tracking_uri)
    runs: dict[str, RunRecord] = {}
    with tempfile.TemporaryDirectory(prefix="analysis-") as scratch:
        for run in recorded:
            key = run.data.tags.get(Tag.KEY)
            if key is None or (storage is not None and run.data.tags.get(Tag.STORAGE, storage) != storage):
                continue
            if key in runs:
                raise ValueError(
                    f"run {key} of {study} {version} is recorded twice in MLflow, perhaps by two storage "
                    f"roots; name one with --storage, or delete one of the runs with tag {Tag.KEY} = {key!r}"
                )
            runs[key] = _record(client, run, key, Path(scratch) / key)
    read = {key: _with_teacher(run, runs) for key, run in runs.items()}
    return Frame(study=study, version=version, source=tracking_uri.partition(":")[0], runs=read)


def _with_teacher(run: RunRecord, runs: Mapping[str, RunRecord]) -> RunRecord:
    """The run with its teacher's recorded choices in the place of the teacher's key, so that each is compared.

    A teacher that is not recorded stays a key: two of them still differ.
    """
    teacher = runs.get(run.parameters.get("teacher", ""))
    if teacher is None:
        return run
    own = {name: value for name, value in run.parameters.items() if name != "teacher"}
    choices = {f"teacher.{name}": value for name, value in teacher.parameters.items() if not name.startswith(SIZES)}
    return replace(run, parameters=own | choices)


def _search(client: MlflowClient, study: str, version: str, tracking_uri: str) -> list[MlflowRun]:
    try:
        experiment = client.get_experiment_by_name(study)
    except MlflowException as error:
        raise ValueError(f"cannot read MLflow at {tracking_uri}: {error}; check --tracking-uri or --storage") from error
    if experiment is None:
        raise ValueError(
            f"MLflow at {tracking_uri} knows no study {study!r}; run it with: python -m harness run {study}, "
            "or point --storage at where it ran"
        )
    found: list[MlflowRun] = []
    token: str | None = None
    query = f"tags.`{Tag.VERSION}` = '{version}'"
    while True:
        page = client.search_runs([experiment.experiment_id], query, max_results=_PAGE, page_token=token)
        found.extend(page)
        token = page.token
        if not token:
            return found


def _record(client: MlflowClient, run: MlflowRun, key: str, scratch: Path) -> RunRecord:
    tags = run.data.tags
    # The tag is set after the last file of an evaluation: without it the files may be half there.
    evaluated = bool(tags.get(Tag.EVALUATION))
    measures = _measures(client, run.info.run_id, scratch) if evaluated else {}
    queries = _queries(client, run.info.run_id, scratch, "per_query.parquet") if measures else None
    sentences = _queries(client, run.info.run_id, scratch, ALIGNMENT_FILE) if measures else None
    if measures and queries is not None:
        check_means(key, measures["measures"], queries)
    return RunRecord(
        key=key,
        role=tags.get(Tag.ROLE, "-"),
        labels=Labels(**{name: tags.get(Tag.label(name), "-") for name in AXIS_NAMES}),
        state=tags.get(Tag.STATE, "unknown"),
        flags=tuple(flag for flag in tags.get(Tag.FLAGS, "").split(",") if flag),
        revision=tags.get(Tag.REVISION, "unknown"),
        parameters=dict(run.data.params),
        measures=measures.get("measures", {}),
        exposure=measures.get("exposure", {}),
        collection=measures.get("collection", "-"),
        split=measures.get("split", "-"),
        queries=queries,
        sentences=sentences,
        series={name: _series(client, run.info.run_id, name) for name in run.data.metrics if _is_series(name)},
        sampled={tag.removeprefix(_SAMPLED): value for tag, value in tags.items() if tag.startswith(_SAMPLED)},
    )


def _is_series(name: str) -> bool:
    return name in SERIES or name.startswith(VALIDATION)


def _artifact(client: MlflowClient, run_id: str, name: str, scratch: Path) -> Path | None:
    """A local path of a file of the evaluation, or None when the run has none."""
    path = f"{EVALUATION_ARTIFACTS}/{name}"
    if path not in {item.path for item in client.list_artifacts(run_id, EVALUATION_ARTIFACTS)}:
        return None
    scratch.mkdir(parents=True, exist_ok=True)
    return Path(client.download_artifacts(run_id, path, str(scratch)))


def _measures(client: MlflowClient, run_id: str, scratch: Path) -> dict[str, Any]:
    path = _artifact(client, run_id, "measures.json", scratch)
    if path is None:
        return {}
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if document.get("schema") != 1:
        raise ValueError(f"measures.json of MLflow run {run_id} has schema {document.get('schema')!r}; this reads 1")
    return document


def _queries(client: MlflowClient, run_id: str, scratch: Path, name: str) -> QueryScores | None:
    path = _artifact(client, run_id, name, scratch)
    if path is None:
        return None
    table = parquet.read_table(path)
    absent = [name for name in _COLUMNS if name not in table.column_names]
    if absent:
        raise ValueError(f"{name} of MLflow run {run_id} lacks {', '.join(absent)}; evaluate the run again")
    columns = {name: table.column(name).to_pylist() for name in table.column_names}
    return query_scores(
        columns["language"],
        columns["query"],
        columns["entity"],
        columns["seen"],
        columns["cognate"],
        {name: values for name, values in columns.items() if name not in _COLUMNS},
    )


def _series(client: MlflowClient, run_id: str, name: str) -> Series:
    """One metric by step; a step delivered twice keeps its last value, a value that is not finite is left out."""
    history = sorted(client.get_metric_history(run_id, name), key=lambda point: (point.step, point.timestamp))
    values = {point.step: point.value for point in history if math.isfinite(point.value)}
    return Series(
        steps=np.array(list(values), dtype=np.float64), values=np.array(list(values.values()), dtype=np.float64)
    )


def check_means(key: str, measures: Mapping[str, Mapping[str, float]], queries: QueryScores) -> None:
    """Raise ValueError if a recorded mean is not the mean of the per-query scores beside it."""
    for measure, by_language in measures.items():
        if measure not in queries.scores:
            raise ValueError(f"run {key}: {measure} has a mean but no per-query scores; evaluate the run again")
        for language, recorded in by_language.items():
            mean = float(queries.scores[measure][queries.language == language].mean())
            if not abs(mean - recorded) <= ROUNDING:
                raise ValueError(
                    f"run {key}: {measure} of {language} is recorded as {recorded}, its per-query scores have mean "
                    f"{mean}; the two files are not of one evaluation, evaluate the run again"
                )
