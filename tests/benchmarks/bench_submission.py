"""From submission to the first training step on a warm local cluster: python -m tests.benchmarks.bench_submission [N]

Brings up a real cluster of this machine and submits a tiny study N times (5 without), each time over a storage of its
own that has the collection and nothing else; the attempt is ended after the first step of its teacher. The first
submission warms the cluster and is not counted. Without preflight, which is timed by itself: it is a job of its own.
Most of the time is imports, so that of torch alone is shown too: it tells slow machines from slow code.
"""

import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from cluster.local import State as LocalState
from cluster.processes import family
from harness.data.atlas import declare, open_atlas
from harness.drills.tiny import LANGUAGES, STEPS, VOCABULARY, tiny_study
from studies.schema.lineage import embedded
from studies.schema.record import State
from studies.schema.state import read_state
from studies.schema.storage import Storage
from studies.schema.study import Study, expand
from tests.integration.checkout import command, make_checkout

DEFAULT_NUMBER = 5
POLL_SECONDS = 0.1
"""Looking thirty times a second took a tenth of two cores."""

WAIT_SECONDS = 240.0

STAGES = (
    "the command: imports, sources packed and sent",
    "the job server and its agent start the driver",
    "the driver's interpreter and imports",
    "Ray, its train controller, a worker's process",
    "the other worker, imports in both, their process group",
    "data, model, engine, the first step",
)
"""What the time goes into, in order; each ends where the next begins."""


def main(number: int) -> None:
    # So that the cluster is ended with the benchmark, as by `timeout`.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    folder = Path(tempfile.mkdtemp(prefix="harness-submission-"))
    revision = declare(LANGUAGES, VOCABULARY).revision
    study = tiny_study(revision, steps=STEPS)
    checkout = folder / "checkout"
    make_checkout(checkout, f"tiny_study({revision!r}, steps={STEPS}, execution=replace(EXECUTION, log_every=1))")
    os.environ["XDG_STATE_HOME"] = str(folder / "state")
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    read = []
    try:
        run(checkout, environment, "up", "local", "--port", str(free_port()))
        record = LocalState("local").read()
        assert record is not None
        for reading in range(number + 1):
            storage = Storage.at(folder / f"storage-{reading}")
            open_atlas(storage, embedded(study.base)[0].collection)
            load = os.getloadavg()[0]
            stages = submit(checkout, environment, study, storage, record.mark)
            run(checkout, environment, "stop", "tiny", "--target", "local", "--now")
            print(f"{reading or 'warming'}: {sum(stages):.1f} s at load {load:.1f}", flush=True)
            read += [stages] if reading else []
        began = time.monotonic()
        run(checkout, environment, "preflight", "tiny", "--target", "local", "--storage", str(folder / "looked-at"))
        preflight = time.monotonic() - began
        imports = [import_of_torch() for _ in range(3)]
    finally:
        command(checkout, environment, "down", "local")
    show(read, preflight, imports)
    shutil.rmtree(folder)


def submit(checkout: Path, environment: dict[str, str], study: Study, storage: Storage, mark: str) -> list[float]:
    """Seconds of each stage of one submission."""
    teacher = expand(study)[0].key
    words = [sys.executable, "-m", "cluster", "submit", "tiny", "--target", "local", "--no-preflight"]
    words += ["--storage", str(storage.root)]
    before = train_workers(mark)
    times = [time.time()]
    with psutil.Popen(words, cwd=checkout, env=environment, stdout=subprocess.DEVNULL) as submitting:
        for happened in (
            lambda: submitting.poll() == 0 or driver(storage),
            lambda: driver(storage),
            lambda: storage.recipe(study.name, study.version).exists(),
            lambda: train_workers(mark) - before,
            lambda: read_state(storage, teacher).state is State.RUNNING,
            lambda: storage.journal(teacher).exists() and storage.journal(teacher).stat().st_size,
        ):
            times.append(moment(happened))
    return [after - before for before, after in pairwise(times)]


def moment(happened: Callable[[], object]) -> float:
    """When something happens that is waited for."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not happened():
        if time.monotonic() > deadline:
            sys.exit("the study did not come that far in time")
        time.sleep(POLL_SECONDS)
    return time.time()


def driver(storage: Storage) -> bool:
    """Whether the job's driver runs, as an interpreter: what its shell is told counts for nothing."""
    return any(
        {"run", "tiny", str(storage.root)} <= set(process.info["cmdline"] or ())
        for process in psutil.process_iter(["cmdline"])
    )


def train_workers(mark: str) -> set[int]:
    """Processes of the cluster that Ray has made train workers; before, they belong to nobody in particular."""
    found = set()
    for pid in family(mark):
        with suppress(psutil.Error):
            if "RayTrainWorker" in (psutil.Process(pid).cmdline() or [""])[0]:
                found.add(pid)
    return found


def run(checkout: Path, environment: dict[str, str], *words: str) -> None:
    done = command(checkout, environment, *words)
    if done.returncode:
        sys.exit(f"python -m cluster {' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def import_of_torch() -> float:
    """Seconds that an interpreter takes to start and to import torch, with nothing beside it."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    return time.monotonic() - began


def show(read: list[list[float]], preflight: float, imports: list[float]) -> None:
    table = Table(title="seconds", box=None, padding=(0, 1), title_justify="left")
    for column in ("", "median", "each"):
        table.add_column(column, justify="right" if column == "median" else "left")
    for name, values in zip(STAGES, zip(*read, strict=True), strict=True):
        add(table, name, list(values))
    add(table, "from submission to the first step", [sum(stages) for stages in read])
    add(table, "preflight, where it is not left out", [preflight])
    add(table, "import of torch alone", imports)
    Console(width=120).print(table)


def add(table: Table, name: str, values: list[float]) -> None:
    table.add_row(name, f"{statistics.median(values):.1f}", " ".join(f"{value:.1f}" for value in values))


if __name__ == "__main__":
    main(*([int(word) for word in sys.argv[1:]] or [DEFAULT_NUMBER]))
