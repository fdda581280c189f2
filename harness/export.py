"""A trained encoder as a directory that sentence-transformers' ``MultiVectorEncoder`` loads as it is.

Its modules, in the order it applies them: the encoder, the projection, the mask that keeps every token that is not
padding, and the scaling to unit length; MaxSim is the score. So it reads and scores as :mod:`harness.encoders` and
:mod:`harness.late_interaction` do.
"""

import tempfile
from pathlib import Path

from sentence_transformers import MultiVectorEncoder
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
from torch import nn
from transformers import PreTrainedTokenizerBase

from harness.assemble import reading_tokenizer
from harness.encoders import TokenEncoder
from harness.finished import trained
from harness.model_card import model_card
from harness.show import scores
from studies.schema.run import Student, Supervised, Teacher
from studies.schema.state import read_state
from studies.schema.storage import Storage, publish
from studies.schema.study import Point, Study


def export(storage: Storage, study: Study, point: Point, directory: Path) -> Path:
    """Write the model that a run left, with its tokenizer and a card, to a new directory, whole or not at all.

    Raises ValueError where the directory exists, where the run trains nothing, or where it has not been trained and
    evaluated.
    """
    run = point.run
    if not isinstance(run, Teacher | Supervised | Student):
        raise ValueError(
            f"run {point.key} is no encoder that was trained here; export a teacher, a student or a rival trained to "
            "retrieve"
        )
    if directory.exists():
        raise ValueError(f"{directory} exists and is left alone; name a directory that does not exist yet")
    state = read_state(storage, point.key)
    if not state.state.has_result:
        raise ValueError(
            f"run {point.key} is {state.state}, there is no model to export; "
            f"python -m harness run {study.name} --only {point.key} trains it"
        )
    measured = scores(study, point, storage)
    if measured is None:
        raise ValueError(
            f"run {point.key} has not been evaluated, and a model's card says what it is worth; "
            f"python -m harness run {study.name} --only {point.key} evaluates it"
        )
    with publish(directory, facts={"run": point.key, "study": study.name, "version": study.version}) as folder:
        write_model(trained(storage, point.key), reading_tokenizer(storage, run), folder)
        (folder / "README.md").write_text(model_card(study, point, measured, state.flags), encoding="utf-8")
    return directory


def write_model(encoder: TokenEncoder, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write an encoder and the tokenizer it was trained with; every weight goes into safetensors, in float32."""
    width, token_size = encoder.projection.in_features, encoder.projection.out_features
    with tempfile.TemporaryDirectory(prefix="export-") as staging:
        encoder.backbone.save_pretrained(staging)
        tokenizer.save_pretrained(staging)
        reader = Transformer(staging, config_kwargs={"local_files_only": True})
        projection = Dense(
            width,
            token_size,
            bias=False,
            activation_function=nn.Identity(),
            init_weight=encoder.projection.weight.detach().clone(),
            module_input_name="token_embeddings",
        )
        modules = [reader, projection, MultiVectorMask(), Normalize(module_input_name="token_embeddings")]
        MultiVectorEncoder(modules=modules, device="cpu", similarity_fn_name="maxsim").save_pretrained(
            str(folder), create_model_card=False
        )
