"""Writes a study's runs to MLflow, so that writing anything twice changes nothing.

A journal line goes out with its own step and time, and MLflow drops exact repeats; a run is looked up by
its tags before it is created. Whoever calls holds the deliverer's lease. This is the only module that
writes to MLflow.
"""

import json
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, urlencode

from harness.delivery import (
    PARENT,
    Delivered,
    Entry,
    Heading,
    Unavailable,
    aggregates,
    evaluation_owed,
    is_remade,
    parameters,
    read_delivered,
    started,
    state_digest,
    write_delivered,
)
from harness.journal import read
from studies.schema.record import EVALUATION_ARTIFACTS, EVALUATION_FILES, STUDY_ARTIFACT, Kind, Role, State, Tag
from studies.schema.state import read_state
from studies.schema.storage import Storage, read_manifest

# MLflow reads these when it is imported: no telemetry, and an outage is reported within seconds, not after
# the minutes its own retries take; what is owed is tried again by the tracker. Values set by the user win.
for _name, _value in {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}.items():
    os.environ.setdefault(_name, _value)

from mlflow import MlflowClient, entities  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402

logger = logging.getLogger(__name__)

# MLflow takes 1000 metrics per call; half of that stays far below the time limit on a busy machine.
METRICS_PER_BATCH = 500
# MLflow's own limits.
PARAMETERS_PER_BATCH = 100
TAG_CHARACTERS = 5000

# Answers that another try would not change.
_PERMANENT = {
    *("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "INVALID_STATE", "PERMISSION_DENIED", "UNAUTHENTICATED"),
    *("RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST", "ENDPOINT_NOT_FOUND"),
}
_GONE = "RESOURCE_DOES_NOT_EXIST"

_STATUS = {
    State.PLANNED: "RUNNING",
    State.RUNNING: "RUNNING",
    State.FINISHED: "FINISHED",
    State.FLAGGED: "FINISHED",
    State.FAILED: "FAILED",
    State.PRUNED: "KILLED",
}


# What the UI calls an experiment of trained models, as against one of prompts and traces.
_TRAINING = {"mlflow.experimentKind": "custom_model_development"}

_NOTES: dict[str, str] = {
    Role.TEACHER: "Reads the passages for everybody and English queries for itself; students are distilled from it.",
    Role.STUDENT: "Reads queries in many languages into the teacher's space; distilled from the teacher on bitext.",
    Role.UNTRAINED: "A student before its first step: what its shape alone is worth.",
    Role.COPY_THROUGH: "No student: queries go to the teacher as they are.",
    Role.DICTIONARY: "No student: queries are translated word by word, with a dictionary learned from the bitext.",
    Role.TRANSLATED: "No student: queries are translated into English by a model and read by the teacher.",
    Role.TRANSLATOR: "Translates queries into English for the teacher; judged by what the teacher makes of them.",
    Role.TRANSLATE_TRAIN: "No student: trained to retrieve on text translated from English; reads both sides itself.",
    Role.SYNTHETIC_TRAIN: "No student: trained to retrieve on judgments made by rule; reads both sides itself.",
    Role.PRETRAINING: "Fills in masked tokens of text in every language; students of its size start from its weights.",
}


class Refused(ValueError):
    """MLflow does not take this, however often it is sent."""


def check_reachable(uri: str) -> None:
    """Make sure that a server the user named answers; ValueError otherwise, within seconds."""
    try:
        MlflowClient(uri).search_experiments(max_results=1)
    except (MlflowException, OSError, ValueError) as error:
        raise ValueError(
            f"no MLflow server can be used at {uri} ({str(error).partition(chr(10))[0]}); start it, correct the "
            "tracking URI, or leave it out to have one run here"
        ) from error


def run_pages(uri: str) -> dict[str, str]:
    """Where the UI at ``uri`` shows a study's runs side by side, by study.

    Left to itself it opens on a page for traces, and shows of a study only the closed parent. Ordered by anything but
    time, it lists the children.
    """
    query = {
        "workflowType": "machine_learning",
        "searchFilter": f"tags.`{Tag.KIND}` = '{Kind.RUN}'",
        "orderByKey": "attributes.`run_name`",
        "orderByAsc": "true",
    }
    return {
        experiment.name: f"{uri}/#/experiments/{experiment.experiment_id}/runs?{urlencode(query, quote_via=quote)}"
        for experiment in MlflowClient(uri).search_experiments(order_by=["name ASC"])
        if experiment.experiment_id != "0"
    }


class Ledger:
    """One MLflow store as a study's runs are written to it. ``store`` names it across restarts and ports."""

    def __init__(self, storage: Storage, heading: Heading, *, uri: str, store: str, is_embedded: bool) -> None:
        self.uri = uri
        self._storage = storage
        self._heading = heading
        self._store = store
        self._is_embedded = is_embedded
        self._client = MlflowClient(uri)
        self._experiment_id: str | None = None
        self._confirmed: dict[str, str] = {}

    def deliver(self, entry: Entry, deadline: float) -> None:
        """Copy what storage holds of one run and MLflow lacks, until done or until ``deadline``.

        ``deadline`` is in monotonic seconds. Raises Unavailable when MLflow is away, and Refused or another ValueError
        when the run itself is at fault.
        """
        with _translated():
            try:
                self._copy(entry, deadline)
            except MlflowException as error:
                if error.error_code not in _PERMANENT:
                    raise
                # Perhaps somebody deleted it under our hands: look again, which builds it anew from storage.
                self._look_again()
                self._copy(entry, deadline)

    def finish(self) -> None:
        """Mark the study's parent run as finished."""
        self._look_again()
        with _translated():
            self._client.set_terminated(self._parent(), "FINISHED")
            delivered = self._delivered(PARENT)
            if delivered is not None:
                self._save(PARENT, replace(delivered, state=State.FINISHED))

    def _look_again(self) -> None:
        self._confirmed.clear()
        self._experiment_id = None

    def _copy(self, entry: Entry, deadline: float) -> None:
        delivered = self._confirm(entry)
        if not delivered.is_described:
            delivered = self._describe(entry, delivered)
        delivered, is_through = self._copy_journal(entry, delivered, deadline)
        if not is_through:
            return
        evaluation = evaluation_owed(self._storage, entry, delivered)
        if evaluation is not None:
            delivered = self._copy_evaluation(entry, delivered, evaluation)
        digest = state_digest(self._storage, entry.key)
        if digest != delivered.state:
            self._copy_state(entry, delivered)
            self._save(entry.key, replace(delivered, state=digest))

    def _delivered(self, key: str) -> Delivered | None:
        return read_delivered(self._storage.delivered(self._heading.name, self._heading.version, key), self._store)

    def _save(self, key: str, delivered: Delivered) -> Delivered:
        write_delivered(self._storage.delivered(self._heading.name, self._heading.version, key), delivered)
        return delivered

    # Runs

    def _confirm(self, entry: Entry) -> Delivered:
        """The record of a run that MLflow really has: the known one, one found by its tags, or a new one."""
        delivered = self._delivered(entry.key)
        journal = self._storage.journal(entry.key)
        if delivered is not None and is_remade(journal, delivered):
            logger.warning("run %s was made afresh; its old copy in MLflow is put in the bin", entry.key)
            if _exists(self._client, delivered.run_id):
                self._client.delete_run(delivered.run_id)
            delivered = None
        if delivered is not None and self._confirmed.get(entry.key) != delivered.run_id:
            delivered = delivered if _exists(self._client, delivered.run_id) else None
        if delivered is None:
            identity = self._identity(Kind.RUN) | {Tag.KEY: entry.key}
            tags = self._tags(entry)
            start = started(self._storage, entry.key)
            delivered = self._save(entry.key, self._find_or_create(identity, tags, entry.name, start))
        self._confirmed[entry.key] = delivered.run_id
        return delivered

    def _parent(self) -> str:
        """Id of the study's parent run, created on first need."""
        delivered = self._delivered(PARENT)
        if delivered is not None and self._confirmed.get(PARENT) != delivered.run_id:
            delivered = delivered if _exists(self._client, delivered.run_id) else None
        if delivered is None:
            identity = self._identity(Kind.STUDY)
            tags = {"mlflow.note.content": self._heading.question, Tag.REVISION: self._heading.revision}
            name = f"{self._heading.name} {self._heading.version}"
            delivered = self._save(PARENT, self._find_or_create(identity, tags, name, None))
        if not delivered.is_described:
            recipe = self._storage.recipe(self._heading.name, self._heading.version)
            if recipe.exists():
                self._client.log_text(delivered.run_id, recipe.read_text(), STUDY_ARTIFACT)
            delivered = self._save(PARENT, replace(delivered, is_described=True))
        self._confirmed[PARENT] = delivered.run_id
        return delivered.run_id

    def _identity(self, kind: Kind) -> dict[str, str]:
        """The tags that make a run this study's and this storage root's, and by which it is found again."""
        return {
            Tag.KIND: kind,
            Tag.STUDY: self._heading.name,
            Tag.VERSION: self._heading.version,
            Tag.STORAGE: self._storage.identity(),
        }

    def _find_or_create(
        self, identity: dict[str, str], tags: dict[str, str], name: str, start: int | None
    ) -> Delivered:
        """Look a run up by its identity before creating it; the deliverer's lease makes the two one step."""
        experiment_id = self._experiment()
        query = " and ".join(f"tags.`{tag}` = '{value}'" for tag, value in identity.items())
        found = self._client.search_runs([experiment_id], query, max_results=1, order_by=["attributes.start_time ASC"])
        if found:
            return Delivered(store=self._store, run_id=found[0].info.run_id)
        run = self._client.create_run(experiment_id, start_time=start, tags=identity | tags, run_name=name)
        return Delivered(store=self._store, run_id=run.info.run_id)

    def _experiment(self) -> str:
        if self._experiment_id is not None:
            return self._experiment_id
        experiment = self._client.get_experiment_by_name(self._heading.name)
        if experiment is None:
            tags = {"mlflow.note.content": self._heading.question} | _TRAINING
            self._experiment_id = str(self._client.create_experiment(self._heading.name, tags=tags))
            return self._experiment_id
        if experiment.lifecycle_stage != "active":
            self._client.restore_experiment(experiment.experiment_id)
        artifacts = self._storage.mlflow_artifacts()
        if self._is_embedded and not Path(experiment.artifact_location).is_relative_to(artifacts):
            raise ValueError(
                f"the MLflow store of {self._storage.root} keeps artifacts at {experiment.artifact_location}: the "
                f"storage root was moved; delete {self._storage.mlflow()} and run the command again to rebuild it"
            )
        self._experiment_id = str(experiment.experiment_id)
        return self._experiment_id

    # What a run shows

    def _tags(self, entry: Entry) -> dict[str, str]:
        labels = {Tag.label(name): value for name, value in entry.labels.items() if value}
        return {
            "mlflow.parentRunId": self._parent(),
            Tag.ROLE: entry.role,
            Tag.STATE: read_state(self._storage, entry.key).state,
            Tag.REVISION: entry.revision or self._heading.revision,
            "mlflow.note.content": _NOTES.get(entry.role, ""),
            **labels,
        }

    def _describe(self, entry: Entry, delivered: Delivered) -> Delivered:
        path = self._storage.description(entry.key)
        wanted = parameters(json.loads(path.read_bytes()))
        present = self._client.get_run(delivered.run_id).data.params
        missing = [entities.Param(name, value) for name, value in wanted.items() if name not in present]
        for start in range(0, len(missing), PARAMETERS_PER_BATCH):
            self._client.log_batch(delivered.run_id, params=missing[start : start + PARAMETERS_PER_BATCH])
        self._client.log_batch(delivered.run_id, tags=_run_tags(self._tags(entry)))
        self._client.log_artifact(delivered.run_id, str(path))
        return self._save(entry.key, replace(delivered, is_described=True))

    def _copy_journal(self, entry: Entry, delivered: Delivered, deadline: float) -> tuple[Delivered, bool]:
        """Copy journal lines until the end or the deadline; says whether the end was reached."""
        path = self._storage.journal(entry.key)
        while True:
            points, _ = read(path, delivered.offset)
            if not points:
                return delivered, True
            batch: list[entities.Metric] = []
            for point in points:
                metrics = [
                    entities.Metric(name, value, point.time, point.step) for name, value in point.metrics.items()
                ]
                if batch and len(batch) + len(metrics) > METRICS_PER_BATCH:
                    delivered = self._send(entry, delivered, batch)
                    batch = []
                    if time.monotonic() > deadline:
                        return delivered, False
                batch += metrics
                delivered = replace(
                    delivered, offset=point.end, step=point.step, journal=delivered.journal or point.time
                )
            delivered = self._send(entry, delivered, batch)
            if time.monotonic() > deadline:
                return delivered, read(path, delivered.offset, limit=1)[1] == delivered.offset

    def _send(self, entry: Entry, delivered: Delivered, batch: Sequence[entities.Metric]) -> Delivered:
        """Send a batch, then record that it arrived: a death between the two repeats it exactly."""
        for start in range(0, len(batch), METRICS_PER_BATCH):
            self._client.log_batch(delivered.run_id, metrics=batch[start : start + METRICS_PER_BATCH])
        return self._save(entry.key, delivered)

    def _copy_evaluation(self, entry: Entry, delivered: Delivered, directory: Path) -> Delivered:
        """Copy an evaluation; its tag is set last, so a reader that sees the tag sees all of it."""
        manifest = read_manifest(directory)
        if manifest is None:
            return delivered
        means = aggregates(json.loads((directory / EVALUATION_FILES[0]).read_bytes()), entry.primary)
        for name in EVALUATION_FILES:
            if name in manifest.files:
                self._client.log_artifact(delivered.run_id, str(directory / name), EVALUATION_ARTIFACTS)
        metrics = [entities.Metric(name, value, manifest.time, delivered.step) for name, value in means.items()]
        self._client.log_batch(
            delivered.run_id, metrics=metrics, tags=_run_tags({Tag.EVALUATION: entry.evaluation or ""})
        )
        return self._save(entry.key, replace(delivered, evaluation=entry.evaluation))

    def _copy_state(self, entry: Entry, delivered: Delivered) -> None:
        state = read_state(self._storage, entry.key)
        tags: dict[str, str] = {
            Tag.STATE: state.state,
            Tag.FLAGS: ",".join(state.flags),
            Tag.REASON: (state.reason or "")[:TAG_CHARACTERS],
        }
        self._client.log_batch(delivered.run_id, tags=_run_tags(tags))
        if state.state.is_final:
            ended = self._storage.state(entry.key).stat().st_mtime_ns // 1_000_000
            self._client.set_terminated(delivered.run_id, _STATUS[state.state], ended)
        else:
            self._client.update_run(delivered.run_id, status=_STATUS[state.state])


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except MlflowException as error:
        kind = Refused if error.error_code in _PERMANENT else Unavailable
        raise kind(str(error)) from error


def _exists(client: MlflowClient, run_id: str) -> bool:
    """Whether MLflow has the run, and not in its bin."""
    try:
        return bool(client.get_run(run_id).info.lifecycle_stage == "active")
    except MlflowException as error:
        if error.error_code == _GONE:
            return False
        raise


def _run_tags(tags: Mapping[str, str]) -> list[entities.RunTag]:
    return [entities.RunTag(str(name), value) for name, value in tags.items()]
