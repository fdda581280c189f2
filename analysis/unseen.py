"""What systems lose where distillation has not seen the queries' language, computed without touching a file.

A score is compared with the same system's score on the same queries, trained on the pair. Trainings without a language
are drawn with the same entities and seeds as those with it, so the differences are paired.

Legend: B draws (row 0 is the sample itself), S seeds, C clusters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from analysis.bootstrap import Resampling, draw_clusters, draw_seeds
from analysis.declared import DeclaredUnseen
from analysis.falls import (
    ALL,
    APART,
    BETWEEN,
    ISOLATED,
    RELATED,
    UNSEEN_LANGUAGE,
    UNSEEN_PAIR,
    Fall,
    Level,
    MeanFall,
    falls_of,
    means_of,
    sides_of,
)
from analysis.frame import RunRecord
from analysis.ledger import Ledger, by_objective, compare
from analysis.scores import by_entity, cluster_names
from studies.schema.atlas import ENGLISH
from studies.schema.language import Language
from studies.schema.record import Role


@dataclass(frozen=True, kw_only=True)
class Unseen:
    """What was found. ``kin`` are the others of a language's family and script, ``floor`` the scores of copying."""

    asked: DeclaredUnseen
    resampling: Resampling
    num_clusters: int
    seeds: tuple[str, ...]
    runs: tuple[RunRecord, ...]
    ledger: Ledger
    kin: Mapping[str, tuple[str, ...]]
    falls: tuple[Fall, ...]
    means: tuple[MeanFall, ...]
    floor: Mapping[str, float]
    teacher: Mapping[str, float]

    @property
    def systems(self) -> tuple[str, ...]:
        """The reference, what it is read against, then the others."""
        return tuple(dict.fromkeys(row.system for row in self.means))

    def fall(self, system: str, queries: str, passages: str = ENGLISH, level: str = UNSEEN_LANGUAGE) -> Fall:
        """A system's fall on one pair in the primary measure."""
        wanted = (system, self.asked.measure, queries, passages, level)
        return next(
            each
            for each in self.falls
            if (each.system, each.measure, each.queries, each.passages, each.level) == wanted
        )

    def mean(self, system: str, group: str = ALL, level: str = UNSEEN_LANGUAGE) -> MeanFall | None:
        """A system's mean fall over a group in the primary measure; None for a group without pairs."""
        wanted = (system, self.asked.measure, group, level)
        found = (each for each in self.means if (each.system, each.measure, each.group, each.level) == wanted)
        return next(found, None)

    @property
    def primary(self) -> MeanFall:
        """The row whose ``difference`` is the primary contrast."""
        found = self.mean(self.asked.against)
        assert found is not None
        return found


def find_unseen(
    asked: DeclaredUnseen, runs: Sequence[RunRecord], languages: Sequence[Language], resampling: Resampling
) -> Unseen:
    """Estimate everything from completed runs; raises ValueError where a system lacks a rotation or a seed."""
    systems = _systems(asked, runs)
    members = [run for found in systems.values() for run in found]
    clusters = cluster_names(members, by_entity)
    seeds = tuple(sorted({run.labels.seed for run in systems[asked.reference]}))
    rng = np.random.default_rng(resampling.seed)
    entities_BC = draw_clusters(len(clusters), resamples=resampling.resamples, rng=rng)
    seeds_BS = draw_seeds(seeds, ("all",) * len(seeds), resamples=resampling.resamples, rng=rng)
    codes = tuple(asked.withheld.values())
    kin = _kin(codes, {each.code: each for each in languages})
    ledger = compare([run for run in members if run.role == Role.STUDENT], asked.varied, by=by_objective)
    arranged = {system: _by_rotation(system, found, asked, seeds) for system, found in systems.items()}
    falls: list[Fall] = []
    means: list[MeanFall] = []
    for measure, level in product(asked.measures, _levels(asked, systems, kin)):
        sides = {
            system: sides_of(level, arranged[system], measure, clusters, entities_BC, seeds_BS)
            for system in level.systems
        }
        for system, both in sides.items():
            falls += falls_of(system, measure, level, *both)
        means += means_of(asked.reference, measure, level, sides, is_sound=ledger.refusal is None)
    return Unseen(
        asked=asked,
        resampling=resampling,
        num_clusters=len(clusters),
        seeds=seeds,
        runs=tuple(runs),
        ledger=ledger,
        kin=kin,
        falls=tuple(falls),
        means=tuple(means),
        floor=next((run.measures[asked.measure] for run in runs if run.role == Role.COPY_THROUGH), {}),
        teacher=_teacher(asked, runs),
    )


def _levels(
    asked: DeclaredUnseen, systems: Mapping[str, Sequence[RunRecord]], kin: Mapping[str, Sequence[str]]
) -> list[Level]:
    """Unseen languages with English passages; then, under objectives, the study's pairs at both levels."""
    without = {code: rotation for rotation, code in asked.withheld.items()}
    english = [(code, ENGLISH) for code in without]
    counted = [pair for pair in english if pair[0] not in asked.apart]
    groups = {
        ALL: counted,
        RELATED: [pair for pair in counted if kin[pair[0]]],
        ISOLATED: [pair for pair in counted if not kin[pair[0]]],
        APART: [pair for pair in english if pair[0] in asked.apart],
    }
    rotations = {pair: (asked.trained, without[pair[0]]) for pair in english}
    levels = [Level(name=UNSEEN_LANGUAGE, rotations=rotations, groups=groups, systems=tuple(systems))]
    if asked.direct is not None:
        trained = tuple(name for name, found in systems.items() if found[0].role == Role.STUDENT)
        between = {BETWEEN: list(asked.pairs)}
        at_pair = dict.fromkeys(asked.pairs, (asked.direct, asked.trained))
        at_language = {pair: (asked.direct, without[pair[0]]) for pair in asked.pairs}
        levels += [
            Level(name=UNSEEN_PAIR, rotations=at_pair, groups=between, systems=trained),
            Level(name=UNSEEN_LANGUAGE, rotations=at_language, groups=between, systems=trained),
        ]
    return levels


def _systems(asked: DeclaredUnseen, runs: Sequence[RunRecord]) -> dict[str, list[RunRecord]]:
    """Runs of what is trained on the lines of a rotation: objectives, the two contrasted ones first, then rivals."""
    found: dict[str, list[RunRecord]] = {asked.reference: [], asked.against: []}
    for run in runs:
        if run.role == Role.STUDENT:
            found.setdefault(run.labels.objective, []).append(run)
    for run in runs:
        if run.role in (Role.TRANSLATED, Role.DICTIONARY):
            found.setdefault(run.role, []).append(run)
    return found


def _by_rotation(
    system: str, found: Sequence[RunRecord], asked: DeclaredUnseen, seeds: Sequence[str]
) -> dict[str, list[RunRecord]]:
    """A system's runs by rotation, one for each seed in order; one without seeds stands for all of them."""
    arranged: dict[str, list[RunRecord]] = {}
    direct = [asked.direct] if asked.direct is not None else []
    for rotation in (asked.trained, *direct, *asked.withheld):
        here = {run.labels.seed: run for run in found if run.labels.rotation == rotation}
        if set(here) == {"-"}:
            here = dict.fromkeys(seeds, here["-"])
        if set(here) != set(seeds):
            raise ValueError(
                f"system {system} has seeds {', '.join(sorted(here)) or 'none'} in rotation {rotation}, others have "
                f"{', '.join(seeds)}; vary all systems alike"
            )
        arranged[rotation] = [here[seed] for seed in seeds]
    return arranged


def _kin(codes: Sequence[str], languages: Mapping[str, Language]) -> dict[str, tuple[str, ...]]:
    """By language, the others that share its family and its script."""

    def kind(code: str) -> tuple[str, str]:
        if code not in languages:
            raise ValueError(f"language {code!r} has no family and script; add it to studies/languages.py")
        return languages[code].family, languages[code].script

    return {code: tuple(other for other in codes if other != code and kind(other) == kind(code)) for code in codes}


def _teacher(asked: DeclaredUnseen, runs: Sequence[RunRecord]) -> dict[str, float]:
    teachers = [run for run in runs if run.role == Role.TEACHER]
    return {
        measure: float(np.mean([np.mean(list(run.measures[measure].values())) for run in teachers]))
        for measure in asked.measures
        if teachers
    }
