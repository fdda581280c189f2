"""What a ranking is worth: scores per query, their means, and the ranking as a TREC run."""

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ir_measures
from ir_measures import Measure, Qrel, ScoredDoc

Scores = Mapping[str, Mapping[str, float]]
"""Value by query and measure."""

Row = dict[str, str | bool | float]
"""One query in one language: what identifies it, and its score on every measure."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One language: what was asked for each query, what was retrieved and what it is worth."""

    asked: Sequence[str]
    ranking: Sequence[ScoredDoc]
    scores: Scores


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a run retrieved by language, and across pairs by their names, a row for each query, and what is said of it
    all."""

    results: Mapping[str, Result]
    rows: Sequence[Row]
    summary: Mapping[str, Any]
    across: Mapping[str, Result] = field(default_factory=dict)


def score(measures: Sequence[Measure], qrels: Mapping[str, Mapping[str, int]], ranking: Sequence[ScoredDoc]) -> Scores:
    """Value of every judged query on every measure; a query without any retrieved passage is zero on all."""
    judged = [Qrel(query, passage, grade) for query, grades in qrels.items() for passage, grade in grades.items()]
    scores: dict[str, dict[str, float]] = {query: {} for query in qrels}
    for metric in ir_measures.iter_calc(measures, judged, ranking):
        scores[metric.query_id][str(metric.measure)] = metric.value
    for query, values in scores.items():
        if len(values) != len(measures):
            wanted = [str(measure) for measure in measures]
            raise ValueError(f"query {query} was scored on {sorted(values)}, not on all of {wanted}")
    return scores


def means(rows: Sequence[Mapping[str, str | bool | float]], measures: Sequence[Measure]) -> dict[str, dict[str, float]]:
    """Mean by measure and language, over the languages that have a query among the rows."""
    of_language: dict[str, list[Mapping[str, str | bool | float]]] = {}
    for row in rows:
        of_language.setdefault(str(row["language"]), []).append(row)
    return {
        str(measure): {
            language: sum(float(row[str(measure)]) for row in found) / len(found)
            for language, found in of_language.items()
        }
        for measure in measures
    }


def write_trec(path: Path, results: Mapping[str, Result], tag: str) -> None:
    """All rankings as one TREC run; a query's id there is language and id, the file is the same byte for byte."""
    lines: list[str] = []
    for language, result in results.items():
        rank: dict[str, int] = {}
        for query, passage, value in result.ranking:
            rank[query] = rank.get(query, 0) + 1
            lines.append(f"{language}.{query} Q0 {passage} {rank[query]} {value:.6f} {tag}\n")
    with (
        path.open("wb") as stream,
        gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=1, mtime=0, filename="") as packed,
    ):
        packed.write("".join(lines).encode())
