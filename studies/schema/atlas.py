"""The embedded collection and the parallel lines drawn from it, as they are declared."""

from dataclasses import dataclass, field

from studies.schema.added import ADDED
from studies.schema.checks import at_least

ENGLISH = "en"
"""The language of passages and teachers."""


@dataclass(frozen=True, kw_only=True)
class Atlas:
    """The embedded collection: query languages (English is the passages' language) and the revision of its content."""

    languages: tuple[str, ...]
    vocabulary_size: int
    revision: str

    def __post_init__(self) -> None:
        if ENGLISH in self.languages:
            raise ValueError("Atlas.languages are query languages; English is the passages' language, leave it out")
        if len(set(self.languages)) != len(self.languages):
            raise ValueError(f"Atlas.languages names a language twice: {', '.join(self.languages)}")


@dataclass(frozen=True, kw_only=True)
class Bitext:
    """Parallel lines drawn from a collection.

    A language with exposure ``e`` gets ``round(e * lines)`` lines; ``lexical_coverage`` is the share of names that
    occur in any line at all. These two are the only knobs of resource, and they are declared apart. English is on the
    other side of a line, but for each pair (x, y) of ``direct``: of the lines of x every second has y there instead.
    """

    collection: Atlas
    lines: int
    exposure: tuple[tuple[str, float], ...]
    lexical_coverage: float = 1.0
    direct: tuple[tuple[str, str], ...] = field(default=(), metadata=ADDED)

    def __post_init__(self) -> None:
        at_least(self, 1, "lines")
        named = [language for language, _ in self.exposure]
        if sorted(named) != sorted(self.collection.languages):
            raise ValueError(
                f"Bitext.exposure names {sorted(named)}, the collection has {sorted(self.collection.languages)}; "
                "give each language exactly one exposure (0 for none)"
            )
        for language, share in self.exposure:
            if not 0.0 <= share <= 1.0:
                raise ValueError(f"exposure of {language} is {share}; it is a share between 0 and 1")
        if not 0.0 < self.lexical_coverage <= 1.0:
            raise ValueError(f"lexical_coverage is {self.lexical_coverage}; it is a share above 0, at most 1")
        shares = dict(self.exposure)
        sources = [source for source, _ in self.direct]
        for source, other in self.direct:
            if source == other or not {source, other} <= shares.keys() or sources.count(source) > 1:
                raise ValueError(
                    f"Bitext.direct pairs {source} with {other}; pair a language of {', '.join(shares)} with one other"
                )
            if not (shares[source] and shares[other]):
                raise ValueError(f"Bitext.direct pairs {source} with {other}, but one of them has exposure 0")

    @property
    def total_lines(self) -> int:
        """Lines of all languages together."""
        return sum(round(share * self.lines) for _, share in self.exposure)

    @property
    def direct_lines(self) -> int:
        """Lines without English."""
        shares = dict(self.exposure)
        return sum(round(shares[source] * self.lines) // 2 for source, _ in self.direct)
