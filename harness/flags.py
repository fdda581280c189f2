"""Stated defects of a trained run, read from its journal."""

from harness.journal import read_all
from harness.remote import Task
from studies.schema.objective import Contrastive, Ranking, ScoreKL
from studies.schema.record import Flag, Metric
from studies.schema.run import Preparatory, Trained
from studies.schema.storage import Storage

IMPROVING = 0.02
"""A run is flagged when its held-out loss fell by more than this over the last fifth of its steps, in which a linear
decay spends 4 % of the summed learning rate. A cost is compared as a share of itself, a cross-entropy or
divergence, which goes to zero, in nats: 0.02 nats are 2 % of the probability of the right passage or token."""


def training_flags(storage: Storage, task: Task) -> list[Flag]:
    """Still improving, or a solver that did not converge."""
    journal = read_all(storage.journal(task.key))
    watched = {
        point.step: point.metrics[Metric.LOSS_HELD_OUT] for point in journal if Metric.LOSS_HELD_OUT in point.metrics
    }
    steps = task.run.schedule.steps
    before, after = watched[round(steps * 8 / 10)], watched[steps]
    flags = []
    unit = 1.0 if _is_in_nats(task.run) else abs(before)
    if before - after > IMPROVING * unit:
        flags.append(Flag.STILL_IMPROVING)
    if any(point.metrics.get(Metric.TRANSPORT_CONVERGED, 1.0) < 1.0 for point in journal):
        flags.append(Flag.SOLVER_NOT_CONVERGED)
    return flags


def _is_in_nats(run: Trained) -> bool:
    return isinstance(run, Preparatory) or isinstance(run.objective, Contrastive | Ranking | ScoreKL)
