"""A published checkpoint as a teacher: the vectors sentence-transformers gives, and nothing that cannot be trusted."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import MultiVectorEncoder
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

from harness.assemble import sequences
from harness.data.atlas import AtlasData
from harness.encoders import TokenEncoder, build
from harness.export import write_model
from harness.published_files import content_revision
from harness.published_teacher import PublishedEncoder, opened
from harness.text_readers import vectors
from harness.vectors import encode
from studies.bases import ATLAS_TEACHER
from studies.schema.key import run_key
from studies.schema.published_teacher import PublishedTeacher, Side
from studies.schema.storage import Storage

CPU = torch.device("cpu")
TEXTS = ["Kenya", "the Kenyan shilling is used in Kenya", "Bengali"]


@pytest.fixture(scope="module")
def encoder() -> TokenEncoder:
    return build(ATLAS_TEACHER.rung, 12, dropout=0.0, seed=4).eval()


@pytest.fixture
def checkpoint(encoder: TokenEncoder, atlas: AtlasData, tmp_path: Path) -> Path:
    """A multi-vector checkpoint of twelve numbers a token."""
    folder = tmp_path / "checkpoint"
    write_model(encoder, atlas.tokenizer(), folder)
    return folder


def declared(folder: Path, token_size: int = 12) -> PublishedTeacher:
    return PublishedTeacher(checkpoint=str(folder), revision=content_revision(folder), token_size=token_size)


def test_vectors_are_those_of_the_encoder_that_was_published(
    checkpoint: Path, encoder: TokenEncoder, atlas: AtlasData
) -> None:
    teacher = PublishedEncoder(declared(checkpoint), CPU)
    ours = encode(encoder, sequences(atlas, TEXTS), CPU)
    for side in Side:
        found = teacher.encode(TEXTS, side)
        assert torch.equal(found.lengths, ours.lengths)
        torch.testing.assert_close(found.tokens_TH, ours.tokens_TH, rtol=0, atol=1e-6)


def test_prefixes_and_masks_of_a_checkpoint_are_its_own_on_each_side(checkpoint: Path) -> None:
    """What the checkpoint says of queries and documents holds; nothing here is assumed of them."""
    model = MultiVectorEncoder(str(checkpoint), device="cpu", prompts={"query": "Q ", "document": ""})
    mask = model[2]
    assert isinstance(mask, MultiVectorMask)
    mask.skiplist_words = ["</s>"]
    model.save_pretrained(str(checkpoint), create_model_card=False)
    teacher = PublishedEncoder(declared(checkpoint), CPU)
    query, document = (teacher.encode(["Kenya"], side) for side in Side)
    assert int(query.lengths) > int(document.lengths)


def test_vectors_are_computed_once(checkpoint: Path, storage: Path) -> None:
    place, teacher = Storage.at(storage), declared(checkpoint)
    first = vectors(place, teacher, TEXTS, Side.DOCUMENT, CPU)
    shutil.rmtree(checkpoint)
    again = vectors(place, teacher, TEXTS, Side.DOCUMENT, CPU)
    assert torch.equal(first.tokens_TH, again.tokens_TH)
    opened.cache_clear()
    with pytest.raises(ValueError, match="is no directory of this machine"):
        vectors(place, teacher, TEXTS, Side.QUERY, CPU)


def test_teacher_of_another_width_is_refused(checkpoint: Path) -> None:
    with pytest.raises(ValueError, match="gives vectors of width 12, declared is token_size 128"):
        PublishedEncoder(declared(checkpoint, token_size=128), CPU)


def test_teacher_that_changed_on_disk_is_refused(checkpoint: Path) -> None:
    teacher = declared(checkpoint)
    path = checkpoint / "1_Dense" / "model.safetensors"
    weights = load_file(path)
    save_file({name: weight + 1 for name, weight in weights.items()}, path)
    with pytest.raises(ValueError, match=r"has content:.*declared is content:"):
        PublishedEncoder(teacher, CPU)


def test_pickled_weights_are_refused_unread(checkpoint: Path) -> None:
    dense = checkpoint / "1_Dense"
    (dense / "model.safetensors").unlink()
    (dense / "pytorch_model.bin").write_bytes(b"not even a pickle")
    with pytest.raises(ValueError, match=r"pytorch_model\.bin is a pickle"):
        PublishedEncoder(declared(checkpoint), CPU)
    (checkpoint / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="has no weights as safetensors"):
        PublishedEncoder(declared(checkpoint), CPU)


def test_code_of_a_checkpoint_is_never_run(checkpoint: Path) -> None:
    path = checkpoint / "config.json"
    original = path.read_text()
    path.write_text(json.dumps(json.loads(original) | {"auto_map": {"AutoModel": "code.Model"}}))
    (checkpoint / "code.py").write_text("raise SystemExit('this must never run')")
    with pytest.raises(ValueError, match=r"code of its own \(code\.Model\)"):
        PublishedEncoder(declared(checkpoint), CPU)
    path.write_text(original)
    modules = checkpoint / "modules.json"
    modules.write_text(modules.read_text().replace("sentence_transformers.base.modules.dense.Dense", "os.system"))
    with pytest.raises(ValueError, match=r"code of its own \(os\.system\)"):
        PublishedEncoder(declared(checkpoint), CPU)


def test_directory_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"neither modules\.json nor config\.json"):
        PublishedEncoder(declared(tmp_path), CPU)


def test_revision_that_can_move_is_refused_and_every_field_is_in_the_key() -> None:
    hub = PublishedTeacher(checkpoint="colbert-ir/colbertv2.0", revision="c" * 40, token_size=128)
    for change in ({"revision": "main"}, {"checkpoint": "/models/colbert"}, {"token_size": 0}):
        with pytest.raises(ValueError, match=r"write|at least 1"):
            replace(hub, **change)
    others = [replace(hub, revision="d" * 40), replace(hub, token_size=64), replace(hub, checkpoint="a/b")]
    others.append(replace(hub, lines=Side.DOCUMENT))
    assert len({run_key(teacher) for teacher in (hub, *others)}) == 5
