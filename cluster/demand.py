"""What a study asks of machines, from its executions and arithmetic alone, and whether given nodes can meet it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cluster.targets import Node
from studies.schema.fit import memory_of
from studies.schema.price import kept
from studies.schema.run import System
from studies.schema.study import Study, expand

GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class Workers:
    """Like workers: ``count`` of them at once, each with ``cpus`` and ``gpus``, and ``memory_bytes`` at its fullest.

    ``rungs`` need them, and none of these goes on with less than ``fewest``.
    """

    rungs: tuple[str, ...]
    count: int
    fewest: int
    cpus: int
    gpus: int
    memory_bytes: float

    @property
    def span(self) -> str:
        """How many there may be and what each has, in words."""
        number = str(self.count) if self.fewest == self.count else f"{self.fewest} to {self.count}"
        return f"{number} workers of {self.cpus} CPUs" + (f" and {self.gpus} GPUs" if self.gpus else "")


def demands(study: Study) -> tuple[Workers, ...]:
    """The kinds of workers that a study needs, one after another; rungs that need the same kind share it."""
    found: dict[tuple[int, int], Workers] = {}
    for point in expand(study):
        if isinstance(point.run, System):
            continue
        execution = study.execution_of(point)
        kind = (execution.threads, execution.gpus_per_worker)
        known = found.get(kind)
        needed = memory_of(point.run, execution).peak
        found[kind] = Workers(
            rungs=tuple(dict.fromkeys((*(known.rungs if known else ()), point.labels.rung))),
            count=max(known.count if known else 0, execution.workers),
            fewest=max(known.fewest if known else 0, execution.fewest),
            cpus=execution.threads,
            gpus=execution.gpus_per_worker,
            memory_bytes=max(known.memory_bytes if known else 0.0, needed),
        )
    return tuple(found.values())


def storage_bytes(study: Study) -> float:
    """Bytes that a study leaves at most, as a plan reckons them."""
    return kept([(point.run, study.execution_of(point)) for point in expand(study)]).total


def shortfalls(study: Study, nodes: Sequence[Node]) -> list[str]:
    """What the nodes lack for a study, in words; empty when every kind of workers has its places."""
    return [text for asked in demands(study) for text in _shortfall(asked, nodes)]


def _shortfall(asked: Workers, nodes: Sequence[Node]) -> Iterable[str]:
    named = f"rung {', '.join(asked.rungs)}" if len(asked.rungs) <= 2 else f"{len(asked.rungs)} rungs"
    places = sum(_places(asked, node) for node in nodes)
    if places < asked.fewest:
        yield (
            f"{named} needs {asked.span}, the nodes have places for {places}; "
            "lower workers or workers_min, threads or gpus_per_worker in the study's Execution, or add nodes"
        )
        return
    able = [node for node in nodes if _places(asked, node)]
    room = max(node.gpu_gib * asked.gpus if asked.gpus else node.memory_gib for node in able)
    if asked.memory_bytes > room * GIB:
        yield (
            f"{named} needs {asked.memory_bytes / GIB:.1f} GiB in each worker at its fullest, which has {room} GiB; "
            "raise zero_stage or workers, lower micro_batch or set gradient_checkpointing in the study's Execution"
        )


def _places(asked: Workers, node: Node) -> int:
    by_cpu = node.cpus // asked.cpus
    return min(by_cpu, node.gpus // asked.gpus) if asked.gpus else by_cpu
