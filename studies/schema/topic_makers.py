"""Who put topics into another language: people, or a translation model."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class People:
    """Translations by people; ``source`` says whose."""

    source: str

    def __post_init__(self) -> None:
        if not self.source:
            raise ValueError("People.source is empty; say who translated the topics, or where they were published")


@dataclass(frozen=True, kw_only=True)
class Chrf:
    """chrF of a translator (Popovic, WMT 2015) on ``references``, from 0 to 100, with sacreBLEU's signature."""

    score: float
    references: str
    signature: str

    def __post_init__(self) -> None:
        if not 0 <= self.score <= 100:
            raise ValueError(f"Chrf.score is {self.score}; chrF lies between 0 and 100")
        if not self.references or not self.signature:
            raise ValueError("Chrf names no references or no signature; a score without them cannot be compared")


@dataclass(frozen=True, kw_only=True)
class Translator:
    """A translation model by its hub id and revision; ``chrf`` is None only where no references exist."""

    model: str
    revision: str
    chrf: Chrf | None

    def __post_init__(self) -> None:
        if not self.model or not self.revision:
            raise ValueError("Translator names no model or no revision; both identify the topics it made")
