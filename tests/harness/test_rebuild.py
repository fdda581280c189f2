"""A store made anew from storage alone shows what delivery, bit by bit, had made of the same runs."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from harness.delivery import Entry, Heading
from harness.drills.results import point_differences
from harness.housekeeping import garbage
from harness.mlflow_ui import ui
from harness.rebuild import rebuild
from harness.roster import rosters
from harness.tracker import Tracker
from studies.schema.record import Tag
from studies.schema.storage import LeaseHeld, Storage
from tests.harness.recorded import ENTRIES, HEADING, KEYS, finish_run, make_run

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

LATER = replace(HEADING, version="2", revision="def5678")


def deliver(storage: Storage, heading: Heading, entries: list[Entry], *, is_all: bool = True) -> None:
    """What a driver does at its end, or in the middle of a study."""
    tracker = Tracker(storage, heading)
    try:
        if is_all:
            assert tracker.flush(entries)
        else:
            while tracker.pending(entries):
                tracker.tick(entries, more=True)
    finally:
        tracker.close()


def store(storage: Storage, copy: Path) -> MlflowClient:
    """A reader of a copy of the database: MLflow keeps a file that it once read open, whatever takes its place."""
    shutil.copy(storage.mlflow_database(), copy)
    return MlflowClient(f"sqlite:///{copy}")


def contents(client: MlflowClient) -> dict[str, Any]:
    """All that every run shows, by version and name; ids and the times of parents are the store's own."""
    experiment = client.get_experiment_by_name(HEADING.name)
    assert experiment is not None
    found: dict[str, Any] = {"experiment": experiment.tags}
    runs = client.search_runs([experiment.experiment_id])
    names = {run.info.run_id: run.info.run_name for run in runs}
    for run in runs:
        parent = run.data.tags.pop("mlflow.parentRunId", None)
        points = [
            (m.key, m.step, m.value, m.timestamp)
            for name in sorted(run.data.metrics)
            for m in client.get_metric_history(run.info.run_id, name)
        ]
        artifacts = Path(run.info.artifact_uri)
        key = f"{run.data.tags[Tag.VERSION]} {run.info.run_name}"
        assert key not in found
        found[key] = {
            "params": run.data.params,
            "tags": run.data.tags,
            "points": sorted(points),
            "status": run.info.status,
            "times": (run.info.start_time, run.info.end_time) if parent else None,
            "parent": names.get(parent),
            "files": {str(p.relative_to(artifacts)): p.read_bytes() for p in artifacts.rglob("*") if p.is_file()},
        }
    return found


def test_store_made_anew_equals_what_was_delivered_bit_by_bit(tmp_path: Path) -> None:
    storage = Storage.at(tmp_path / "root")
    for key in KEYS:
        make_run(storage, key, steps=60)
    for heading in (HEADING, LATER):
        storage.record_recipe(heading.name, heading.version, {"law": "linear"})
    # The server is shared, as by the UI, so that it is started once.
    deliver(storage, HEADING, ENTRIES[:1], is_all=False)
    finish_run(storage, KEYS[0])
    with ui(storage, 0):
        # A later driver, of other code, finds more runs; a later version shares one and leaves it unfinished.
        deliver(storage, replace(HEADING, revision="other"), ENTRIES, is_all=False)
        deliver(storage, LATER, [replace(ENTRIES[1], name="shared", evaluation=None)], is_all=False)
        finish_run(storage, KEYS[1])
        deliver(storage, HEADING, ENTRIES)
        with pytest.raises(ValueError, match="in use; end the study or the UI"):
            rebuild(storage, str)
        deliver(storage, LATER, [replace(ENTRIES[1], name="shared", evaluation=None)])
    before = contents(store(storage, tmp_path / "before.db"))
    assert {run["tags"][Tag.REVISION] for name, run in before.items() if "1 student" in name} == {"abc1234", "other"}
    with storage.lease(storage.study_lease(HEADING.name)), pytest.raises(LeaseHeld):
        rebuild(storage, str)

    said: list[str] = []
    aside = rebuild(storage, said.append)
    assert said == ["gap 1: 2 runs", "gap 2: 1 runs"]
    after = contents(store(storage, tmp_path / "after.db"))
    assert before["1 student 00000000000000a1"]["files"].keys() >= {"run.json", "evaluation/per_query.parquet"}
    assert after.keys() == before.keys()
    assert [(name, part) for name in before for part in before[name] if after[name][part] != before[name][part]] == []
    assert aside is not None
    assert (aside / storage.mlflow_database().name).exists()
    assert aside in [item.path for item in garbage(storage, ())]
    assert json.loads(storage.delivered(HEADING.name, "1", KEYS[0]).read_text())["offset"] > 0
    assert point_differences(storage, HEADING) == []
    client = MlflowClient(f"sqlite:///{storage.mlflow_database()}")
    delivered = json.loads(storage.delivered(HEADING.name, "1", KEYS[0]).read_text())
    client.log_metric(delivered["run_id"], "loss", 1.0, timestamp=1, step=1)
    assert point_differences(storage, HEADING) == [f"{ENTRIES[0].name}: 61 points of loss for 60 in the journal"]
    assert [len(roster.entries) for roster in rosters(storage)] == [2, 1]
