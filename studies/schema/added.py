"""Fields that are added to a value after runs of it exist, so that runs declared before keep their keys.

Such a field is declared ``field(default=..., metadata=ADDED)`` and left out of canonical bytes while it has its
default. The default has to mean what the value did before there was the field, and may never change: every key without
the field would then stand for another run.
"""

from collections.abc import Mapping
from dataclasses import MISSING, Field
from types import MappingProxyType
from typing import Any

ADDED: Mapping[str, bool] = MappingProxyType({"added": True})
"""Metadata of a field that was added later."""


def is_added(declared: "Field[Any]") -> bool:
    """Whether a field was added later; it then needs a default, and TypeError says so."""
    if not declared.metadata.get("added"):
        return False
    if declared.default is MISSING:
        raise TypeError(f"field {declared.name} is marked as added later and has no default; give it one")
    return True
