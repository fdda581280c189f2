"""Two Ray nodes with a network of their own each, and a cable between them that is cut in the middle of training."""

import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from harness.drills.command import Command
from harness.drills.machines import CABLE, Machine, cut, remove, two_machines
from harness.drills.results import last_step
from harness.drills.scene import Drill, Ended, Scene, check
from harness.drills.tiny import STEPS

CUT_SECONDS = 30.0

LOST_SECONDS = 60.0
"""How long after the cut a node that its head has given up may take to hear of it and to end."""

PORT = 6379
"""Ray's own; each machine has all ports for itself."""

OBJECT_STORE_BYTES = 128 * 2**20
"""Everything large goes through storage, so the smallest comfortable store does."""

HEALTH = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "3000",
    "RAY_health_check_failure_threshold": "4",
}
"""A node that is silent is given up after 16 s at most instead of a minute, so that the cut outlasts it."""


def part(scene: Scene) -> Ended:
    """Cut the cable for 30 s and start the node again that was given up meanwhile; the study waits for it."""
    head, other = two_machines()
    scene.clean_up.append(lambda: remove(head, other))
    environment = _environment(scene.folder)
    nodes = [_start_head(scene, head, environment), _start_node(scene, other, head, environment)]
    address = {"RAY_ADDRESS": f"{head.address}:{PORT}"}
    command = scene.start(environment=environment | address, inside=head.inside)
    scene.reach(command, scene.students[0])
    trains = [len(node.train_workers()) for node in nodes]
    check(trains == [1, 1], f"each node should have one of two workers, they have {trains}")
    _cut(scene, head)
    nodes[1].wait(LOST_SECONDS)
    nodes[1] = _start_node(scene, other, head, environment)
    ended = scene.bring_home(command)
    for node in reversed(nodes):
        node.terminate()
        node.wait(LOST_SECONDS)
    return ended


def _cut(scene: Scene, machine: Machine) -> None:
    """Part the machines for a while, in which no step may be taken."""
    student = scene.students[0]
    with cut(machine):
        time.sleep(CUT_SECONDS / 10)
        before = last_step(scene.storage, student)
        time.sleep(CUT_SECONDS * 9 / 10)
        after = last_step(scene.storage, student)
    check(before == after < STEPS, f"workers that cannot reach each other went from step {before} to {after}")


def _start_head(scene: Scene, machine: Machine, environment: Mapping[str, str]) -> Command:
    return _start_ray(scene, machine, environment, "--head", "--port", str(PORT), "--include-dashboard", "false")


def _start_node(scene: Scene, machine: Machine, head: Machine, environment: Mapping[str, str]) -> Command:
    return _start_ray(scene, machine, environment, "--address", f"{head.address}:{PORT}")


def _start_ray(scene: Scene, machine: Machine, environment: Mapping[str, str], *own: str) -> Command:
    """A node with room for one worker, with sockets and logs of its own; returns when it is up."""
    # Short: the path of a socket has 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="ray-"))
    scene.clean_up.append(lambda: shutil.rmtree(folder, ignore_errors=True))
    command = [
        *machine.inside,
        *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats", *own),
        *("--node-ip-address", machine.address, "--num-cpus", "1", "--temp-dir", str(folder)),
        *("--object-store-memory", str(OBJECT_STORE_BYTES)),
    ]
    node = scene.start_beside(command, environment)
    node.wait_until(lambda: "Ray runtime started" in node.output())
    return node


def _environment(folder: Path) -> dict[str, str]:
    """What both nodes and the driver need: a token, the cable for gloo, and shorter patience."""
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(32))
    return HEALTH | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "GLOO_SOCKET_IFNAME": CABLE,
        "RAY_worker_niceness": "0",
    }


DRILLS = (Drill(name="partition", promise="two nodes that lose each other for 30 s lose no result", perform=part),)
