"""All processes that came of one that we started, told from strangers by a mark in their environment (Linux, /proc)."""

import contextlib
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

MARK = "HARNESS_CLUSTER_MARK"
"""Environment variable with a value of its own for every cluster; children inherit it."""

ORDERLY_SECONDS = 20.0
"""How long a Ray that was told to end may take; about five were seen."""

LEFT_SECONDS = 3.0
"""How long those may take that a leader left behind, and those that were told to end one by one."""

POLL_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True)
class _Process:
    pid: int
    started: int
    parent: int
    session: int


def family(mark: str, known: Mapping[int, int] = MappingProxyType({})) -> dict[int, int]:
    """Living processes with the mark, those in sessions that such a process is in, and all of their descendants.

    By their pids, with when they started, in ticks since boot. Ray's own processes overwrite their environment with a
    title; their session, which they share with a marked one, and their parents still tell whose they are. No stranger
    enters a session: it can only be inherited. ``known`` members count as marked as long as they live.
    """
    processes = [process for process in _processes() if process.pid != os.getpid()]
    entry = f"{MARK}={mark}".encode()
    found = {
        process.pid
        for process in processes
        if known.get(process.pid) == process.started or entry in _environment(process.pid)
    }
    sessions = {process.session for process in processes if process.pid in found}
    found |= {process.pid for process in processes if process.session in sessions}
    while grown := {process.pid for process in processes if process.parent in found} - found:
        found |= grown
    return {process.pid: process.started for process in processes if process.pid in found}


def end(mark: str, leader: int) -> None:
    """End a family: its leader is asked first and ends the others in order; whoever is left then is killed."""
    known = family(mark)
    if leader in known:
        _signal(leader, signal.SIGTERM)
        known = _wait(mark, known, ORDERLY_SECONDS, leader)
    known = _wait(mark, known, LEFT_SECONDS)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in known:
            _signal(pid, number)
        known = _wait(mark, known, LEFT_SECONDS)


def _wait(mark: str, known: Mapping[int, int], seconds: float, leader: int | None = None) -> dict[int, int]:
    """Wait for a family to end, or for its leader alone; returns who is left.

    Orphans are known by what they were before.
    """
    deadline = time.monotonic() + seconds
    left = family(mark, known)
    while (left if leader is None else leader in left) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        left = family(mark, left)
    return left


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _processes() -> list[_Process]:
    """All living processes. Source of the fields: proc(5), stat."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if fields[0] not in "ZX":
                pid, parent, session, started = int(entry.name), int(fields[1]), int(fields[3]), int(fields[19])
                found.append(_Process(pid=pid, started=started, parent=parent, session=session))
    return found


def _environment(pid: int) -> list[bytes]:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return []
