"""The Sinkhorn solver for a CPU, compiled by numba: one problem after the other, each until it is solved.

The two stages are those of `scaling` and `newton`, which give the reasons; here a problem of token size stays in cache
and pays neither for padding nor for dispatch. Tokens without mass are left out before anything is computed, and all
work is in float64 whatever the dtype of the problem, so that a result depends, to the bit, on nothing but its problem.

Inner loops run over contiguous memory, with zeros up to a multiple of LANES where sums are taken, and exponential and
logarithm are polynomials, so that the compiler turns them into SIMD instructions without a vector library. All of it
is one file, because numba compiles again when the file of `_solve` has changed, and heeds no other.

Shapes: B problems, N source tokens, M target tokens, padding included; n and m are those of one problem without it.
"""

import logging
import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numba
import numpy as np
import torch
from numpy.typing import NDArray

from harness.transport.newton import RIDGE, START_RANGE, WARM_ERROR
from harness.transport.plan import Plan
from harness.transport.problem import Problem
from harness.transport.scaling import FIRST_CHECK, GAP_SHARE, PATIENCE, ROUNDING, SAFE_SHARE, TRIAL
from harness.transport.state import refuse_overflow

logger = logging.getLogger(__name__)

Floats = NDArray[Any]  # float32 or float64
Indices = NDArray[np.int64]
Function = TypeVar("Function", bound=Callable[..., Any])

LANES = 16
"""Four registers of AVX2, two of AVX-512: what one turn of a vectorised loop works on."""

TINY = 1e-300
"""Stands in for what underflowed, so that a quotient or a logarithm stays finite."""

FUSE = frozenset({"contract", "nsz", "arcp"})
"""What the compiler may do to arithmetic: fuse, and divide by multiplying. NaN and infinity keep their meaning."""

REORDER = FUSE | {"reassoc"}
"""Sums may be reordered too, always in the same way for one size of problem."""

FINITE = REORDER | {"nnan"}
"""And no NaN is ever seen."""


def solve_compiled(problem: Problem, epsilon: float, tolerance: float, max_iterations: int) -> Plan:
    """What `sinkhorn` promises, for a problem whose tensors are on the CPU."""
    cost_BNM = problem.cost_BNM.detach().contiguous()
    dtype, problems = cost_BNM.dtype, len(cost_BNM)
    plan = Plan(
        coupling_BNM=torch.zeros_like(cost_BNM),
        cost_B=torch.empty(problems, dtype=dtype),
        marginal_error_B=torch.empty(problems, dtype=dtype),
        iterations_B=torch.empty(problems, dtype=torch.long),
        entropy_B=torch.empty(problems, dtype=dtype),
        converged_B=torch.empty(problems, dtype=torch.bool),
    )
    limits = torch.finfo(dtype)
    asked = _Asked(
        epsilon=float(epsilon),
        goal=tolerance - ROUNDING * limits.eps,
        tolerance=float(tolerance),
        max_iterations=max_iterations,
        largest=limits.max,
        first_check=FIRST_CHECK,
        gap_share=GAP_SHARE,
        trial=TRIAL,
        patience=float(PATIENCE),
        safe_spread=SAFE_SHARE * math.log(torch.finfo(torch.float64).max),
        start_range=START_RANGE,
        warm_error=WARM_ERROR,
        ridge=RIDGE,
    )
    overflows = _solve(
        cost_BNM.numpy(),
        problem.source_BN.detach().contiguous().numpy(),
        problem.target_BM.detach().contiguous().numpy(),
        asked,
        plan.coupling_BNM.numpy(),
        (plan.cost_B.numpy(), plan.marginal_error_B.numpy(), plan.entropy_B.numpy()),
        plan.iterations_B.numpy(),
        plan.converged_B.numpy(),
    )
    if overflows:
        refuse_overflow(problem, epsilon)
    return plan


def _compiled(allowed: frozenset[str] = REORDER, *, cache: bool = False) -> Callable[[Function], Function]:
    """A decorator; cache: keep the machine code on disk, with that of everything called."""

    def compiler(function: Function) -> Function:
        def build(keep: bool) -> Any:
            return numba.njit(function, cache=keep, nogil=True, error_model="numpy", fastmath=set(allowed))

        try:
            built: Function = build(cache)
        except RuntimeError as error:  # neither the package's nor the user's cache directory can be written
            logger.warning(
                "compiling the transport solver in every process, set NUMBA_CACHE_DIR to avoid it: %s", error
            )
            built = build(False)
        return built

    return compiler


@_compiled(FUSE)
def _exp(x: float) -> float:
    """exp(x) to 1e-15 for x <= 0; exactly 0 where it would fall below 1e-300. A Taylor series on |r| < log(2) / 2."""
    k = np.floor(max(x, -691.0) * 1.4426950408889634 + 0.5)
    r = x - k * 0.6931471803691238 - k * 1.9082149292705877e-10  # log(2) in two parts
    p = 1 + r * (1 / 10) * (1 + r * (1 / 11) * (1 + r * (1 / 12)))
    p = 1 + r * (1 / 6) * (1 + r * (1 / 7) * (1 + r * (1 / 8) * (1 + r * (1 / 9) * p)))
    p = 1 + r * (1 + r * (1 / 2) * (1 + r * (1 / 3) * (1 + r * (1 / 4) * (1 + r * (1 / 5) * p))))
    power = np.int64((np.int64(np.int32(k)) + 1023) << 52).view(np.float64)
    return p * power if x > -690.0 else 0.0


@_compiled(FUSE)
def _log(x: float) -> float:
    """log(x) to 1e-15 for normal x > 0, by 2 artanh((m - 1) / (m + 1)) of a mantissa m in [sqrt(1/2), sqrt(2))."""
    bits = np.float64(x).view(np.int64)
    exponent = np.int32((bits - 0x3FE6A09E667F3BCD) >> 52)  # the bits of sqrt(1/2)
    m = np.int64(bits - (np.int64(exponent) << 52)).view(np.float64)
    s = (m - 1) / (m + 1)
    z = s * s
    p = 1 / 11 + z * (1 / 13 + z * (1 / 15 + z * (1 / 17 + z * (1 / 19))))
    p = 1 / 3 + z * (1 / 5 + z * (1 / 7 + z * (1 / 9 + z * p)))
    return exponent * 0.6931471805599453 + 2 * s * (1 + z * p)


class _Asked(NamedTuple):
    """What is asked, and the constants of the stages: as arguments, since kept machine code would not see a change."""

    epsilon: float
    goal: float
    tolerance: float
    max_iterations: int
    largest: float
    first_check: int
    gap_share: int
    trial: int
    patience: float
    safe_spread: float
    start_range: float
    warm_error: float
    ridge: float


class _Work(NamedTuple):
    """One problem of n and m tokens that carry mass, and what it is solved in; arrays may be larger than the problem.

    rows_N, columns_M: places of the tokens. source_N, target_M: their masses, 0 up to a multiple of LANES.
    reduced_NM: cost in units of epsilon, less row and column minima. cold_MN: the same, transposed.
    plan_NM: the kernel; with u_N and v_M, P = diag(u) K diag(v). share_MN: P_ij / a_i.
    """

    rows_N: Indices
    columns_M: Indices
    source_N: Floats
    target_M: Floats
    reduced_NM: Floats
    plan_NM: Floats
    u_N: Floats
    v_M: Floats
    line_2N: Floats
    line_3M: Floats
    cold_MN: Floats
    share_MN: Floats
    factor_MM: Floats


@_compiled(cache=True)
def _solve(
    cost_BNM: Floats,
    source_BN: Floats,
    target_BM: Floats,
    asked: _Asked,
    coupling_BNM: Floats,
    measured_3B: tuple[Floats, Floats, Floats],
    iterations_B: Indices,
    converged_B: NDArray[np.bool_],
) -> bool:
    """Fill the coupling (zeros on entry) and its measurements; True where a cost over epsilon overflows."""
    work = _allocate(*cost_BNM.shape[1:])
    for b in range(len(cost_BNM)):
        n = _tokens(source_BN[b], work.rows_N, work.source_N)
        m = _tokens(target_BM[b], work.columns_M, work.target_M)
        spread = _reduce(work, n, m, cost_BNM[b], asked.epsilon)
        if not spread <= asked.largest:
            return True
        iterations, solved, scaled = 0, False, False
        if spread + _log_spread(work.source_N, n) + _log_spread(work.target_M, m) <= asked.safe_spread:
            iterations, solved = _scale(work, asked, n, m)
            scaled = True
        if not solved and iterations < asked.max_iterations:
            scaled = False
            steps, solved = _newton(work, asked, n, m, iterations, spread)
            iterations += steps
        cost, error, entropy = _measure(work, n, m, cost_BNM[b], coupling_BNM[b], scaled)
        measured_3B[0][b], measured_3B[1][b], measured_3B[2][b] = cost, error, entropy
        iterations_B[b] = iterations
        converged_B[b] = solved and error <= asked.tolerance
    return False


@_compiled()
def _allocate(n: int, m: int) -> _Work:
    wide_n, wide_m = _wide(n), _wide(m)
    return _Work(
        np.empty(n, np.int64),
        np.empty(m, np.int64),
        np.empty(wide_n),
        np.empty(wide_m),
        np.empty((n, wide_m)),
        np.empty((n, wide_m)),
        np.empty(wide_n),
        np.empty(wide_m),
        np.empty((2, wide_n)),
        np.empty((3, wide_m)),
        np.empty((m, wide_n)),
        np.empty((m, wide_n)),
        np.empty((m + 1, wide_m)),
    )


@_compiled()
def _wide(count: int) -> int:
    return (count + LANES - 1) // LANES * LANES


@_compiled()
def _tokens(mass_N: Floats, where_N: Indices, kept_N: Floats) -> int:
    """Tokens that carry mass: their number, their places and their masses."""
    count = 0
    for i in range(len(mass_N)):
        if mass_N[i] > 0:
            where_N[count] = i
            kept_N[count] = mass_N[i]
            count += 1
    for i in range(count, _wide(count)):
        kept_N[i] = 0.0
    return count


@_compiled()
def _log_spread(mass_N: Floats, n: int) -> float:
    least = most = mass_N[0]
    for i in range(n):
        least, most = min(least, mass_N[i]), max(most, mass_N[i])
    return math.log(most / least)


@_compiled()
def _reduce(work: _Work, n: int, m: int, cost_NM: Floats, epsilon: float) -> float:
    """Fill the reduced cost; its largest entry, infinity where one is too large."""
    reduced_NM, lowest_M, highest_M = work.reduced_NM, work.line_3M[0], work.line_3M[1]
    first, dense = work.columns_M[0], work.columns_M[m - 1] - work.columns_M[0] == m - 1
    wide, lane_L = _wide(m), highest_M
    for j in range(m):
        lowest_M[j] = np.inf
    for i in range(n):
        row_M = cost_NM[work.rows_N[i], first:]
        if dense:
            for j in range(m):
                reduced_NM[i, j] = row_M[j]
        else:
            for j in range(m):
                reduced_NM[i, j] = row_M[work.columns_M[j] - first]
        for j in range(m, wide):
            reduced_NM[i, j] = np.inf
        # the least of a row by lanes: a minimum that propagates NaN is not vectorised along a row
        for lane in range(LANES):
            lane_L[lane] = reduced_NM[i, lane]
        for start in range(LANES, wide, LANES):
            for lane in range(LANES):
                value = reduced_NM[i, start + lane]
                lane_L[lane] = value if value < lane_L[lane] else lane_L[lane]
        least = lane_L[0]
        for lane in range(LANES):
            least = lane_L[lane] if lane_L[lane] < least else least
        for j in range(m):
            value = reduced_NM[i, j] - least
            reduced_NM[i, j] = value
            lowest_M[j] = value if value < lowest_M[j] else lowest_M[j]
    for j in range(m):
        highest_M[j] = 0.0
    for i in range(n):
        for j in range(m):
            value = (reduced_NM[i, j] - lowest_M[j]) / epsilon
            reduced_NM[i, j] = value
            highest_M[j] = highest_M[j] if value <= highest_M[j] else value  # keeps NaN
    spread = 0.0
    for j in range(m):
        if not highest_M[j] < np.inf:
            return np.inf
        spread = max(spread, highest_M[j])
    return spread


@_compiled()
def _scale(work: _Work, asked: _Asked, n: int, m: int) -> tuple[int, bool]:
    """Scaling iterations, u last, until solved, visibly slow or at the limit: their number and whether solved."""
    kernel_NM, u_N, v_M, mass_M = work.plan_NM, work.u_N, work.v_M, work.line_3M[0]
    wide, source_N, target_M = _wide(m), work.source_N, work.target_M
    for i in range(n):
        for j in range(m):
            kernel_NM[i, j] = _exp(-work.reduced_NM[i, j])
        for j in range(m, wide):
            kernel_NM[i, j] = 0.0
    for j in range(wide):
        v_M[j], mass_M[j] = 0.0, target_M[j]
    iteration, next_look, last_look, last_error = 0, min(asked.first_check, asked.max_iterations), 0, np.inf
    while True:
        iteration += 1
        for j in range(m):
            v_M[j] = target_M[j] / mass_M[j]
        for j in range(wide):
            mass_M[j] = 0.0
        for i in range(n):
            total = 0.0
            for j in range(wide):
                total += kernel_NM[i, j] * v_M[j]
            scaling = source_N[i] / total
            u_N[i] = scaling
            for j in range(wide):
                mass_M[j] += scaling * kernel_NM[i, j]
        if iteration < next_look:
            continue
        error = 0.0
        for j in range(m):
            error += abs(v_M[j] * mass_M[j] - target_M[j])
        if error <= asked.goal or iteration == asked.max_iterations:
            return iteration, error <= asked.goal
        if iteration >= asked.trial:
            gain = math.log(last_error / error) / (iteration - last_look)
            if math.log(error / asked.tolerance) > asked.patience * gain:
                return iteration, False
        last_look, last_error = iteration, error
        next_look = min(iteration + max(asked.first_check, iteration // asked.gap_share), asked.max_iterations)


@_compiled()
def _newton(work: _Work, asked: _Asked, n: int, m: int, done: int, spread: float) -> tuple[int, bool]:
    """Damped Newton steps, from the scaling of the target if any is done: their number and whether solved."""
    start_range, warm_error = asked.start_range, asked.warm_error
    g_M, missing_M, step_M = work.v_M, work.line_3M[0], work.line_3M[1]
    for j in range(m):
        g_M[j] = math.log(g_M[j] if done else work.target_M[j])
        for i in range(n):
            work.cold_MN[j, i] = work.reduced_NM[i, j]
        for i in range(n, _wide(n)):
            work.share_MN[j, i] = 0.0
    temperature = 1.0 if done or spread <= start_range else 2.0 ** math.ceil(math.log2(spread / start_range))
    steps, solved = 0, False
    while True:
        _sweep(work, n, m, 1.0 / temperature)
        error = 0.0
        for j in range(m):
            missing_M[j] = work.target_M[j] - missing_M[j]
            error += abs(missing_M[j])
        steps += 1
        solved = error <= asked.goal and temperature == 1.0
        if solved or done + steps >= asked.max_iterations:
            break
        _fill_hessian(work, n, m, asked.ridge)
        if _solve_cholesky(work.factor_MM, m, missing_M, step_M):
            lowest = highest = step_M[0]
            for j in range(m):
                lowest, highest = min(lowest, step_M[j]), max(highest, step_M[j])
            damping = math.log1p(highest - lowest) / max(highest - lowest, TINY)
            for j in range(m):
                g_M[j] += damping * step_M[j]
        if error < warm_error and temperature > 1.0:
            cooler = max(temperature / 2, 1.0)
            for j in range(m):
                g_M[j] *= temperature / cooler
            temperature = cooler
    for i in range(n):
        work.u_N[i] = work.source_N[i]
        for j in range(m):
            work.plan_NM[i, j] = work.share_MN[j, i]
    for j in range(m):
        work.v_M[j] = 1.0
    return steps, solved


@_compiled(FINITE)
def _sweep(work: _Work, n: int, m: int, coldness: float) -> None:
    """One Sinkhorn update of g (in v_M); leaves P_ij / a_i, which sums to 1 over j, and target masses in line_3M[0]."""
    g_M, mass_M, target_M, cold_MN, share_MN = work.v_M, work.line_3M[0], work.target_M, work.cold_MN, work.share_MN
    source_N, top_N, total_N = work.source_N, work.line_2N[0], work.line_2N[1]
    for i in range(n):
        top_N[i], total_N[i] = -np.inf, 0.0
    for j in range(m):
        for i in range(n):
            value = g_M[j] - cold_MN[j, i] * coldness
            share_MN[j, i] = value
            top_N[i] = value if value > top_N[i] else top_N[i]
    for j in range(m):
        for i in range(n):
            value = _exp(share_MN[j, i] - top_N[i])
            share_MN[j, i] = value
            total_N[i] += value
    for i in range(n):
        top_N[i], total_N[i] = source_N[i] / total_N[i], 0.0
    for j in range(m):
        mass = 0.0
        for i in range(n):
            mass += top_N[i] * share_MN[j, i]
        factor = target_M[j] / max(mass, TINY)
        g_M[j] += math.log(factor)
        for i in range(n):
            value = factor * share_MN[j, i]
            share_MN[j, i] = value
            total_N[i] += value
    for i in range(n):
        total_N[i] = 1.0 / max(total_N[i], TINY)
    for j in range(m):
        mass = 0.0
        for i in range(n):
            value = share_MN[j, i] * total_N[i]
            share_MN[j, i] = value
            mass += source_N[i] * value
        mass_M[j] = mass


@_compiled()
def _fill_hessian(work: _Work, n: int, m: int, ridge: float) -> None:
    """The lower triangle of the Laplacian plus b b^T, which fixes the constant that potentials leave free."""
    source_N, target_M, share_MN, factor_MM = work.source_N, work.target_M, work.share_MN, work.factor_MM
    line_N, degree_M, wide_n, wide_m = work.line_2N[0], work.line_3M[1], _wide(n), _wide(m)
    for j in range(m):
        degree_M[j] = 0.0
        for i in range(wide_n):
            line_N[i] = source_N[i] * share_MN[j, i]
        for k in range(j):
            weight = 0.0
            for i in range(wide_n):
                weight += line_N[i] * share_MN[k, i]
            factor_MM[j, k] = target_M[j] * target_M[k] - weight
            degree_M[j] += weight
            degree_M[k] += weight
        for k in range(j, wide_m):
            factor_MM[j, k] = 0.0
    # the diagonal as the sum of the others, not as a difference: a Laplacian free of cancellation
    for j in range(m):
        factor_MM[j, j] = degree_M[j] + ridge * target_M[j] + target_M[j] * target_M[j]


@_compiled()
def _solve_cholesky(factor_MM: Floats, m: int, right_M: Floats, x_M: Floats) -> bool:
    """Solve H x = right, H the lower triangle in factor_MM, which is overwritten; False where that fails.

    The right side is carried as a last row of H, which makes the forward substitution part of the factorisation.
    """
    for k in range(_wide(m)):
        factor_MM[m, k] = right_M[k] if k < m else 0.0
    for j in range(m):
        wide = _wide(j)
        for k in range(wide):
            x_M[k] = factor_MM[j, k] if k < j else 0.0
        pivot = factor_MM[j, j]
        for k in range(wide):
            pivot -= x_M[k] * x_M[k]
        if not (pivot > 0.0 and pivot < np.inf):
            return False
        share = 1.0 / math.sqrt(pivot)
        factor_MM[j, j] = pivot * share
        for i in range(j + 1, m + 1):
            total = 0.0
            for k in range(wide):
                total += factor_MM[i, k] * x_M[k]
            factor_MM[i, j] = (factor_MM[i, j] - total) * share
    finite = True
    for j in range(m):
        x_M[j] = factor_MM[m, j]
    for k in range(m - 1, -1, -1):
        x_M[k] /= factor_MM[k, k]
        finite = finite and np.isfinite(x_M[k])
        for j in range(k):
            x_M[j] -= x_M[k] * factor_MM[k, j]
    return finite


@_compiled()
def _measure(
    work: _Work, n: int, m: int, cost_NM: Floats, coupling_NM: Floats, scaled: bool
) -> tuple[float, float, float]:
    """Store the coupling; its cost and marginal error, measured on it as stored, and its entropy to its precision.

    A plan that was only scaled has log(u) + log(v) less the reduced cost for its logarithm, so that its entropy takes
    n + m logarithms instead of n m.
    """
    plan_NM, reduced_NM, u_N, v_M, columns_M = work.plan_NM, work.reduced_NM, work.u_N, work.v_M, work.columns_M
    mass_M, spare_2M = work.line_3M[0], np.empty((2, m), coupling_NM.dtype)
    first, dense = columns_M[0], columns_M[m - 1] - columns_M[0] == m - 1
    for j in range(m):
        mass_M[j] = 0.0
    cost, error, entropy = 0.0, 0.0, 0.0
    for i in range(n):
        stored_M, asked_M = coupling_NM[work.rows_N[i], first:], cost_NM[work.rows_N[i], first:]
        u, total, priced, exponent = u_N[i], 0.0, 0.0, 0.0
        if dense:
            line_M, price_M = stored_M, asked_M
            for j in range(m):
                line_M[j] = u * plan_NM[i, j] * v_M[j]
        else:
            line_M, price_M = spare_2M[0], spare_2M[1]
            for j in range(m):
                place = columns_M[j] - first
                line_M[j], price_M[j] = u * plan_NM[i, j] * v_M[j], asked_M[place]
                stored_M[place] = line_M[j]
        for j in range(m):
            mass = np.float64(line_M[j])
            total += mass
            mass_M[j] += mass
            priced += mass * price_M[j]
            exponent += mass * reduced_NM[i, j]
        cost += priced
        error += abs(total - work.source_N[i])
        if scaled:
            entropy += exponent - total * _log(u)
        else:
            for j in range(m):
                mass = u * plan_NM[i, j] * v_M[j]
                entropy -= mass * _log(max(mass, TINY))
    for j in range(m):
        error += abs(mass_M[j] - work.target_M[j])
        if scaled:
            entropy -= mass_M[j] * _log(v_M[j])
    return cost, error, entropy
