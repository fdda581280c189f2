"""A run's whole schedule in this process on one thread, with AdamW and the batches of a real run: for benchmarks."""

import torch

from harness.assemble import Model, materials, model_of, save
from harness.data.batches import BatchOrder
from harness.masked import at_step
from harness.sharding import adamw
from studies.schema.execution import Execution
from studies.schema.key import run_key
from studies.schema.run import Trained
from studies.schema.storage import Storage, publish, read_manifest

CPU = torch.device("cpu")


def trained(storage: Storage, run: Trained) -> Model:
    """The model of a run after its last step."""
    data = materials(storage, run, Execution(), CPU)
    model = model_of(storage, run)
    optimiser = adamw(model, run.optimiser)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, run.schedule.factor)
    order = BatchOrder(data.train.lengths, run.global_batch, run.seed)
    for step in range(run.schedule.steps):
        loss, _ = at_step(data.train, step + 1).loss(model, order.indices(step), CPU)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), run.optimiser.clip_norm)
        optimiser.step()
        schedule.step()
    return model.eval()


def publish_trained(storage: Storage, run: Trained) -> None:
    """Train a run that others stand on, unless it is there, and leave it where they look for it."""
    folder = storage.final(run_key(run))
    if read_manifest(folder) is None:
        model = trained(storage, run)
        with publish(folder, facts={"key": run_key(run)}) as staging:
            save(storage, run, model, staging)
