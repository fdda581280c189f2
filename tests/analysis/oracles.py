"""Slow and obvious versions of what the analysis computes."""

import math
from collections.abc import Mapping, Sequence

from analysis.frame import RunRecord


def score(run: RunRecord, measure: str, language: str, drawn: Mapping[str, int] | None = None) -> float:
    """Mean over queries, each as often as its entity was drawn."""
    queries = run.queries
    assert queries is not None
    total, count = 0.0, 0
    for place in range(queries.num_rows):
        if queries.language[place] == language:
            times = 1 if drawn is None else drawn[str(queries.entity[place])]
            total += times * float(queries.scores[measure][place])
            count += times
    return total / count


def effect(
    students: Sequence[RunRecord],
    teacher: RunRecord,
    measure: str,
    rung: str,
    drawn: Mapping[str, int] | None = None,
) -> float:
    """The within-language resource effect on the logit of the teacher's share, loop by loop."""
    share_of = score(teacher, measure, "en", drawn)
    runs = [run for run in students if run.labels.rung == rung]
    differences = []
    for language in sorted(runs[0].exposure):
        sides: dict[bool, list[float]] = {True: [], False: []}
        for run in runs:
            share = score(run, measure, language, drawn) / share_of
            sides[run.exposure[language] == 1.0].append(math.log(share / (1 - share)))
        differences.append(sum(sides[True]) / len(sides[True]) - sum(sides[False]) / len(sides[False]))
    return sum(differences) / len(differences)


def gap(students: Sequence[RunRecord], measure: str, rung: str, high: Sequence[str], low: Sequence[str]) -> float:
    """The raw gap between two classes of languages, averaged over rotations."""
    runs = [run for run in students if run.labels.rung == rung]

    def mean(languages: Sequence[str]) -> float:
        return sum(score(run, measure, code) for run in runs for code in languages) / (len(runs) * len(languages))

    return mean(high) - mean(low)
