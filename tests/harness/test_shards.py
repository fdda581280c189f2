"""Tensors in files of a bounded size: what is read is what was written."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.shards import Reader, Shards

SIZES = st.lists(st.integers(0, 40), max_size=12)


@given(sizes=SIZES, shard=st.integers(1, 200))
def test_tensors_come_back_from_files_no_larger_than_a_shard_and_a_tensor(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], shard: int
) -> None:
    folder = tmp_path_factory.mktemp("shards")
    written = {f"a/{i}": torch.randn(size, 2)[:, :1] for i, size in enumerate(sizes)}
    shards = Shards(folder, shard_bytes=shard)
    for name, tensor in written.items():
        shards.add(name, tensor)
    shards.flush()
    with Reader(folder) as stored:
        assert all(torch.equal(stored.tensor(name), tensor) for name, tensor in written.items())
    largest = max((tensor.nbytes for tensor in written.values()), default=0)
    for path in folder.iterdir():
        header = int.from_bytes(path.read_bytes()[:8], "little")
        assert path.stat().st_size - 8 - header < shard + largest


def test_what_is_taken_may_be_changed_afterwards(tmp_path: Path) -> None:
    shards, tensor = Shards(tmp_path), torch.zeros(3)
    shards.add("weight", tensor)
    tensor += 1
    shards.flush()
    with Reader(tmp_path) as stored:
        assert stored.tensor("weight").tolist() == [0, 0, 0]
        with pytest.raises(ValueError, match=r"holds no bias.*delete it to train from the start"):
            stored.tensor("bias")
