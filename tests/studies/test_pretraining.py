"""Pretraining as a run: what makes no sense is refused, and a study trains it before the students that need it."""

from dataclasses import replace
from typing import Any

import pytest
from ir_measures import nDCG

from studies.bases import ATLAS_LANGUAGES, ATLAS_TEACHER, ATLAS_TEXT, OPTICAL_ATLAS, atlas_pretraining, pretrained_atlas
from studies.ladders import ATLAS, XLM_R
from studies.schema.axes import rotations
from studies.schema.cost import parameters, parameters_of, training_flops
from studies.schema.execution import Execution
from studies.schema.fit import memory_of
from studies.schema.key import run_key
from studies.schema.lineage import collection_of, needs
from studies.schema.memory import memory_per_rank
from studies.schema.record import Role
from studies.schema.run import Pretraining, Student
from studies.schema.rung import Precision
from studies.schema.study import Law, ResourceEffect, Study, expand

RUN = atlas_pretraining(*ATLAS.rungs[0])
STUDENT = replace(OPTICAL_ATLAS, pretraining=RUN)
STUDY = Study(
    name="pretrained",
    version="1",
    question="Is pretraining trained once for all students of a rung?",
    base=OPTICAL_ATLAS,
    axes=(pretrained_atlas("atlas-3k", "atlas-13k"), rotations(2, ATLAS_LANGUAGES, low=0.1)),
    measures=(nDCG @ 10,),
    estimand=ResourceEffect(measure=nDCG @ 10),
    law=Law.LOG_LINEAR,
    hold_out="atlas-13k",
)


@pytest.mark.parametrize(
    ("value", "change", "message"),
    [
        (RUN, {"mask_rate": 0.0}, r"Pretraining\.mask_rate is 0\.0"),
        (RUN, {"mask_rate": 1.0}, r"Pretraining\.mask_rate is 1\.0"),
        (RUN, {"dropout": 1.0}, r"Pretraining\.dropout is 1\.0"),
        (RUN, {"rung": XLM_R.rungs[0][0]}, "starts from random ones"),
        (ATLAS_TEXT, {"texts": 0}, r"PretrainingText\.texts is 0"),
        (ATLAS_TEXT, {"shares": ATLAS_TEXT.shares[1:]}, "beside English; give each language exactly one share"),
        (ATLAS_TEXT, {"shares": tuple((code, 0.5) for code, _ in ATLAS_TEXT.shares)}, r"shares sum to 6\.5"),
        (ATLAS_TEXT, {"shares": tuple((code, -0.1) for code, _ in ATLAS_TEXT.shares)}, r"the share of en is -0\.1"),
        (STUDENT, {"rung": ATLAS.rungs[1][0]}, "rung is atlas-7k, that of its pretraining atlas-3k"),
        (STUDENT, {"precision": Precision.BF16}, "precision is bf16, that of its pretraining fp32"),
        (
            STUDENT,
            {
                "pretraining": replace(
                    RUN, text=replace(ATLAS_TEXT, collection=replace(RUN.text.collection, revision="x"))
                )
            },
            "pretraining reads atlas x",
        ),
    ],
)
def test_pretraining_that_makes_no_sense_is_refused(value: Any, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(value, **change)


def test_a_rung_is_pretrained_once_and_before_its_students() -> None:
    points = expand(STUDY)
    pretraining = [point for point in points if point.role is Role.PRETRAINING]
    assert [point.labels.rung for point in pretraining] == ["atlas-3k", "atlas-13k"]
    keys = [point.key for point in points]
    for place, point in enumerate(points):
        assert {run_key(run) for run in needs(point.run)} <= set(keys[:place])
    students = [point for point in points if isinstance(point.run, Student)]
    assert {type(run) for point in students for run in needs(point.run)} == {type(ATLAS_TEACHER), Pretraining}


def test_student_before_distillation_has_been_pretrained() -> None:
    (untrained, *_) = [point.run for point in expand(STUDY) if point.role is Role.UNTRAINED]
    assert isinstance(untrained, Student)
    assert untrained.schedule.steps == 0
    rung, rate = ATLAS.rungs[0]
    assert untrained.pretraining == atlas_pretraining(rung, rate / 6)


def test_pretraining_is_counted_as_its_encoder_and_what_fills_in_tokens() -> None:
    architecture = RUN.rung.architecture
    encoder = parameters(architecture, 0)
    h, e, v = architecture.hidden_size, architecture.embedding_size, architecture.vocabulary_size
    assert parameters_of(RUN).non_embedding == encoder.non_embedding
    assert parameters_of(RUN).total == encoder.total + (h + 1) * e + 2 * e + v
    assert collection_of(RUN) == ATLAS_TEACHER.collection


def test_cost_of_pretraining_grows_with_what_it_guesses() -> None:
    more = replace(RUN, mask_rate=0.3)
    assert training_flops(more, tokens_per_example=20) > training_flops(RUN, tokens_per_example=20)
    assert memory_of(more, Execution()).peak > memory_of(RUN, Execution()).peak
    guessed = 4 * 32 * 20 * 0.15 * 3 * RUN.rung.architecture.vocabulary_size
    one = Execution(workers=1, micro_batch=32)
    assert memory_per_rank(RUN, one, tokens=20).activations > guessed
