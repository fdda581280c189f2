"""The space of a search: fields of a run, and the values each may have."""

from dataclasses import dataclass
from typing import Any, assert_never

DIGITS = 4
"""Significant digits of a sampled number. A key is made of what was sampled, so it has to be the same when read back,
and a difference in the fifth digit is no other recipe."""

Value = float | str
"""A sampled number, or the label of a choice."""


@dataclass(frozen=True, kw_only=True)
class LogUniform:
    """A number whose logarithm is uniform between two bounds above 0."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_bounds(self)
        if self.low <= 0:
            raise ValueError(f"a log-uniform number lies above 0, low is {self.low}; raise it, or use Uniform")


@dataclass(frozen=True, kw_only=True)
class Uniform:
    """A number that is uniform between two bounds."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_bounds(self)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of some values, each under a label."""

    values: tuple[tuple[str, Any], ...]

    def __post_init__(self) -> None:
        labels = [label for label, _ in self.values]
        if len(labels) < 2 or len(set(labels)) != len(labels):
            raise ValueError(f"a choice needs two or more values with distinct labels, got {labels}")


Domain = LogUniform | Uniform | Choice


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A field of the run, as a dotted path, that the sampler sets; ``name`` is what reports call it."""

    name: str
    path: str
    domain: Domain


def stable(value: float) -> float:
    """A sampled number as it enters a run: ``DIGITS`` significant decimal digits."""
    return float(f"{value:.{DIGITS - 1}e}")


def assigned(parameter: Parameter, value: Value) -> Any:
    """What a sampled value puts into the run; ValueError for one that is none of the parameter's."""
    match parameter.domain:
        case LogUniform() | Uniform():
            if isinstance(value, str):
                raise ValueError(f"{parameter.name} is a number, not {value!r}")
            return stable(value)
        case Choice():
            known = dict(parameter.domain.values)
            if value not in known:
                raise ValueError(f"{parameter.name} is one of {', '.join(known)}, not {value!r}")
            return known[str(value)]
        case unknown:
            assert_never(unknown)


def _check_bounds(domain: LogUniform | Uniform) -> None:
    if not domain.low < domain.high:
        raise ValueError(f"a range from {domain.low} to {domain.high} is empty; low lies below high")
    for bound in (domain.low, domain.high):
        if stable(bound) != bound:
            raise ValueError(f"bound {bound} has more than {DIGITS} significant digits; write {stable(bound)}")
