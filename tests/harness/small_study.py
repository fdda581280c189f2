"""A small study and the files that its runs leave behind, written without training anything."""

import json
from collections.abc import Iterable
from pathlib import Path

from ir_measures import AP, nDCG

from harness.evaluation_key import key_of
from studies.bases import ATLAS_TEACHER, OPTICAL_ATLAS
from studies.ladders import ATLAS
from studies.schema.axes import rotations
from studies.schema.record import State
from studies.schema.state import write_state
from studies.schema.storage import Storage
from studies.schema.study import Law, Point, ResourceEffect, Study

MEASURES = (nDCG @ 10, AP)


def small_study(name: str = "small") -> Study:
    """Two rungs and two rotations: four students, with their teacher and rivals ten runs."""
    return Study(
        name=name,
        version="1",
        question="Is this study small?",
        base=OPTICAL_ATLAS,
        axes=(
            ATLAS.axis("atlas-3k", "atlas-13k"),
            rotations(2, ATLAS_TEACHER.collection.languages, low=0.1),
        ),
        measures=MEASURES,
        estimand=ResourceEffect(measure=nDCG @ 10),
        law=Law.LOG_LINEAR,
        hold_out="atlas-13k",
    )


def leave_journal(storage: Storage, point: Point, steps: Iterable[int], *, ms_per_step: int = 20) -> Path:
    """A journal of evenly timed steps with a falling loss."""
    path = storage.journal(point.key)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as stream:
        for step in steps:
            entry = {"step": step, "time": 1_700_000_000_000 + ms_per_step * step, "metrics": {"loss": 1 / (1 + step)}}
            stream.write(json.dumps(entry) + "\n")
    return path


def leave_weights(storage: Storage, point: Point, state: State = State.FINISHED) -> None:
    """What a trained run leaves: final weights and a state."""
    with storage.publish(storage.final(point.key)) as folder:
        (folder / "weights").write_bytes(b"w" * 100)
    write_state(storage, point.key, state, facts={"seconds": 30.0})


def leave_evaluation(storage: Storage, study: Study, point: Point) -> Path:
    """The evaluation that the study asks for, with made-up scores."""
    folder = storage.evaluation(point.key, key_of(point.run, study.evaluation))
    scores = {str(measure): {"de": 0.25, "sw": 0.75} for measure in study.measures}
    with storage.publish(folder) as partial:
        (partial / "measures.json").write_text(json.dumps({"schema": 1, "measures": scores}))
    return folder
