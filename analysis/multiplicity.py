"""Several tests at once: Holm's step-down correction over the primary estimands of the studies."""

import numpy as np

from analysis.frame import Floats


def holm(p_values: Floats) -> Floats:
    """Adjusted p-values [M], in the order given, that keep the family-wise error (Holm 1979)."""
    if p_values.ndim != 1 or not ((p_values >= 0.0) & (p_values <= 1.0)).all():
        raise ValueError(f"p-values are a list of numbers between 0 and 1, got {p_values!r}")
    order = np.argsort(p_values, kind="stable")
    remaining = np.arange(p_values.size, 0, -1)
    stepped = np.minimum(np.maximum.accumulate(p_values[order] * remaining), 1.0)
    adjusted = np.empty_like(stepped)
    adjusted[order] = stepped
    return adjusted
