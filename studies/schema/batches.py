"""Whether batches come out whole under an execution, and with which numbers of workers they do: arithmetic only."""

from collections.abc import Sequence
from math import gcd

from studies.schema.execution import Execution
from studies.schema.lineage import call_size_of
from studies.schema.run import HELD_OUT_LINES, HELD_OUT_QUERIES, Run, Supervised, System, Teacher


def check_batches(run: Run, execution: Execution) -> None:
    """Raise ValueError if a run's batch, or the examples it watches, do not divide under an execution.

    Of an elastic one both the most and the fewest workers have to do; numbers between that do not are not used.
    """
    if isinstance(run, System):
        return
    _check(run, execution.by(execution.workers))
    if execution.fewest < execution.workers:
        try:
            _check(run, execution.by(execution.fewest))
        except ValueError as wrong:
            raise ValueError(f"workers_min {execution.fewest} cannot be: {wrong}") from None


def world_sizes(runs: Sequence[Run], execution: Execution) -> tuple[int, ...]:
    """Numbers of workers, ascending, over which each of ``runs`` divides; empty where none will do."""
    found = []
    for workers in range(execution.fewest, execution.workers + 1):
        try:
            for run in runs:
                _check(run, execution.by(workers))
        except ValueError:
            continue
        found.append(workers)
    return tuple(found)


def _check(run: Run, execution: Execution) -> None:
    """Raise ValueError if a run does not divide over exactly the workers of an execution."""
    if isinstance(run, System):
        return
    group_size = call_size_of(run)
    execution.calls(run.global_batch, group_size)
    held_out = HELD_OUT_QUERIES if isinstance(run, Teacher | Supervised) else HELD_OUT_LINES
    watched, rest = divmod(held_out, execution.workers)
    if rest or gcd(watched, execution.micro_batch) % group_size:
        raise ValueError(
            f"the {held_out} held-out examples do not divide over {execution.workers} workers in calls "
            f"of at most {execution.micro_batch} with whole groups of {group_size}; change the number of workers"
        )
