"""Token vectors of many texts: batches, files and caches give what one text at a time gives."""

from pathlib import Path

import numpy as np
import pytest
import torch

from harness import vectors
from harness.encoders import TokenEncoder, build
from harness.examples import Sequences
from harness.families import PADDING
from harness.late_interaction import Ragged
from harness.vectors import CachedTeacher, LiveTeacher, encode, store, stored
from studies.ladders import ATLAS
from studies.schema.storage import Damaged

CPU = torch.device("cpu")
# Float32 roundings of attention sums over rows of different width.
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def encoder() -> TokenEncoder:
    rung, _ = ATLAS.rungs[1]
    return build(rung, 16, dropout=0.1, seed=1)


@pytest.fixture(scope="module")
def texts() -> Sequences:
    draw = np.random.default_rng(3)
    return Sequences.of([draw.integers(4, 8000, size=draw.integers(1, 30)).tolist() for _ in range(40)], PADDING)


@pytest.mark.parametrize("batch", [1, 7, 40, 1000])
def test_encoding_in_batches_equals_one_text_at_a_time(
    encoder: TokenEncoder, texts: Sequences, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "ENCODE_BATCH", batch)
    found = encode(encoder, texts, CPU)
    assert found.lengths.tolist() == texts.lengths.tolist()
    assert found.tokens_TH.dtype == torch.float32
    encoder.eval()
    with torch.no_grad():
        alone = [
            encoder(torch.from_numpy(ids.astype(np.int64))[None], torch.ones(1, len(ids)))[0]
            for ids in np.split(texts.ids, texts.offsets[1:-1])
        ]
    torch.testing.assert_close(found.tokens_TH, torch.cat(alone), rtol=0, atol=TOLERANCE)


def test_encoding_needs_no_gradient_and_repeats_bit_for_bit(encoder: TokenEncoder, texts: Sequences) -> None:
    first, second = encode(encoder.train(), texts, CPU), encode(encoder.train(), texts, CPU)
    assert not first.tokens_TH.requires_grad
    assert torch.equal(first.tokens_TH, second.tokens_TH)


def test_stored_vectors_are_read_back_exactly(encoder: TokenEncoder, texts: Sequences, tmp_path: Path) -> None:
    found = encode(encoder, texts, CPU)
    assert stored(tmp_path / "english") is None
    store(tmp_path / "english", found)
    read = stored(tmp_path / "english")
    assert read is not None
    assert torch.equal(read.tokens_TH, found.tokens_TH)
    assert torch.equal(read.lengths, found.lengths)


def test_vectors_that_were_cut_short_on_disk_are_refused(tmp_path: Path) -> None:
    store(tmp_path / "english", Ragged(tokens_TH=torch.rand(5, 4), lengths=torch.tensor([2, 3])))
    path = tmp_path / "english" / "tokens.npy"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(Damaged, match=r"tokens\.npy"):
        stored(tmp_path / "english")


def test_writing_into_vectors_in_memory_leaves_the_file(tmp_path: Path) -> None:
    store(tmp_path / "english", Ragged(tokens_TH=torch.ones(5, 4), lengths=torch.tensor([2, 3])))
    first = stored(tmp_path / "english")
    assert first is not None
    first.tokens_TH.zero_()
    second = stored(tmp_path / "english")
    assert second is not None
    assert torch.equal(second.tokens_TH, torch.ones(5, 4))


def test_cached_teacher_gives_what_the_teacher_itself_gives(encoder: TokenEncoder, texts: Sequences) -> None:
    cached, live = CachedTeacher(encode(encoder, texts, CPU)), LiveTeacher(encoder, texts, CPU)
    for lines in (np.array([0]), np.array([5, 5, 39, 0]), np.arange(40)[::-1].copy()):
        (cached_BNH, cached_mask_BN), (live_BNH, live_mask_BN) = cached.take(lines), live.take(lines)
        assert torch.equal(cached_mask_BN, live_mask_BN)
        assert cached_BNH.shape == live_BNH.shape
        torch.testing.assert_close(cached_BNH[cached_mask_BN], live_BNH[live_mask_BN], rtol=0, atol=TOLERANCE)


def test_teacher_is_frozen_wherever_it_is_asked(texts: Sequences) -> None:
    rung, _ = ATLAS.rungs[0]
    teacher = build(rung, 16, dropout=0.5, seed=1).train()
    live = LiveTeacher(teacher, texts, CPU)
    first, _ = live.take(np.array([1, 2]))
    second, _ = live.take(np.array([1, 2]))
    assert torch.equal(first, second)
    assert not first.requires_grad
    assert not any(weight.requires_grad for weight in teacher.parameters())
