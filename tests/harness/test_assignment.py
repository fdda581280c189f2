"""One-to-one alignments against scipy, and against each other."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from harness.transport.assignment import exact_assignment, greedy_assignment
from harness.transport.problem import cosine_cost
from tests.oracles import Array
from tests.strategies import Clouds, clouds

few = settings(max_examples=12)


def sides(drawn: Clouds) -> tuple[Tensor, Tensor, Tensor]:
    cost_BNM = cosine_cost(drawn.source_BNH, drawn.target_BMH)
    return cost_BNM, drawn.source_mask_BN, drawn.target_mask_BM


def greedy_pairs(cost: Array) -> list[tuple[int, int]]:
    """The definition: all pairs by cost, each taken if both tokens are still free."""
    order = sorted((float(cost[i, j]), i, j) for i in range(cost.shape[0]) for j in range(cost.shape[1]))
    rows: set[int] = set()
    columns: set[int] = set()
    taken: list[tuple[int, int]] = []
    for _, i, j in order:
        if i not in rows and j not in columns:
            rows.add(i)
            columns.add(j)
            taken.append((i, j))
    return taken


def real_cost(drawn: Clouds, cost_BNM: Tensor, b: int) -> Array:
    block: Array = cost_BNM[b, drawn.source_mask_BN[b]][:, drawn.target_mask_BM[b]].numpy()
    return block


@few
@given(clouds())
def test_exact_assignment_costs_what_scipy_s_costs(drawn: Clouds) -> None:
    cost_BNM, *masks = sides(drawn)
    chosen_BNM = exact_assignment(cost_BNM, *masks)
    for b in range(len(cost_BNM)):
        block = real_cost(drawn, cost_BNM, b)
        expected = block[linear_sum_assignment(block)].mean()
        np.testing.assert_allclose((chosen_BNM[b] * cost_BNM[b]).sum(), expected, atol=1e-12)


@few
@given(clouds())
def test_greedy_assignment_takes_the_pairs_of_the_definition(drawn: Clouds) -> None:
    cost_BNM, *masks = sides(drawn)
    chosen_BNM = greedy_assignment(cost_BNM, *masks)
    for b in range(len(cost_BNM)):
        pairs = greedy_pairs(real_cost(drawn, cost_BNM, b))
        expected = torch.zeros_like(cost_BNM[b])
        for i, j in pairs:
            expected[i, j] = 1 / len(pairs)
        torch.testing.assert_close(chosen_BNM[b], expected)


@few
@given(clouds())
def test_both_use_every_token_of_the_shorter_side_once_and_exact_costs_no_more(drawn: Clouds) -> None:
    cost_BNM, *masks = sides(drawn)
    least_B = torch.minimum(masks[0].sum(1), masks[1].sum(1))
    costs = []
    for assign in (exact_assignment, greedy_assignment):
        chosen_BNM = assign(cost_BNM, *masks)
        pairs_BNM = chosen_BNM > 0
        torch.testing.assert_close(chosen_BNM.sum((1, 2)), torch.ones(len(cost_BNM), dtype=cost_BNM.dtype))
        assert bool((pairs_BNM.sum(1) <= 1).all())
        assert bool((pairs_BNM.sum(2) <= 1).all())
        assert torch.equal(pairs_BNM.sum((1, 2)), least_B)
        assert not bool(pairs_BNM[~masks[0]].any())
        assert not bool(pairs_BNM.transpose(1, 2)[~masks[1]].any())
        costs.append((chosen_BNM * cost_BNM).sum((1, 2)))
    assert bool((costs[0] <= costs[1] + 1e-12).all())


@few
@given(clouds(), st.integers(1, 4), st.integers(1, 4))
def test_appended_padding_changes_nothing(drawn: Clouds, rows: int, columns: int) -> None:
    cost_BNM, *masks = sides(drawn)
    wider = torch.nn.functional.pad(cost_BNM, (0, columns, 0, rows), value=-37.0)
    longer = [torch.nn.functional.pad(mask, (0, extra)) for mask, extra in zip(masks, (rows, columns), strict=True)]
    for assign in (exact_assignment, greedy_assignment):
        expected = torch.nn.functional.pad(assign(cost_BNM, *masks), (0, columns, 0, rows))
        torch.testing.assert_close(assign(wider, *longer), expected)


def test_greedy_can_be_worse_than_exact() -> None:
    cost_BNM = torch.tensor([[[0.0, 0.1], [0.2, 1.0]]])
    mask = torch.ones(1, 2, dtype=torch.bool)
    assert float((greedy_assignment(cost_BNM, mask, mask) * cost_BNM).sum()) == 0.5
    np.testing.assert_allclose(float((exact_assignment(cost_BNM, mask, mask) * cost_BNM).sum()), 0.15, atol=1e-7)
