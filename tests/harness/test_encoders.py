"""Encoders: unit vectors that padding cannot move, weights from a seed alone, and exact files."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModel, AutoModelForMaskedLM, AutoModelForSeq2SeqLM

from harness.encoders import TokenEncoder, build
from harness.families import PADDING, configuration
from studies.ladders import ATLAS
from studies.schema.rung import Architecture, ModelType, Rung

TOKEN_SIZE = 8
# Attention over a padded row sums in another order: a few float32 roundings of numbers of order one.
PADDING_TOLERANCE = 2e-6


def shape(model_type: ModelType, **changes: Any) -> Architecture:
    declared: dict[str, Any] = {
        "num_layers": 2,
        "hidden_size": 16,
        "num_heads": 2,
        "intermediate_size": 32,
        "vocabulary_size": 50,
        "embedding_size": 12 if model_type is ModelType.ELECTRA else 16,
        "max_positions": 40,
    }
    if model_type in (ModelType.MT5, ModelType.UMT5):
        declared["head_size"] = 6
    if model_type is ModelType.EUROBERT:
        declared["key_value_heads"] = 1
    return Architecture(model_type=model_type, **(declared | changes))


def encoder_of(model_type: ModelType, seed: int = 0) -> TokenEncoder:
    rung = Rung(name="small", architecture=shape(model_type))
    return build(rung, TOKEN_SIZE, dropout=0.0, seed=seed).eval()


def batch(lengths: list[int], width: int | None = None) -> tuple[Tensor, Tensor]:
    """Random token ids, none of them special, and their mask."""
    generator = torch.Generator().manual_seed(7)
    mask_BN = torch.arange(width or max(lengths)) < torch.tensor(lengths)[:, None]
    ids_BN = torch.randint(4, 50, mask_BN.shape, generator=generator)
    return torch.where(mask_BN, ids_BN, PADDING), mask_BN


each_type = pytest.mark.parametrize("model_type", list(ModelType))


@each_type
def test_vectors_have_unit_length_and_are_float32_in_any_arithmetic(model_type: ModelType) -> None:
    encoder = encoder_of(model_type)
    for dtype in (torch.float32, torch.bfloat16):
        vectors_BNH = encoder.to(dtype)(*batch([3, 9, 1]))
        assert vectors_BNH.shape == (3, 9, TOKEN_SIZE)
        assert vectors_BNH.dtype == torch.float32
        torch.testing.assert_close(vectors_BNH.norm(dim=-1), torch.ones(3, 9))


@each_type
def test_padding_and_company_never_change_the_vectors_of_a_text(model_type: ModelType) -> None:
    encoder = encoder_of(model_type)
    lengths = [5, 1, 12, 3]
    ids_BN, mask_BN = batch(lengths, width=20)
    together = encoder(ids_BN, mask_BN)
    for text, length in enumerate(lengths):
        alone = encoder(ids_BN[text : text + 1, :length], mask_BN[text : text + 1, :length])
        torch.testing.assert_close(together[text, :length], alone[0], rtol=0, atol=PADDING_TOLERANCE)


@each_type
def test_what_stands_on_padding_does_not_matter(model_type: ModelType) -> None:
    """Nor for the XLM-R family, which counts positions over ids that are not its padding."""
    encoder = encoder_of(model_type)
    ids_BN, mask_BN = batch([5, 2], width=9)
    vectors, changed = encoder(ids_BN, mask_BN), encoder(torch.where(mask_BN, ids_BN, 33), mask_BN)
    torch.testing.assert_close(vectors[mask_BN], changed[mask_BN], rtol=0, atol=PADDING_TOLERANCE)


@each_type
def test_order_of_tokens_and_every_token_matter(model_type: ModelType) -> None:
    encoder = encoder_of(model_type)
    ids = torch.tensor([[0, 7, 9, 2], [0, 9, 7, 2], [0, 7, 10, 2]])
    first, swapped, other = encoder(ids, torch.ones_like(ids, dtype=torch.bool)).flatten(1)
    assert not torch.allclose(first, swapped, atol=1e-3)
    assert not torch.allclose(first, other, atol=1e-3)


@each_type
def test_every_weight_gets_a_gradient_from_a_loss_over_tokens(model_type: ModelType) -> None:
    """A weight that never moves would be counted, sharded and communicated for nothing."""
    encoder = encoder_of(model_type).train()
    ids_BN, mask_BN = batch([6, 4])
    encoder(ids_BN, mask_BN)[mask_BN][:, 0].sum().backward()
    assert [name for name, weight in encoder.named_parameters() if weight.grad is None] == []


@pytest.mark.parametrize("model_type", [ModelType.ELECTRA, ModelType.BERT, ModelType.XLM_ROBERTA])
def test_only_the_padding_token_has_no_embedding_of_its_own(model_type: ModelType) -> None:
    embedding_VE = encoder_of(model_type).backbone.get_parameter("embeddings.word_embeddings.weight")
    assert torch.nonzero(embedding_VE.abs().sum(dim=1) == 0).flatten().tolist() == [PADDING]


@each_type
def test_same_seed_gives_same_weights_and_leaves_the_process_wide_generator(model_type: ModelType) -> None:
    torch.manual_seed(11)
    before = torch.get_rng_state()
    first = encoder_of(model_type, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(100)
    second, other = encoder_of(model_type, seed=3), encoder_of(model_type, seed=4)
    for (name, one), two, third in zip(first.named_parameters(), second.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two), name
        if one.ndim > 1:
            assert not torch.equal(one, third), name


@each_type
def test_saved_encoder_is_read_back_exactly_and_draws_nothing(model_type: ModelType, tmp_path: Path) -> None:
    encoder = encoder_of(model_type)
    encoder.save(tmp_path)
    before = torch.get_rng_state()
    read = TokenEncoder.load(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
    assert not read.training
    state, found = encoder.state_dict(), read.state_dict()
    assert state.keys() == found.keys()
    assert all(torch.equal(state[name], found[name]) for name in state)
    assert torch.equal(read(*batch([4, 7])), encoder(*batch([4, 7])))


def test_encoder_with_a_weight_missing_on_disk_is_refused(tmp_path: Path) -> None:
    encoder_of(ModelType.ELECTRA).save(tmp_path)
    path = tmp_path / "backbone" / "model.safetensors"
    weights = load_file(path)
    del weights["encoder.layer.1.attention.self.query.weight"]
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"lacks 1 of the encoder's weights \(encoder.layer.1.attention.self.query"):
        TokenEncoder.load(tmp_path)


def test_dropout_works_in_training_and_not_in_evaluation() -> None:
    rung = Rung(name="small", architecture=shape(ModelType.ELECTRA))
    encoder = build(rung, TOKEN_SIZE, dropout=0.5, seed=0)
    ids_BN, mask_BN = batch([6, 6])
    torch.manual_seed(0)
    assert not torch.equal(encoder.train()(ids_BN, mask_BN), encoder(ids_BN, mask_BN))
    assert torch.equal(encoder.eval()(ids_BN, mask_BN), encoder(ids_BN, mask_BN))


def test_position_limit_of_an_atlas_rung_is_that_of_its_declaration() -> None:
    rung, _ = ATLAS.rungs[0]
    encoder = build(rung, TOKEN_SIZE, dropout=0.0, seed=0).eval()
    limit = rung.architecture.max_positions
    assert encoder(torch.full((1, limit), 9), torch.ones(1, limit)).shape == (1, limit, TOKEN_SIZE)
    with pytest.raises((IndexError, RuntimeError)):
        encoder(torch.full((1, limit + 1), 9), torch.ones(1, limit + 1))


@pytest.fixture
def pretrained(tmp_path: Path) -> Path:
    """A masked language model of XLM-R's family on disk, as it is published: with a head and a dropout of its own."""
    torch.manual_seed(5)
    model = AutoModelForMaskedLM.from_config(configuration(shape(ModelType.XLM_ROBERTA), dropout=0.1))
    model.save_pretrained(tmp_path / "weights")
    return tmp_path / "weights"


def test_pretrained_rung_is_the_published_encoder_without_its_heads(pretrained: Path) -> None:
    rung = Rung(name="published", architecture=shape(ModelType.XLM_ROBERTA), weights=str(pretrained))
    encoder = build(rung, TOKEN_SIZE, dropout=0.0, seed=0).eval()
    model = AutoModel.from_pretrained(pretrained, add_pooling_layer=False).eval()
    ids_BN, mask_BN = batch([6, 3])
    expected = encoder.projection(model(input_ids=ids_BN, attention_mask=mask_BN.long()).last_hidden_state)
    torch.testing.assert_close(
        encoder(ids_BN, mask_BN)[mask_BN], torch.nn.functional.normalize(expected, dim=-1)[mask_BN]
    )
    assert not any("pooler" in name for name, _ in encoder.named_parameters())


def test_pretrained_rung_has_the_dropout_of_the_run_and_a_projection_from_its_seed(pretrained: Path) -> None:
    rung = Rung(name="published", architecture=shape(ModelType.XLM_ROBERTA), weights=str(pretrained))
    first, again, other = (build(rung, TOKEN_SIZE, dropout=0.0, seed=seed) for seed in (1, 1, 2))
    ids_BN, mask_BN = batch([6, 3])
    assert torch.equal(first.train()(ids_BN, mask_BN), again.eval()(ids_BN, mask_BN))
    assert torch.equal(first.projection.weight, again.projection.weight)
    assert not torch.equal(first.projection.weight, other.projection.weight)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"num_layers": 3}, "num_hidden_layers 3, but .* has 2"),
        ({"hidden_size": 32, "embedding_size": 32}, "hidden_size 32, but .* has 16"),
        ({"num_heads": 4}, "num_attention_heads 4, but .* has 2"),
        ({"intermediate_size": 64}, "intermediate_size 64, but .* has 32"),
        ({"vocabulary_size": 51}, "vocab_size 51, but .* has 50"),
        ({"max_positions": 41}, "max_position_embeddings 41, but .* has 40"),
        ({"model_type": ModelType.XLM_ROBERTA_XL}, "model_type xlm-roberta-xl, but .* has xlm-roberta;"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_declared_shape_that_the_weights_have_not_is_refused_naming_the_field(
    pretrained: Path, change: dict[str, Any], named: str
) -> None:
    declared = replace(shape(ModelType.XLM_ROBERTA), **change)
    rung = Rung(name="published", architecture=declared, weights=str(pretrained))
    with pytest.raises(ValueError, match=f"rung published declares {named}"):
        build(rung, TOKEN_SIZE, dropout=0.0, seed=0)


@pytest.fixture
def sequence_to_sequence(tmp_path: Path) -> Path:
    """An mT5 on disk as it is published: encoder, decoder and head, with a padding id of its own."""
    torch.manual_seed(6)
    config = configuration(shape(ModelType.MT5), dropout=0.1)
    config.pad_token_id = config.decoder_start_token_id = 0
    AutoModelForSeq2SeqLM.from_config(config).save_pretrained(tmp_path / "mt5")
    return tmp_path / "mt5"


def test_of_an_encoder_decoder_only_the_encoder_is_taken_with_its_own_padding(
    sequence_to_sequence: Path, tmp_path: Path
) -> None:
    rung = Rung(name="published", architecture=shape(ModelType.MT5), weights=str(sequence_to_sequence))
    encoder = build(rung, TOKEN_SIZE, dropout=0.0, seed=0).eval()
    assert not any("decoder" in name for name, _ in encoder.named_parameters())
    assert encoder.backbone.config.pad_token_id == 0
    ids_BN, mask_BN = batch([6, 3])
    whole = AutoModelForSeq2SeqLM.from_pretrained(sequence_to_sequence).eval().get_encoder()
    hidden = whole(input_ids=ids_BN.masked_fill(~mask_BN, 0), attention_mask=mask_BN.long()).last_hidden_state
    expected = torch.nn.functional.normalize(encoder.projection(hidden), dim=-1)
    torch.testing.assert_close(encoder(ids_BN, mask_BN)[mask_BN], expected[mask_BN])
    encoder.save(tmp_path / "saved")
    assert torch.equal(TokenEncoder.load(tmp_path / "saved")(ids_BN, mask_BN), encoder(ids_BN, mask_BN))


def test_code_that_comes_with_a_checkpoint_is_never_run(pretrained: Path) -> None:
    """A configuration of a family that transformers does not know names code of its own: refused, not asked for."""
    path = pretrained / "config.json"
    config = json.loads(path.read_text())
    config |= {"model_type": "home-made", "auto_map": {"AutoConfig": "code.Config", "AutoModel": "code.Model"}}
    path.write_text(json.dumps(config))
    (pretrained / "code.py").write_text("raise SystemExit('this must never run')")
    rung = Rung(name="published", architecture=shape(ModelType.XLM_ROBERTA), weights=str(pretrained))
    with pytest.raises(ValueError, match="trust_remote_code"):
        build(rung, TOKEN_SIZE, dropout=0.0, seed=0)


@each_type
@pytest.mark.parametrize("is_frozen", [False, True], ids=["trained lexicon", "frozen lexicon"])
def test_checkpointing_changes_no_loss_and_no_gradient(model_type: ModelType, is_frozen: bool) -> None:
    """With frozen embeddings too, where nothing that enters the first layer asks for a gradient."""
    plain, checkpointed = (encoder_of(model_type).train() for _ in range(2))
    checkpointed.checkpoint_gradients()
    ids_BN, mask_BN = batch([6, 4])
    losses = []
    for encoder in (plain, checkpointed):
        if is_frozen:
            encoder.freeze_embeddings()
        loss = encoder(ids_BN, mask_BN)[mask_BN][:, 0].sum()
        loss.backward()
        losses.append(loss)
    assert torch.equal(*losses)
    expected, found = (
        {name: weight.grad for name, weight in encoder.named_parameters() if weight.grad is not None}
        for encoder in (plain, checkpointed)
    )
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    without = {name for name, _ in plain.named_parameters()} - expected.keys()
    lexicon = {name for name, weight in plain.named_parameters() if len(weight) == 50}
    assert without == (lexicon if is_frozen else set())
