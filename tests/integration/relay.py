"""One small student trained leg after leg: each leg may go on from another's checkpoint, by other workers.

No Ray: the processes of a group find one another through a file, so that a group costs little more than its imports.
"""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor
from torch.multiprocessing.spawn import spawn

from harness import checkpoint, sharding
from harness.assemble import model_of
from harness.checkpoint_files import newest
from harness.data.batches import BatchOrder, pad
from harness.drills.tiny import VOCABULARY, tiny_student
from harness.objectives.pairs import Loss
from harness.train import optimise
from studies.schema.execution import Execution
from studies.schema.run import Student
from studies.schema.rung import Precision
from studies.schema.storage import Storage

STEPS = 10
SAVED = 5
"""After how many steps every leg that begins at the start leaves a checkpoint."""

STUDENT = replace(tiny_student("0" * 12, steps=STEPS), frozen_embeddings=False)


@dataclass(frozen=True, kw_only=True)
class Leg:
    """Training under a ZeRO stage from the start, or from what the leg named ``after`` left, to the end.

    ``micro_batch`` decides how often is accumulated.
    """

    name: str
    stage: int
    after: str | None = None
    run: Student = STUDENT
    micro_batch: int = 16


class Sentences:
    """Made-up sentences whose tokens are to be mapped to fixed directions."""

    def __init__(self, run: Student) -> None:
        draw = np.random.default_rng(5)
        self._ids = [draw.integers(5, VOCABULARY, size=size).tolist() for size in draw.integers(3, 13, size=96)]
        aims_VH = torch.randn(VOCABULARY, run.teacher.token_size, generator=torch.Generator().manual_seed(5))
        self._aims_VH = torch.nn.functional.normalize(aims_VH, dim=-1)

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.array([len(ids) for ids in self._ids])

    def loss(self, model: Callable[..., Tensor], indices: NDArray[np.int64], device: torch.device, /) -> Loss:
        ids_BN, mask_BN = (torch.from_numpy(array).to(device) for array in pad([self._ids[i] for i in indices], 0))
        miss_BN = 1 - (model(ids_BN, mask_BN) * self._aims_VH[ids_BN]).sum(-1)
        return ((miss_BN * mask_BN).sum(-1) / mask_BN.sum(-1)).mean(), {}


def relay(folder: Path, workers: int, legs: Sequence[Leg]) -> None:
    """Train legs in new processes, one after another; each leaves its losses and checkpoints below ``folder``."""
    rendezvous = folder / f"{legs[0].name}.rendezvous"
    spawn(_work, (workers, str(rendezvous), folder, legs), nprocs=workers)  # type: ignore[no-untyped-call]


def losses(folder: Path, leg: str) -> NDArray[np.float64]:
    """The loss of each step that a leg took, the mean over its workers."""
    return np.array(json.loads((folder / leg / "losses.json").read_text()))


def files(folder: Path, leg: str) -> dict[str, bytes]:
    """The last checkpoint of a leg, but for the manifest."""
    found = newest(folder / leg)
    assert found is not None
    return {path.name: path.read_bytes() for path in found[0].glob("*.safetensors")}


def _work(rank: int, workers: int, rendezvous: str, folder: Path, legs: Sequence[Leg]) -> None:
    os.environ |= {"LOCAL_RANK": str(rank), "GLOO_SOCKET_IFNAME": "lo"}
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=workers)
    for leg in legs:
        if leg.after is not None and rank == 0:
            shutil.copytree(folder / leg.after / f"{SAVED:08d}", folder / leg.name / f"{SAVED:08d}")
        dist.barrier()
        _train(leg, folder / leg.name)
    dist.destroy_process_group()


def _train(leg: Leg, folder: Path) -> None:
    workers, rank = dist.get_world_size(), dist.get_rank()
    execution = Execution(workers=workers, zero_stage=leg.stage, micro_batch=leg.micro_batch)
    with sharding.building(leg.run, execution, world_size=workers):
        model = model_of(Storage.at(folder), leg.run)
    torch.manual_seed(leg.run.seed * workers + rank)
    engine = sharding.prepare(model, leg.run, execution, world_size=workers)
    data = Sentences(leg.run)
    order = BatchOrder(data.lengths, leg.run.global_batch, leg.run.seed)
    found: list[float] = []
    for step in range(checkpoint.restore(engine, folder, seed=leg.run.seed), STEPS):
        mean = torch.tensor(optimise(engine, data, order.indices(step), execution, torch.device("cpu"))["loss"])
        dist.all_reduce(mean)
        found.append(float(mean) / workers)
        if step + 1 in (SAVED, STEPS):
            checkpoint.save(engine, folder, step + 1)
    if rank == 0:
        (folder / "losses.json").write_text(json.dumps(found))
    engine.destroy()


def variants() -> dict[str, Student]:
    """Runs in which something else has to be carried over a checkpoint."""
    return {
        "fp32": STUDENT,
        "bf16": replace(STUDENT, precision=Precision.BF16),
        "frozen": replace(STUDENT, frozen_embeddings=True),
        "dropout": replace(STUDENT, dropout=0.1),
    }
