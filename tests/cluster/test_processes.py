"""A family is all that came of a marked process, and no stranger."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from cluster.processes import MARK, end, family
from studies.schema.lease import process_start

OURS, OTHERS = "mark-of-ours", "mark-of-others"
CHILD_THAT_HIDES = (
    "import os, subprocess, sys, time\n"
    "subprocess.Popen(['sleep', '60'], env={})\n"
    "subprocess.Popen(['sleep', '60'], env={}, start_new_session=True)\n"
    "print('ready', flush=True)\n"
    "time.sleep(60)\n"
)


def start(mark: str | None) -> subprocess.Popen[str]:
    environment = dict(os.environ) | ({MARK: mark} if mark else {})
    command = [sys.executable, "-c", CHILD_THAT_HIDES]
    process = subprocess.Popen(command, env=environment, start_new_session=True, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.fixture
def families() -> Iterator[tuple[subprocess.Popen[str], subprocess.Popen[str]]]:
    """One process of ours and one with another mark, each with two children that carry no mark."""
    ours, others = start(OURS), start(OTHERS)
    yield ours, others
    for process, mark in ((ours, OURS), (others, OTHERS)):
        end(mark, process.pid)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_family_holds_children_that_lost_the_mark_and_no_stranger(
    families: tuple[subprocess.Popen[str], subprocess.Popen[str]],
) -> None:
    ours, others = families
    found, strangers = family(OURS), family(OTHERS)
    assert ours.pid in found
    assert len(found) == len(strangers) == 3
    assert not found.keys() & strangers.keys()
    assert others.pid not in found
    assert os.getpid() not in found.keys() | strangers.keys()


def test_end_leaves_none_of_ours_and_every_stranger(
    families: tuple[subprocess.Popen[str], subprocess.Popen[str]],
) -> None:
    ours, _ = families
    members, strangers = family(OURS), family(OTHERS)
    end(OURS, ours.pid)
    # Two of them would not be found by their mark any more.
    assert [process_start(pid) for pid in members] == [None] * 3
    assert family(OTHERS) == strangers


def test_mark_that_nobody_has_is_no_family() -> None:
    began = time.monotonic()
    assert family("nobody") == {}
    end("nobody", 1)
    assert time.monotonic() - began < 5
