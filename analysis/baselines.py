"""What the students have to beat, and how they do on parts of the queries.

Legend: B draws (row 0 is the sample itself), R runs, L languages.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.bootstrap import Estimate, estimate
from analysis.frame import Bools, Floats, QueryScores, RunRecord
from analysis.gaps import Ladder
from analysis.scores import cluster_sums, evaluated
from studies.schema.language import Language
from studies.schema.record import FULL_EXPOSURE, Role

LATIN = "Latn"


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """Mean score of a system over languages. ``exposure`` is full, reduced, or any where exposure plays no part.

    ``latin`` and ``other_scripts`` are the means over languages in and outside Latin script; None if there are none.
    """

    role: str
    rung: str
    exposure: str
    measure: str
    mean: Estimate
    latin: float | None
    other_scripts: float | None


@dataclass(frozen=True, kw_only=True)
class Part:
    """Mean score on a part of the queries at one rung and exposure, over the languages that have such queries."""

    part: str
    rung: str
    exposure: str
    score: float
    num_languages: int
    num_queries: float


PARTS: Mapping[str, Callable[[QueryScores], Bools]] = {
    "seen names": lambda queries: queries.seen,
    "unseen names": lambda queries: ~queries.seen,
    "not spelled as in English": lambda queries: ~queries.cognate,
}


def baselines(
    rivals: Sequence[RunRecord],
    largest: Sequence[RunRecord],
    *,
    measures: Sequence[str],
    languages: Mapping[str, Language],
    clusters: Sequence[str],
    weights: Floats,
) -> tuple[Baseline, ...]:
    """Rows for every rival system, after the largest students for comparison; ``weights`` are the draws [B, C]."""
    rows = []
    for runs in _by_system([*largest, *rivals]):
        codes = sorted(set.intersection(*(set(evaluated(run).language.tolist()) for run in runs)))
        for measure in measures:
            sums = cluster_sums(runs, measure=measure, languages=codes, clusters=clusters)
            scores_BRL = sums.means(weights)
            for exposure, chosen_RL in _exposures(runs, codes).items():
                rows.append(_row(runs[0], exposure, measure, codes, scores_BRL, chosen_RL, languages))
    return tuple(rows)


def _by_system(runs: Sequence[RunRecord]) -> list[list[RunRecord]]:
    systems: dict[tuple[str, str], list[RunRecord]] = {}
    for run in runs:
        systems.setdefault((run.role, run.labels.rung), []).append(run)
    return list(systems.values())


def _exposures(runs: Sequence[RunRecord], codes: Sequence[str]) -> dict[str, Bools]:
    """Which (run, language) cells are at which exposure, [R, L] each; empty ones are left out."""
    if runs[0].role in (Role.UNTRAINED, Role.COPY_THROUGH) or not all(run.exposure for run in runs):
        return {"any": np.ones((len(runs), len(codes)), dtype=np.bool_)}
    full = np.array([[run.exposure[code] >= FULL_EXPOSURE for code in codes] for run in runs], dtype=np.bool_)
    return {name: chosen for name, chosen in (("full", full), ("reduced", ~full)) if chosen.any()}


def _row(
    run: RunRecord,
    exposure: str,
    measure: str,
    codes: Sequence[str],
    scores_BRL: Floats,
    chosen_RL: Bools,
    languages: Mapping[str, Language],
) -> Baseline:
    present = chosen_RL.any(axis=0)
    totals_BL = (scores_BRL * chosen_RL).sum(axis=1)[:, present] / chosen_RL.sum(axis=0)[present]
    scripts = [languages[code].script if code in languages else "" for code in codes]
    latin = np.array([script == LATIN for script in scripts])[present]
    known = np.array([bool(script) for script in scripts])[present]

    def mean(chosen: Bools) -> float | None:
        return float(totals_BL[0, chosen].mean()) if chosen.any() else None

    return Baseline(
        role=run.role,
        rung=run.labels.rung,
        exposure=exposure,
        measure=measure,
        mean=estimate(totals_BL.mean(axis=-1)),
        latin=mean(latin),
        other_scripts=mean(known & ~latin),
    )


def parts(runs: Sequence[RunRecord], ladder: Ladder, *, measure: str) -> tuple[Part, ...]:
    """Levels on parts of the queries. Which names are seen differs by exposure, so no effect is read off them."""
    rows = []
    for part, select in PARTS.items():
        sums = cluster_sums(runs, measure=measure, languages=ladder.languages, clusters=_ALL, cluster=_one, part=select)
        totals_RL, counts_RL = sums.sums_RLC.sum(axis=-1), sums.num_queries_RL
        for place, rung in enumerate(ladder.rungs):
            for exposure, side_RL in (("full", ladder.full_RL), ("reduced", ~ladder.full_RL)):
                cells = ladder.member_GR[place][:, None] & side_RL & (counts_RL > 0)
                held = cells.any(axis=0)
                if not held.any():
                    continue
                means_RL = np.divide(totals_RL, counts_RL, out=np.zeros_like(totals_RL), where=counts_RL > 0)
                by_language = (means_RL * cells).sum(axis=0)[held] / cells.sum(axis=0)[held]
                rows.append(
                    Part(
                        part=part,
                        rung=rung,
                        exposure=exposure,
                        score=float(by_language.mean()),
                        num_languages=int(held.sum()),
                        num_queries=float(counts_RL[cells].mean()),
                    )
                )
    return tuple(rows)


_ALL = ("all",)


def _one(queries: QueryScores) -> np.ndarray[tuple[int], np.dtype[np.str_]]:
    return np.full(queries.num_rows, _ALL[0])
