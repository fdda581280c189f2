"""Predict the rung that no fit has seen, and be honest about what the band around it covers.

Legend: B draws (row 0 is the sample itself), G rungs, S seeds, P parameters.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from analysis.bootstrap import CONFIDENCE, Estimate, Interval, estimate, interval
from analysis.fit import Fit, fit, fitted_curve, observations
from analysis.frame import Floats
from analysis.gaps import Curve
from analysis.laws import Law

CONDITIONAL = "conditional on these trained models"
"""Label of a band that only knows which queries were asked: another training of the same size may fall outside."""

ACROSS_SEEDS = "prediction interval over seeds and lack of fit"

RESAMPLED_SEEDS = "bootstrap over queries and seeds, lack of fit left out"
"""Label of a joint law's band when there are several seeds."""


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """A forecast beside what was observed. ``inside`` is None when the held-out rung is flagged: no fair test."""

    rung: str
    forecast: float
    interval: Interval
    label: str
    observed: Estimate
    miss: Estimate
    inside: bool | None


def forecast_held_out(fitted: Fit, curve: Curve, rung: str) -> HeldOut:
    """Forecast a rung of the curve; ``miss`` is observed minus forecast on the same draws of queries."""
    place = curve.place(rung)
    forecast_B = fitted_curve(fitted, curve.sizes_G[place : place + 1])[:, 0]
    observed_B = curve.values_BG[:, place]
    band, label = interval(forecast_B), CONDITIONAL
    if curve.by_seed_SG.shape[0] > 1:
        label = RESAMPLED_SEEDS
        if not fitted.law.joint:
            band, label = _across_seeds(fitted, curve, place, float(forecast_B[0])), ACROSS_SEEDS
    return HeldOut(
        rung=rung,
        forecast=float(forecast_B[0]),
        interval=band,
        label=label,
        observed=estimate(observed_B),
        miss=estimate(observed_B - forecast_B),
        inside=bool(observed_B[0] in band) if curve.sound_G[place] else None,
    )


def _across_seeds(fitted: Fit, curve: Curve, place: int, forecast: float) -> Interval:
    """A t interval for the mean over seeds at a new rung, on residual degrees of freedom of the fit to rung means.

    The scatter of rung means around the law holds seed noise and lack of fit; it is never taken to be smaller than
    seed noise alone. The queries are the same on both sides, so their draw is no part of it.
    """
    used = [curve.place(rung) for rung in fitted.rungs]
    parameters_BP, reference = fitted.parameters_BP, fitted.reference_size
    assert parameters_BP is not None
    assert reference is not None
    n_X, y_BX = observations(fitted.law, curve, used, reference)
    jacobian_XP = _jacobian(fitted.law, n_X, parameters_BP[0])
    new_P = _jacobian(fitted.law, curve.sizes_G[place : place + 1] / reference, parameters_BP[0])[0]
    spare = n_X.size - len(fitted.law.parameters)
    residual_X = y_BX[0] - fitted_curve(fitted, curve.sizes_G[used])[0]
    scatter = float((residual_X**2).sum()) / spare
    seed_noise = float(curve.by_seed_SG[:, used].var(axis=0, ddof=1).mean()) / curve.by_seed_SG.shape[0]
    leverage = float(new_P @ np.linalg.pinv(jacobian_XP.T @ jacobian_XP) @ new_P)
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, spare)) * float(np.sqrt(max(scatter, seed_noise) * (1.0 + leverage)))
    return Interval(low=forecast - half, high=forecast + half)


def _jacobian(law: Law, n_X: Floats, parameters_P: Floats) -> Floats:
    """Derivatives of a law by its parameters, [X, P]; the exponent's by central differences."""
    if law.exponent is None:
        constant_XK: Floats = law.basis(n_X, np.zeros(1))[0]
        return constant_XK
    step = 1e-5
    here, above, below = law.basis(n_X, parameters_P[-1] + np.array([0.0, step, -step]))
    slope_X: Floats = (above - below) @ parameters_P[:-1] / (2 * step)
    return np.concatenate([here, slope_X[:, None]], axis=1)


@dataclass(frozen=True, kw_only=True)
class Origin:
    """One step of the rolling origin: the smallest rungs forecast the next one."""

    law: str
    rungs: tuple[str, ...]
    rung: str
    forecast: float
    observed: float


def rolling_origin(laws: Sequence[Law], curve: Curve) -> tuple[Origin, ...]:
    """Forecast each rung from all smaller ones, for every law that has enough of them; flagged rungs take no part."""
    sound = [rung for rung, ok in zip(curve.rungs, curve.sound_G, strict=True) if ok]
    steps = []
    for law in laws:
        for place in range(law.minimum_rungs, len(sound)):
            fitted = fit(law, curve, rungs=sound[:place])
            if fitted.usable:
                held_out = forecast_held_out(fitted, curve, sound[place])
                steps.append(
                    Origin(
                        law=law.name,
                        rungs=fitted.rungs,
                        rung=sound[place],
                        forecast=held_out.forecast,
                        observed=held_out.observed.point,
                    )
                )
    return tuple(steps)
