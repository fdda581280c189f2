"""FLOPs of an objective itself, forward and backward, beside those of the encoder: arithmetic only.

Counted for one line of n student and m teacher tokens: a multiply-add is 2, an exponential, a division and a comparison
1 each; the gradient goes to the student alone. Terms of a weighted sum are counted apart, as they are computed.

What depends on the data is asked for: ``iterations`` is the mean of ``transport.iterations`` in a run's journal. A
Newton step of the Sinkhorn solver, of about 2 n m^2 + m^3 / 3, is one iteration there and a scaling one here, so a
Sinkhorn count is a lower bound where many lines needed Newton steps. The network simplex and the assignment compare
rather than multiply, and nobody counts their steps: theirs are the bounds stated at their functions.
"""

from typing import assert_never

from studies.schema.objective import (
    Contrastive,
    ExactAssignment,
    Form,
    Gradient,
    GreedyAlignment,
    Objective,
    PooledMSE,
    ScoreKL,
    Solver,
    Transport,
    UniformPlan,
    WeightedSum,
)

SCALING = 4
"""Per entry and iteration of the kernel: two products with a vector."""

SWEEP = 9
"""Per entry and iteration in the log domain: two of subtract, maximum, exponential and sum, and looks at the error."""

PROXIMAL_STEP = 10
"""A sweep, and scaling the cost."""

SET_UP = 12
"""Per entry and problem: reduce the cost, the kernel, the coupling, its marginals and entropy."""

INNER_PRODUCT = 3
"""Per entry: <P, C> and its gradient."""

DIFFERENTIATED = 3
"""A differentiated iteration against a plain one: forward, and twice that backward."""


def objective_flops(
    objective: Objective,
    *,
    student_tokens: float,
    teacher_tokens: float,
    token_size: int,
    iterations: float | None = None,
) -> float:
    """FLOPs of the loss of one line and its gradient to the student's vectors.

    ``iterations`` are the solver's, mean per line; ValueError where the objective has such a solver and none are given.
    """
    n, m, d = student_tokens, teacher_tokens, token_size
    match objective:
        case Transport():
            return _transport(objective, n, m, d, iterations)
        case UniformPlan():
            return _cost(n, m, d) + (1 + INNER_PRODUCT) * n * m
        case GreedyAlignment():
            return _cost(n, m, d) + (2 * min(n, m) + INNER_PRODUCT) * n * m
        case ExactAssignment():
            return _cost(n, m, d) + _assignment(n, m) + INNER_PRODUCT * n * m
        case PooledMSE():
            return _unit(n, d) + _unit(m, d) + 5 * n * d + (n + m) * d + n * d + 5 * d
        case Contrastive(group_size=size):
            return _unit(n, d) + _unit(m, d) + 5 * n * d + size * _scores(n, m, d, backward=True) + 8 * size
        case ScoreKL(group_size=size):
            own = size * _scores(m, m, d, backward=False)
            return _unit(n, d) + _unit(m, d) + 5 * n * d + own + size * _scores(n, m, d, backward=True) + 12 * size
        case WeightedSum():
            return sum(
                objective_flops(term, student_tokens=n, teacher_tokens=m, token_size=token_size, iterations=iterations)
                for term in objective.terms
            )
        case unknown:
            assert_never(unknown)


def _transport(objective: Transport, n: float, m: float, d: int, iterations: float | None) -> float:
    match objective.form:
        case Form.COST:
            return _cost(n, m, d) + _plan(objective, n, m, iterations)
        case Form.DIVERGENCE:
            # a side against itself has a gradient to both arguments, the teacher's none; iterations as in the first
            within = _cost(n, n, d) + 2 * n * n * d + _cost(m, m, d)
            plans = sum(_plan(objective, a, b, iterations) for a, b in ((n, m), (n, n), (m, m)))
            return _cost(n, m, d) + within + plans
        case unknown:
            assert_never(unknown)


def _plan(objective: Transport, n: float, m: float, iterations: float | None) -> float:
    """One plan and its inner product with the cost."""
    entries = n * m
    if objective.solver is Solver.EXACT:
        return _simplex(n, m) + (SET_UP + INNER_PRODUCT) * entries
    if iterations is None:
        raise ValueError(
            f"the FLOPs of solver {objective.solver} depend on its iterations, which are missing; give the mean of "
            "transport.iterations"
        )
    unrolled = objective.unrolled_iterations or 0
    match objective.solver:
        case Solver.PROXIMAL:
            step = PROXIMAL_STEP
        case Solver.SINKHORN:
            step = SCALING if objective.unbalanced is None else SWEEP
        case unknown:
            assert_never(unknown)
    if objective.gradient is Gradient.UNROLLED:
        return (SET_UP + step * max(0.0, iterations - unrolled) + DIFFERENTIATED * (SWEEP * unrolled + 1)) * entries
    return (SET_UP + step * iterations + INNER_PRODUCT) * entries


def _cost(n: float, m: float, d: int) -> float:
    """The cosine cost and its gradient to the student."""
    return _unit(n, d) + _unit(m, d) + 2 * n * m * d + 2 * n * m * d + 5 * n * d


def _unit(tokens: float, d: int) -> float:
    """Vectors divided by their lengths."""
    return 3 * tokens * d


def _scores(n: float, m: float, d: int, *, backward: bool) -> float:
    """MaxSim of one query and one candidate; its gradient is as dense as the product."""
    return 2 * n * m * d * (2 if backward else 1) + n * m


def _assignment(n: float, m: float) -> float:
    """Comparisons of the shortest augmenting paths: one path for each token of the shorter side, each at most s l."""
    short, long = min(n, m), max(n, m)
    return short * short * long


def _simplex(n: float, m: float) -> float:
    """Comparisons of the network simplex, taken as one pass over all entries for each token."""
    return (n + m) * n * m
