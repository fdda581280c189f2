"""The harness as a person starts it, every process that comes of it, and what they leave behind."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from studies.schema.sources import TOP
from studies.schema.storage import Storage

SAMPLE_SECONDS = 0.5
PORTS_SECONDS = 5.0
"""How often processes are looked for, and their ports: the second costs as much as it takes to read all of /proc."""
POLL_SECONDS = 0.03
WAIT_SECONDS = 500.0
"""Far longer than anything takes on a quiet machine."""

LEAVE_SECONDS = 90.0
"""How long watchdogs may take: the tracking server outlives its last user by 15 s, two agents of Ray a killed driver
by the 60 s in which they try to report its end."""

MEMORY = Path("/dev/shm")


class DrillFailed(RuntimeError):
    """Something that was promised did not happen; the message says what did."""


class Command:
    """A running command; ``family`` and ``titles`` are of every process that was ever seen below it.

    ``exposed`` are titles of those that listened beyond loopback; into ``compiled`` goes what torch extensions build.
    ``environment`` is set on top of this process's own.
    """

    def __init__(self, words: Sequence[str], *, log: Path, environment: Mapping[str, str]) -> None:
        self._memory = shared_memory()
        self._log = log
        self.compiled = log.with_suffix(".compiled")
        own = {"PYTHONPATH": str(TOP), "TORCH_EXTENSIONS_DIR": str(self.compiled)}
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                words,
                cwd=TOP,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **own, **environment},
            )
        self._driver = psutil.Process(self._process.pid)
        self.family: set[psutil.Process] = set()
        self.titles: set[str] = set()
        self.ports: set[int] = set()
        self.exposed: set[str] = set()
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def output(self) -> str:
        """What the command has said so far."""
        return self._log.read_text(errors="replace")

    def wait(self, seconds: float = WAIT_SECONDS) -> int:
        """Exit status of the command; one that takes longer is ended, and DrillFailed raised."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.end()
            raise DrillFailed(f"no end within {seconds:g} s:\n{self.output()}") from None

    def terminate(self) -> None:
        """SIGTERM to the driver alone, as a batch system sends it before it kills."""
        self._process.terminate()

    def kill(self) -> None:
        """SIGKILL the driver alone."""
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        """SIGKILL the driver and all that came of it."""
        self.kill()
        for process in self.living():
            with contextlib.suppress(psutil.Error):
                process.kill()

    def wait_until(self, happened: Callable[[], object]) -> None:
        """Wait for something to happen while the command runs; DrillFailed when it cannot any more."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not happened():
            if not self.is_running:
                raise DrillFailed(f"the command ended before it happened:\n{self.output()}")
            if time.monotonic() > deadline:
                raise DrillFailed(f"it did not happen in time:\n{self.output()}")
            time.sleep(POLL_SECONDS)

    def living(self, title: str = "") -> list[psutil.Process]:
        """Processes of the family that live, those with ``title`` in their command line."""
        return [process for process in list(self.family) if _is_alive(process) and title in _title(process)]

    def train_workers(self) -> list[psutil.Process]:
        """Living processes that train."""
        return self.living("RayTrainWorker")

    def left_processes(self) -> list[str]:
        """Titles of processes that stay; watchdogs get their time."""
        deadline = time.monotonic() + LEAVE_SECONDS
        while time.monotonic() < deadline and self.living():
            time.sleep(SAMPLE_SECONDS)
        return [f"process {process.pid}: {_title(process)}" for process in self.living()]

    def left_behind(self) -> list[str]:
        """What stays of the command: processes, ports of theirs that an orphan listens on, names in shared memory."""
        left = self.left_processes()
        ports = [c.laddr for c in psutil.net_connections("tcp") if self._is_ours(c)]
        memory = [name for name in sorted(shared_memory() - self._memory) if not _is_used_elsewhere(name)]
        return [*left, *(f"port {port}" for port in ports), *(f"shared memory {name}" for name in memory)]

    def _is_ours(self, connection: Any) -> bool:
        """Whether an orphan listens on a port that was ours; somebody else's process may have been given it since."""
        if not {port for _, port in _listening([connection])} & self.ports or connection.pid is None:
            return False
        with contextlib.suppress(psutil.Error):
            return psutil.Process(connection.pid).ppid() == 1
        return False

    def _watch(self) -> None:
        """Note every process below the driver while it lives, and now and then where they listen."""
        look_at_ports = 0.0
        while self.is_running:
            with contextlib.suppress(psutil.Error):
                below = self._driver.children(recursive=True)
                self.titles.update(_title(process) for process in below)
                self.family.update(below)
            if time.monotonic() > look_at_ports:
                look_at_ports = time.monotonic() + PORTS_SECONDS
                for process in self.living():
                    with contextlib.suppress(psutil.Error):
                        listening = _listening(process.net_connections("tcp"))
                        self.ports.update(port for _, port in listening)
                        self.exposed.update(_title(process) for address, _ in listening if address != "127.0.0.1")
            time.sleep(SAMPLE_SECONDS)


def start_harness(
    storage: Storage,
    studies: Path,
    *words: str,
    log: Path | None = None,
    environment: Mapping[str, str] | None = None,
    inside: Sequence[str] = (),
) -> Command:
    """The harness over a storage root, with the studies of a folder beside its own.

    ``inside`` are words that make what follows them run elsewhere, such as in a network namespace.
    """
    return Command(
        [*inside, sys.executable, "-m", "harness.drills.driver", str(studies), *words],
        log=log or storage.root.with_name(f"{storage.root.name}.log"),
        environment={"HARNESS_STORAGE": str(storage.root), **(environment or {})},
    )


def shared_memory() -> set[str]:
    """Names in the machine's shared memory."""
    return set(os.listdir(MEMORY))


def _is_used_elsewhere(name: str) -> bool:
    """Whether a name in shared memory is another user's, or a living process maps it; ours have all ended."""
    path = MEMORY / name
    with contextlib.suppress(OSError):
        if path.stat().st_uid != os.geteuid():
            return True
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if any(region.path == str(path) for region in process.memory_maps()):
                    return True
        return False
    return True


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
