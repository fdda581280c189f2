"""A search that is killed goes on: nothing that ended is repeated, and MLflow has every trial once."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from harness.drills.results import fingerprint, last_step
from harness.drills.tiny import tiny_search, write_study
from harness.journal import read_all
from harness.trials import closed
from studies.schema.record import Kind, State, Tag
from studies.schema.search import Search
from studies.schema.state import read_state
from studies.schema.storage import Storage
from studies.schema.trials import points_of, read_ledger
from tests.integration.starting import Start

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1500)]

TRIALS = 5


def test_killed_search_goes_on_and_repeats_no_finished_trial(revision: str, tmp_path: Path, start: Start) -> None:
    search = tiny_search(revision, trials=TRIALS)
    studies = tmp_path / "studies"
    studies.mkdir()
    write_study(studies, f"tiny_search({revision!r}, trials={TRIALS})", name=search.name)
    storage = Storage.at(tmp_path / "storage")
    command = start(storage, studies, "search", search.name)
    command.wait_until(lambda: trained(search, storage))
    command.end()
    before = read_ledger(storage.ledger(search.name, search.version))
    ended = {key: fingerprint(storage.run(key) / "final") for key in trained(search, storage)}
    journals = {key: storage.journal(key).read_bytes() for key in ended}

    follower = start(storage, studies, "search", search.name)
    follower.wait_until(lambda: under_way(search, storage) and bool(follower.train_workers()))
    # Its group is started again and has to find the trial that it was at.
    follower.train_workers()[0].kill()
    assert follower.wait() == 0, follower.output()
    assert not follower.left_behind()
    after = read_ledger(storage.ledger(search.name, search.version))
    assert after.trials[: len(before.trials)] == before.trials
    assert after.verdicts[: len(before.verdicts)] == before.verdicts
    assert len(after.trials) == TRIALS
    assert all(closed(search, storage, trial) is not None for trial in after.trials)
    assert len({(verdict.key, verdict.step) for verdict in after.verdicts}) == len(after.verdicts)
    for key, files in ended.items():
        assert fingerprint(storage.run(key) / "final") == files
        assert storage.journal(key).read_bytes() == journals[key]
    assert_pruned_trials_can_go_on(search, storage)
    assert_mlflow_has_every_trial_once(search, storage)
    again = start(storage, studies, "search", search.name)
    assert again.wait() == 0
    assert read_ledger(storage.ledger(search.name, search.version)) == after


def trained(search: Search, storage: Storage) -> list[str]:
    """Keys of trials that were trained to their end."""
    keys = [point.key for point in points_of(search, storage)][1:]
    return [key for key in keys if read_state(storage, key).state.has_result]


def under_way(search: Search, storage: Storage) -> list[str]:
    """Keys of trials that have begun and are not at their end."""
    keys = [point.key for point in points_of(search, storage)][1:]
    return [key for key in keys if last_step(storage, key) and not read_state(storage, key).state.is_final]


def assert_pruned_trials_can_go_on(search: Search, storage: Storage) -> None:
    """A pruned run stands at a milestone, with a checkpoint of it and no final weights."""
    for verdict in read_ledger(storage.ledger(search.name, search.version)).verdicts:
        if not verdict.goes_on:
            assert read_state(storage, verdict.key).state is State.PRUNED
            assert read_all(storage.journal(verdict.key))[-1].step == verdict.step
            newest = max(storage.checkpoints(verdict.key).glob("[0-9]*"))
            assert int(newest.name) == verdict.step
            assert not storage.final(verdict.key).exists()


def assert_mlflow_has_every_trial_once(search: Search, storage: Storage) -> None:
    client = MlflowClient(f"sqlite:///{storage.mlflow_database()}")
    experiment = client.get_experiment_by_name(search.name)
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in found if run.data.tags[Tag.KIND] == Kind.STUDY]
    children = [run for run in found if run.data.tags[Tag.KIND] == Kind.RUN]
    assert parent.info.status == "FINISHED"
    assert sorted(run.data.tags[Tag.KEY] for run in children) == sorted(p.key for p in points_of(search, storage))
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    states = {run.data.tags[Tag.KEY]: run.data.tags[Tag.STATE] for run in children}
    assert states == {key: read_state(storage, key).state for key in states}
