import numpy as np
import pytest
import torch
from hypothesis import given

from harness.transport.problem import Problem, cosine_cost, uniform_problem
from tests.oracles import loop_cosine_cost
from tests.strategies import Clouds, clouds

COSINE_TOLERANCE = 1e-6  # float32 dot products of a few unit vectors


@given(clouds())
def test_cosine_cost_any_clouds_equals_loop(drawn: Clouds) -> None:
    cost_BNM = cosine_cost(drawn.source_BNH, drawn.target_BMH)
    for b, (source, target) in enumerate(zip(drawn.source_BNH, drawn.target_BMH, strict=True)):
        np.testing.assert_allclose(cost_BNM[b], loop_cosine_cost(source, target), atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_cosine_cost_of_narrow_vectors_is_computed_in_float32(dtype: torch.dtype) -> None:
    source = torch.randn(2, 5, 64, generator=torch.Generator().manual_seed(0)).to(dtype)
    target = torch.randn(2, 7, 64, generator=torch.Generator().manual_seed(1)).to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cost_BNM = cosine_cost(source, target)
    assert cost_BNM.dtype == torch.float32
    np.testing.assert_allclose(cost_BNM, cosine_cost(source.double(), target.double()), atol=COSINE_TOLERANCE)


def test_cosine_cost_of_a_zero_vector_is_one_with_finite_gradient() -> None:
    source = torch.zeros(1, 2, 4, requires_grad=True)
    cost_BNM = cosine_cost(source, torch.randn(1, 3, 4, generator=torch.Generator().manual_seed(0)))
    cost_BNM.sum().backward()  # type: ignore[no-untyped-call]
    assert source.grad is not None
    assert torch.equal(cost_BNM, torch.ones(1, 2, 3))
    assert bool(torch.isfinite(source.grad).all())


def test_uniform_problem_ragged_sentences_gives_padding_no_mass() -> None:
    mask_BN = torch.tensor([[True, True, False], [True, False, False]])
    problem = uniform_problem(torch.zeros(2, 3, 2), mask_BN, torch.ones(2, 2, dtype=torch.bool))
    assert problem.source_BN.tolist() == [[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]
    assert problem.target_BM.tolist() == [[0.5, 0.5], [0.5, 0.5]]


def test_uniform_problem_empty_sentence_names_side_and_place() -> None:
    mask_BN = torch.tensor([[True, False], [False, False]])
    full_BM = torch.ones(2, 2, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"every source sentence .* sentences \[1\] of 2 are fully masked"):
        uniform_problem(torch.zeros(2, 2, 2), mask_BN, full_BM)
    with pytest.raises(ValueError, match="every target sentence"):
        uniform_problem(torch.zeros(2, 2, 2), full_BM, mask_BN)


@pytest.mark.parametrize(
    ("cost", "source", "message"),
    [
        (torch.zeros(1, 2, 2, dtype=torch.bfloat16), torch.full((1, 2), 0.5), "float32 or float64"),
        (torch.zeros(2, 2), torch.full((1, 2), 0.5), "problems, source, target"),
        (torch.full((1, 2, 2), torch.nan), torch.full((1, 2), 0.5), r"problems \[0\] hold NaN"),
        (torch.zeros(1, 2, 2), torch.full((1, 3), 1 / 3), "source marginal must match its cost"),
        (torch.zeros(1, 2, 2), torch.zeros(1, 2), "problem 0 sums to 0"),
        (torch.zeros(1, 2, 2), torch.tensor([[1.5, -0.5]]), "non-negative"),
    ],
)
def test_problem_ill_posed_says_what_is_wrong(cost: torch.Tensor, source: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Problem(cost_BNM=cost, source_BN=source, target_BM=torch.full((1, 2), 0.5))
