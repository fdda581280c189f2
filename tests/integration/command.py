"""The harness as a person starts it, every process that comes of it, and what they leave behind."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psutil

from studies.schema.storage import Storage
from studies.schema.study import Study

ROOT = Path(__file__).resolve().parents[2]
STEPS = 120
"""Enough for three checkpoints and for a kill to come in between."""

SAMPLE_SECONDS = 0.5
PORTS_SECONDS = 5.0
"""How often processes are looked for, and their ports: the second costs as much as it takes to read all of /proc."""
POLL_SECONDS = 0.03
WAIT_SECONDS = 500.0
"""Far longer than anything takes on a quiet machine."""

LEAVE_SECONDS = 90.0
"""How long watchdogs may take: the tracking server outlives its last user by 15 s, two agents of Ray a killed driver
by the 60 s in which they try to report its end."""


class Command:
    """A running command; ``family`` and ``titles`` are of every process that was ever seen below it.

    ``exposed`` are titles of those that listened beyond loopback; into ``compiled`` goes what torch extensions build.
    """

    def __init__(self, storage: Storage, studies: Path, *words: str, log: Path | None = None) -> None:
        self._memory = shared_memory()
        self._log = log or storage.root.with_name(f"{storage.root.name}.log")
        self.compiled = self._log.with_suffix(".compiled")
        environment = os.environ | {
            "PYTHONPATH": str(ROOT),
            "HARNESS_STORAGE": str(storage.root),
            "TORCH_EXTENSIONS_DIR": str(self.compiled),
        }
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.driver", str(studies), *words],
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
            )
        self._driver = psutil.Process(self._process.pid)
        self.family: set[psutil.Process] = set()
        self.titles: set[str] = set()
        self.ports: set[int] = set()
        self.exposed: set[str] = set()
        threading.Thread(target=self._watch, daemon=True).start()

    def output(self) -> str:
        """What the command has said so far."""
        return self._log.read_text(errors="replace")

    def wait(self, seconds: float = WAIT_SECONDS) -> int:
        """Exit status of the command; one that takes longer is ended and fails the test."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.end()
            raise AssertionError(f"no end within {seconds:g} s:\n{self.output()}") from None

    def kill(self) -> None:
        """SIGKILL the driver alone."""
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        """SIGKILL the driver and all that came of it."""
        self.kill()
        for process in self._living():
            with contextlib.suppress(psutil.Error):
                process.kill()

    def wait_until(self, happened: Callable[[], object]) -> None:
        """Wait for something to happen while the command runs."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not happened():
            assert self._process.poll() is None, f"the command ended before it happened:\n{self.output()}"
            assert time.monotonic() < deadline, f"it did not happen in time:\n{self.output()}"
            time.sleep(POLL_SECONDS)

    def train_workers(self) -> list[psutil.Process]:
        """Living processes that train."""
        return [process for process in self._living() if "RayTrainWorker" in _title(process)]

    def assert_no_process_left(self) -> None:
        """Every process gone; watchdogs get their time."""
        deadline = time.monotonic() + LEAVE_SECONDS
        while time.monotonic() < deadline and self._living():
            time.sleep(SAMPLE_SECONDS)
        left = [_title(process) for process in self._living()]
        assert not left, f"still running: {left}"

    def assert_nothing_left(self) -> None:
        """Every process gone, every port of theirs free, shared memory as before."""
        self.assert_no_process_left()
        left = shared_memory() - self._memory
        assert not left, f"still in shared memory: {left}"
        taken = [c.laddr for c in psutil.net_connections("tcp") if self._is_ours(c)]
        assert not taken, f"still listened on: {taken}"

    def _is_ours(self, connection: Any) -> bool:
        """Whether an orphan listens on a port that was ours; somebody else's process may have been given it since."""
        if not {port for _, port in _listening([connection])} & self.ports or connection.pid is None:
            return False
        with contextlib.suppress(psutil.Error):
            return psutil.Process(connection.pid).ppid() == 1
        return False

    def _living(self) -> list[psutil.Process]:
        return [process for process in list(self.family) if _is_alive(process)]

    def _watch(self) -> None:
        """Note every process below the driver while it lives, and now and then where they listen."""
        look_at_ports = 0.0
        while self._process.poll() is None:
            with contextlib.suppress(psutil.Error):
                below = self._driver.children(recursive=True)
                self.titles.update(_title(process) for process in below)
                self.family.update(below)
            if time.monotonic() > look_at_ports:
                look_at_ports = time.monotonic() + PORTS_SECONDS
                for process in self._living():
                    with contextlib.suppress(psutil.Error):
                        listening = _listening(process.net_connections("tcp"))
                        self.ports.update(port for _, port in listening)
                        self.exposed.update(_title(process) for address, _ in listening if address != "127.0.0.1")
            time.sleep(SAMPLE_SECONDS)


@dataclass(frozen=True, kw_only=True)
class Home:
    """A study that nobody disturbed: its declaration, the folder it is declared in, its storage, and what ran it."""

    study: Study
    studies: Path
    storage: Storage
    command: Command


NewStudies = Callable[[str], Path]
"""Makes a folder with a study named tiny, declared by an expression."""


class Start(Protocol):
    """Starts the command line as :class:`Command` does, and ends it with the test."""

    def __call__(self, storage: Storage, studies: Path, *words: str, log: Path | None = None) -> Command: ...


def shared_memory() -> set[str]:
    """Names in the machine's shared memory."""
    return set(os.listdir("/dev/shm"))


def _is_alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _title(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline()).strip() or process.name()
    return ""


def _listening(connections: Iterable[Any]) -> set[tuple[str, int]]:
    return {(c.laddr.ip.removeprefix("::ffff:"), c.laddr.port) for c in connections if c.status == "LISTEN"}
