"""The estimands: within-language resource effect, descriptive gap between languages, and levels, by rung.

Legend: B draws (row 0 is the sample itself), R runs, L languages, G rungs in order of size, S seeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.bootstrap import Estimate, estimate
from analysis.frame import Bools, Floats, RunRecord
from analysis.scales import Scaled
from studies.schema.record import FULL_EXPOSURE


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """Runs of one objective arranged by rung. ``flagged`` rungs hold a run with a stated defect."""

    rungs: tuple[str, ...]
    sizes_G: Floats
    languages: tuple[str, ...]
    member_GR: Bools
    full_RL: Bools
    seeds: tuple[str, ...]
    flagged: Mapping[str, tuple[str, ...]]

    @property
    def rung_of_run(self) -> tuple[str, ...]:
        return tuple(self.rungs[int(place)] for place in self.member_GR.argmax(axis=0))

    @property
    def sound_G(self) -> Bools:
        return np.array([rung not in self.flagged for rung in self.rungs], dtype=np.bool_)


def arrange(runs: Sequence[RunRecord]) -> Ladder:
    """Order students by non-embedding parameters; raises ValueError where size or exposure is not recorded."""
    sizes: dict[str, int] = {}
    flagged: dict[str, tuple[str, ...]] = {}
    for run in runs:
        size, rung = run.non_embedding, run.labels.rung
        if size is None or size <= 0:
            raise ValueError(f"run {run.key} ({rung}) records no parameters.non_embedding; deliver it to MLflow again")
        if sizes.setdefault(rung, size) != size:
            raise ValueError(f"rung {rung} has runs of {sizes[rung]} and of {size} parameters; it must be one size")
        if run.state == "flagged":
            flagged[rung] = tuple(sorted({*flagged.get(rung, ()), *(run.flags or ("flagged",))}))
    rungs = tuple(sorted(sizes, key=lambda name: (sizes[name], name)))
    languages = tuple(sorted(set().union(*(run.exposure for run in runs))))
    for run in runs:
        absent = sorted(set(languages) - set(run.exposure))
        if absent:
            raise ValueError(f"run {run.key} records no exposure for {', '.join(absent)}; evaluate it again")
    return Ladder(
        rungs=rungs,
        sizes_G=np.array([sizes[rung] for rung in rungs], dtype=np.float64),
        languages=languages,
        member_GR=np.array([[run.labels.rung == rung for run in runs] for rung in rungs], dtype=np.bool_),
        full_RL=np.array([[run.exposure[code] >= FULL_EXPOSURE for code in languages] for run in runs], dtype=np.bool_),
        seeds=tuple(run.labels.seed for run in runs),
        flagged=flagged,
    )


def mean_by_rung(values_BRL: Floats, chosen_RL: Bools, weights_BR: Floats, member_GR: Bools) -> Floats:
    """Average over the chosen runs of each rung, [B, G, L]; every language needs a chosen run at every rung."""
    weights_BGR = weights_BR[:, None, :] * member_GR[None]
    counts_BGL = weights_BGR @ chosen_RL.astype(np.float64)
    if (counts_BGL <= 0.0).any():
        raise ValueError("a language has no run to average at some rung")
    means: Floats = weights_BGR @ (values_BRL * chosen_RL) / counts_BGL
    return means


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A contrast by rung: ``upper`` minus ``lower``, both [B, G]; ``by_seed_SG`` are its points for single seeds."""

    target: str
    unit: str
    rungs: tuple[str, ...]
    sizes_G: Floats
    sound_G: Bools
    upper_BG: Floats
    lower_BG: Floats
    by_seed_SG: Floats
    num_clipped: int
    flagged: Mapping[str, tuple[str, ...]]

    @property
    def values_BG(self) -> Floats:
        return self.upper_BG - self.lower_BG

    def place(self, rung: str) -> int:
        return self.rungs.index(rung)

    def points(self) -> tuple["CurvePoint", ...]:
        """The contrast at each rung with its interval, smallest rung first."""
        values_BG = self.values_BG
        return tuple(
            CurvePoint(
                rung=rung,
                size=int(self.sizes_G[place]),
                value=estimate(values_BG[:, place]),
                sound=bool(self.sound_G[place]),
            )
            for place, rung in enumerate(self.rungs)
        )


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """One rung of a contrast; not ``sound`` when a run of it is flagged."""

    rung: str
    size: int
    value: Estimate
    sound: bool


@dataclass(frozen=True, kw_only=True)
class NoCurve:
    """A contrast that this study cannot make, and why."""

    target: str
    reason: str


def one_sided(ladder: Ladder) -> tuple[str, ...]:
    """Languages that some rung has only at full or only at reduced exposure: no control of their own."""
    members = ladder.member_GR.astype(np.float64)
    both_GL = (members @ ladder.full_RL > 0) & (members @ ~ladder.full_RL > 0)
    return tuple(code for place, code in enumerate(ladder.languages) if not both_GL[:, place].all())


def resource_effect(scaled: Scaled, ladder: Ladder, weights_BR: Floats, *, scale: str, unit: str) -> Curve | NoCurve:
    """Mean over languages of a language at full minus the same language at reduced exposure.

    Positive means that more exposure helps. Refused when a language lacks one side, because dropping it would
    change what the effect is a mean of.
    """
    target = f"effect.{scale}"
    alone = one_sided(ladder)
    if alone:
        return NoCurve(
            target=target,
            reason=f"{', '.join(alone)} occur only at full or only at reduced exposure at some rung, so they have no "
            "control of their own; add a rotation in which their exposure is swapped",
        )
    return _contrast(target, unit, scaled, ladder, weights_BR, upper_RL=ladder.full_RL, lower_RL=~ladder.full_RL)


def class_gap(
    scaled: Scaled, ladder: Ladder, weights_BR: Floats, classes: Mapping[str, str], *, scale: str, unit: str
) -> Curve | NoCurve:
    """Mean over high-resource minus mean over low-resource languages by CC-100, averaged over rotations.

    Descriptive: languages differ in script, cognates and tokenisation too. Refused when a class is empty.
    """
    target = f"gap.{scale}"
    of_class = {
        name: np.array([classes.get(code) == name for code in ladder.languages], dtype=np.bool_)
        for name in ("high", "low")
    }
    for name, members in of_class.items():
        if not members.any():
            return NoCurve(
                target=target,
                reason=f"none of {', '.join(ladder.languages)} is of CC-100 class {name!r}, so there is no gap between "
                "classes; declare languages of both classes",
            )
    upper_RL, lower_RL = (np.broadcast_to(of_class[name], ladder.full_RL.shape) for name in ("high", "low"))
    return _contrast(target, unit, scaled, ladder, weights_BR, upper_RL=upper_RL, lower_RL=lower_RL)


def levels(scaled: Scaled, ladder: Ladder, weights_BR: Floats, *, full: bool) -> Floats | None:
    """Score of each language at full (or reduced) exposure by rung, [B, G, L]; None if a language lacks a side."""
    if one_sided(ladder):
        return None
    chosen_RL = ladder.full_RL if full else ~ladder.full_RL
    return mean_by_rung(scaled.values_BRL, chosen_RL, weights_BR, ladder.member_GR)


def _contrast(
    target: str, unit: str, scaled: Scaled, ladder: Ladder, weights_BR: Floats, *, upper_RL: Bools, lower_RL: Bools
) -> Curve:
    seeds = sorted(set(ladder.seeds))
    alone_SR = np.array([[float(seed == one) for seed in ladder.seeds] for one in seeds])
    sample = scaled.values_BRL[:1]

    def side(chosen_RL: Bools, values_BRL: Floats, weights: Floats) -> Floats:
        inside = chosen_RL.any(axis=0)
        by_language = mean_by_rung(values_BRL[..., inside], chosen_RL[:, inside], weights, ladder.member_GR)
        average: Floats = by_language.mean(axis=-1)
        return average

    return Curve(
        target=target,
        unit=unit,
        rungs=ladder.rungs,
        sizes_G=ladder.sizes_G,
        sound_G=ladder.sound_G,
        upper_BG=side(upper_RL, scaled.values_BRL, weights_BR),
        lower_BG=side(lower_RL, scaled.values_BRL, weights_BR),
        by_seed_SG=side(upper_RL, sample, alone_SR) - side(lower_RL, sample, alone_SR),
        num_clipped=scaled.num_clipped,
        flagged=ladder.flagged,
    )
