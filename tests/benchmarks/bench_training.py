"""How fast a student trains against sentence-transformers: python -m tests.benchmarks.bench_training

The same student from the same weights on the same bitext, with the same cached teacher vectors, the same transport
loss, optimiser and global batch, in fp32: what is compared is everything but the model and the loss. Ours is a run of
a study, by Ray Train and DeepSpeed ZeRO 2 with one thread per worker. Theirs is MultiVectorEncoderTrainer around our
loss, in one process. Each has one core, then two; on a machine with other work two threads of one process can be
slower than one, so the last ratio is against the better of theirs.

A step of ours reads pre-tokenised, length-bucketed batches, and includes the journal and the solver's diagnostics; a
step of theirs tokenises its texts and draws its batches at random, as that trainer does. Neither saves or evaluates.
Rates are medians over stretches of ten steps after a warm-up. Processor time is that of all its processes over all
those steps; it says what a step costs where the clock says what else the machine did. Start-up is told apart.
"""

import contextlib
import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import torch
from datasets.arrow_dataset import Dataset
from sentence_transformers import MultiVectorEncoder
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.multi_vector_encoder import MultiVectorEncoderTrainer, MultiVectorEncoderTrainingArguments
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
from torch import Tensor, nn
from transformers import PrinterCallback, TrainerCallback
from transformers.utils import logging as transformers_logging

from harness.assemble import collection, materials
from harness.encoders import TokenEncoder, build
from harness.examples import BitextExamples
from harness.fleet import Fleet, connected
from harness.journal import read_all
from harness.objectives.pairs import Pairs
from harness.sharding import adamw
from studies.first_look import STUDY
from studies.ladders import ATLAS
from studies.schema.execution import Execution
from studies.schema.lineage import embedded
from studies.schema.optimiser import Schedule
from studies.schema.run import Student
from studies.schema.storage import Storage, write_json_atomic
from studies.schema.study import Point, Study, expand

RUNG = "atlas-28k"
WARMUP_STEPS = 50
MEASURED_STEPS = 100  # no multiple of the tenths of the schedule lies in between: no held-out loss is measured
STRETCH = 10
CORES = (1, 2)
POLL_SECONDS = 0.05
TEACHER_STEPS = 100
TOLERANCE = 1e-5


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Training pairs per second, processor milliseconds per step, and seconds from being asked to the first step."""

    rate: float
    processor_ms: float
    start_up: float


def main() -> None:
    for name in ("ray", "sentence_transformers", "transformers", "datasets"):
        logging.getLogger(name).setLevel(logging.ERROR)
    transformers_logging.disable_progress_bar()
    paces: dict[str, Pace] = {}
    with tempfile.TemporaryDirectory(prefix="bench-training-") as folder:
        storage = Storage.at(Path(folder) / "storage")
        collection(storage, embedded(STUDY.base)[0].collection)
        with connected():
            for workers in CORES:
                paces[f"ours, {workers} workers"] = _ours(_study(workers), storage)
        for threads in CORES:
            paces[f"sentence-transformers, {threads} threads"] = _theirs(_study(1), storage, Path(folder), threads)
    print(f"{RUNG}, global batch {STUDY.base.global_batch}, {MEASURED_STEPS} steps after {WARMUP_STEPS}, fp32")
    print(f"{'':32s} pairs/s   processor ms/step   start-up s")
    for name, pace in paces.items():
        print(f"{name:32s} {pace.rate:7.0f}   {pace.processor_ms:17.1f}   {pace.start_up:10.1f}")
    ours, theirs = list(paces.values())[:2], list(paces.values())[2:]
    print(f"one core: ours / theirs          {ours[0].rate / theirs[0].rate:7.2f}")
    print(f"two cores: ours / better theirs  {ours[1].rate / max(pace.rate for pace in theirs):7.2f}")


def _study(workers: int) -> Study:
    """One student of first_look, below a teacher of few steps; its schedule is long enough that no run ends.

    Students of other numbers of workers have other seeds, or the second would go on where the first was stopped.
    """
    teacher = replace(embedded(STUDY.base)[0], schedule=Schedule(steps=TEACHER_STEPS, warmup_steps=10))
    schedule = Schedule(steps=100 * (WARMUP_STEPS + MEASURED_STEPS), warmup_steps=100)
    return replace(
        STUDY,
        name=f"bench_training_{workers}",
        base=replace(STUDY.base, teacher=teacher, schedule=schedule, seed=workers),
        axes=(ATLAS.axis(RUNG),),
        hold_out=RUNG,
        rivals=(),
        execution=Execution(workers=workers, micro_batch=STUDY.base.global_batch),
        executions=(),
    )


def _points(study: Study) -> tuple[Point, Point]:
    teacher, student = expand(study)
    return teacher, student


def _ours(study: Study, storage: Storage) -> Pace:
    """Train the teacher where it is missing, then the student, until it has journalled the steps to be measured."""
    teacher, student = _points(study)
    _train(study, storage, teacher, watch=lambda: False)
    journal = storage.journal(student.key)
    last = WARMUP_STEPS + MEASURED_STEPS
    used: dict[int, float] = {}

    def watch() -> bool:
        steps = [point.step for point in read_all(journal)] if journal.exists() else []
        if steps and steps[-1] not in used:
            used[steps[-1]] = _workers_seconds()
        return bool(steps) and steps[-1] >= last

    began = time.time()
    _train(study, storage, student, watch)
    times = {point.step: point.time / 1000 for point in read_all(journal)}
    per_step = _median(times)
    first = min(times)
    return Pace(
        rate=study.base.global_batch / per_step,
        processor_ms=_processor_ms(used),
        start_up=times[first] - first * per_step - began,
    )


def _train(study: Study, storage: Storage, point: Point, watch: Callable[[], bool]) -> None:
    """Train one run; it is asked to stop when ``watch`` says so."""
    fleet = Fleet(study, storage, [point])
    while fleet.is_training:
        if watch():
            write_json_atomic(storage.stop_request(study.name), {"schema": 1})
            fleet.wait()
        time.sleep(POLL_SECONDS)
    if fleet.problems:
        raise RuntimeError(f"the benchmark's run did not end well: {'; '.join(fleet.problems)}")


def _workers_seconds() -> float:
    """Processor time of the living training workers below this process."""
    seconds = 0.0
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "RayTrainWorker" in " ".join(process.cmdline()):
                used = process.cpu_times()
                seconds += used.user + used.system
    return seconds


def _theirs(study: Study, storage: Storage, folder: Path, threads: int) -> Pace:
    torch.set_num_threads(threads)
    _, point = _points(study)
    run = point.run
    assert isinstance(run, Student)
    examples = materials(storage, run, study.execution, torch.device("cpu")).train
    assert isinstance(examples, BitextExamples)
    atlas = collection(storage, embedded(run)[0].collection)
    texts = [line.text for line in atlas.bitext(embedded(run)[1])]
    encoder = build(run.rung, run.teacher.token_size, dropout=run.dropout, seed=run.seed)

    began = time.monotonic()
    encoder.save(folder)
    atlas.tokenizer().save_pretrained(str(folder / "backbone"))
    model = _model(folder / "backbone", encoder)
    loss = TransportLoss(model, examples)
    _check_same(loss, encoder, examples, texts)
    optimiser = adamw(model, run.optimiser)
    watch = Stopwatch()
    trainer = MultiVectorEncoderTrainer(
        model=model,
        args=MultiVectorEncoderTrainingArguments(
            output_dir=str(folder / "theirs"),
            max_steps=WARMUP_STEPS + MEASURED_STEPS,
            per_device_train_batch_size=run.global_batch,
            max_grad_norm=run.optimiser.clip_norm,
            logging_steps=study.execution.log_every,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
        ),
        train_dataset=Dataset.from_dict({"text": texts, "label": examples.english_of.tolist()}),
        loss=loss,
        callbacks=[watch],
        optimizers=(optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, run.schedule.factor)),
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return Pace(
        rate=run.global_batch / _median(watch.times),
        processor_ms=_processor_ms(watch.used),
        start_up=watch.times[0] - began,
    )


def _model(backbone: Path, encoder: TokenEncoder) -> MultiVectorEncoder:
    """The encoder as that library builds one."""
    weight_HD = encoder.projection.weight.detach().clone()
    dense = Dense(
        weight_HD.shape[1],
        weight_HD.shape[0],
        bias=False,
        activation_function=None,
        init_weight=weight_HD,
        module_input_name="token_embeddings",
    )
    modules = [Transformer(str(backbone)), dense, Normalize("token_embeddings"), MultiVectorMask()]
    return MultiVectorEncoder(modules=modules, device="cpu")


class TransportLoss(nn.Module):
    """Our loss as that library's trainer calls one; a label is the English line whose vectors are the target."""

    def __init__(self, model: MultiVectorEncoder, examples: BitextExamples) -> None:
        super().__init__()
        self.model = model
        self._examples = examples

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor) -> Tensor:
        (features,) = sentence_features
        output = self.model(dict(features), task="query")
        teacher_BMH, teacher_mask_BM = self._examples.teacher.take(labels.numpy())
        loss, _ = self._examples.criterion(
            Pairs(
                student_BNH=output["token_embeddings"],
                teacher_BMH=teacher_BMH,
                student_mask_BN=output["attention_mask"].bool(),
                teacher_mask_BM=teacher_mask_BM,
                english_B=labels,
            )
        )
        return loss


class Stopwatch(TrainerCallback):
    """Seconds by the clock and of the processor at the end of every step, and at the beginning of the first."""

    def __init__(self) -> None:
        self.times: dict[int, float] = {}
        self.used: dict[int, float] = {}

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.times[0] = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.times[state.global_step] = time.monotonic()
        self.used[state.global_step] = time.process_time()


def _check_same(loss: TransportLoss, encoder: TokenEncoder, examples: BitextExamples, texts: list[str]) -> None:
    """Refuse to compare two models or two losses."""
    chosen = torch.arange(0, len(texts), len(texts) // 64).numpy()
    with torch.no_grad():
        ours, _ = examples.loss(encoder, chosen, torch.device("cpu"))
        features = loss.model.preprocess([texts[i] for i in chosen], task="query")
        theirs = loss([features], torch.from_numpy(examples.english_of[chosen]))
    if not abs(float(ours) - float(theirs)) < TOLERANCE:
        raise RuntimeError(f"not the same model: its loss is {float(ours)} here and {float(theirs)} there")


def _median(times: Mapping[int, float]) -> float:
    """Seconds per step, over the stretches after the warm-up."""
    ends = range(WARMUP_STEPS + STRETCH, WARMUP_STEPS + MEASURED_STEPS + 1, STRETCH)
    return statistics.median((times[end] - times[end - STRETCH]) / STRETCH for end in ends)


def _processor_ms(used: Mapping[int, float]) -> float:
    """Processor milliseconds per step between the first and the last measured step that was looked at."""
    steps = [step for step in used if WARMUP_STEPS <= step <= WARMUP_STEPS + MEASURED_STEPS]
    first, last = min(steps), max(steps)
    return 1000 * (used[last] - used[first]) / (last - first)


if __name__ == "__main__":
    main()
