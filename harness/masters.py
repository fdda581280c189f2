"""The float32 masters of an engine's weights and Adam's moments of them, one weight at a time and whole.

How DeepSpeed cuts them up differs between its stages and with the number of workers; here each stage says how to read
and write one weight. Reading is collective: every rank calls it for the same weight and part.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import Tensor

MOMENTS = ("exp_avg", "exp_avg_sq")
"""What Adam keeps of each weight beside its count of steps, under PyTorch's names."""


class Masters(Protocol):
    """Masters and moments of what an engine trains; ``moment`` is one of ``MOMENTS``, or None for the master."""

    def settle(self) -> None:
        """Have every rank give back what its last step left whole."""

    def start(self, steps: int) -> None:
        """Make room for the moments, as Adam does at its first step, and set its count of steps."""

    def read(self, weight: Tensor, moment: str | None) -> Tensor:
        """A master or moment in float32 and the weight's shape, on every rank."""
        ...

    def write(self, weight: Tensor, moment: str | None, value: Tensor) -> None:
        """Put this rank's share of a whole master or moment in its place."""

    def finish(self) -> None:
        """Have the model compute with the masters that were written."""


def masters_of(engine: Any) -> Masters:
    """The masters of an engine, as its ZeRO stage keeps them."""
    stage = engine.zero_optimization_stage()
    if stage == 0:
        return Copied(engine)
    return Flattened(engine) if stage < 3 else Shared(engine)


class Copied:
    """Stage 0: every rank has everything, and below float32 a master beside each weight."""

    def __init__(self, engine: Any) -> None:
        self._adam = engine.basic_optimizer
        wrapper = engine.optimizer
        if wrapper is self._adam:
            pairs = [(weight, weight) for group in self._adam.param_groups for weight in group["params"]]
        else:
            groups = zip(wrapper.fp16_groups, wrapper.fp32_groups, strict=True)
            pairs = [pair for weights, masters in groups for pair in zip(weights, masters, strict=True)]
        self._masters: dict[Tensor, Tensor] = dict(pairs)

    def settle(self) -> None:
        """Every rank has everything anyway."""

    def start(self, steps: int) -> None:
        make_room(self._adam, self._masters.values(), steps)

    def read(self, weight: Tensor, moment: str | None) -> Tensor:
        return self._of(weight, moment)

    def write(self, weight: Tensor, moment: str | None, value: Tensor) -> None:
        self._of(weight, moment).copy_(value)

    def finish(self) -> None:
        for weight, master in self._masters.items():
            weight.data.copy_(master.data)

    def _of(self, weight: Tensor, moment: str | None) -> Tensor:
        master = self._masters[weight]
        found: Tensor = master if moment is None else self._adam.state[master][moment]
        return found.detach()


class Flattened:
    """Stages 1 and 2: all weights are one vector, of which every rank keeps the masters of a piece."""

    def __init__(self, engine: Any) -> None:
        self._adam, self._zero = engine.basic_optimizer, engine.optimizer

    def settle(self) -> None:
        """Every rank has all weights anyway."""

    def start(self, steps: int) -> None:
        make_room(self._adam, self._zero.single_partition_of_fp32_groups, steps)
        # DeepSpeed ties weights to their moments after the first step, which a restored engine does not take here.
        self._zero._lazy_init_hp_params_optimizer_state()

    def read(self, weight: Any, moment: str | None) -> Tensor:
        found: Tensor = weight.get_full_hp_param(moment)
        return found

    def write(self, weight: Any, moment: str | None, value: Tensor) -> None:
        weight.set_full_hp_param(value, moment)

    def finish(self) -> None:
        self._zero.update_lp_params()


class Shared:
    """Stage 3: of every weight each rank keeps an equal share, the last one filled up."""

    def __init__(self, engine: Any) -> None:
        self._adam, self._zero = engine.basic_optimizer, engine.optimizer

    def settle(self) -> None:
        self._zero.checkpoint_event_prologue()
        self._zero.checkpoint_event_epilogue()

    def start(self, steps: int) -> None:
        self._zero.checkpoint_event_prologue()
        make_room(self._adam, self._zero.fp32_partitioned_groups_flat, steps)

    def read(self, weight: Tensor, moment: str | None) -> Tensor:
        found: Tensor = self._zero.get_full_hp_param(weight, moment)
        return found

    def write(self, weight: Any, moment: str | None, value: Tensor) -> None:
        size = weight.ds_tensor.numel()
        first = dist.get_rank() * size
        mine = value.flatten()[first : first + size]
        self._zero.set_local_hp_param(torch.nn.functional.pad(mine, (0, size - len(mine))), weight, moment)

    def finish(self) -> None:
        for group in range(len(self._zero.fp32_partitioned_groups_flat)):
            self._zero._reassign_or_swap_out_partitioned_parameters(group)
        self._zero.checkpoint_event_epilogue()


def make_room(adam: torch.optim.Optimizer, masters: Iterable[Tensor], steps: int) -> None:
    """Give every master the state that PyTorch's fused AdamW makes at its first step, after ``steps`` steps."""
    for master in masters:
        state = adam.state[master]
        state["step"] = torch.tensor(float(steps), dtype=torch.float32, device=master.device)
        for moment in MOMENTS:
            state.setdefault(moment, torch.zeros_like(master, requires_grad=False))


def steps_taken(engine: Any) -> int:
    """Adam's count of steps, which its bias correction goes by; the same for every weight."""
    return int(next(iter(engine.basic_optimizer.state.values()))["step"])


def names(model: torch.nn.Module) -> dict[str, tuple[str, ...]]:
    """Names in the state dict by the first name of the weight or buffer; further ones are ties of it."""
    first: dict[int, str] = {}
    found: dict[str, tuple[str, ...]] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        known = first.setdefault(id(tensor), name)
        found[known] = (*found.get(known, ()), name)
    return found


def tensors(model: torch.nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Every weight and kept buffer once, by its first name in the state dict."""
    held = model.state_dict(keep_vars=True)
    yield from ((name, held[name]) for name in names(model))
