"""Who trains a run when two studies share it, and what an engine tells of its gradients."""

import os
import threading
import time
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn

from harness import sharding, turns
from harness.remote import Task
from harness.turns import Stopped, leased
from studies.bases import ATLAS_TEACHER
from studies.schema.execution import Execution
from studies.schema.key import run_key
from studies.schema.record import State
from studies.schema.state import write_state
from studies.schema.storage import Storage

TASK = Task(study="one", key=run_key(ATLAS_TEACHER), run=ATLAS_TEACHER, execution=Execution(workers=1))


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    """Storage seen by a worker that is alone in its group and looks ten times a second."""
    monkeypatch.setattr(turns, "LEASE_WAIT_SECONDS", 0.1)
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1)
    yield Storage.at(tmp_path)
    dist.destroy_process_group()


def held_for(storage: Storage, seconds: float, state: State | None) -> threading.Thread:
    """Another process's part: train the run for a while and leave it in a state."""
    lease = storage.lease(storage.run_lease(TASK.key), purpose="train").acquire()

    def work() -> None:
        time.sleep(seconds)
        if state is not None:
            write_state(storage, TASK.key, state)
        lease.release()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.parametrize(("left", "owed"), [(State.FINISHED, False), (None, True)])
def test_run_in_other_hands_is_waited_for_and_trained_only_if_it_is_still_owed(
    storage: Storage, left: State | None, owed: bool
) -> None:
    other = held_for(storage, 0.5, left)
    with leased(storage, TASK) as found:
        assert not other.is_alive()
        assert found is owed
    other.join()


def test_stop_request_ends_the_wait_for_a_run_in_other_hands(storage: Storage) -> None:
    storage.stop_request(TASK.study).parent.mkdir(parents=True)
    storage.stop_request(TASK.study).touch()
    other = held_for(storage, 1.0, None)
    with pytest.raises(Stopped), leased(storage, TASK):
        pass
    assert other.is_alive()
    other.join()


@pytest.mark.parametrize("stage", [0, 2])
def test_norm_that_gradients_are_clipped_by_is_known_under_zero(tmp_path: Path, stage: int) -> None:
    # DeepSpeed remembers the first process group of a process.
    process = get_context("spawn").Process(target=_check_norm, args=(f"file://{tmp_path}/rendezvous", stage))
    process.start()
    process.join()
    assert process.exitcode == 0


def _check_norm(rendezvous: str, stage: int) -> None:
    os.environ["LOCAL_RANK"] = "0"
    dist.init_process_group("gloo", init_method=rendezvous, rank=0, world_size=1)
    model, inputs = nn.Linear(3, 2), torch.tensor([[1.0, 2.0, 3.0]])
    gradients = torch.autograd.grad(model(inputs).square().sum(), list(model.parameters()))
    execution = Execution(workers=1, micro_batch=ATLAS_TEACHER.global_batch, zero_stage=stage)
    engine = sharding.initialize(model, ATLAS_TEACHER, execution, world_size=1)
    engine.backward(engine(inputs).square().sum())
    engine.step()
    norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()
    assert float(engine.get_global_grad_norm()) == pytest.approx(float(norm), rel=1e-5)
    dist.destroy_process_group()
