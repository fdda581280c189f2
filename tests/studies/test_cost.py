"""Arithmetic about models, compared with the models themselves and with published sizes."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from harness.encoders import build, parameter_counts
from harness.translator import build_translator
from studies.bases import ATLAS_BITEXT, ATLAS_TEACHER, ATLAS_TRANSLATOR, OPTICAL_ATLAS
from studies.ladders import ATLAS, EUROBERT, MBERT, MMBERT, MT5_ENCODERS, UMT5_ENCODERS, XLM_R, Ladder
from studies.schema.cost import (
    parameters,
    parameters_of,
    state_bytes_per_rank,
    teacher_cache_bytes,
    trained_weights,
    training_flops,
    translator_parameters,
)
from studies.schema.execution import Execution
from studies.schema.run import LookUp
from studies.schema.rung import Architecture, ModelType, Precision, Rung
from studies.schema.translation import Seq2Seq

PUBLISHED = (XLM_R, MBERT, MMBERT, MT5_ENCODERS, UMT5_ENCODERS, EUROBERT)
RUNGS = [rung for ladder in (ATLAS, *PUBLISHED) for rung, _ in ladder.rungs] + [ATLAS_TEACHER.rung]


@pytest.mark.parametrize("rung", RUNGS, ids=lambda rung: rung.name)
@pytest.mark.parametrize("token_size", [64, 128])
def test_parameters_are_those_of_the_model_itself(rung: Rung, token_size: int) -> None:
    with torch.device("meta"):
        encoder = build(replace(rung, weights=None), token_size, dropout=0.0, seed=0)
    counted = parameters(rung.architecture, token_size)
    assert (counted.non_embedding, counted.total) == parameter_counts(encoder)
    assert counted.total == sum(weight.numel() for weight in encoder.parameters() if weight.requires_grad)


@pytest.mark.parametrize(
    ("ladder", "name", "layers", "with_embeddings"),
    [
        # Totals as arXiv 1911.02116 and 2105.00572 round them; the layers' share follows from the shapes given there.
        (XLM_R, "xlm-r-base", 85.1e6, 270e6),
        (XLM_R, "xlm-r-large", 302.3e6, 550e6),
        (XLM_R, "xlm-r-xl", 2.83e9, 3.5e9),
        (XLM_R, "xlm-r-xxl", 9.67e9, 10.7e9),
        (MBERT, "mbert-base", 85.1e6, 178e6),
        # mmBERT's README rounds these to 42 and 110 million; EuroBERT's names are its totals.
        (MMBERT, "mmbert-small", 42.2e6, 140e6),
        (MMBERT, "mmbert-base", 110.3e6, 307e6),
        (EUROBERT, "eurobert-210m", 113.3e6, 210e6),
        (EUROBERT, "eurobert-610m", 460e6, 610e6),
        (EUROBERT, "eurobert-2.1b", 1.81e9, 2.1e9),
    ],
)
def test_parameters_agree_with_published_sizes(
    ladder: Ladder, name: str, layers: float, with_embeddings: float
) -> None:
    (rung,) = [rung for rung, _ in ladder.rungs if rung.name == name]
    counted = parameters(rung.architecture, 128)
    assert counted.non_embedding == pytest.approx(layers, rel=2e-3)
    assert counted.total == pytest.approx(with_embeddings, rel=4e-2)


def test_names_of_atlas_rungs_say_their_size() -> None:
    for rung, _ in ATLAS.rungs:
        said = int(rung.name.removeprefix("atlas-").removesuffix("k"))
        assert round(parameters(rung.architecture, 64).non_embedding / 1000) == said


@st.composite
def architectures(draw: st.DrawFn) -> Architecture:
    model_type = draw(st.sampled_from(ModelType))
    heads = draw(st.integers(1, 4))
    # Rotary positions turn pairs of coordinates, so that a head is of even width.
    hidden = heads * 2 * draw(st.integers(1, 6))
    more = {}
    if model_type in (ModelType.MT5, ModelType.UMT5):
        more = {"head_size": draw(st.integers(1, 9))}
    elif model_type is ModelType.EUROBERT:
        more = {"head_size": 2 * draw(st.integers(1, 5)), "key_value_heads": draw(st.sampled_from((1, heads)))}
    elif model_type is ModelType.BERT:
        more = {"type_vocabulary_size": draw(st.integers(1, 3))}
    return Architecture(
        model_type=model_type,
        num_layers=draw(st.integers(1, 3)),
        hidden_size=hidden,
        num_heads=heads,
        intermediate_size=draw(st.integers(1, 60)),
        vocabulary_size=draw(st.integers(10, 200)),
        embedding_size=draw(st.integers(2, 40)) if model_type is ModelType.ELECTRA else hidden,
        max_positions=draw(st.integers(8, 64)),
        **more,
    )


@given(architectures(), st.integers(1, 33))
def test_parameters_are_those_of_any_model(architecture: Architecture, token_size: int) -> None:
    with torch.device("meta"):
        encoder = build(Rung(name="any", architecture=architecture), token_size, dropout=0.0, seed=0)
    counted = parameters(architecture, token_size)
    assert (counted.non_embedding, counted.total) == parameter_counts(encoder)


@pytest.mark.parametrize(
    "architecture",
    [
        ATLAS_TRANSLATOR.architecture,
        replace(ATLAS_TRANSLATOR.architecture, encoder_layers=3, decoder_layers=2, hidden_size=24, num_heads=3),
    ],
)
def test_parameters_of_a_translator_are_those_of_the_model_itself(architecture: Seq2Seq) -> None:
    with torch.device("meta"):
        named = dict(build_translator(architecture, dropout=0.0, seed=0).named_parameters())
    counted = translator_parameters(architecture)
    assert counted.total == sum(weight.numel() for weight in named.values())
    assert counted.non_embedding == sum(weight.numel() for name, weight in named.items() if ".layers." in name)


def test_flops_of_a_translator_are_close_to_what_torch_counts() -> None:
    tokens, run = 12, replace(ATLAS_TRANSLATOR, global_batch=8)
    ids = torch.full((run.global_batch, tokens), 7)
    model = build_translator(run.architecture, dropout=0.0, seed=0)
    with FlopCounterMode(display=False) as counter:
        everywhere = torch.ones_like(ids, dtype=torch.bool)
        model(ids, everywhere, ids, everywhere).sum().backward()
    counted = counter.get_total_flops() * run.schedule.steps
    assert training_flops(run, tokens_per_example=tokens) == pytest.approx(counted, rel=0.15)


def test_look_up_is_counted_as_its_teacher_and_costs_nothing() -> None:
    look_up = LookUp(teacher=ATLAS_TEACHER, bitext=ATLAS_BITEXT)
    assert parameters_of(look_up) == parameters_of(ATLAS_TEACHER)
    assert training_flops(look_up, tokens_per_example=20) == 0
    assert state_bytes_per_rank(look_up, Execution()) == 0


def test_frozen_lexicon_has_neither_gradients_nor_moments() -> None:
    frozen = replace(OPTICAL_ATLAS, frozen_embeddings=True)
    architecture = frozen.rung.architecture
    assert trained_weights(OPTICAL_ATLAS) == parameters_of(OPTICAL_ATLAS).total
    held = architecture.vocabulary_size * architecture.embedding_size
    assert trained_weights(frozen) == parameters_of(frozen).total - held
    one = Execution(workers=1)
    assert state_bytes_per_rank(OPTICAL_ATLAS, one) - state_bytes_per_rank(frozen, one) == 12 * held


@pytest.mark.parametrize("precision", list(Precision))
@pytest.mark.parametrize("workers", [1, 2, 8])
def test_memory_falls_with_every_stage_and_never_below_an_even_share(workers: int, precision: Precision) -> None:
    run = replace(OPTICAL_ATLAS, precision=precision)
    stages = [state_bytes_per_rank(run, Execution(workers=workers, zero_stage=stage)) for stage in range(4)]
    # 16 bytes a weight in both precisions: weights, gradients, master weights and two moments (arXiv 1910.02054, 3.1).
    assert stages[0] == 16 * parameters_of(run).total
    assert stages[3] == pytest.approx(stages[0] / workers)
    for before, after in pairwise(stages):
        assert after < before if workers > 1 else after == before


@pytest.mark.parametrize("factor", [2, 10])
def test_flops_grow_in_proportion_to_steps_and_batch(factor: int) -> None:
    once = training_flops(OPTICAL_ATLAS, tokens_per_example=20)
    longer = replace(
        OPTICAL_ATLAS, schedule=replace(OPTICAL_ATLAS.schedule, steps=OPTICAL_ATLAS.schedule.steps * factor)
    )
    wider = replace(OPTICAL_ATLAS, global_batch=OPTICAL_ATLAS.global_batch * factor)
    assert training_flops(longer, tokens_per_example=20) == pytest.approx(factor * once)
    assert training_flops(wider, tokens_per_example=20) == pytest.approx(factor * once)
    assert training_flops(OPTICAL_ATLAS, tokens_per_example=20.0 * factor) > factor * once


def test_flops_are_close_to_what_torch_counts() -> None:
    """Six FLOPs a weight and token is a rule; a forward and backward pass counted by torch is what it stands for."""
    rung, _ = ATLAS.rungs[-1]
    tokens = 32
    run = replace(OPTICAL_ATLAS, rung=rung, global_batch=64)
    encoder = build(rung, run.teacher.token_size, dropout=0.0, seed=0)
    with FlopCounterMode(display=False) as counter:
        encoder(torch.full((run.global_batch, tokens), 7), torch.ones(run.global_batch, tokens)).sum().backward()
    counted = counter.get_total_flops() * run.schedule.steps
    assert training_flops(run, tokens_per_example=tokens) == pytest.approx(counted, rel=0.15)


def test_teacher_cache_holds_a_float_for_every_coordinate() -> None:
    assert teacher_cache_bytes(OPTICAL_ATLAS, lines=10, tokens_per_line=5) == 10 * 5 * ATLAS_TEACHER.token_size * 4
