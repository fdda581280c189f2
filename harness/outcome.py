"""What a driver has to say when it ends."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a study or a search stands when its driver ends; ``tracking`` is where MLflow has it.

    ``seconds`` is the driver's whole time, ``training_seconds`` what the runs finished here spent in their training
    loops, added up also where they ran side by side.
    """

    finished: int
    flagged: int
    failed: int
    undelivered: int
    messages: tuple[str, ...]
    tracking: str
    seconds: float
    training_seconds: float
