"""The milestones of a trial: its score on validation queries while it trains, and the verdict of its search.

A trial writes its score into its journal and waits; the search's driver judges and enters the verdict into the
search's ledger, where the trial finds it. Both are files, so either side may die and ask again.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from harness.journal import read_all
from studies.schema.evaluation import Evaluation
from studies.schema.record import validation_name
from studies.schema.storage import Storage
from studies.schema.trials import Verdict, read_ledger

POLL_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True)
class Milestones:
    """After which steps a trial is scored, on what, and the ledger in which it is judged."""

    steps: tuple[int, ...]
    evaluation: Evaluation
    ledger: Path


def scores_so_far(storage: Storage, key: str, milestones: Milestones) -> dict[int, float]:
    """The journal's score at each milestone that a run has reached."""
    name = validation_name(milestones.evaluation.measures[0])
    journal = read_all(storage.journal(key))
    return {p.step: p.metrics[name] for p in journal if p.step in milestones.steps and name in p.metrics}


def wait_for_verdict(milestones: Milestones, key: str, step: int, stop: Path) -> Verdict | None:
    """The verdict on a run at a milestone, as soon as the ledger has it; None when the search is asked to stop."""
    while True:
        verdict = read_ledger(milestones.ledger).judged(key).get(step)
        if verdict is not None or stop.exists():
            return verdict
        time.sleep(POLL_SECONDS)
