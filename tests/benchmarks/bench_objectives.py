"""What each objective costs beside the encoder: python -m tests.benchmarks.bench_objectives

One call is the loss of 64 ragged lines, 5 to 20 student and 5 to 25 teacher tokens of width 64, and its gradient to the
student's vectors, in float32 on one thread. Milliseconds are processor time, medians of interleaved repetitions;
iterations are the solver's mean per line; FLOPs are per line, counted by studies.schema.objective_cost.
`aligned` is the share of a teacher token that is its student token: 0 is an untrained student, 0.5 a trained one.
"""

import statistics
import time
from dataclasses import replace

import torch

from harness.criteria import criterion
from harness.objectives.pairs import Pairs
from studies.schema.objective import (
    Contrastive,
    ExactAssignment,
    Form,
    Gradient,
    GreedyAlignment,
    Marginals,
    Objective,
    PooledMSE,
    ScoreKL,
    Solver,
    Transport,
    UniformPlan,
    WeightedSum,
)
from studies.schema.objective_cost import objective_flops
from studies.schema.record import Metric

LINES = 64
STUDENT_TOKENS = (5, 20)
TEACHER_TOKENS = (5, 25)
WIDTH = 64
ALIGNED = (0.0, 0.5)
REPETITIONS = 5

OT = Transport(epsilon=0.03)
OBJECTIVES: dict[str, Objective] = {
    "sinkhorn 0.03": OT,
    "sinkhorn 0.1": replace(OT, epsilon=0.1),
    "  idf marginals": replace(OT, marginals=Marginals.IDF),
    "  envelope": replace(OT, gradient=Gradient.ENVELOPE),
    "  unrolled 20": replace(OT, gradient=Gradient.UNROLLED, unrolled_iterations=20),
    "  divergence": replace(OT, form=Form.DIVERGENCE),
    "  unbalanced 0.5": replace(OT, unbalanced=0.5),
    "proximal 0.3": Transport(epsilon=0.0, solver=Solver.PROXIMAL, proximal_weight=0.3),
    "exact": Transport(epsilon=0.0, solver=Solver.EXACT),
    "uniform plan": UniformPlan(),
    "greedy alignment": GreedyAlignment(),
    "exact assignment": ExactAssignment(),
    "pooled MSE": PooledMSE(),
    "contrastive 32": Contrastive(group_size=32, temperature=0.05),
    "score KL 32": ScoreKL(group_size=32, temperature=0.05),
    "ot + pooled": WeightedSum(terms=(OT, PooledMSE()), weights=(1.0, 1.0)),
}


def main() -> None:
    torch.set_num_threads(1)
    for aligned in ALIGNED:
        pairs = _pairs(aligned)
        seconds: dict[str, list[float]] = {name: [] for name in OBJECTIVES}
        parts = {name: _call(objective, pairs) for name, objective in OBJECTIVES.items()}
        for _ in range(REPETITIONS):
            for name, objective in OBJECTIVES.items():
                start = time.process_time()
                _call(objective, pairs)
                seconds[name].append(time.process_time() - start)
        print(f"aligned {aligned}\nobjective            ms/call  iterations  converged  kFLOP/line")
        for name, objective in OBJECTIVES.items():
            print(_line(name, objective, pairs, statistics.median(seconds[name]), parts[name]), flush=True)


def _line(name: str, objective: Objective, pairs: Pairs, seconds: float, parts: dict[str, float]) -> str:
    iterations = parts.get(Metric.TRANSPORT_ITERATIONS)
    flops = objective_flops(
        objective,
        student_tokens=float(pairs.student_mask_BN.sum(1).float().mean()),
        teacher_tokens=float(pairs.teacher_mask_BM.sum(1).float().mean()),
        token_size=WIDTH,
        iterations=iterations,
    )
    counted = "-" if iterations is None else f"{iterations:.0f}"
    converged = f"{parts[Metric.TRANSPORT_CONVERGED]:.2f}" if Metric.TRANSPORT_CONVERGED in parts else "-"
    return f"{name:18s} {seconds * 1e3:9.2f} {counted:>11s} {converged:>10s} {flops / 1e3:11.0f}"


def _call(objective: Objective, pairs: Pairs) -> dict[str, float]:
    student_BNH = pairs.student_BNH.clone().requires_grad_()
    loss, parts = criterion(objective)(replace(pairs, student_BNH=student_BNH))
    loss.backward()  # type: ignore[no-untyped-call]
    return {name: float(value) for name, value in parts.items()}


def _pairs(aligned: float) -> Pairs:
    generator = torch.Generator().manual_seed(0)
    longest = max(STUDENT_TOKENS[1], TEACHER_TOKENS[1])
    student_BNH = torch.randn(LINES, longest, WIDTH, generator=generator)
    teacher_BMH = aligned * student_BNH + (1 - aligned) * torch.randn(LINES, longest, WIDTH, generator=generator)
    lengths = [
        torch.randint(least, most + 1, (LINES, 1), generator=generator)
        for least, most in (STUDENT_TOKENS, TEACHER_TOKENS)
    ]
    masks = [torch.arange(int(length.max())) < length for length in lengths]
    return Pairs(
        student_BNH=student_BNH[:, : masks[0].shape[1]],
        teacher_BMH=teacher_BMH[:, : masks[1].shape[1]],
        student_mask_BN=masks[0],
        teacher_mask_BM=masks[1],
        english_B=torch.arange(LINES),
        student_weight_BN=1 + torch.rand(masks[0].shape, generator=generator),
        teacher_weight_BM=1 + torch.rand(masks[1].shape, generator=generator),
    )


if __name__ == "__main__":
    main()
