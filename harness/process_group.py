"""Groups of processes as /proc shows them (Linux): who belongs, who listens where, how to end them all."""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

# Polite, then final.
END_SECONDS = 10.0


def group_members(pgid: int, mark: str) -> tuple[int, ...]:
    """Living processes of a group whose environment holds ``mark`` (NAME=value), which no stranger's does."""
    return tuple(pid for pid in _group(pgid) if _has_mark(pid, mark))


def end_group(pgid: int, mark: str) -> None:
    """End every marked process of a group, politely and then not; returns when they are gone."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not group_members(pgid, mark):
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pgid, number)
        deadline = time.monotonic() + END_SECONDS
        while group_members(pgid, mark) and time.monotonic() < deadline:
            time.sleep(0.05)


def bind_error(host: str, port: int) -> OSError | None:
    """Why a server could not bind there now, or None; connections that are merely closing do not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error
    return None


def listens(pids: tuple[int, ...], port: int) -> bool:
    """Whether one of the processes listens on a TCP port. Source: proc(5), net/tcp (state 0A is LISTEN)."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(FileNotFoundError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
    return any(link in inodes for pid in pids for link in _open_files(pid))


def _group(pgid: int) -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == pgid and fields[0] not in "ZX":
            yield int(entry.name)


def _has_mark(pid: int, mark: str) -> bool:
    try:
        return mark.encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _open_files(pid: int) -> Iterator[str]:
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return
    for name in names:
        with contextlib.suppress(OSError):
            yield os.readlink(f"/proc/{pid}/fd/{name}")
