"""Laws over model size: declared forms with their parameters, formulas and the fewest rungs they may be fitted to.

Legend: X observations, K linear parameters, E exponents. Sizes enter as n = N / N0, where N is the number of
non-embedding parameters and N0 the geometric mean of the fitted sizes: amplitudes refer to the middle of the ladder.

Every law is linear once its exponent is fixed, which lets a fit search the exponent alone (variable projection,
Golub and Pereyra 1973). Forms: scaling laws of Hestness et al. (arXiv 1712.00409) and Hoffmann et al.
(arXiv 2203.15556); one exponent shared by two levels after Fernandes et al. (arXiv 2302.09650).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.frame import Floats

SPARE_RUNGS = 2
"""Residual degrees of freedom that a fit must keep: one for the noise, one to show that the form is wrong."""


@dataclass(frozen=True, kw_only=True)
class Law:
    """A form. ``basis(n_X, exponents_E)`` gives the columns [E, X, K] that its linear parameters multiply.

    ``exponent`` bounds the one non-linear parameter, named last in ``parameters``. A ``joint`` law describes the two
    levels of a contrast at once (all upper observations, then all lower) and the contrast follows from it.
    """

    name: str
    formula: str
    parameters: tuple[str, ...]
    basis: Callable[[Floats, Floats], Floats]
    exponent: tuple[float, float] | None = None
    joint: bool = False

    @property
    def minimum_rungs(self) -> int:
        per_rung = 2 if self.joint else 1
        return -(-(len(self.parameters) + SPARE_RUNGS) // per_rung)


def _constant(n_X: Floats, exponents_E: Floats) -> Floats:
    return _alike([np.ones_like(n_X)], exponents_E)


def _log_linear(n_X: Floats, exponents_E: Floats) -> Floats:
    return _alike([np.ones_like(n_X), np.log10(n_X)], exponents_E)


def _log_quadratic(n_X: Floats, exponents_E: Floats) -> Floats:
    return _alike([np.ones_like(n_X), np.log10(n_X), np.log10(n_X) ** 2], exponents_E)


def _power(n_X: Floats, exponents_E: Floats) -> Floats:
    falling: Floats = n_X ** -exponents_E[:, None]
    return falling[..., None]


def _saturating(n_X: Floats, exponents_E: Floats) -> Floats:
    falling = _power(n_X, exponents_E)
    return np.concatenate([np.ones_like(falling), falling], axis=-1)


def _shared_exponent(n_X: Floats, exponents_E: Floats) -> Floats:
    upper, lower = (_saturating(half, exponents_E) for half in np.split(n_X, 2))
    nothing = np.zeros_like(upper)
    rows = (np.concatenate([upper, nothing], axis=-1), np.concatenate([nothing, lower], axis=-1))
    return np.concatenate(rows, axis=1)


def _alike(columns: Sequence[Floats], exponents_E: Floats) -> Floats:
    """Columns that no exponent changes, once for each."""
    one = np.stack(columns, axis=-1)
    return np.repeat(one[None], exponents_E.size, axis=0)


LAWS: Mapping[str, Law] = {
    law.name: law
    for law in (
        Law(name="constant", formula="a", parameters=("a",), basis=_constant),
        Law(name="log_linear", formula="a + b log10 n", parameters=("a", "b"), basis=_log_linear),
        Law(name="power", formula="a n^-k", parameters=("a", "k"), basis=_power, exponent=(-3.0, 3.0)),
        Law(
            name="saturating", formula="c + a n^-k", parameters=("c", "a", "k"), basis=_saturating, exponent=(0.02, 3.0)
        ),
        Law(
            name="log_quadratic",
            formula="a + b log10 n + c (log10 n)^2",
            parameters=("a", "b", "c"),
            basis=_log_quadratic,
        ),
        Law(
            name="shared_exponent",
            formula="(c1 + a1 n^-k) - (c0 + a0 n^-k), levels fitted together",
            parameters=("c1", "a1", "c0", "a0", "k"),
            basis=_shared_exponent,
            exponent=(0.02, 3.0),
            joint=True,
        ),
    )
}
"""The exponents are searched between bounds: beyond 3 a curve falls by a factor of 1000 per tenfold size, and a
saturating law below 0.02 cannot be told from the log-linear one."""


def predict(law: Law, n_X: Floats, parameters_BP: Floats) -> Floats:
    """The law's value at sizes n [X] for each row of parameters [B, P]: [B, X]; a joint law gives its contrast."""
    doubled = np.concatenate([n_X, n_X]) if law.joint else n_X
    linear_BK = parameters_BP if law.exponent is None else parameters_BP[:, :-1]
    columns_BXK = law.basis(doubled, parameters_BP[:, -1])
    value: Floats = (columns_BXK @ linear_BK[:, :, None])[..., 0]
    if law.joint:
        upper, lower = np.split(value, 2, axis=-1)
        return upper - lower
    return value
