"""Choices that depend on what is chosen, never on order, process or hash seed."""

from hashlib import blake2b


def draw(*parts: str) -> int:
    """A 64-bit integer fixed by the given words (BLAKE2b), the same in every process."""
    return int.from_bytes(blake2b("\x1f".join(parts).encode(), digest_size=8).digest(), "big")


def share(*parts: str) -> float:
    """A number in [0, 1) fixed by the given words, to be compared with a share."""
    return (draw(*parts) >> 11) / (1 << 53)


def short_id(*parts: str) -> str:
    """Twelve hexadecimal digits that name the given words."""
    return f"{draw(*parts):016x}"[:12]
