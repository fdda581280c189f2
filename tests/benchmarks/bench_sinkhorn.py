"""How fast the transport solver is against POT at equal marginal error: python -m tests.benchmarks.bench_sinkhorn

Every line is one batch of ragged problems at one epsilon. POT's stopping rule is another one (L2, rows, all problems
at once), so its tolerance is first loosened to the largest at which every problem of the batch has an L1 marginal
error of at most 1e-4; its two batch methods make the same iterates and share that tolerance. The loop of ot.sinkhorn
stops on an L2 error that guarantees the L1 error. Times are medians of interleaved repetitions on one thread, in
processor time, problem building and compilation excluded.
`aligned` is the share of a target token that is its source token: 0 is an untrained student, 0.5 a trained one.
"""

import statistics
import time
import warnings
from collections.abc import Callable
from functools import partial

import ot
import ot.batch
import torch
from torch import Tensor

from harness.transport.plan import Plan
from harness.transport.problem import Problem, cosine_cost, uniform_problem
from harness.transport.sinkhorn import sinkhorn

SHAPES = ((32, 8), (32, 16), (256, 32), (64, 128))  # problems per call, longest sentence in tokens
EPSILONS = (0.03, 0.05, 0.1)
ALIGNED = (0.0, 0.5)
ERROR = 1e-4
REPETITIONS = 5
POT_TOLERANCES = (1e-4, 6e-5, 3e-5, 1e-5, 3e-6, 1e-6)
POT_METHODS = ("sinkhorn", "log_sinkhorn")  # kernel domain and log domain
POT_ITERATIONS = 5_000
LOOP_SAMPLE = 32  # problems timed one by one; the loop's time is scaled up from them


def main() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print("                                                              POT / ours")
    print("problems tokens aligned epsilon    ours ms  iterations   kernel      log     loop")
    for num_problems, num_tokens in SHAPES:
        for aligned in ALIGNED:
            problem = _problem(num_problems, num_tokens, aligned)
            for epsilon in EPSILONS:
                label = f"{num_problems:8d} {num_tokens:6d} {aligned:7.1f} {epsilon:7.2f} "
                print(label + _line(problem, epsilon), flush=True)


def _line(problem: Problem, epsilon: float) -> str:
    def ours() -> Plan:
        return sinkhorn(problem, epsilon=epsilon, tolerance=ERROR, max_iterations=2_000)

    plan = ours()
    timed: dict[str, Callable[[], object]] = {"ours": ours, "loop": _pot_loop(problem, epsilon)}
    tolerance = _pot_tolerance(problem, epsilon)
    if tolerance is not None:
        for method in POT_METHODS:
            timed[method] = partial(_pot_batch, problem, epsilon, method, tolerance)
    times = _interleaved(timed)
    batch = "".join(f"{times[method] / times['ours']:9.1f}" for method in POT_METHODS if method in times)
    loop = times["loop"] * len(problem.cost_BNM) / min(LOOP_SAMPLE, len(problem.cost_BNM)) / times["ours"]
    status = "" if bool(plan.converged_B.all()) else "  NOT CONVERGED"
    if not batch:
        batch, status = 18 * " ", status + f"  POT does not reach 1e-4 in {POT_ITERATIONS} iterations"
    iterations = plan.iterations_B.float().mean()
    return f"{times['ours'] * 1e3:10.2f} {iterations:11.0f}{batch}{loop:9.1f}{status}"


def _problem(num_problems: int, num_tokens: int, aligned: float) -> Problem:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    centre_11H = 0.5 * draw(1, 1, 64)
    source_BNH = draw(num_problems, num_tokens, 64) + centre_11H
    target_BNH = aligned * source_BNH + (1 - aligned) * (draw(num_problems, num_tokens, 64) + centre_11H)
    length_B = torch.randint(num_tokens // 2, num_tokens + 1, (num_problems,), generator=generator)
    other_B = length_B + torch.randint(-num_tokens // 8, num_tokens // 8 + 1, (num_problems,), generator=generator)
    positions = torch.arange(num_tokens)
    return uniform_problem(
        cosine_cost(source_BNH, target_BNH),
        positions < length_B[:, None],
        positions < other_B.clamp(1, num_tokens)[:, None],
    )


def _pot_tolerance(problem: Problem, epsilon: float) -> float | None:
    for tolerance in POT_TOLERANCES:
        plan_BNM = _pot_batch(problem, epsilon, "sinkhorn", tolerance)
        error_B = (plan_BNM.sum(2) - problem.source_BN).abs().sum(1)
        error_B += (plan_BNM.sum(1) - problem.target_BM).abs().sum(1)
        if float(error_B.max()) <= ERROR:
            return tolerance
    return None


def _pot_batch(problem: Problem, epsilon: float, method: str, tolerance: float) -> Tensor:
    plan_BNM: Tensor = ot.batch.solve_batch(
        problem.cost_BNM,
        epsilon,
        problem.source_BN,
        problem.target_BM,
        max_iter=POT_ITERATIONS,
        tol=tolerance,
        method=method,
        grad="detach",
    ).plan
    return plan_BNM


def _pot_loop(problem: Problem, epsilon: float) -> Callable[[], object]:
    cases = []
    for cost_NM, source_N, target_M in zip(problem.cost_BNM, problem.source_BN, problem.target_BM, strict=True):
        rows, columns = source_N > 0, target_M > 0
        cases.append((source_N[rows].numpy(), target_M[columns].numpy(), cost_NM[rows][:, columns].double().numpy()))
    cases = cases[:LOOP_SAMPLE]

    def solve() -> None:
        for source, target, cost in cases:
            # ot.sinkhorn stops on the L2 error of one marginal; L1 <= sqrt(tokens) L2
            ot.sinkhorn(source, target, cost, epsilon, numItermax=POT_ITERATIONS, stopThr=ERROR / len(target) ** 0.5)

    return solve


def _interleaved(functions: dict[str, Callable[[], object]]) -> dict[str, float]:
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(REPETITIONS):
        for name, function in functions.items():
            start = time.process_time()
            function()
            seconds[name].append(time.process_time() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


if __name__ == "__main__":
    main()
