"""Moves the wall clock that Python reads by the seconds that a file says.

Copied into a folder as ``sitecustomize.py``, which every Python process with that folder on its path runs at its start;
standard library only. It moves ``time.time`` and ``time.time_ns``, which is all that the harness and MLflow ask; the
monotonic clock stays, as it does when a machine's clock is set.
"""

import os
import time

VARIABLE = "HARNESS_DRILL_CLOCK"

_NANOSECONDS = 10**9
_time_ns = time.time_ns


def _shift() -> int:
    """Whole seconds by which the clock is moved now."""
    try:
        with open(os.environ[VARIABLE]) as stream:
            return int(stream.read() or 0)
    except (OSError, KeyError, ValueError):
        return 0


def shifted_time_ns() -> int:
    return _time_ns() + _shift() * _NANOSECONDS


def shifted_time() -> float:
    return shifted_time_ns() / _NANOSECONDS


if VARIABLE in os.environ:
    time.time, time.time_ns = shifted_time, shifted_time_ns
