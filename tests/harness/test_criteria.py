"""Every declared objective as a loss: laws that hold for all, and what each reports."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

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
    group_size_of,
)

OT = Transport(epsilon=0.1, tolerance=1e-5)
TRANSPORT = {"transport.iterations", "transport.marginal_error", "transport.entropy", "transport.converged"}
OBJECTIVES: dict[str, Objective] = {
    "ot": OT,
    "exact": Transport(epsilon=0.0, tolerance=1e-5, solver=Solver.EXACT),
    "ipot": Transport(epsilon=0.0, tolerance=1e-3, solver=Solver.PROXIMAL, proximal_weight=0.1),
    "idf": replace(OT, marginals=Marginals.IDF),
    "envelope": replace(OT, gradient=Gradient.ENVELOPE),
    "unrolled": replace(OT, gradient=Gradient.UNROLLED, unrolled_iterations=10),
    "divergence": replace(OT, form=Form.DIVERGENCE, gradient=Gradient.ENVELOPE),
    "unbalanced": replace(OT, unbalanced=0.5),
    "unbalanced envelope": replace(OT, unbalanced=0.5, gradient=Gradient.ENVELOPE),
    "uniform plan": UniformPlan(),
    "greedy": GreedyAlignment(),
    "assignment": ExactAssignment(),
    "pooled": PooledMSE(),
    "contrastive": Contrastive(group_size=3, temperature=0.2),
    "score kl": ScoreKL(group_size=3, temperature=0.2),
    "sum": WeightedSum(terms=(OT, PooledMSE(), Contrastive(group_size=3, temperature=0.2)), weights=(1.0, 0.5, 2.0)),
}
PARTS = {
    "exact": TRANSPORT - {"transport.iterations"},
    "unbalanced": TRANSPORT - {"transport.entropy"} | {"transport.mass"},
    "unbalanced envelope": TRANSPORT - {"transport.entropy"} | {"transport.mass"},
    "sum": TRANSPORT | {"loss.transport", "loss.pooled_mse", "loss.contrastive"},
    **dict.fromkeys(("ot", "ipot", "idf", "envelope", "unrolled", "divergence"), TRANSPORT),
}
each = pytest.mark.parametrize("name", OBJECTIVES)


def lines(seed: int, count: int = 6, width: int = 6) -> Pairs:
    """Ragged lines, two of which translate one English sentence; padding holds large numbers."""
    generator = torch.Generator().manual_seed(seed)
    english_B = torch.arange(count)
    english_B[-1] = count - 2
    student_length = torch.randint(1, 5, (count, 1), generator=generator)
    teacher_length = torch.randint(1, 6, (count, 1), generator=generator)[english_B]
    student_mask, teacher_mask = torch.arange(5) < student_length, torch.arange(6) < teacher_length
    student = torch.randn(count, 5, width, generator=generator)
    teacher = torch.randn(count, 6, width, generator=generator)[english_B]
    return Pairs(
        student_BNH=torch.where(student_mask[:, :, None], student, 1e4),
        teacher_BMH=torch.where(teacher_mask[:, :, None], teacher, -1e4),
        student_mask_BN=student_mask,
        teacher_mask_BM=teacher_mask,
        english_B=english_B,
        student_weight_BN=0.1 + torch.rand(count, 5, generator=generator),
        teacher_weight_BM=(0.1 + torch.rand(count, 6, generator=generator))[english_B],
    )


def rows(pairs: Pairs, chosen: slice) -> Pairs:
    return Pairs(**{name: value[chosen] for name, value in vars(pairs).items()})


@each
@settings(max_examples=5)
@given(st.integers(0, 2**31))
def test_loss_of_a_batch_is_the_mean_over_its_groups(name: str, seed: int) -> None:
    objective, pairs = OBJECTIVES[name], lines(seed)
    size = group_size_of(objective)
    loss = criterion(objective)
    alone = [loss(rows(pairs, slice(i, i + size)))[0] for i in range(0, 6, size)]
    torch.testing.assert_close(loss(pairs)[0], torch.stack(alone).mean(), atol=5e-5, rtol=0)


@each
@settings(max_examples=5)
@given(st.integers(0, 2**31), st.integers(1, 4))
def test_loss_does_not_see_padding_or_the_order_of_tokens(name: str, seed: int, extra: int) -> None:
    objective, pairs = OBJECTIVES[name], lines(seed)
    order = torch.randperm(5 + extra, generator=torch.Generator().manual_seed(seed))
    pad = torch.nn.functional.pad
    assert pairs.student_weight_BN is not None
    wider = replace(
        pairs,
        student_BNH=pad(pairs.student_BNH, (0, 0, 0, extra), value=77.0)[:, order],
        student_mask_BN=pad(pairs.student_mask_BN, (0, extra))[:, order],
        student_weight_BN=pad(pairs.student_weight_BN, (0, extra), value=5.0)[:, order],
    )
    loss = criterion(objective)
    torch.testing.assert_close(loss(wider)[0], loss(pairs)[0], atol=2e-3 if name == "ipot" else 5e-5, rtol=0)


@each
def test_loss_reports_the_parts_it_has_as_detached_scalars_and_a_finite_gradient(name: str) -> None:
    pairs = lines(1)
    student = pairs.student_BNH.clone().requires_grad_()
    loss, parts = criterion(OBJECTIVES[name])(replace(pairs, student_BNH=student))
    assert set(parts) == PARTS.get(name, set())
    assert loss.ndim == 0
    assert all(part.ndim == 0 and not part.requires_grad for part in parts.values())
    assert float(parts.get("transport.converged", torch.tensor(1.0))) == 1.0
    loss.backward()  # type: ignore[no-untyped-call]
    assert student.grad is not None
    assert bool(torch.isfinite(student.grad).all())
    assert float(student.grad.abs().sum()) > 0
    assert bool((student.grad[~pairs.student_mask_BN] == 0).all())


@each
def test_student_that_diverged_is_a_nan_loss_and_no_error(name: str) -> None:
    pairs = lines(2)
    vectors = pairs.student_BNH.clone()
    vectors[0, 0] = torch.nan
    assert bool(torch.isnan(criterion(OBJECTIVES[name])(replace(pairs, student_BNH=vectors))[0]))


@each
@pytest.mark.parametrize("side", ["student_mask_BN", "teacher_mask_BM"])
def test_sentence_without_tokens_is_refused(name: str, side: str) -> None:
    pairs = lines(3)
    mask = getattr(pairs, side).clone()
    mask[2] = False
    with pytest.raises(ValueError, match=r"sentence needs at least one token; sentences \[2\]|\[2\] of 6"):
        criterion(OBJECTIVES[name])(replace(pairs, **{side: mask}))


@each
def test_student_that_is_the_teacher_loses_least(name: str) -> None:
    pairs = lines(4)
    mirror = replace(
        pairs,
        student_BNH=pairs.teacher_BMH,
        student_mask_BN=pairs.teacher_mask_BM,
        student_weight_BN=pairs.teacher_weight_BM,
    )
    loss = criterion(OBJECTIVES[name])
    assert float(loss(mirror)[0]) < float(loss(pairs)[0])
    if name in ("exact", "greedy", "assignment", "pooled", "score kl", "divergence"):
        assert float(loss(mirror)[0]) == pytest.approx(0, abs=1e-4)


def test_solver_out_of_iterations_says_so_in_its_parts() -> None:
    for name in ("ot", "ipot", "unbalanced", "divergence"):
        objective = OBJECTIVES[name]
        assert isinstance(objective, Transport)
        epsilon = 0.0 if name == "ipot" else 0.01
        tight = replace(objective, max_iterations=1, tolerance=1e-6, epsilon=epsilon)
        _, parts = criterion(tight)(lines(5))
        assert float(parts["transport.converged"]) < 1.0


def test_only_idf_marginals_read_the_weights_and_they_need_them() -> None:
    pairs = lines(6)
    bare = replace(pairs, student_weight_BN=None, teacher_weight_BM=None)
    for name in OBJECTIVES.keys() - {"idf"}:
        loss = criterion(OBJECTIVES[name])
        assert float(loss(pairs)[0]) == float(loss(bare)[0]), name
    idf = criterion(OBJECTIVES["idf"])
    assert float(idf(pairs)[0]) != float(criterion(OT)(pairs)[0])
    with pytest.raises(ValueError, match="marginals idf need the weight of every token"):
        idf(bare)


def test_line_with_the_same_english_is_no_negative() -> None:
    """Lines 4 and 5 translate one sentence: in a group of both and line 3, line 4 chooses between two."""
    loss = criterion(Contrastive(group_size=3, temperature=0.2))
    pairs = rows(lines(7), slice(3, 6))
    apart = replace(pairs, english_B=torch.arange(3))
    assert float(loss(pairs)[0]) < float(loss(apart)[0])


def test_weighted_sum_is_the_sum_of_its_weighted_terms() -> None:
    pairs, objective = lines(8), OBJECTIVES["sum"]
    assert isinstance(objective, WeightedSum)
    loss, parts = criterion(objective)(pairs)
    own = [criterion(term)(pairs)[0] for term in objective.terms]
    expected = sum(weight * value for weight, value in zip(objective.weights, own, strict=True))
    assert float(loss) == pytest.approx(float(expected), rel=1e-6)
    names = ("loss.transport", "loss.pooled_mse", "loss.contrastive")
    for name, value in zip(names, own, strict=True):
        assert float(parts[name]) == pytest.approx(float(value), rel=1e-6)


def test_exact_assignment_costs_no_more_than_greedy_and_transport_no_more_than_the_uniform_plan() -> None:
    for seed in range(10):
        found = {name: float(criterion(OBJECTIVES[name])(lines(seed))[0]) for name in OBJECTIVES}
        assert found["assignment"] <= found["greedy"] + 1e-6
        assert found["exact"] <= found["ot"] + 1e-5 <= found["uniform plan"] + 2e-5
        assert found["ot"] <= found["envelope"] + 1e-5
