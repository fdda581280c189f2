"""A study's runs as plain values, whatever they were read from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Texts = NDArray[np.str_]
Places = NDArray[np.intp]

SIZES = "parameters."
"""Recorded parameters that begin so are counted, not chosen."""


class IncompleteStudy(RuntimeError):
    """Some declared runs have no result yet, so nothing may be concluded."""


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Where a run stands in its study, as text; "-" where an axis does not apply."""

    rung: str
    objective: str
    rotation: str
    seed: str
    bitext: str = "-"

    def __str__(self) -> str:
        named = [f"bitext {self.bitext}", f"rotation {self.rotation}", f"seed {self.seed}"]
        return " · ".join(part for part in (self.rung, self.objective, *named) if not part.endswith("-"))


@dataclass(frozen=True, kw_only=True)
class Series:
    """One journal metric over optimiser steps, in order of step."""

    steps: Floats
    values: Floats


@dataclass(frozen=True, kw_only=True)
class QueryScores:
    """Per-query scores of one run: one row per (language, query), in that order.

    ``entity`` is the cluster of a query: queries about the same entity are not independent. ``seen`` says that every
    name of the query occurs in the run's bitext for that language, ``cognate`` that its text equals the English one.
    """

    language: Texts
    query: Texts
    entity: Texts
    seen: Bools
    cognate: Bools
    scores: Mapping[str, Floats]

    @property
    def num_rows(self) -> int:
        return int(self.language.size)


def query_scores(
    language: Sequence[str],
    query: Sequence[str],
    entity: Sequence[str],
    seen: Sequence[bool],
    cognate: Sequence[bool],
    scores: Mapping[str, Sequence[float]],
) -> QueryScores:
    """Put per-query rows into their one order, so that no result depends on the order of a file.

    Raises ValueError for a repeated (language, query) or a score that is not finite.
    """
    languages, queries = np.asarray(language, dtype=np.str_), np.asarray(query, dtype=np.str_)
    order = np.lexsort((queries, languages))
    languages, queries = languages[order], queries[order]
    repeated = (languages[1:] == languages[:-1]) & (queries[1:] == queries[:-1])
    if repeated.any():
        place = int(np.flatnonzero(repeated)[0])
        raise ValueError(f"query {queries[place]!r} of language {languages[place]!r} is scored twice; evaluate again")
    columns = {name: np.asarray(column, dtype=np.float64)[order] for name, column in scores.items()}
    for name, column in columns.items():
        if not np.isfinite(column).all():
            raise ValueError(
                f"{name} has {int((~np.isfinite(column)).sum())} scores that are not finite numbers; an unanswered "
                "query counts as 0, so something went wrong in the evaluation: run it again"
            )
    return QueryScores(
        language=languages,
        query=queries,
        entity=np.asarray(entity, dtype=np.str_)[order],
        seen=np.asarray(seen, dtype=np.bool_)[order],
        cognate=np.asarray(cognate, dtype=np.bool_)[order],
        scores=columns,
    )


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One run as it was recorded. ``queries`` is None as long as the run has not been evaluated, ``sentences`` where
    the alignment of published text was not measured.

    ``sampled`` is what a search chose for it, by the name of the parameter.
    """

    key: str
    role: str
    labels: Labels
    state: str
    flags: tuple[str, ...]
    revision: str
    parameters: Mapping[str, str]
    measures: Mapping[str, Mapping[str, float]]
    exposure: Mapping[str, float]
    collection: str
    split: str
    queries: QueryScores | None
    series: Mapping[str, Series]
    sampled: Mapping[str, str] = field(default_factory=dict)
    sentences: QueryScores | None = None

    @property
    def non_embedding(self) -> int | None:
        return _count(self.parameters.get(f"{SIZES}non_embedding"))

    @property
    def total(self) -> int | None:
        return _count(self.parameters.get(f"{SIZES}total"))


def _count(text: str | None) -> int | None:
    return None if text is None or text in ("", "None", "-") else int(float(text))


@dataclass(frozen=True, kw_only=True)
class Frame:
    """All recorded runs of one version of a study, by key, and the kind of place they were read from."""

    study: str
    version: str
    source: str
    runs: Mapping[str, RunRecord]
