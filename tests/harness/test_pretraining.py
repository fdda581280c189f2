"""Pretraining: masks that seed, step and text decide alone, a loss that equals loops, weights handed on."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.assemble import materials, model_of, save
from harness.data.atlas import AtlasData
from harness.encoders import TokenEncoder
from harness.examples import Sequences
from harness.families import PADDING
from harness.masked import MASK, SPECIAL, MaskedExamples, MaskedModel, at_step
from studies.bases import ATLAS_TEXT, OPTICAL_ATLAS, atlas_pretraining
from studies.ladders import ATLAS
from studies.schema.execution import Execution
from studies.schema.key import run_key
from studies.schema.run import HELD_OUT_LINES
from studies.schema.storage import Storage

CPU = torch.device("cpu")
RUN = replace(atlas_pretraining(*ATLAS.rungs[0]), text=replace(ATLAS_TEXT, texts=1300))
LOSS_TOLERANCE = 1e-5


def test_materials_read_the_declared_text_and_watch_validation_queries(
    atlas_storage: Storage, atlas: AtlasData
) -> None:
    made = materials(atlas_storage, RUN, Execution(), CPU)
    assert len(made.train.lengths) == sum(made.facts["texts"].values()) == len(atlas.pretraining(RUN.text))
    assert len(made.held_out.lengths) == HELD_OUT_LINES
    assert max(made.train.lengths) <= RUN.rung.architecture.max_positions


def examples(lengths: list[int], *, rate: float = 0.15, seed: int = 0) -> MaskedExamples:
    """Texts of different tokens between the two special ones, each as long as said."""
    lists = [[0, *range(100 * place + 10, 100 * place + 10 + length), 2] for place, length in enumerate(lengths)]
    return MaskedExamples(texts=Sequences.of(lists, PADDING), vocabulary=8000, rate=rate, seed=seed)


def masked(texts: MaskedExamples, *indices: int) -> list[tuple[list[int], list[bool]]]:
    """What is shown and guessed of each text, its padding left out."""
    chosen = np.array(indices)
    shown_BN, guessed_BN = texts.masked(chosen, texts.texts.padded(chosen)[0])
    lengths = texts.lengths[chosen]
    return [
        (shown[:length].tolist(), guessed[:length].tolist())
        for shown, guessed, length in zip(shown_BN, guessed_BN, lengths, strict=True)
    ]


def test_mask_of_a_text_depends_on_seed_step_and_text_and_not_on_its_company() -> None:
    texts = examples([20, 3, 40, 20])
    together = masked(texts, 2, 0, 3, 1)
    assert together == [masked(texts, place)[0] for place in (2, 0, 3, 1)]
    assert [guessed for _, guessed in masked(texts, 0)] != [guessed for _, guessed in masked(texts, 3)]
    again = at_step(texts, 7)
    assert isinstance(again, MaskedExamples)
    assert masked(again, 2) != masked(texts, 2)
    assert masked(again, 2) == masked(replace(texts, step=7), 2)
    assert masked(replace(texts, seed=1), 2) != masked(texts, 2)


@pytest.mark.parametrize("rate", [0.15, 0.4])
def test_mask_takes_the_declared_share_of_what_is_no_special_token(rate: float) -> None:
    lengths = [1, 2, 7, 20, 50]
    for length, (shown, guessed) in zip(lengths, masked(examples(lengths, rate=rate), *range(5)), strict=True):
        assert sum(guessed) == max(1, round(rate * length))
        assert not guessed[0]
        assert not guessed[-1]
        original = [token for token, hidden in zip(shown, guessed, strict=True) if not hidden]
        assert MASK not in original


def test_masked_tokens_are_hidden_replaced_or_left_in_the_proportions_of_bert() -> None:
    texts = replace(examples([60] * 60), rate=0.5)
    counts = {"hidden": 0, "left": 0, "other": 0}
    for step in range(30):
        for place, (shown, guessed) in enumerate(masked(replace(texts, step=step), *range(60))):
            truth = texts.texts.ids[texts.texts.offsets[place] : texts.texts.offsets[place + 1]]
            for token, right in zip(np.array(shown)[guessed], truth[guessed], strict=True):
                counts["hidden" if token == MASK else "left" if token == right else "other"] += 1
                assert token == MASK or token >= SPECIAL
    total = sum(counts.values())
    # 54,000 draws: a share of 0.1 has a standard error of 0.0013.
    assert counts["hidden"] / total == pytest.approx(0.8, abs=0.01)
    assert counts["left"] / total == pytest.approx(0.1, abs=0.006)


@pytest.fixture(scope="module")
def model(atlas_storage: Storage) -> MaskedModel:
    built = model_of(atlas_storage, RUN)
    assert isinstance(built, MaskedModel)
    return built.eval()


def loss_by_loops(model: MaskedModel, texts: MaskedExamples, place: int) -> float:
    """Minus the mean log of the share that softmax gives the right token, one token at a time."""
    ((shown, guessed),) = masked(texts, place)
    ids = torch.tensor([shown])
    total = 0.0
    for position in np.flatnonzero(guessed):
        only = torch.zeros_like(ids, dtype=torch.bool)
        only[0, position] = True
        logits_V: Tensor = model(ids, torch.ones_like(ids, dtype=torch.bool), only)[0].double()
        right = int(texts.texts.ids[texts.texts.offsets[place] + position])
        total -= float(torch.log(torch.exp(logits_V)[right] / torch.exp(logits_V).sum()))
    return total / sum(guessed)


def test_loss_equals_loops_however_a_batch_is_cut(model: MaskedModel) -> None:
    texts = examples([20, 1, 33, 7])
    with torch.no_grad():
        expected = [loss_by_loops(model, texts, place) for place in range(4)]
        whole, _ = texts.loss(model, np.arange(4), CPU)
        halves = [float(texts.loss(model, np.array(half), CPU)[0]) for half in ([0, 1], [2, 3])]
    assert float(whole) == pytest.approx(np.mean(expected), abs=LOSS_TOLERANCE)
    assert np.mean(halves) == pytest.approx(float(whole), abs=LOSS_TOLERANCE)


def test_student_starts_from_the_weights_of_its_pretraining_and_from_nothing_else(
    atlas_storage: Storage, model: MaskedModel
) -> None:
    moved = model_of(atlas_storage, RUN)
    assert isinstance(moved, MaskedModel)
    with torch.no_grad():
        for weight in moved.parameters():
            weight.add_(0.5)
    student = replace(OPTICAL_ATLAS, pretraining=RUN, seed=5)
    with pytest.raises(ValueError, match=f"run {run_key(RUN)} has no trained model"):
        model_of(atlas_storage, student)
    with atlas_storage.publish(atlas_storage.final(run_key(RUN))) as folder:
        save(atlas_storage, RUN, moved, folder)
    found, bare = model_of(atlas_storage, student), model_of(atlas_storage, replace(student, pretraining=None))
    assert isinstance(found, TokenEncoder)
    assert isinstance(bare, TokenEncoder)
    assert found.backbone.state_dict().keys() == moved.backbone.state_dict().keys()
    for name, weight in moved.backbone.state_dict().items():
        assert torch.equal(found.backbone.state_dict()[name], weight), name
    assert torch.equal(found.projection.weight, bare.projection.weight)


def test_training_lowers_the_loss_on_what_is_masked(atlas_storage: Storage) -> None:
    made = materials(atlas_storage, RUN, Execution(), CPU)
    model = model_of(atlas_storage, RUN)
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.01)
    before = after = 0.0
    for step in range(1, 31):
        loss, _ = at_step(made.train, step).loss(model, np.arange(step % 10, 1300, 20), CPU)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        after = float(loss.detach())
        before = after if step == 1 else before
    assert before == pytest.approx(np.log(8000), abs=0.5)
    assert after < before - 1
