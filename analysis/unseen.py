"""What systems lose where distillation has not seen the queries' language, computed without touching a file.

A score is compared with the same system's score on the same queries, trained on the pair. Trainings without a language
are drawn with the same entities and seeds as those with it, so the differences are paired.

Legend: B draws (row 0 is the sample itself), S seeds, L languages of queries, C clusters, G languages of a group.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.bootstrap import Estimate, Resampling, draw_clusters, draw_seeds, estimate, p_value
from analysis.declared import DeclaredUnseen
from analysis.frame import Floats, RunRecord
from analysis.ledger import Ledger, by_objective, compare
from analysis.scores import by_entity, cluster_names, cluster_sums
from studies.schema.language import Language
from studies.schema.record import Role
from studies.schema.run import ENGLISH

UNSEEN_LANGUAGE = "unseen language"
"""The level at which distillation had no line of the queries' language."""

ALL, RELATED, ISOLATED = "all", "related", "isolated"


@dataclass(frozen=True, kw_only=True)
class Fall:
    """A system's score on a pair when it was trained on it and when not; ``relative`` is a share of the former.

    ``relative`` is None where the trained score is 0 in the sample or in a resample.
    """

    system: str
    measure: str
    queries: str
    passages: str
    level: str
    trained: Estimate
    unseen: Estimate
    degradation: Estimate
    relative: Estimate | None


@dataclass(frozen=True, kw_only=True)
class MeanFall:
    """The mean degradation of a group of languages; ``relative`` is 1 less the ratio of the two mean scores.

    ``difference`` is the reference's degradation minus the system's, None for the reference itself and where the
    comparison is refused; ``p`` belongs to it.
    """

    system: str
    measure: str
    level: str
    group: str
    languages: tuple[str, ...]
    trained: Estimate
    unseen: Estimate
    degradation: Estimate
    relative: Estimate | None
    difference: Estimate | None = None
    p: float | None = None


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

    def fall(self, system: str, queries: str) -> Fall:
        """A system's fall on one pair in the primary measure."""
        wanted = (system, self.asked.measure, queries)
        return next(each for each in self.falls if (each.system, each.measure, each.queries) == wanted)

    def mean(self, system: str, group: str = ALL) -> MeanFall | None:
        """A system's mean fall over a group in the primary measure; None for a group without languages."""
        wanted = (system, self.asked.measure, group)
        return next((each for each in self.means if (each.system, each.measure, each.group) == wanted), None)

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
    falls: list[Fall] = []
    means: list[MeanFall] = []
    for measure in asked.measures:
        sides = {
            system: _sides(asked, _by_rotation(system, found, asked, seeds), measure, clusters, entities_BC, seeds_BS)
            for system, found in systems.items()
        }
        for system, (trained_BL, unseen_BL) in sides.items():
            falls += _falls(system, measure, codes, trained_BL, unseen_BL)
        means += _means(asked, measure, codes, kin, sides, is_sound=ledger.refusal is None)
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
    for rotation in (asked.trained, *asked.withheld):
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


def _sides(
    asked: DeclaredUnseen,
    arranged: Mapping[str, Sequence[RunRecord]],
    measure: str,
    clusters: Sequence[str],
    entities_BC: Floats,
    seeds_BS: Floats,
) -> tuple[Floats, Floats]:
    """Scores when every language had lines and when each had none, both [B, L] in the order of ``withheld``."""

    def scores(rotation: str, codes: Sequence[str]) -> Floats:
        sums = cluster_sums(arranged[rotation], measure=measure, languages=codes, clusters=clusters)
        weighed: Floats = np.einsum("bsl,bs->bl", sums.means(entities_BC), seeds_BS)
        means: Floats = weighed / seeds_BS.sum(axis=1, keepdims=True)
        return means

    trained_BL = scores(asked.trained, tuple(asked.withheld.values()))
    unseen = [scores(rotation, (language,)) for rotation, language in asked.withheld.items()]
    return trained_BL, np.concatenate(unseen, axis=1)


def _falls(system: str, measure: str, codes: Sequence[str], trained_BL: Floats, unseen_BL: Floats) -> Iterator[Fall]:
    for place, language in enumerate(codes):
        trained_B, unseen_B = trained_BL[:, place], unseen_BL[:, place]
        yield Fall(
            system=system,
            measure=measure,
            queries=language,
            passages=ENGLISH,
            level=UNSEEN_LANGUAGE,
            trained=estimate(trained_B),
            unseen=estimate(unseen_B),
            degradation=estimate(trained_B - unseen_B),
            relative=_relative(trained_B, unseen_B),
        )


def _means(
    asked: DeclaredUnseen,
    measure: str,
    codes: Sequence[str],
    kin: Mapping[str, tuple[str, ...]],
    sides: Mapping[str, tuple[Floats, Floats]],
    *,
    is_sound: bool,
) -> Iterator[MeanFall]:
    groups = {
        ALL: list(codes),
        RELATED: [code for code in codes if kin[code]],
        ISOLATED: [code for code in codes if not kin[code]],
    }
    for group, chosen in groups.items():
        places = [codes.index(code) for code in chosen]
        means = {
            system: tuple(side_BL[:, places].mean(axis=1) for side_BL in both)
            for system, both in sides.items()
            if places
        }
        for system, (trained_B, unseen_B) in means.items():
            own_B = trained_B - unseen_B
            difference_B = means[asked.reference][0] - means[asked.reference][1] - own_B
            compared = is_sound and system != asked.reference
            yield MeanFall(
                system=system,
                measure=measure,
                level=UNSEEN_LANGUAGE,
                group=group,
                languages=tuple(chosen),
                trained=estimate(trained_B),
                unseen=estimate(unseen_B),
                degradation=estimate(own_B),
                relative=_relative(trained_B, unseen_B),
                difference=estimate(difference_B) if compared else None,
                p=p_value(difference_B) if compared else None,
            )


def _relative(trained_B: Floats, unseen_B: Floats) -> Estimate | None:
    return None if (trained_B <= 0.0).any() else estimate(1.0 - unseen_B / trained_B)


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
