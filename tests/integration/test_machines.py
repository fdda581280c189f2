"""The two machines of the drill `partition`: they reach each other unless they are cut apart, and nothing stays."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.drills.command import DrillFailed
from harness.drills.machines import Machine, cut, names, remove, two_machines
from harness.drills.perform import perform
from harness.drills.scene import Drill, Ended, Home, Scene, Skipped

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

SECONDS = 2
SERVE = "import socket; s = socket.create_server(('', 5000)); print(flush=True)\nwhile True: s.accept()[0].send(b'!')"
ASK = "import socket, sys; s = socket.create_connection((sys.argv[1], 5000), {}); s.settimeout({}); print(s.recv(1))"


@pytest.fixture
def machines() -> Iterator[tuple[Machine, Machine]]:
    try:
        pair = two_machines()
    except Skipped as reason:
        pytest.skip(str(reason))
    yield pair
    remove(*pair)


def answers(asking: Machine, asked: Machine) -> bool:
    words = [*asking.inside, sys.executable, "-c", ASK.format(SECONDS, SECONDS), asked.address]
    return "b'!'" in subprocess.run(words, capture_output=True, text=True, check=False, timeout=30).stdout


def test_machines_reach_each_other_but_not_while_they_are_cut_apart(machines: tuple[Machine, Machine]) -> None:
    first, second = machines
    server = subprocess.Popen([*second.inside, sys.executable, "-c", SERVE], stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        server.stdout.readline()
        assert answers(first, second)
        with cut(first):
            assert not answers(first, second)
        assert answers(first, second)
        assert not answers(first, first)
    finally:
        server.kill()
        server.communicate()


def test_failed_drill_leaves_neither_machines_nor_what_ran_on_them(
    machines: tuple[Machine, Machine], home: Home, tmp_path: Path
) -> None:
    before = names()
    running = []

    def fail(scene: Scene) -> Ended:
        pair = two_machines()
        scene.clean_up.append(lambda: remove(*pair))
        running.append(scene.start_beside([*pair[0].inside, "sleep", "600"], {}))
        assert {machine.name for machine in pair} <= names() - before
        raise DrillFailed("on purpose")

    report = perform(Drill(name="fails", promise="nothing", perform=fail), home, tmp_path / "fails")
    assert report.found == {"promise": ["on purpose"]}
    assert names() == before
    assert not running[0].is_running
