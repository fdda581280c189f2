"""Runs of a study with their place in it."""

from dataclasses import dataclass

from studies.schema.axes import ADDED_AXES, AXIS_NAMES
from studies.schema.key import run_key
from studies.schema.record import Role
from studies.schema.run import Run, Student


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Where a run stands in its study, as text."""

    rung: str = "-"
    objective: str = "-"
    bitext: str = "-"
    rotation: str = "-"
    seed: str = "-"
    trial: str = "-"

    def as_dict(self) -> dict[str, str]:
        """Labels by axis; a later axis, and the trial, which is no axis of a study, only where there is one."""
        labels = {name: getattr(self, name) for name in AXIS_NAMES}
        labels = {name: label for name, label in labels.items() if label != "-" or name not in ADDED_AXES}
        return labels if self.trial == "-" else {**labels, "trial": self.trial}


@dataclass(frozen=True, kw_only=True)
class Point:
    """A run of a study, with its key and its place in it."""

    key: str
    run: Run
    role: Role
    labels: Labels


def point_of(run: Run, role: Role, labels: Labels) -> Point:
    """A run at a place, with its key."""
    return Point(key=run_key(run), run=run, role=role, labels=labels)


def student_of(point: Point) -> Student:
    """The student at a point; TypeError where another run is."""
    if not isinstance(point.run, Student):
        raise TypeError(f"run {point.key} is a {type(point.run).__name__}, not a student")
    return point.run
