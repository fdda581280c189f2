"""Slow and obvious: what the fast code is compared with."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment, linprog
from torch import Tensor

Array = NDArray[np.float64]


def loop_cosine_cost(source_NH: Tensor, target_MH: Tensor) -> Array:
    """1 - cos for one pair of token clouds, one entry at a time, [N, M]."""
    cost = np.empty((len(source_NH), len(target_MH)))
    for i, source in enumerate(source_NH.double()):
        for j, target in enumerate(target_MH.double()):
            cost[i, j] = 1 - float(source @ target / (source.norm() * target.norm()))
    return cost


def linear_program_cost(cost: Array, source: Array, target: Array) -> float:
    """The smallest <P, C> of any coupling, by linear programming."""
    num_source, num_target = cost.shape
    rows = np.kron(np.eye(num_source), np.ones((1, num_target)))
    columns = np.kron(np.ones((1, num_source)), np.eye(num_target))
    solution = linprog(
        cost.ravel(), A_eq=np.vstack([rows, columns]), b_eq=np.concatenate([source, target]), method="highs"
    )
    assert solution.success, solution.message
    coupling: Array = np.asarray(solution.x, dtype=np.float64)
    return float(coupling @ cost.ravel())


def assignment(cost: Array) -> NDArray[np.intp]:
    """The target of every source in the cheapest one-to-one assignment."""
    return np.asarray(linear_sum_assignment(cost)[1], dtype=np.intp)


def float64_sinkhorn(cost: Array, source: Array, target: Array, epsilon: float, iterations: int = 200_000) -> Array:
    """The entropic coupling of one problem by plain log-domain Sinkhorn, until nothing moves any more."""
    f, g = np.zeros(len(source)), np.zeros(len(target))
    coupling: Array = np.outer(source, target)
    for iteration in range(iterations):
        f = np.log(source) - _log_sum_exp(g[None, :] - cost / epsilon, axis=1)
        g = np.log(target) - _log_sum_exp(f[:, None] - cost / epsilon, axis=0)
        coupling = np.exp(f[:, None] + g[None, :] - cost / epsilon)
        if iteration % 50 == 0 and np.abs(coupling.sum(1) - source).sum() < 1e-12:
            break
    return coupling


def loop_maxsim(query_NH: Tensor, passage_MH: Tensor) -> float:
    """The sum over query tokens of the largest dot product with a passage token."""
    return float(sum(max(float(q @ p) for p in passage_MH.double()) for q in query_NH.double()))


def _log_sum_exp(values: Array, axis: int) -> Array:
    largest = values.max(axis=axis, keepdims=True)
    summed: Array = np.log(np.exp(values - largest).sum(axis=axis)) + largest.squeeze(axis)
    return summed
