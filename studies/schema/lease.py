"""Leases: who may write somewhere, held by a lock that dies with its process.

The lock is ``flock``, so a SIGKILL frees it at once and nothing has to expire. It works on local file
systems and on NFSv4; an object store has no locks and cannot hold a storage root. Descriptors are closed on
exec, so a child process never keeps its parent's lease.
"""

import errno
import fcntl
import json
import os
import socket
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

POLL_SECONDS = 0.05
# Asking who holds a lease takes the lock for an instant, so one refusal is not yet proof of a holder.
PROBE_GRACE_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Who holds a lease, for messages only: the lock itself decides."""

    host: str
    pid: int
    since: str
    purpose: str

    def __str__(self) -> str:
        purpose = f" ({self.purpose})" if self.purpose else ""
        return f"process {self.pid} on {self.host}{purpose}, since {self.since}"


class LeaseHeld(RuntimeError):
    """Somebody else holds the lease; ``owner`` says who."""

    def __init__(self, path: Path, owner: Owner, waited_seconds: float) -> None:
        self.path = path
        self.owner = owner
        waited = f" after waiting {waited_seconds:g} s" if waited_seconds else ""
        super().__init__(f"{path} is held by {owner}{waited}; wait for that process to end, or stop it")


class Lease:
    """An exclusive lock on one file; use it as a context manager or call ``acquire`` and ``release``."""

    def __init__(self, path: Path, *, purpose: str = "", wait_seconds: float = 0.0) -> None:
        self.path = path
        self._purpose = purpose
        self._wait_seconds = wait_seconds
        self._descriptor: int | None = None

    def acquire(self) -> Self:
        """Take the lock; raises LeaseHeld, naming the owner, when the waiting time is over."""
        if self._descriptor is not None:
            raise RuntimeError(f"{self.path} is already held through this very lease")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + max(self._wait_seconds, PROBE_GRACE_SECONDS)
        while True:
            descriptor = _lock(self.path, fcntl.LOCK_EX)
            if descriptor is not None:
                break
            if time.monotonic() >= deadline:
                raise LeaseHeld(self.path, _read_owner(self.path), self._wait_seconds)
            time.sleep(POLL_SECONDS)
        self._descriptor = descriptor
        owner = Owner(host=socket.gethostname(), pid=os.getpid(), since=_now(), purpose=self._purpose)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, (json.dumps(asdict(owner)) + "\n").encode(), 0)
        return self

    def release(self) -> None:
        """Free the lock; releasing what is not held does nothing."""
        if self._descriptor is None:
            return
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)
        self._descriptor = None

    def __enter__(self) -> Self:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def lease_owner(path: Path) -> Owner | None:
    """Say who holds the lease at ``path``, or None when nobody does."""
    if not path.exists():
        return None
    descriptor = _lock(path, fcntl.LOCK_SH)
    if descriptor is None:
        return _read_owner(path)
    os.close(descriptor)
    return None


def process_start(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None when it has ended or is a zombie.

    Together with the pid this names one process for good, while a pid alone is used again. Source: proc(5),
    stat.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def _lock(path: Path, mode: int) -> int | None:
    """Open and lock ``path`` without waiting; None when another descriptor holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
        # A file deleted between open and lock is a lock that nobody else will ever see.
        if os.path.samestat(os.fstat(descriptor), os.stat(path)):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError as error:
        os.close(descriptor)
        if error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.EINVAL):
            raise ValueError(
                f"the file system of {path} has no locks ({error.strerror}); "
                "put the storage root on a local disk or an NFSv4 mount"
            ) from error
        raise
    os.close(descriptor)
    return None


def _read_owner(path: Path) -> Owner:
    """Read the owner note; a note that is missing or half-written still yields a usable answer."""
    try:
        note = json.loads(path.read_bytes())
        return Owner(host=note["host"], pid=note["pid"], since=note["since"], purpose=note["purpose"])
    except (OSError, ValueError, KeyError, TypeError):
        return Owner(host="unknown host", pid=0, since="unknown", purpose="")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
