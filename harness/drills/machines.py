"""Two machines in one: network namespaces with an address each and a cable between them (Linux, root, iproute2)."""

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from harness.drills.command import POLL_SECONDS, DrillFailed
from harness.drills.scene import Skipped

PREFIX = "harness-drill-"
"""Before the names of namespaces, so that a person finds those that a killed drill left."""

CABLE = "cable"
"""The network interface of either machine, beside its loopback."""

GONE_SECONDS = 10.0
"""How long the kernel may take to forget a namespace that nobody is in."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A namespace; processes in it have a loopback and the cable, and share everything but the network."""

    name: str
    address: str

    @property
    def inside(self) -> tuple[str, ...]:
        """Words that make a command run on this machine."""
        return ("ip", "netns", "exec", self.name)


def two_machines() -> tuple[Machine, Machine]:
    """Make two machines, joined by a cable; Skipped where that is not allowed. ``remove`` them at the end.

    Nobody else can reach them, so their addresses collide with none.
    """
    if os.geteuid():
        raise Skipped("network namespaces need root")
    if shutil.which("ip") is None:
        raise Skipped("network namespaces need the command ip; install iproute2")
    mark = secrets.token_hex(4)
    first, second = (Machine(name=f"{PREFIX}{mark}-{n}", address=f"10.0.0.{n}") for n in (1, 2))
    try:
        for machine in (first, second):
            _ip("netns", "add", machine.name)
        _ip("-n", first.name, "link", "add", CABLE, "type", "veth", "peer", "name", CABLE, "netns", second.name)
        for machine in (first, second):
            _ip("-n", machine.name, "address", "add", f"{machine.address}/24", "dev", CABLE)
            for interface in ("lo", CABLE):
                _ip("-n", machine.name, "link", "set", interface, "up")
    except subprocess.CalledProcessError as error:
        remove(first, second)
        raise Skipped(f"this user may make no network namespaces here: {error.stderr.strip()}") from None
    return first, second


@contextmanager
def cut(machine: Machine) -> Iterator[None]:
    """Within, nothing passes the cable; connections over it are not told, as when a switch fails."""
    _ip("-n", machine.name, "link", "set", CABLE, "down")
    try:
        yield
    finally:
        _ip("-n", machine.name, "link", "set", CABLE, "up")


def remove(*machines: Machine) -> None:
    """Remove machines, whole or half made; DrillFailed when one is still there."""
    for machine in machines:
        if machine.name in names():
            _ip("netns", "delete", machine.name)
    deadline = time.monotonic() + GONE_SECONDS
    while left := {machine.name for machine in machines} & names():
        if time.monotonic() > deadline:
            raise DrillFailed(f"network namespaces stay: {', '.join(sorted(left))}")
        time.sleep(POLL_SECONDS)


def names() -> set[str]:
    """Names of the network namespaces there are."""
    return {line.split()[0] for line in _ip("netns", "list").splitlines() if line.strip()}


def _ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout
