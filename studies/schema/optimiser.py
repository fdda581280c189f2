"""Steps of a training and the rates at which they are taken."""

from dataclasses import dataclass

from studies.schema.checks import above_zero


@dataclass(frozen=True, kw_only=True)
class Optimiser:
    """AdamW (arXiv 1711.05101) with gradient clipping by global norm."""

    learning_rate: float
    beta1: float = 0.9
    beta2: float = 0.98
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    clip_norm: float = 1.0

    def __post_init__(self) -> None:
        above_zero(self, "learning_rate", "epsilon", "clip_norm")


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Optimiser steps: linear warm-up, then linear decay to zero. ``steps`` 0 is an untrained model."""

    steps: int
    warmup_steps: int

    def __post_init__(self) -> None:
        if self.steps < 0 or not 0 <= self.warmup_steps <= self.steps:
            raise ValueError(
                f"Schedule has {self.warmup_steps} warm-up steps of {self.steps}; "
                "warm-up lies between 0 and the number of steps"
            )

    def factor(self, step: int) -> float:
        """Share of the peak learning rate used by the optimiser step number ``step``, counted from 0."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        remaining = self.steps - self.warmup_steps
        return max(0.0, (self.steps - step) / remaining) if remaining else 0.0
