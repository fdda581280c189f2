"""How far scores fall between two rotations, pair by pair and in the mean over groups of pairs.

Legend: B draws (row 0 is the sample itself), S seeds, L pairs of languages, C clusters.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.bootstrap import Estimate, estimate, p_value
from analysis.frame import Floats, RunRecord
from analysis.scores import cluster_sums
from studies.schema.atlas import ENGLISH
from studies.schema.evaluation import Pair, pair_name

UNSEEN_LANGUAGE = "unseen language"
"""The level at which distillation had no line of the queries' language."""

UNSEEN_PAIR = "unseen pair"
"""The level at which distillation had lines of both languages with English, and none of the two."""

ALL, RELATED, ISOLATED, BETWEEN = "all", "related", "isolated", "between other languages"
"""Groups of pairs: with English passages those of all, related and isolated languages, then all with others."""

APART = "unseen in pretraining"
"""The group of languages that neither distillation nor pretraining has seen, in none of the groups above."""


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
    """The mean degradation of a group of pairs; ``relative`` is 1 less the ratio of the two mean scores.

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
class Level:
    """Pairs with the rotation in which each is trained and that in which it is not, and who is asked for them."""

    name: str
    rotations: Mapping[Pair, tuple[str, str]]
    groups: Mapping[str, Sequence[Pair]]
    systems: tuple[str, ...]


def sides_of(
    level: Level,
    arranged: Mapping[str, Sequence[RunRecord]],
    measure: str,
    clusters: Sequence[str],
    entities_BC: Floats,
    seeds_BS: Floats,
) -> tuple[Floats, Floats]:
    """Scores where trained and where not, both [B, L] in the order of the level's pairs."""

    def score(rotation: str, pair: Pair) -> Floats:
        name = pair[0] if pair[1] == ENGLISH else pair_name(pair)
        sums = cluster_sums(arranged[rotation], measure=measure, languages=(name,), clusters=clusters)
        mean_B: Floats = (sums.means(entities_BC)[..., 0] * seeds_BS).sum(axis=1) / seeds_BS.sum(axis=1)
        return mean_B

    trained = [score(rotation, pair) for pair, (rotation, _) in level.rotations.items()]
    unseen = [score(rotation, pair) for pair, (_, rotation) in level.rotations.items()]
    return np.stack(trained, axis=1), np.stack(unseen, axis=1)


def falls_of(system: str, measure: str, level: Level, trained_BL: Floats, unseen_BL: Floats) -> Iterator[Fall]:
    """A system's fall on every pair of a level."""
    for place, (queries, passages) in enumerate(level.rotations):
        trained_B, unseen_B = trained_BL[:, place], unseen_BL[:, place]
        yield Fall(
            system=system,
            measure=measure,
            queries=queries,
            passages=passages,
            level=level.name,
            trained=estimate(trained_B),
            unseen=estimate(unseen_B),
            degradation=estimate(trained_B - unseen_B),
            relative=_share(trained_B, unseen_B),
        )


def means_of(
    reference: str,
    measure: str,
    level: Level,
    sides: Mapping[str, tuple[Floats, Floats]],
    *,
    is_sound: bool,
) -> Iterator[MeanFall]:
    """The mean fall of every system over each group that has pairs; ``sides`` are theirs of :func:`sides_of`."""
    order = list(level.rotations)
    for group, pairs in level.groups.items():
        if not pairs:
            continue
        places = [order.index(pair) for pair in pairs]
        means = {
            system: (trained_BL[:, places].mean(axis=1), unseen_BL[:, places].mean(axis=1))
            for system, (trained_BL, unseen_BL) in sides.items()
        }
        reference_B = means[reference][0] - means[reference][1]
        for system, (trained_B, unseen_B) in means.items():
            difference_B = reference_B - (trained_B - unseen_B)
            compared = is_sound and system != reference
            yield MeanFall(
                system=system,
                measure=measure,
                level=level.name,
                group=group,
                languages=tuple(x if y == ENGLISH else pair_name((x, y)) for x, y in pairs),
                trained=estimate(trained_B),
                unseen=estimate(unseen_B),
                degradation=estimate(trained_B - unseen_B),
                relative=_share(trained_B, unseen_B),
                difference=estimate(difference_B) if compared else None,
                p=p_value(difference_B) if compared else None,
            )


def _share(trained_B: Floats, unseen_B: Floats) -> Estimate | None:
    """The share of the trained score that is lost."""
    return None if (trained_B <= 0.0).any() else estimate(1.0 - unseen_B / trained_B)
