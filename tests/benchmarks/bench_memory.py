"""Predicted against measured memory of a training step: python -m tests.benchmarks.bench_memory

Every tensor is counted: torch's profiler sees each allocation on the CPU from before the model is built, so that its
highest sum within a step is the peak of weights, gradients, moments, buffers, activations and scratch space together.
Steps are real ones, of the engine that trains, on made-up lines of even length; the second is measured, as in the first
the moments are made. Two workers are two processes here.
"""

import gc
import json
import multiprocessing
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch.profiler import ProfilerActivity, profile

from harness import sharding
from harness.criteria import criterion
from harness.encoders import build
from harness.examples import BitextExamples, Sequences
from harness.late_interaction import Ragged
from harness.train import optimise
from harness.vectors import CachedTeacher
from studies.bases import OPTICAL_ATLAS
from studies.ladders import ATLAS
from studies.schema.execution import Execution
from studies.schema.memory import memory_per_rank
from studies.schema.objective import PooledMSE
from studies.schema.run import Student
from studies.schema.rung import Precision

STUDENT_TOKENS, TEACHER_TOKENS = 24, 20
RUNGS = {rung.name: rung for rung, _ in ATLAS.rungs}
MIB = 2**20
STEP = "a step of the engine"

LARGER = replace(OPTICAL_ATLAS, rung=RUNGS["atlas-78k"])
DEEP = replace(
    LARGER, rung=replace(LARGER.rung, name="6 layers", architecture=replace(LARGER.rung.architecture, num_layers=6))
)
CASES: dict[str, tuple[Student, Execution]] = {
    **{
        f"{name}, ZeRO {stage}": (replace(OPTICAL_ATLAS, rung=RUNGS[name]), Execution(workers=1, zero_stage=stage))
        for name in ("atlas-3k", "atlas-28k", "atlas-78k")
        for stage in (0, 2, 3)
    },
    "atlas-78k, ZeRO 1, 2 workers": (LARGER, Execution(workers=2, zero_stage=1)),
    "atlas-78k, ZeRO 2, 2 workers": (LARGER, Execution(workers=2, zero_stage=2)),
    "atlas-78k, ZeRO 3, 2 workers": (LARGER, Execution(workers=2, zero_stage=3)),
    "atlas-78k, micro-batch 32": (LARGER, Execution(workers=1, micro_batch=32)),
    "atlas-78k, bf16": (replace(LARGER, precision=Precision.BF16), Execution(workers=1)),
    "atlas-78k, frozen lexicon": (replace(LARGER, frozen_embeddings=True), Execution(workers=1)),
    "atlas-78k, pooled": (replace(LARGER, objective=PooledMSE()), Execution(workers=1)),
    "6 layers": (DEEP, Execution(workers=1)),
    "6 layers, checkpointed": (DEEP, Execution(workers=1, gradient_checkpointing=True)),
}


def measured(run: Student, execution: Execution) -> float:
    """Bytes of all tensors at the highest point of a step on this rank."""
    data = _lines(run)
    steps = [np.arange(run.global_batch)] * 2
    gc.collect()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        encoder = build(run.rung, run.teacher.token_size, dropout=0.0, seed=0)
        engine = sharding.prepare(encoder, run, execution, world_size=execution.workers)
        for indices in steps:
            # What was needed only to set up is garbage in cycles, and is counted until it is collected.
            gc.collect()
            with torch.profiler.record_function(STEP):
                optimise(engine, data, indices, execution, torch.device("cpu"))
    engine.destroy()
    return _peak(seen)


def _peak(seen: profile) -> float:
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder, "trace.json")
        seen.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text())["traceEvents"]
    begun = max(event["ts"] for event in events if event.get("name") == STEP)
    counted = sorted((e for e in events if e.get("name") == "[memory]"), key=lambda event: float(event["ts"]))
    # The sum goes on from one profile of a process to the next.
    before = counted[0]["args"]["Total Allocated"] - counted[0]["args"]["Bytes"]
    return float(max(event["args"]["Total Allocated"] for event in counted if event["ts"] >= begun) - before)


def _lines(run: Student) -> BitextExamples:
    """Made-up lines, as many as a batch holds."""
    random = np.random.default_rng(0)
    count = run.global_batch
    source = Sequences.of(random.integers(5, 8000, (count, STUDENT_TOKENS)).tolist(), padding=1)
    tokens = torch.randn(count * TEACHER_TOKENS, run.teacher.token_size, generator=torch.Generator().manual_seed(0))
    lengths = torch.full((count,), TEACHER_TOKENS)
    teacher = CachedTeacher(Ragged(tokens_TH=torch.nn.functional.normalize(tokens, dim=1), lengths=lengths))
    return BitextExamples(
        source=source, english_of=np.arange(count), teacher=teacher, criterion=criterion(run.objective)
    )


def _meet(rank: int, workers: int, folder: str) -> None:
    os.environ |= {"DS_ACCELERATOR": "cpu", "RANK": str(rank), "LOCAL_RANK": "0", "WORLD_SIZE": str(workers)}
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=workers)


def _as_rank(names: list[str], rank: int, workers: int, folder: str) -> None:
    """Measure all that has so many workers, one after another."""
    _meet(rank, workers, folder)
    for name in names:
        run, execution = CASES[name]
        found = measured(run, execution)
        if rank == 0:
            _print(name, memory_per_rank(run, execution, tokens=STUDENT_TOKENS).peak, found)


def _print(name: str, predicted: float, found: float) -> None:
    print(f"{name:<34}{predicted / MIB:>8.2f} MiB{found / MIB:>8.2f} MiB{predicted / found:>8.3f}", flush=True)


def main(chosen: list[str]) -> None:
    print(f"{'':<34}{'predicted':>12}{'measured':>12}{'ratio':>8}")
    for workers in (1, 2):
        names = [name for name in chosen or CASES if CASES[name][1].workers == workers]
        with tempfile.TemporaryDirectory() as folder:
            ranks = [
                multiprocessing.get_context("spawn").Process(target=_as_rank, args=(names, rank, workers, folder))
                for rank in range(workers)
                if names
            ]
            for process in ranks:
                process.start()
            for process in ranks:
                process.join()


if __name__ == "__main__":
    main(sys.argv[1:])
