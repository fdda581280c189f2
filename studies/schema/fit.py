"""Whether a run fits the devices its execution names, and which other execution would have it fit: arithmetic only."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from studies.schema.batches import check_batches
from studies.schema.execution import Execution
from studies.schema.lineage import call_size_of
from studies.schema.memory import Memory, memory_per_rank
from studies.schema.run import Run, System
from studies.schema.tokens import tokens_of

GIB = 2**30

MOST_WORKERS = 1024
"""Beyond this many workers nothing is suggested."""


def memory_of(run: Run, execution: Execution) -> Memory:
    """What a rank needs when it needs most: for the longest texts that a run reads, among the fewest workers."""
    return memory_per_rank(run, execution.by(execution.fewest), tokens=tokens_of(run).longest)


def misfit(run: Run, execution: Execution) -> str | None:
    """What a run lacks under an execution and what would do, in words; None where it fits."""
    needed = memory_of(run, execution).peak
    if needed <= execution.memory:
        return None
    found = [_spell(execution, changed) for changed in remedies(run, execution)]
    advice = f"in the study's Execution set {'; or '.join(found)}" if found else "choose a smaller rung"
    return (
        f"needs {needed / GIB:.1f} GiB in each worker at its longest texts, which has {execution.memory / GIB:.1f} GiB "
        f"({execution.named_device}); {advice}"
    )


def remedies(run: Run, execution: Execution) -> list[Execution]:
    """Changes of an execution that would have the run fit: each of one kind alone, else the least of them together."""
    if isinstance(run, System):
        return []
    alone = [
        changed
        for kind in (_stages(execution), _checkpointing(execution), _micro_batches(run, execution), _workers(execution))
        for changed in [_first_that_fits(run, kind)]
        if changed is not None
    ]
    if alone:
        return alone
    several = (
        replace(
            execution,
            zero_stage=3,
            gradient_checkpointing=True,
            micro_batch=micro.micro_batch,
            workers=workers.workers,
            workers_min=workers.workers_min,
        )
        for workers, micro in product([execution, *_workers(execution)], [execution, *_micro_batches(run, execution)])
    )
    together = _first_that_fits(run, several)
    return [] if together is None else [together]


def _first_that_fits(run: Run, candidates: Iterator[Execution]) -> Execution | None:
    assert not isinstance(run, System)
    for candidate in candidates:
        try:
            check_batches(run, candidate)
        except ValueError:
            continue
        if memory_of(run, candidate).peak <= candidate.memory:
            return candidate
    return None


def _stages(execution: Execution) -> Iterator[Execution]:
    yield from (replace(execution, zero_stage=stage) for stage in range(execution.zero_stage + 1, 4))


def _checkpointing(execution: Execution) -> Iterator[Execution]:
    if not execution.gradient_checkpointing:
        yield replace(execution, gradient_checkpointing=True)


def _micro_batches(run: Run, execution: Execution) -> Iterator[Execution]:
    """Smaller ones, halved as long as a candidate group stays whole."""
    assert not isinstance(run, System)
    size = min(execution.micro_batch, run.global_batch // execution.workers) // 2
    while size >= call_size_of(run):
        yield replace(execution, micro_batch=size)
        size //= 2


def _workers(execution: Execution) -> Iterator[Execution]:
    """More of them, doubled; of an elastic execution the fewest are, as these have to do."""
    times = 2
    while times * execution.workers <= MOST_WORKERS:
        fewest = None if execution.workers_min is None else times * execution.workers_min
        yield replace(execution, workers=times * execution.workers, workers_min=fewest)
        times *= 2


def _spell(before: Execution, after: Execution) -> str:
    names = ("zero_stage", "workers", "workers_min", "micro_batch", "gradient_checkpointing")
    changed = [name for name in names if getattr(before, name) != getattr(after, name)]
    return " and ".join(f"{name}={getattr(after, name)}" for name in changed)
