"""One student trained under many executions, each in a storage of its own, by real Ray workers with DeepSpeed.

Starting a worker group costs more than training so small a model, so that three groups train all of them.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ray.train import RunConfig, ScalingConfig
from safetensors.numpy import load_file

from harness import fleet
from harness.drills.results import journal, last_step
from harness.drills.tiny import tiny_student, tiny_translator
from harness.elastic import ElasticTrainer
from harness.remote import Task, train_worker
from harness.torch_group import TorchGroup
from studies.schema.execution import Execution
from studies.schema.key import run_key
from studies.schema.lineage import embedded
from studies.schema.record import Metric
from studies.schema.run import Teacher, Trained
from studies.schema.rung import Precision, Rung
from studies.schema.storage import Storage, write_json_atomic
from tests.harness.published_encoder import write_encoder

STEPS = 40
CUT = 19
"""The step after which the cut ones are stopped: no checkpoint was due there, and the next recorded step is far."""

EVERY_STEP = Execution(workers=2, micro_batch=16, log_every=1, checkpoint_every=20)
SELDOM = Execution(workers=2, micro_batch=16, log_every=CUT, checkpoint_every=2 * CUT)


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A run, how it is executed, and whether it is stopped once on its way."""

    run: Trained
    execution: Execution
    is_cut: bool = False

    @property
    def task(self) -> Task:
        return Task(study="curves", key=run_key(self.run), run=self.run, execution=self.execution)


@dataclass(frozen=True, kw_only=True)
class Curves:
    """Variants by name with their storage; ``half`` is the last step of the cut ones before they went on."""

    variants: Mapping[str, Variant]
    storages: Mapping[str, Storage]
    half: Mapping[str, int]

    def journal(self, name: str) -> list[tuple[int, dict[str, float]]]:
        """The journal of a variant without its times."""
        return journal(self.storages[name], self.variants[name].task.key)

    def metric(self, name: str, metric: str = Metric.LOSS) -> NDArray[np.float64]:
        """A metric over all steps at which a variant recorded it."""
        return np.array([metrics[metric] for _, metrics in self.journal(name) if metric in metrics])

    def weights(self, name: str) -> dict[str, NDArray[np.float32]]:
        """Final weights of a variant by name of the tensor."""
        folder = self.storages[name].final(self.variants[name].task.key)
        return {
            f"{path.name} {tensor}": values
            for path in sorted(folder.rglob("*.safetensors"))
            for tensor, values in load_file(path).items()
        }


def variants_of(revision: str, published: Rung) -> dict[str, Variant]:
    """Everything that is trained, by name; ``published`` is a rung with pretrained weights."""
    student = tiny_student(revision, steps=STEPS)
    translator = tiny_translator(revision, steps=STEPS)
    alone = replace(EVERY_STEP, workers=1, micro_batch=32)
    found = {
        "taught": Variant(run=embedded(student)[0], execution=alone),
        "teacher, one worker": Variant(run=embedded(student)[0], execution=replace(alone, micro_batch=16)),
        "teacher, two workers": Variant(run=embedded(student)[0], execution=EVERY_STEP),
        "one worker": Variant(run=student, execution=alone),
        "accumulated": Variant(run=student, execution=replace(EVERY_STEP, micro_batch=4)),
        "bf16": Variant(run=replace(student, precision=Precision.BF16), execution=EVERY_STEP),
        "translator, one worker": Variant(run=translator, execution=alone),
        "translator, two workers": Variant(run=translator, execution=EVERY_STEP),
    }
    for stage in (0, 1, 2, 3):
        found[f"ZeRO {stage}"] = Variant(run=student, execution=replace(EVERY_STEP, zero_stage=stage))
    for name, run, stage in (
        ("ZeRO 2", student, 2),
        ("ZeRO 3", student, 3),
        ("dropout", replace(student, dropout=0.1), 2),
        ("bf16", replace(student, precision=Precision.BF16), 2),
        ("translator", translator, 2),
    ):
        execution = replace(SELDOM, zero_stage=stage)
        found[f"whole, {name}"] = Variant(run=run, execution=execution)
        found[f"cut, {name}"] = Variant(run=run, execution=execution, is_cut=True)
    frozen = replace(student, rung=published, frozen_embeddings=True)
    found["published, ZeRO 2"] = Variant(run=frozen, execution=EVERY_STEP)
    checkpointed = replace(EVERY_STEP, zero_stage=3, gradient_checkpointing=True)
    found["published, ZeRO 3"] = Variant(run=frozen, execution=checkpointed)
    return found


def train_all(revision: str, folder: Path) -> Curves:
    """Train every variant; all but teachers find the collection and the teacher that one worker trained."""
    variants = variants_of(revision, write_encoder(folder / "published"))
    storages = {name: Storage.at(folder / name.replace(", ", "-").replace(" ", "-")) for name in variants}
    first = ("one worker", "translator, one worker")
    taught = storages["taught"]
    storages |= dict.fromkeys(first, taught)
    alone = [name for name, variant in variants.items() if variant.execution.workers == 1]
    paired = [name for name in variants if name not in alone]
    cut = [name for name in paired if variants[name].is_cut]
    with fleet.connected():
        _fit([(storages[name], variants[name]) for name in alone], folder)
        for name in paired:
            if not isinstance(variants[name].run, Teacher):
                shutil.copytree(taught.root, storages[name].root)
                for done in first:
                    shutil.rmtree(storages[name].run(variants[done].task.key))
        for name in cut:
            write_json_atomic(storages[name].stop_request("curves"), {"schema": 1})
        _fit([(storages[name], variants[name]) for name in paired], folder)
        half = {name: last_step(storages[name], variants[name].task.key) for name in cut}
        for name in cut:
            storages[name].stop_request("curves").unlink()
        _fit([(storages[name], variants[name]) for name in cut], folder)
    return Curves(variants=variants, storages=storages, half=half)


def train_each(config: dict[str, Any]) -> None:
    """On a worker: what the harness does there, for one storage after another."""
    for root, task in config["tasks"]:
        train_worker({"storage": root, "tasks": [task]})


def _fit(chosen: Sequence[tuple[Storage, Variant]], folder: Path) -> None:
    """Train some variants of one number of workers in processes of their own."""
    workers = chosen[0][1].execution.workers
    ElasticTrainer(
        train_each,
        train_loop_config={"tasks": [(str(storage.root), variant.task) for storage, variant in chosen]},
        scaling_config=ScalingConfig(num_workers=workers),
        run_config=RunConfig(storage_path=str(folder / "ray")),
        backend_config=TorchGroup("gloo"),
        sizes=(workers,),
    ).fit()
