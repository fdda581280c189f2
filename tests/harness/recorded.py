"""Runs as training leaves them in storage, made up, to be delivered to MLflow."""

import json

from harness.delivery import Entry, Heading
from harness.journal import Journal
from studies.schema.record import State
from studies.schema.state import write_state
from studies.schema.storage import Storage

HEADING = Heading(name="gap", version="1", question="Does the gap close?", revision="abc1234")
KEYS = ("00000000000000a1", "00000000000000b2")
STEPS = 400
EVALUATION = "e0"


def entry(key: str) -> Entry:
    labels = {"rung": "rung-1", "objective": "ot", "rotation": "0", "seed": key[-1], "none": ""}
    return Entry(
        key=key, role="student", labels=labels, name=f"student {key}", primary="nDCG@10", evaluation=EVALUATION
    )


ENTRIES = [entry(key) for key in KEYS]


def make_run(storage: Storage, key: str, steps: int = STEPS) -> None:
    """Lay out what training leaves behind: description, journal, state."""
    path = storage.description(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    run = {"type": "Student", "objective": {"type": "Transport", "epsilon": 0.03}, "languages": ["de", "sw"]}
    path.write_text(json.dumps({"run": run, "parameters": {"non_embedding": 3000, "total": 9000}}))
    with Journal(storage.journal(key)) as journal:
        for step in range(1, steps + 1):
            journal.append(step, {"loss": 1 / step, "learning_rate": 1e-3, "gradient_norm": 2.0 + step})
    write_state(storage, key, State.RUNNING)


def finish_run(storage: Storage, key: str) -> None:
    write_state(storage, key, State.FLAGGED, flags=("undertrained",))
    measures = {
        "measures": {"nDCG@10": {"de": 0.75, "sw": 0.25, "te": 0.5}, "AP": {"de": 0.5, "sw": 0.25, "te": 0.0}},
        "exposure": {"de": 1.0, "sw": 0.1, "te": 0.1},
    }
    with storage.publish(storage.evaluation(key, EVALUATION)) as partial:
        (partial / "measures.json").write_text(json.dumps(measures))
        (partial / "per_query.parquet").write_bytes(b"PAR1")
