"""Checks that values make of their own fields, with one wording."""


def at_least(value: object, least: int, *names: str) -> None:
    """Raise ValueError naming the first of the fields that is below ``least``, or no number."""
    for name in names:
        found = getattr(value, name)
        if not found >= least:
            raise ValueError(f"{type(value).__name__}.{name} is {found}; it must be at least {least}")


def above_zero(value: object, *names: str) -> None:
    """Raise ValueError naming the first of the fields that is not above 0."""
    for name in names:
        if not getattr(value, name) > 0:
            raise ValueError(f"{type(value).__name__}.{name} is {getattr(value, name)}; it must be above 0")
