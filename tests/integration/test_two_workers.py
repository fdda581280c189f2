"""How a run is executed changes nothing but the last digits: workers, sharding, accumulation, precision."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from sentence_transformers import MultiVectorEncoder

from harness.assemble import collection, sequences
from harness.drills.tiny import tiny_study
from harness.evaluate import evaluate
from harness.export import export
from harness.finished import trained
from harness.vectors import encode
from studies.schema.cost import parameters_of
from studies.schema.lineage import embedded
from studies.schema.record import Metric, Role
from studies.schema.run import Student
from studies.schema.state import read_state
from studies.schema.study import Labels, Point
from tests.integration.curves import STEPS, Curves

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

SAME = 1e-5
"""Largest difference of two fp32 losses that count as the same."""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("teacher, one worker", "teacher, two workers"),
        ("translator, one worker", "translator, two workers"),
        ("one worker", "ZeRO 2"),
        ("ZeRO 2", "accumulated"),
        ("ZeRO 2", "ZeRO 0"),
        ("ZeRO 2", "ZeRO 1"),
        ("ZeRO 2", "ZeRO 3"),
        # Pretrained, its lexicon frozen; under ZeRO 3 read into shares and with gradients checkpointed.
        ("published, ZeRO 2", "published, ZeRO 3"),
    ],
)
def test_execution_in_fp32_gives_the_same_loss_curve(curves: Curves, one: str, other: str) -> None:
    for metric in (Metric.LOSS, Metric.LOSS_HELD_OUT):
        first, second = curves.metric(one, metric), curves.metric(other, metric)
        assert len(first) == (STEPS if metric == Metric.LOSS else 10)
        np.testing.assert_allclose(first, second, rtol=0, atol=SAME)
    assert curves.metric(one)[-1] < 0.95 * curves.metric(one)[0], "it learned nothing, so equal curves say nothing"
    np.testing.assert_array_equal(curves.metric(one, Metric.LEARNING_RATE), curves.metric(other, Metric.LEARNING_RATE))


CLOSE, FAR = 1e-4, 1e-2
"""Differences of a weight after the same steps. Where a gradient is nothing but rounding, Adam moves a weight by up to
the learning rate in a direction that rounding decides; seen: 1 weight in 8,000 beyond 1e-4, the farthest 3e-3."""

STRAYS = 1e-3
"""Share of a tensor's weights that may be beyond ``CLOSE``. A misplaced shard would move nearly all of them."""


@pytest.mark.parametrize("stage", [0, 1, 3])
def test_sharded_weights_are_put_together_as_they_would_be_whole(curves: Curves, stage: int) -> None:
    expected, found = curves.weights("ZeRO 2"), curves.weights(f"ZeRO {stage}")
    assert expected.keys() == found.keys()
    for name, values in expected.items():
        assert np.mean(np.abs(found[name] - values) > CLOSE) <= STRAYS, name
        np.testing.assert_allclose(found[name], values, rtol=0, atol=FAR, err_msg=name)


def test_how_often_is_recorded_and_saved_changes_no_weight(curves: Curves) -> None:
    for stage in (2, 3):
        often, seldom = curves.weights(f"ZeRO {stage}"), curves.weights(f"whole, ZeRO {stage}")
        for name, values in often.items():
            np.testing.assert_array_equal(values, seldom[name], err_msg=name)


def test_bf16_stays_near_fp32_and_leaves_weights_in_fp32(curves: Curves) -> None:
    rough, exact = curves.metric("bf16"), curves.metric("ZeRO 2")
    assert not np.array_equal(rough, exact)
    np.testing.assert_allclose(rough, exact, rtol=0.05)
    assert {values.dtype for values in curves.weights("bf16").values()} == {np.dtype(np.float32)}


def test_published_encoder_passes_through_training_export_and_evaluation(curves: Curves, tmp_path: Path) -> None:
    """XLM-R in shape, with a SentencePiece tokenizer, from disk; its frozen lexicon stays as it was to the bit."""
    variant, storage = curves.variants["published, ZeRO 3"], curves.storages["published, ZeRO 3"]
    run = variant.run
    assert isinstance(run, Student)
    pretrained = load_file(Path(str(run.rung.weights), "model.safetensors"))
    final = load_file(storage.final(variant.task.key) / "backbone" / "model.safetensors")
    for name, values in final.items():
        is_frozen = name == "embeddings.word_embeddings.weight"
        assert np.array_equal(values, pretrained[f"roberta.{name}"]) is is_frozen, name
    held = read_state(storage, variant.task.key).facts["held_weights"]
    assert held < 0.62 * parameters_of(run).total, "a worker held more than its half and the small weights"

    study = tiny_study(embedded(run)[0].collection.revision)
    point = Point(key=variant.task.key, run=run, role=Role.STUDENT, labels=Labels())
    evaluate(storage, run, study.evaluation)
    reader = MultiVectorEncoder(str(export(storage, study, point, tmp_path / "model")), device="cpu")
    texts = ["Deutschland", "Shilingi ya Kenya"]
    atlas = collection(storage, embedded(run)[0].collection)
    ours = encode(trained(storage, variant.task.key), sequences(atlas, texts, run.rung), torch.device("cpu"))
    theirs = reader.encode_query(texts)
    assert [len(found) for found in theirs] == ours.lengths.tolist()
    torch.testing.assert_close(torch.cat(list(theirs)), ours.tokens_TH, rtol=0, atol=1e-5)
