"""Fit a law to a curve over size; what comes back always says in words how it went.

Legend: B draws (row 0 is the sample itself), X observations, P parameters, E exponents searched.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from scipy.optimize import minimize_scalar

from analysis.bootstrap import Interval, interval
from analysis.frame import Floats
from analysis.gaps import Curve
from analysis.laws import Law, predict

NUM_EXPONENTS = 601
"""Exponents searched between a law's bounds, in steps of at most 0.01."""


class Status(Enum):
    """How a fit ended: what happened, and what can be done about it."""

    SUCCESS = ("success", "fitted", "")
    TOO_FEW_RUNGS = ("too_few_rungs", "refused: too few rungs", "train more sizes, or read a law with fewer parameters")
    CONFOUNDED = ("confounded", "refused: the points differ in more than size", "train all points alike, or declare it")
    AT_BOUND = ("at_bound", "the exponent ran into its bound", "read a simpler law: the data do not show this form")
    NOT_IDENTIFIED = (
        "not_identified",
        "refused: the sizes do not determine the parameters",
        "train sizes that differ from one another",
    )
    NO_CURVE = ("no_curve", "refused: there is no such contrast", "declare what it needs")

    def __init__(self, code: str, what: str, remedy: str) -> None:
        self.code = code
        self.what = what
        self.remedy = remedy

    def message(self, detail: str = "") -> str:
        text = f"{self.what} ({detail})" if detail else self.what
        return f"{text}; {self.remedy}" if self.remedy else text


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A law fitted to one contrast, or the reason why not.

    ``parameters_BP`` is None when refused. ``reference_size`` is N0. ``aicc`` is None where it is undefined.
    """

    law: Law
    target: str
    status: Status
    message: str
    rungs: tuple[str, ...]
    reference_size: float | None = None
    parameters_BP: Floats | None = None
    residual: float | None = None
    aicc: float | None = None

    @property
    def usable(self) -> bool:
        return self.parameters_BP is not None

    @property
    def parameters(self) -> dict[str, float]:
        values = self.parameters_BP
        return {} if values is None else dict(zip(self.law.parameters, values[0].tolist(), strict=True))

    @property
    def intervals(self) -> dict[str, Interval]:
        values = self.parameters_BP
        if values is None:
            return {}
        return {name: interval(values[:, place]) for place, name in enumerate(self.law.parameters)}


def refused(law: Law, target: str, status: Status, detail: str, rungs: Sequence[str] = ()) -> Fit:
    """A fit that was not made."""
    return Fit(law=law, target=target, status=status, message=status.message(detail), rungs=tuple(rungs))


def fit(law: Law, curve: Curve, *, rungs: Sequence[str]) -> Fit:
    """Least squares of a law on the named rungs of a curve, for the sample and for every resample.

    Rungs count alike. Flagged rungs are left out. Needs ``law.minimum_rungs`` of them.
    """
    places = [curve.place(rung) for rung in rungs if curve.sound_G[curve.place(rung)]]
    used = tuple(curve.rungs[place] for place in places)
    left_out = [rung for rung in rungs if rung not in used]
    if len(used) < law.minimum_rungs:
        found = f"{len(law.parameters)} parameters need {law.minimum_rungs} rungs, there are {len(used)}"
        found += f"; {', '.join(left_out)} left out because flagged" if left_out else ""
        return refused(law, curve.target, Status.TOO_FEW_RUNGS, found, used)
    sizes = curve.sizes_G[places]
    if np.unique(sizes).size < law.minimum_rungs:
        return refused(law, curve.target, Status.NOT_IDENTIFIED, f"sizes {sizes.tolist()}", used)
    reference = float(np.exp(np.log(sizes).mean()))
    n_X, y_BX = observations(law, curve, places, reference)
    parameters_BP, rss_B = solve(law, n_X, y_BX)
    status, detail = _verdict(law, parameters_BP)
    message = status.message(detail)
    if left_out:
        message += f"; {', '.join(left_out)} left out because flagged"
    return Fit(
        law=law,
        target=curve.target,
        status=status,
        message=message,
        rungs=used,
        reference_size=reference,
        parameters_BP=parameters_BP,
        residual=float(np.sqrt(rss_B[0] / (n_X.size - len(law.parameters)))),
        aicc=corrected_akaike(float(rss_B[0]), n_X.size, len(law.parameters)),
    )


def observations(law: Law, curve: Curve, places: Sequence[int], reference: float) -> tuple[Floats, Floats]:
    """Relative sizes [X] and values [B, X]: the contrast, or for a joint law its upper and then its lower level."""
    n = curve.sizes_G[list(places)] / reference
    if law.joint:
        both = np.concatenate([curve.upper_BG[:, list(places)], curve.lower_BG[:, list(places)]], axis=1)
        return np.concatenate([n, n]), both
    return n, curve.values_BG[:, list(places)]


def solve(law: Law, n_X: Floats, y_BX: Floats) -> tuple[Floats, Floats]:
    """Least-squares parameters [B, P] and sums of squared residuals [B], for many observations of the same sizes."""
    if law.exponent is None:
        return _linear(law.basis(n_X, np.zeros(1)), y_BX)
    exponents_B = _best_exponents(law, law.exponent, n_X, y_BX)
    linear_BK, rss_B = _linear(law.basis(n_X, exponents_B), y_BX)
    return np.concatenate([linear_BK, exponents_B[:, None]], axis=1), rss_B


def _best_exponents(law: Law, bounds: tuple[float, float], n_X: Floats, y_BX: Floats) -> Floats:
    """Search a grid of exponents, then go to the bottom of the parabola through the best and its neighbours.

    An exponent whose best is an end of the grid stays exactly there. The sample's own is polished further.
    """
    grid_E = np.linspace(*bounds, NUM_EXPONENTS)
    basis_EXK, _ = np.linalg.qr(law.basis(n_X, grid_E))
    explained_EB = np.stack([((y_BX @ basis_XK) ** 2).sum(axis=1) for basis_XK in basis_EXK])
    best_B = explained_EB.argmax(axis=0)
    inside_B = np.clip(best_B, 1, grid_E.size - 2)
    before, here, after = (np.take_along_axis(explained_EB, inside_B[None] + shift, axis=0)[0] for shift in (-1, 0, 1))
    bend = before - 2.0 * here + after
    shift_B = np.divide(0.5 * (before - after), bend, out=np.zeros_like(bend), where=bend < 0.0)
    step = grid_E[1] - grid_E[0]
    exponents_B: Floats = grid_E[best_B] + np.where(best_B == inside_B, np.clip(shift_B, -0.5, 0.5) * step, 0.0)
    if best_B[0] == inside_B[0]:
        exponents_B[0] = _polish(law, n_X, y_BX[:1], float(grid_E[best_B[0]]), float(step))
    return exponents_B


def _polish(law: Law, n_X: Floats, y_1X: Floats, start: float, step: float) -> float:
    """Refine an exponent between its neighbours on the grid."""
    found = minimize_scalar(
        lambda exponent: float(_linear(law.basis(n_X, np.array([exponent])), y_1X)[1][0]),
        bounds=(start - step, start + step),
        method="bounded",
        options={"xatol": 1e-10},
    )
    return float(found.x)


def _linear(columns_EXK: Floats, y_BX: Floats) -> tuple[Floats, Floats]:
    """Linear least squares with one design for all rows (E = 1) or one for each (E = B)."""
    basis_EXK, triangle_EKK = np.linalg.qr(columns_EXK)
    projected_BK1 = np.swapaxes(basis_EXK, 1, 2) @ y_BX[:, :, None]
    solution_BK1 = np.linalg.solve(triangle_EKK, projected_BK1)
    residual_BX = y_BX - (columns_EXK @ solution_BK1)[..., 0]
    rss_B: Floats = (residual_BX**2).sum(axis=1)
    return solution_BK1[..., 0], rss_B


def corrected_akaike(rss: float, num_observations: int, num_parameters: int) -> float | None:
    """AICc of a least-squares fit, the noise counted as a parameter (Hurvich and Tsai 1989); None where undefined."""
    k = num_parameters + 1
    spare = num_observations - k - 1
    if spare <= 0 or rss <= 0.0:
        return None
    return num_observations * float(np.log(rss / num_observations)) + 2 * k + 2 * k * (k + 1) / spare


def _verdict(law: Law, parameters_BP: Floats) -> tuple[Status, str]:
    if law.exponent is None:
        return Status.SUCCESS, ""
    at_bound_B = np.isin(parameters_BP[:, -1], law.exponent)
    if at_bound_B[0]:
        return Status.AT_BOUND, f"k = {parameters_BP[0, -1]:g}"
    share = float(at_bound_B[1:].mean()) if at_bound_B.size > 1 else 0.0
    return Status.SUCCESS, f"the exponent is at a bound in {share:.0%} of the resamples" if share >= 0.005 else ""


def fitted_curve(fitted: Fit, sizes_X: Floats) -> Floats:
    """Values of the fitted law at sizes N [X], for the sample and every resample: [B, X]."""
    if fitted.parameters_BP is None or fitted.reference_size is None:
        raise ValueError(f"law {fitted.law.name} was not fitted to {fitted.target}: {fitted.message}")
    return predict(fitted.law, sizes_X / fitted.reference_size, fitted.parameters_BP)
