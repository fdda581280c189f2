"""How a run is carried out: workers, micro-batch, sharding. Never part of a run's identity."""

from dataclasses import dataclass, replace

from studies.schema.devices import KINDS, Device, DeviceKind


@dataclass(frozen=True, kw_only=True)
class Execution:
    """Resources and bookkeeping of a run.

    ``micro_batch`` is the most examples of a forward call; a worker whose share of the global batch is larger
    accumulates over several calls.
    ``threads`` fixes the arithmetic on CPU: results repeat bit for bit at one number of threads. The teacher's
    vectors are cached when they take at most ``teacher_cache_bytes``, and computed in every step otherwise.
    With ``gradient_checkpointing`` a layer's insides are computed again for its gradients instead of kept: less memory,
    a third more work, the same numbers.
    ``device`` is what a plan reckons with: an H100 for a worker with GPUs, two CPU cores without, unless it is named.
    ``at_once`` runs of this kind are trained side by side where the cluster has room, one after another where not.

    With ``workers_min`` a run is elastic: where machines are taken away it goes on with fewer workers, down to that
    number, and with more again, up to ``workers``, once they are back; without, it waits for all of them.
    ``max_failures`` is how often a worker group that failed is started again, ``max_preemptions`` how often one of
    which a machine was taken after notice, None for as often as it happens.
    """

    workers: int = 2
    at_once: int = 1
    micro_batch: int = 128
    zero_stage: int = 2
    threads: int = 1
    gpus_per_worker: int = 0
    gradient_checkpointing: bool = False
    device: Device | None = None
    log_every: int = 10
    checkpoint_every: int = 500
    keep_checkpoints: int = 1
    max_failures: int = 3
    teacher_cache_bytes: int = 4 * 2**30
    workers_min: int | None = None
    max_preemptions: int | None = None

    def __post_init__(self) -> None:
        if self.zero_stage not in (0, 1, 2, 3):
            raise ValueError(f"zero_stage is {self.zero_stage}; DeepSpeed has stages 0, 1, 2 and 3")
        counts = ("workers", "at_once", "micro_batch", "threads", "log_every", "checkpoint_every", "keep_checkpoints")
        for name in counts:
            if getattr(self, name) < 1:
                raise ValueError(f"Execution.{name} is {getattr(self, name)}; it must be at least 1")
        if self.workers_min is not None and not 1 <= self.workers_min <= self.workers:
            raise ValueError(
                f"Execution.workers_min is {self.workers_min} with {self.workers} workers; it is at least 1 and at "
                "most workers"
            )
        if self.max_preemptions is not None and self.max_preemptions < 0:
            raise ValueError(f"Execution.max_preemptions is {self.max_preemptions}; it must be at least 0, or None")
        if self.device is not None and (self.device is Device.CPU_PAIR) == (self.gpus_per_worker > 0):
            raise ValueError(
                f"device is {self.device} with gpus_per_worker {self.gpus_per_worker}; a worker computes on one kind"
            )
        if self.checkpoint_every % self.log_every:
            raise ValueError(
                f"checkpoint_every {self.checkpoint_every} is no multiple of log_every {self.log_every}; a resumed run "
                "could not repeat the means it was recording"
            )

    @property
    def fewest(self) -> int:
        """Workers with which a run still goes on."""
        return self.workers if self.workers_min is None else self.workers_min

    @property
    def span(self) -> str:
        """How many workers there may be, in words."""
        return str(self.workers) if self.fewest == self.workers else f"{self.fewest} to {self.workers}"

    def by(self, workers: int) -> "Execution":
        """The same by exactly so many workers; ValueError if they are too few or too many."""
        if not self.fewest <= workers <= self.workers:
            raise ValueError(f"the worker group has {workers} workers, the execution declares {self.span}")
        return replace(self, workers=workers, workers_min=None)

    @property
    def kind(self) -> DeviceKind:
        """What a plan takes a worker's device to be."""
        return KINDS[self.named_device]

    @property
    def named_device(self) -> Device:
        """The device that is named, or what stands for none."""
        return self.device or (Device.H100 if self.gpus_per_worker else Device.CPU_PAIR)

    @property
    def memory(self) -> float:
        """Bytes that a worker has: of a GPU all, of a machine's the share of its cores."""
        return self.kind.memory * (1.0 if self.gpus_per_worker else self.threads / 2)

    def calls(self, global_batch: int, group_size: int = 1) -> tuple[int, int]:
        """Examples per forward call, and forward calls per optimiser step, of one worker.

        Raises ValueError with the arithmetic if it does not come out whole. ``group_size`` is that of a candidate
        group, which a call must hold whole.
        """
        share, rest = divmod(global_batch, self.workers)
        size = min(self.micro_batch, share)
        if rest or share % size:
            raise ValueError(
                f"a global batch of {global_batch} does not divide over {self.workers} workers in calls of {size}; "
                f"choose a micro-batch that divides {global_batch} / {self.workers}, or another number of workers"
            )
        if size % group_size:
            raise ValueError(
                f"a call of {size} examples (micro-batch {self.micro_batch}, {self.workers} workers) splits a "
                f"candidate group of {group_size}; make it a multiple of {group_size}"
            )
        return size, share // size
