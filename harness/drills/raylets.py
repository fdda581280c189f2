"""Machines of a small Ray cluster on this one, each with a core for a worker, that can be announced to go, and lost."""

import contextlib
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path

import psutil

from harness.drills.command import POLL_SECONDS, DrillFailed
from harness.fleet import LOCAL, OBJECT_STORE_BYTES
from studies.schema.sources import TOP

HEAD, OTHER = "127.0.0.2", "127.0.0.3"
"""Addresses of loopback. Of 127.0.0.1 Ray thinks that it cannot be meant in a cluster, and takes another."""

ENVIRONMENT = LOCAL | {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "1",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
}
"""A local Ray that other machines of this process may join, and nobody else; any of them may be given notice."""

START_SECONDS = 120.0
END_SECONDS = 30.0

_RAY = (sys.executable, "-m", "ray.scripts.scripts")


class Machine:
    """A node of Ray with one core; without an ``address`` it is the head of a new cluster."""

    def __init__(self, log: Path, *, temporary: Path, address: str | None = None) -> None:
        """Returns when the node is up. ``temporary`` is for Ray's sockets: short, as a socket's path has 107 bytes."""
        self._log = log
        place = ("--address", address) if address else ("--head", "--port", "0", "--include-dashboard", "false")
        own = OTHER if address else HEAD
        sizes = ("--num-cpus", "1", "--object-store-memory", str(OBJECT_STORE_BYTES))
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [
                    *(*_RAY, "start", "--block", "--disable-usage-stats", "--node-ip-address", own),
                    *(*place, *sizes, "--dashboard-agent-listen-port", "0"),
                    *(() if address else ("--temp-dir", str(temporary))),
                ],
                cwd=TOP,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **ENVIRONMENT, "PYTHONPATH": str(TOP)},
                start_new_session=True,
            )
        raylet = self._wait_for_raylet()
        self.address = _flag(raylet, "--gcs-address")
        self.node = _flag(raylet, "--node_id")

    def announce(self, seconds: int) -> None:
        """Give notice, as a provider does, that this machine will be taken after so many seconds."""
        subprocess.run(
            [
                *(*_RAY, "drain-node", "--address", self.address, "--node-id", self.node),
                *("--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "drill"),
                *("--deadline-remaining-seconds", str(seconds)),
            ],
            check=True,
            capture_output=True,
            env={**os.environ, **ENVIRONMENT},
        )

    def lose(self) -> None:
        """SIGKILL of everything on this machine at once."""
        family = self.processes()
        for process in family:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(family, timeout=END_SECONDS)
        self._process.wait()

    def processes(self, title: str = "") -> list[psutil.Process]:
        """What runs on this machine, with ``title`` in its command line."""
        with contextlib.suppress(psutil.Error):
            leader = psutil.Process(self._process.pid)
            return [p for p in (leader, *leader.children(recursive=True)) if title in _words(p)]
        return []

    def _wait_for_raylet(self) -> psutil.Process:
        deadline = time.monotonic() + START_SECONDS
        while "Ray runtime started" not in self._log.read_text(errors="replace"):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise DrillFailed(f"Ray did not start:\n{self._log.read_text(errors='replace')}")
            time.sleep(POLL_SECONDS)
        return self.processes("raylet/raylet")[0]


def _flag(process: psutil.Process, name: str) -> str:
    """The value of a flag in a command line."""
    return next(word.removeprefix(f"{name}=") for word in process.cmdline() if word.startswith(f"{name}="))


def _words(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""
