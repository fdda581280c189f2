"""Runs one command for as long as somebody holds a lock, and ends its whole process group otherwise.

A program of its own, standard library only, started by path: ``python -P supervise.py LOCK GRACE_SECONDS
COMMAND...`` in a session of its own. Users hold a shared ``flock`` on LOCK; when nobody has for
GRACE_SECONDS, or the command ends, or this process is told to end, every process in the group goes. Should
this process be killed, the kernel tells the command to end (PR_SET_PDEATHSIG, Linux).
"""

import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import time
from types import FrameType

POLL_SECONDS = 0.5
# An orderly end of the server took about one second.
TERMINATE_SECONDS = 5.0

# From <linux/prctl.h>.
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def supervise(lock_path: str, grace_seconds: float, command: list[str]) -> int:
    """Run the command until it ends or nobody holds the lock; returns its exit status, 0 when ended here."""
    descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    # Orphans of the command become our children, so that their end can be waited for.
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    # This process has one thread, where preexec_fn is safe.
    child = subprocess.Popen(command, preexec_fn=_end_with_parent)
    status = 0
    try:
        idle_since = time.monotonic()
        while child.poll() is None:
            time.sleep(POLL_SECONDS)
            if _in_use(descriptor):
                idle_since = time.monotonic()
            elif time.monotonic() - idle_since > grace_seconds and _take(descriptor):
                break
        status = child.returncode or 0
    except SystemExit:
        pass
    _end_group()
    return status


def _in_use(descriptor: int) -> bool:
    if not _take(descriptor):
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit


def _end_group() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)
    deadline = time.monotonic() + TERMINATE_SECONDS
    while _has_children() and time.monotonic() < deadline:
        time.sleep(0.05)
    if _has_children():
        os.killpg(0, signal.SIGKILL)


def _has_children() -> bool:
    """Reap whoever has ended; says whether anybody is left."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _end_with_parent() -> None:
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(supervise(sys.argv[1], float(sys.argv[2]), sys.argv[3:]))
