"""An exported model is the model: sentence-transformers loads it as it is and scores what it is given alike."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from sentence_transformers import MultiVectorEncoder

from harness.assemble import sequences
from harness.data.atlas import AtlasData
from harness.encoders import TokenEncoder, build
from harness.export import export
from harness.finished import trained
from harness.late_interaction import search
from harness.vectors import encode
from studies.schema.evaluation import Split
from studies.schema.lineage import embedded
from studies.schema.record import Role, State
from studies.schema.state import write_state
from studies.schema.storage import Storage
from studies.schema.study import Point, expand
from tests.harness.small_study import leave_evaluation, small_study

STUDY = small_study("exported")
STUDY = replace(STUDY, base=replace(STUDY.base, teacher=replace(embedded(STUDY.base)[0], token_size=24, seed=9)))
CPU = torch.device("cpu")

# MaxSim sums a maximum for each of about ten query tokens.
SCORE_TOLERANCE = 1e-5


def point_of(role: Role) -> Point:
    return next(point for point in expand(STUDY) if point.role is role)


def leave_encoder(storage: Storage, point: Point) -> TokenEncoder:
    """What training leaves, random weights standing for trained ones."""
    encoder = build(point.run.rung, 24, dropout=0.0, seed=point.run.seed)  # type: ignore[union-attr]
    with storage.publish(storage.final(point.key)) as folder:
        encoder.save(folder)
    write_state(storage, point.key, State.FINISHED, flags=("still_improving",))
    leave_evaluation(storage, STUDY, point)
    return encoder


@pytest.fixture(scope="module")
def exported(atlas_storage: Storage, tmp_path_factory: pytest.TempPathFactory) -> dict[Role, Path]:
    """A student and its teacher, as directories."""
    folder = tmp_path_factory.mktemp("exported")
    found = {}
    for role in (Role.STUDENT, Role.TEACHER):
        leave_encoder(atlas_storage, point_of(role))
        found[role] = export(atlas_storage, STUDY, point_of(role), folder / role)
    return found


def test_exported_student_and_teacher_score_as_ours(
    exported: dict[Role, Path], atlas_storage: Storage, atlas: AtlasData
) -> None:
    """Queries of five languages and passages of all lengths in one batch, so that masking is tried as well."""
    queries = [
        atlas.text(query, language)
        for query, language in zip(atlas.queries[Split.TEST][::40], 8 * ("de", "th", "ar", "te", "sw"), strict=False)
    ]
    passages = [passage.text for passage in sorted(atlas.passages, key=lambda passage: len(passage.text))[::60]]
    student, teacher = (MultiVectorEncoder(str(exported[role]), device="cpu") for role in (Role.STUDENT, Role.TEACHER))
    theirs = student.similarity(student.encode_query(queries), teacher.encode_document(passages))
    ours_student, ours_teacher = (trained(atlas_storage, point_of(role).key) for role in (Role.STUDENT, Role.TEACHER))
    found, places = search(
        encode(ours_student, sequences(atlas, queries), CPU),
        encode(ours_teacher, sequences(atlas, passages), CPU),
        k=len(passages),
    )
    ours = torch.empty_like(found).scatter_(1, places, found)
    assert len(queries) > 8
    torch.testing.assert_close(theirs, ours, rtol=0, atol=SCORE_TOLERANCE)
    assert student.similarity_fn_name == "maxsim"


def test_exported_tokens_are_ours_and_every_vector_has_unit_length(
    exported: dict[Role, Path], atlas: AtlasData
) -> None:
    text = atlas.text(atlas.queries[Split.TEST][3], "bn")
    model = MultiVectorEncoder(str(exported[Role.STUDENT]), device="cpu")
    assert model.preprocess([text])["input_ids"][0].tolist() == sequences(atlas, [text]).ids.tolist()
    vectors = model.encode_query(["x", text])
    assert [len(found) for found in vectors] == sequences(atlas, ["x", text]).lengths.tolist()
    torch.testing.assert_close(vectors[1].norm(dim=1), torch.ones(len(vectors[1])))


def test_export_holds_weights_as_safetensors_alone_and_a_card(exported: dict[Role, Path]) -> None:
    files = {path.name for path in exported[Role.STUDENT].rglob("*") if path.is_file()}
    assert not {name for name in files if name.endswith((".bin", ".pt", ".pth", ".pkl", ".py"))}
    card = (exported[Role.STUDENT] / "README.md").read_text()
    student = point_of(Role.STUDENT)
    header = card.split("---")[1]
    for said in ("library_name: sentence-transformers", "license:", "- de", "- sw"):
        assert said in header
    for said in (student.key, STUDY.name, "| de | 0.2500 |", "nDCG@10", "still_improving", "Unicode-3.0", "Swahili"):
        assert said in card
    assert "- en\n" in (exported[Role.TEACHER] / "README.md").read_text()


def test_what_cannot_be_exported_is_refused_with_what_to_do(
    exported: dict[Role, Path], atlas_storage: Storage, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="exists and is left alone"):
        export(atlas_storage, STUDY, point_of(Role.STUDENT), exported[Role.STUDENT])
    with pytest.raises(ValueError, match="no encoder that was trained here"):
        export(atlas_storage, STUDY, point_of(Role.DICTIONARY), tmp_path / "model")
    untrained = point_of(Role.UNTRAINED)
    with pytest.raises(ValueError, match=f"is planned.*harness run exported --only {untrained.key}"):
        export(atlas_storage, STUDY, untrained, tmp_path / "model")
    write_state(atlas_storage, untrained.key, State.FINISHED)
    with pytest.raises(ValueError, match="has not been evaluated"):
        export(atlas_storage, STUDY, untrained, tmp_path / "model")
    assert not (tmp_path / "model").exists()
