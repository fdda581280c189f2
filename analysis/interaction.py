"""How much larger an effect of resource is under one objective than under another, and how that moves with size.

Both effects are read from the same draws of entities, so that what a draw does to both falls out of their difference.

Legend: B draws (row 0 is the sample itself), G rungs in order of size, S seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.bootstrap import Estimate
from analysis.declared import Declared
from analysis.fit import Fit, Status, fit, refused
from analysis.forecast import HeldOut, forecast_held_out
from analysis.gaps import Curve, NoCurve
from analysis.laws import LAWS
from analysis.ledger import Ledger

TREND = "log_linear"
"""The law whose slope says how the difference moves with size."""


@dataclass(frozen=True, kw_only=True)
class Interaction:
    """The effect under ``reference`` minus that under ``against``: by rung, and as a law without the held-out rung.

    ``every_rung`` is the trend fitted to all rungs. ``held_out`` is None where the law could not be fitted.
    """

    reference: str
    against: str
    curve: Curve | NoCurve
    trend: Fit
    every_rung: Fit
    declared: Fit
    held_out: HeldOut | None
    ledger: Ledger

    @property
    def slope(self) -> Estimate | None:
        """Change of the difference per tenfold size with its interval; None where no line was fitted."""
        if not self.trend.usable:
            return None
        return Estimate(point=self.trend.parameters["b"], interval=self.trend.intervals["b"])


def interact(asked: Declared, upper: Curve | NoCurve, lower: Curve | NoCurve, *, ledger: Ledger) -> Interaction:
    """The difference of two effects over the same rungs; what cannot be had says why."""
    assert asked.reference is not None
    assert asked.against is not None
    curve = difference(upper, lower)
    smaller = [rung for rung in rungs_of(curve) if rung != asked.hold_out]
    declared = _fit(asked.law, curve, smaller, ledger)
    return Interaction(
        reference=asked.reference,
        against=asked.against,
        curve=curve,
        trend=_fit(TREND, curve, smaller, ledger),
        every_rung=_fit(TREND, curve, rungs_of(curve), ledger),
        declared=declared,
        held_out=forecast_held_out(declared, curve, asked.hold_out)
        if isinstance(curve, Curve) and declared.usable
        else None,
        ledger=ledger,
    )


def difference(upper: Curve | NoCurve, lower: Curve | NoCurve) -> Curve | NoCurve:
    """One effect minus another, draw by draw; a rung is sound where it is so in both."""
    for each in (upper, lower):
        if isinstance(each, NoCurve):
            return NoCurve(target=f"interaction.{each.target}", reason=each.reason)
    assert isinstance(upper, Curve)
    assert isinstance(lower, Curve)
    target = f"interaction.{upper.target}"
    if upper.rungs != lower.rungs:
        return NoCurve(
            target=target,
            reason=f"the one effect is known at {', '.join(upper.rungs)}, the other at {', '.join(lower.rungs)}; train "
            "both objectives at the same rungs",
        )
    flagged = {
        rung: tuple(sorted({*upper.flagged.get(rung, ()), *lower.flagged.get(rung, ())}))
        for rung in upper.rungs
        if rung in upper.flagged or rung in lower.flagged
    }
    seeds = min(len(upper.by_seed_SG), len(lower.by_seed_SG))
    return Curve(
        target=target,
        unit=upper.unit,
        rungs=upper.rungs,
        sizes_G=upper.sizes_G,
        sound_G=upper.sound_G & lower.sound_G,
        upper_BG=upper.values_BG,
        lower_BG=lower.values_BG,
        by_seed_SG=upper.by_seed_SG[:seeds] - lower.by_seed_SG[:seeds],
        num_clipped=upper.num_clipped + lower.num_clipped,
        flagged=flagged,
    )


def rungs_of(curve: Curve | NoCurve) -> tuple[str, ...]:
    """Rungs in order of size; none where there is no curve."""
    return curve.rungs if isinstance(curve, Curve) else ()


def _fit(name: str, curve: Curve | NoCurve, rungs: Sequence[str], ledger: Ledger) -> Fit:
    law = LAWS[name]
    if isinstance(curve, NoCurve):
        return refused(law, curve.target, Status.NO_CURVE, curve.reason)
    if ledger.refusal is not None:
        return refused(law, curve.target, Status.CONFOUNDED, ledger.refusal, rungs)
    return fit(law, curve, rungs=rungs)
