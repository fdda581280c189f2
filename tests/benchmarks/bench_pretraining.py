"""What masked-language modelling on the atlas does to the students that start from it.

``python -m tests.benchmarks.bench_pretraining`` distils a student of atlas-13k for 600 steps of transport from random
weights and from the weights that six pretrainings left, each at some learning rates, and prints nDCG@10 over
validation queries, at full exposure and at a tenth; test queries are not read. A pretraining is its texts per step, its
steps and its peak learning rate; ``gap_by_size`` 2026.11.26 had 128 x 800 at 0.006.
"""

import statistics
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from ir_measures import nDCG

from harness.encoders import TokenEncoder
from harness.evaluate import retrieve
from studies.bases import ATLAS_LANGUAGES, OPTICAL_ATLAS, atlas_pretraining
from studies.ladders import ATLAS
from studies.schema.axes import exposure_of
from studies.schema.evaluation import Evaluation, Split
from studies.schema.lineage import embedded
from studies.schema.optimiser import Optimiser, Schedule
from studies.schema.run import Pretraining, Student
from studies.schema.storage import Storage
from tests.benchmarks.plain_training import publish_trained, trained

MEASURE = nDCG @ 10
RUNG = next(rung for rung, _ in ATLAS.rungs if rung.name == "atlas-13k")
EXPOSURE = exposure_of(0, 2, ATLAS_LANGUAGES, low=0.1)

TRIED: tuple[tuple[tuple[int, int, float] | None, tuple[float, ...]], ...] = (
    (None, (0.006, 0.012)),
    ((128, 800, 0.0005), (0.006,)),
    ((128, 800, 0.001), (0.006,)),
    ((128, 800, 0.002), (0.006, 0.012)),
    ((128, 800, 0.006), (0.003, 0.006, 0.012)),
    ((512, 2400, 0.001), (0.006,)),
    ((512, 2400, 0.004), (0.006, 0.012)),
)
"""Texts per step, steps and learning rate of a pretraining, or none; and learning rates of distillation."""


def pretraining(texts: int, steps: int, rate: float) -> Pretraining:
    """The base's pretraining at another budget and rate."""
    schedule = Schedule(steps=steps, warmup_steps=steps // 10)
    return replace(atlas_pretraining(RUNG, rate), schedule=schedule, global_batch=texts)


def scores(storage: Storage, run: Student) -> tuple[float, float]:
    """Mean nDCG@10 over the languages at full exposure, and over the others."""
    reader = trained(storage, run)
    assert isinstance(reader, TokenEncoder)
    found = retrieve(storage, run, reader, Evaluation(measures=(MEASURE,), split=Split.VALIDATION))
    full: list[float] = []
    reduced: list[float] = []
    for language, share in EXPOSURE:
        mean = statistics.fmean(each[str(MEASURE)] for each in found[language].scores.values())
        (full if share == 1.0 else reduced).append(mean)
    return statistics.fmean(full), statistics.fmean(reduced)


def main() -> None:
    torch.set_num_threads(1)
    base = replace(
        OPTICAL_ATLAS,
        rung=RUNG,
        bitext=replace(embedded(OPTICAL_ATLAS)[1], exposure=EXPOSURE),
        schedule=Schedule(steps=600, warmup_steps=60),
    )
    print(f"{'pretraining':>20}  {'rate':>5}  {'full':>5}  {'tenth':>5}")
    with tempfile.TemporaryDirectory() as folder:
        storage = Storage.at(Path(folder))
        publish_trained(storage, embedded(base)[0])
        for settings, rates in TRIED:
            start = None if settings is None else pretraining(*settings)
            if start is not None:
                publish_trained(storage, start)
            label = "none" if settings is None else "{} x {} at {:g}".format(*settings)
            for rate in rates:
                student = replace(base, pretraining=start, optimiser=Optimiser(learning_rate=rate))
                full, reduced = scores(storage, student)
                print(f"{label:>20}  {rate:5g}  {full:5.3f}  {reduced:5.3f}", flush=True)


if __name__ == "__main__":
    main()
