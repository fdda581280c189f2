"""Which lines of parallel text are dropped, and why: every dropped line is counted under one reason."""

from collections import Counter
from collections.abc import Iterable, Iterator
from enum import StrEnum

from harness.data.guard import Guard
from studies.schema.parallel import Filters


class Reason(StrEnum):
    """Why a line is not used, in the order in which it is looked at."""

    BROKEN_UTF8 = "broken UTF-8"
    WRONG_COLUMNS = "wrong number of columns"
    NO_SCORE = "no score"
    LOW_SCORE = "low score"
    EMPTY = "empty side"
    SHORT = "too short"
    LONG = "too long"
    RATIO = "unlike lengths"
    IDENTICAL = "identical sides"
    TESTED_ON = "kept for tests"
    DUPLICATE = "duplicate"
    OVER_CAP = "over the pair's cap"
    NOT_DRAWN = "not drawn"


MALFORMED = (Reason.BROKEN_UTF8, Reason.WRONG_COLUMNS, Reason.NO_SCORE)


def kept(
    lines: Iterable[tuple[str, str]], filters: Filters, guard: Guard, counts: Counter[Reason]
) -> Iterator[tuple[str, str]]:
    """Source and target of the lines that pass, spaces made single; the others are counted."""
    least, most, ratio = filters.least_characters, filters.most_characters, filters.most_ratio
    for source, target in lines:
        source, target = " ".join(source.split()), " ".join(target.split())
        short, long = sorted((len(source), len(target)))
        if short == 0:
            counts[Reason.EMPTY] += 1
        elif short < least:
            counts[Reason.SHORT] += 1
        elif long > most:
            counts[Reason.LONG] += 1
        elif long > ratio * short:
            counts[Reason.RATIO] += 1
        elif source == target and not filters.keep_identical:
            counts[Reason.IDENTICAL] += 1
        elif guard.holds(source) or guard.holds(target):
            counts[Reason.TESTED_ON] += 1
        else:
            yield source, target
