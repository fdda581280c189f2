"""Axes of a study: named factors whose settings assign fields of a run by dotted path."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

AXIS_NAMES = ("rung", "objective", "bitext", "rotation", "seed")
"""The factors a report knows how to tell apart, in the order of a run's name."""

ADDED_AXES = frozenset({"bitext"})
"""Factors that came later: a run without one is described as it was before there was any."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One value of an axis: a label and the fields of the run that it assigns, as dotted paths."""

    label: str
    assign: tuple[tuple[str, Any], ...]


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A named factor of the study and its settings, in order."""

    name: str
    settings: tuple[Setting, ...]

    def __post_init__(self) -> None:
        if self.name not in AXIS_NAMES:
            raise ValueError(f"axis {self.name!r} is none of {', '.join(AXIS_NAMES)}")
        labels = [setting.label for setting in self.settings]
        if not labels or len(set(labels)) != len(labels):
            raise ValueError(f"axis {self.name} needs settings with distinct labels, got {labels}")


@dataclass(frozen=True, kw_only=True)
class Tie:
    """Fields that are assigned where settings of several axes meet, after what those assign by themselves.

    ``where`` pairs axes with labels; all of them have to hold. An axis is tied within itself by its settings.
    """

    where: tuple[tuple[str, str], ...]
    assign: tuple[tuple[str, Any], ...]

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether a run with these labels by axis stands where the tie does."""
        return all(labels.get(axis) == label for axis, label in self.where)


def vary(name: str, path: str, values: Mapping[str, Any]) -> Axis:
    """An axis that assigns one field; the mapping's keys are the labels."""
    return Axis(name=name, settings=tuple(Setting(label=k, assign=((path, v),)) for k, v in values.items()))


def seeds(number: int) -> Axis:
    """Repeat with seeds 0, 1, ... for weights and data order."""
    return vary("seed", "seed", {str(seed): seed for seed in range(number)})


def rotations(number: int, languages: Sequence[str], *, low: float) -> Axis:
    """Assign exposure to languages in turn: in each rotation half of them are at 1.0, the others at ``low``.

    Every language is high in half of the rotations, so a language serves as its own control. With two rotations,
    neighbours in ``languages`` fall into opposite halves.
    """
    if number < 2 or number % 2:
        raise ValueError(f"{number} rotations cannot put every language high and low equally often; use an even number")
    settings = (
        Setting(label=str(rotation), assign=(("bitext.exposure", exposure_of(rotation, number, languages, low=low)),))
        for rotation in range(number)
    )
    return Axis(name="rotation", settings=tuple(settings))


def exposure_of(rotation: int, number: int, languages: Sequence[str], *, low: float) -> tuple[tuple[str, float], ...]:
    """The exposure of each language in one of the rotations."""
    return tuple(
        (language, 1.0 if (place + rotation) % number * 2 < number else low) for place, language in enumerate(languages)
    )


def withheld(languages: Sequence[str], *, lines: int, direct: Sequence[tuple[str, str]] = ()) -> Axis:
    """Withhold the lines of each language in turn, after a rotation in which every language has its share of them.

    ``all`` and each ``without-x`` have exactly ``lines`` lines in all, shared out evenly; ValueError where that does
    not come out. With pairs, a rotation ``direct`` is ``all`` with direct lines of them.
    """
    number = len(languages)
    if number < 2 or lines % number or lines % (number - 1):
        raise ValueError(
            f"{lines} lines cannot be shared out evenly over {number} languages and over {number - 1}; use two "
            f"languages or more, and a multiple of {number * (number - 1)}"
        )

    def setting(label: str, without: str | None) -> Setting:
        exposure = tuple((language, 0.0 if language == without else 1.0) for language in languages)
        each = lines // (number if without is None else number - 1)
        return Setting(label=label, assign=(("bitext.lines", each), ("bitext.exposure", exposure)))

    all_seen = setting("all", None)
    paired = Setting(label="direct", assign=(*all_seen.assign, ("bitext.direct", tuple(direct))))
    settings = (setting(f"without-{language}", language) for language in languages)
    return Axis(name="rotation", settings=(all_seen, *([paired] if direct else []), *settings))


def assign(target: Any, path: str, value: Any) -> Any:
    """A copy of a frozen value with one field replaced; ValueError for a misspelt path or a value of another type."""
    head, rest = _field(target, path)
    new = assign(getattr(target, head), rest, value) if rest else value
    types = accepted(target, head)
    if not rest and type(new) not in types:
        expected = " or ".join(kind.__name__ for kind in types)
        raise ValueError(f"{path!r} holds {expected}, not {type(new).__name__}: {new!r}")
    assert not isinstance(target, type)
    return replace(target, **{head: new})


def assign_all(target: Any, assigned: Sequence[tuple[str, Any]]) -> Any:
    """A copy with several fields replaced one after another, so that a later one may rest on an earlier one."""
    for path, value in assigned:
        target = assign(target, path, value)
    return target


def accepted(target: Any, path: str) -> tuple[type, ...]:
    """The classes that the field at a dotted path accepts; ValueError for a misspelt path."""
    head, rest = _field(target, path)
    if rest:
        return accepted(getattr(target, head), rest)
    return _types(get_type_hints(type(target))[head])


def cross(*axes: Axis) -> tuple[Axis, ...]:
    """Every combination of the axes' settings."""
    return axes


def _field(target: Any, path: str) -> tuple[str, str]:
    """The first field of a path and the rest of it; ValueError, with what was perhaps meant, if there is none."""
    head, _, rest = path.partition(".")
    names = [field.name for field in fields(target)] if is_dataclass(target) else []
    if head not in names:
        close = difflib.get_close_matches(head, names, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ValueError(
            f"{type(target).__name__} has no field {head!r} (path {path!r}); it has {', '.join(names)}{hint}"
        )
    return head, rest


def _types(hint: Any) -> tuple[type, ...]:
    """The classes a field's annotation accepts; exactly these, as True for 1 or 1 for 1.0 would be another key."""
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    return tuple(get_origin(kind) or kind for kind in kinds)
