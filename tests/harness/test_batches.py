"""Batches: a pure function of seed and step, every line once per epoch, equal shares for every rank."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from harness.data.batches import WINDOW_BATCHES, BatchOrder, pad, rank_slice
from studies.schema.execution import Execution


def lengths_of(lines: int) -> NDArray[np.int64]:
    return np.random.Generator(np.random.Philox(5)).integers(3, 60, size=lines)


def first_windows(order: BatchOrder, windows: int) -> NDArray[np.int64]:
    return np.concatenate([order.indices(step) for step in range(windows * WINDOW_BATCHES)])


@given(
    lines=st.integers(1, 200),
    global_batch=st.integers(1, 40),
    seed=st.integers(0, 2**64 - 1),
    windows=st.integers(1, 4),
)
def test_every_line_occurs_once_per_epoch_whatever_the_remainder(
    lines: int, global_batch: int, seed: int, windows: int
) -> None:
    read = first_windows(BatchOrder(lengths_of(lines), global_batch, seed), windows)
    counts = np.bincount(read, minlength=lines)
    assert len(read) == windows * WINDOW_BATCHES * global_batch
    assert set(counts) <= {len(read) // lines, -(-len(read) // lines)}


def test_indices_do_not_depend_on_what_was_asked_before() -> None:
    lengths = lengths_of(700)
    forwards = BatchOrder(lengths, 8, seed=3)
    expected = [forwards.indices(step) for step in range(300)]
    resumed = BatchOrder(lengths, 8, seed=3)
    for step in (299, 0, 150, 31, 32, 299):
        np.testing.assert_array_equal(resumed.indices(step), expected[step])


def test_changing_a_returned_batch_changes_no_later_one() -> None:
    order = BatchOrder(lengths_of(50), 8, seed=3)
    order.indices(0)[:] = 0
    np.testing.assert_array_equal(order.indices(0), BatchOrder(lengths_of(50), 8, seed=3).indices(0))


def test_batch_repeats_a_line_only_where_two_epochs_meet() -> None:
    order = BatchOrder(lengths_of(90), 8, seed=3)
    repeating = [step for step in range(10 * WINDOW_BATCHES) if len(set(order.indices(step))) < 8]
    assert len(repeating) <= 10 * WINDOW_BATCHES * 8 // 90


def test_order_changes_with_seed_and_epoch() -> None:
    lengths = lengths_of(64 * WINDOW_BATCHES)
    one, other = BatchOrder(lengths, 64, seed=0), BatchOrder(lengths, 64, seed=1)
    assert not np.array_equal(one.indices(0), other.indices(0))
    assert not np.array_equal(one.indices(0), one.indices(WINDOW_BATCHES))
    assert one.epoch(WINDOW_BATCHES) == 1.0


def test_order_is_pinned() -> None:
    """A change here re-orders every run under an unchanged key."""
    order = BatchOrder(np.arange(100) % 7, 5, seed=11)
    assert order.indices(0).tolist() == [76, 97, 83, 48, 69]
    assert order.indices(1000).tolist() == [40, 68, 82, 47, 5]


def test_bucketing_leaves_little_padding() -> None:
    lengths = lengths_of(64 * WINDOW_BATCHES)
    order = BatchOrder(lengths, 64, seed=0)
    padded = sum(64 * lengths[order.indices(step)].max() for step in range(WINDOW_BATCHES))
    assert padded / lengths.sum() < 1.1


def test_batches_of_a_window_do_not_come_in_order_of_length() -> None:
    lengths = lengths_of(64 * WINDOW_BATCHES)
    order = BatchOrder(lengths, 64, seed=0)
    means = [lengths[order.indices(step)].mean() for step in range(WINDOW_BATCHES)]
    assert abs(np.corrcoef(means, np.arange(WINDOW_BATCHES))[0, 1]) < 0.5


def test_two_sided_lengths_are_bucketed_by_their_sum() -> None:
    sides = np.stack([lengths_of(300), lengths_of(300)[::-1]], axis=1)
    summed = BatchOrder(sides.sum(axis=1), 16, seed=2)
    np.testing.assert_array_equal(BatchOrder(sides, 16, seed=2).indices(9), summed.indices(9))


@given(world=st.integers(1, 8), per_rank=st.integers(1, 16))
def test_rank_slices_are_equal_and_give_the_batch_in_order(world: int, per_rank: int) -> None:
    batch = np.arange(world * per_rank)[::-1]
    slices = [rank_slice(batch, rank, world) for rank in range(world)]
    assert {len(part) for part in slices} == {per_rank}
    np.testing.assert_array_equal(np.concatenate(slices), batch)


def test_rank_slice_refuses_unequal_shares_and_unknown_ranks() -> None:
    with pytest.raises(ValueError, match="global batch of 10 does not divide among 4 workers"):
        rank_slice(np.arange(10), 0, 4)
    with pytest.raises(ValueError, match="rank 4 of 4"):
        rank_slice(np.arange(8), 4, 4)


def test_order_refuses_no_lines_and_no_batch() -> None:
    with pytest.raises(ValueError, match="at least one line"):
        BatchOrder([], 4, seed=0)
    with pytest.raises(ValueError, match="a batch has a line"):
        BatchOrder([3, 4], 0, seed=0)


@given(st.lists(st.lists(st.integers(2, 99), min_size=1, max_size=9), min_size=1, max_size=9))
def test_pad_keeps_every_token_and_masks_the_rest(sequences: list[list[int]]) -> None:
    ids_BN, mask_BN = pad(sequences, pad_id=1)
    assert ids_BN.shape == mask_BN.shape == (len(sequences), max(map(len, sequences)))
    for row, mask, sequence in zip(ids_BN, mask_BN, sequences, strict=True):
        assert row[mask].tolist() == sequence
        assert (row[~mask] == 1).all()


def test_pad_refuses_empty_texts() -> None:
    with pytest.raises(ValueError, match="remove empty texts"):
        pad([[2], []], pad_id=1)


@given(st.sampled_from((1, 2, 4)), st.sampled_from((2, 3, 8)), st.integers(1, 4), st.integers(1, 3), st.integers(0, 40))
def test_candidate_groups_stay_whole_over_ranks_and_calls(
    workers: int, group_size: int, groups: int, calls: int, step: int
) -> None:
    """A loss over groups of consecutive examples then sees the same groups under every execution."""
    global_batch = workers * calls * groups * group_size
    batch = BatchOrder(np.arange(1, 998), global_batch, seed=3).indices(step)
    execution = Execution(workers=workers, micro_batch=groups * group_size)
    size, _ = execution.calls(global_batch, group_size)
    seen = [
        tuple(group)
        for rank in range(workers)
        for call in rank_slice(batch, rank, workers).reshape(-1, size)
        for group in call.reshape(-1, group_size).tolist()
    ]
    assert seen == [tuple(group) for group in batch.reshape(-1, group_size).tolist()]
