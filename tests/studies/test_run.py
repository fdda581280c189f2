"""The values that identify a run: what makes no sense is refused when it is written, naming the field."""

from dataclasses import FrozenInstanceError, fields, is_dataclass, replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.bases import ATLAS_BITEXT, ATLAS_TEACHER, ATLAS_TWELVE, OPTICAL_ATLAS
from studies.ladders import ATLAS, XLM_R
from studies.schema.atlas import Atlas
from studies.schema.objective import Contrastive
from studies.schema.optimiser import Schedule
from studies.schema.run import LookUp, Student, teacher_of
from studies.schema.rung import ModelType

ARCHITECTURE = ATLAS_TEACHER.rung.architecture
BITEXT = ATLAS_BITEXT
ELSEWHERE = Atlas(languages=ATLAS_TWELVE.languages, vocabulary_size=8000, revision="another")


@pytest.mark.parametrize(
    ("value", "change", "message"),
    [
        (ARCHITECTURE, {"num_layers": 0}, r"Architecture\.num_layers is 0; it must be at least 1"),
        (ARCHITECTURE, {"max_positions": 0}, r"Architecture\.max_positions is 0"),
        (ARCHITECTURE, {"num_heads": 3}, r"hidden_size 64 is not a multiple of num_heads 3"),
        (ARCHITECTURE, {"model_type": ModelType.XLM_ROBERTA, "embedding_size": 32}, r"no factorised embedding"),
        (ATLAS_TWELVE, {"languages": ("de", "en")}, "English is the passages' language"),
        (ATLAS_TWELVE, {"languages": ("de", "sw", "de")}, "names a language twice: de, sw, de"),
        (BITEXT, {"lines": 0}, r"Bitext\.lines is 0"),
        (BITEXT, {"exposure": BITEXT.exposure[1:]}, "each language exactly one exposure"),
        (BITEXT, {"exposure": (*BITEXT.exposure, BITEXT.exposure[0])}, "each language exactly one exposure"),
        (BITEXT, {"exposure": (("de", 1.5), *BITEXT.exposure[1:])}, "exposure of de is 1.5"),
        (BITEXT, {"exposure": (("de", float("nan")), *BITEXT.exposure[1:])}, "exposure of de is nan"),
        (BITEXT, {"lexical_coverage": 0.0}, "lexical_coverage is 0.0"),
        (ATLAS_TEACHER.objective, {"group_size": 1}, r"Contrastive\.group_size is 1; it must be at least 2"),
        (ATLAS_TEACHER.objective, {"temperature": 0.0}, r"Contrastive\.temperature is 0\.0; it must be above 0"),
        (OPTICAL_ATLAS.objective, {"epsilon": -0.1}, r"Transport\.epsilon is -0\.1"),
        (OPTICAL_ATLAS.objective, {"epsilon": float("nan")}, r"Transport\.epsilon is nan"),
        (OPTICAL_ATLAS.objective, {"tolerance": 1.0}, r"Transport\.tolerance is 1\.0"),
        (OPTICAL_ATLAS.objective, {"max_iterations": 0}, r"Transport\.max_iterations is 0"),
        (OPTICAL_ATLAS.optimiser, {"learning_rate": 0.0}, r"Optimiser\.learning_rate is 0\.0"),
        (OPTICAL_ATLAS.optimiser, {"learning_rate": float("nan")}, r"Optimiser\.learning_rate is nan"),
        (OPTICAL_ATLAS.schedule, {"steps": 1000, "warmup_steps": 1001}, "1001 warm-up steps of 1000"),
        (OPTICAL_ATLAS.schedule, {"steps": -1, "warmup_steps": 0}, "0 warm-up steps of -1"),
        (ATLAS_TEACHER, {"global_batch": 100}, "global batch 100 does not divide into candidate groups of 32"),
        (ATLAS_TEACHER, {"seed": -1}, r"Teacher\.seed is -1"),
        (OPTICAL_ATLAS, {"global_batch": 0}, r"Student\.global_batch is 0"),
        (OPTICAL_ATLAS, {"dropout": 1.0}, r"Student\.dropout is 1\.0"),
        (OPTICAL_ATLAS, {"bitext": replace(BITEXT, collection=ELSEWHERE)}, "declare both with the same collection"),
    ],
)
def test_value_that_makes_no_sense_is_refused_naming_the_field(
    value: Any, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        replace(value, **change)


def test_rung_that_knows_too_few_tokens_for_the_collection_is_refused() -> None:
    small = replace(ATLAS_TEACHER.rung, architecture=replace(ARCHITECTURE, vocabulary_size=7999))
    with pytest.raises(ValueError, match="rung teacher of the student knows 7999 tokens, the collection uses 8000"):
        replace(OPTICAL_ATLAS, rung=small)


def test_look_up_reads_the_collection_of_its_teacher() -> None:
    with pytest.raises(ValueError, match="declare both with the same collection"):
        LookUp(teacher=ATLAS_TEACHER, bitext=replace(BITEXT, collection=ELSEWHERE))


def test_every_value_inside_a_run_is_frozen() -> None:
    def walk(value: Any) -> None:
        for field in fields(value):
            with pytest.raises(FrozenInstanceError):
                setattr(value, field.name, None)
            inner = getattr(value, field.name)
            if is_dataclass(inner):
                walk(inner)
            assert not isinstance(inner, list | dict | set), field.name

    walk(OPTICAL_ATLAS)


def test_teacher_of_every_run_is_a_teacher() -> None:
    for run in (ATLAS_TEACHER, OPTICAL_ATLAS, LookUp(teacher=ATLAS_TEACHER, bitext=None)):
        assert teacher_of(run) is ATLAS_TEACHER


def test_largest_group_is_the_whole_batch() -> None:
    whole = Contrastive(group_size=ATLAS_TEACHER.global_batch, temperature=0.05)
    assert replace(ATLAS_TEACHER, objective=whole).objective.group_size == ATLAS_TEACHER.global_batch


schedules = st.integers(1, 3000).flatmap(
    lambda steps: st.builds(Schedule, steps=st.just(steps), warmup_steps=st.integers(0, steps))
)


@given(schedules)
def test_learning_rate_rises_in_a_line_to_its_peak_and_falls_in_a_line_to_zero(schedule: Schedule) -> None:
    factors = [schedule.factor(step) for step in range(schedule.steps + 1)]
    warm, cold = factors[: schedule.warmup_steps], factors[schedule.warmup_steps :]
    assert max(factors[:-1]) == 1.0
    assert min(factors[:-1]) > 0
    assert factors[-1] == 0.0
    rises = [after - before for before, after in pairwise(warm)]
    falls = [after - before for before, after in pairwise(cold)]
    assert rises == pytest.approx([1 / max(1, schedule.warmup_steps)] * len(rises), abs=1e-9)
    assert falls == pytest.approx([-1 / max(1, schedule.steps - schedule.warmup_steps)] * len(falls), abs=1e-9)


@given(schedules, st.integers(0, 10))
def test_learning_rate_stays_zero_beyond_the_last_step(schedule: Schedule, beyond: int) -> None:
    assert schedule.factor(schedule.steps + beyond) == 0.0


def test_ladders_grow_from_rung_to_rung_and_keep_one_lexicon_where_it_is_factorised() -> None:
    for ladder in (ATLAS, XLM_R):
        widths = [rung.architecture.hidden_size for rung, _ in ladder.rungs]
        assert widths == sorted(set(widths))
        assert len({rung.name for rung, _ in ladder.rungs}) == len(ladder.rungs)
    lexicons = {(rung.architecture.vocabulary_size, rung.architecture.embedding_size) for rung, _ in ATLAS.rungs}
    assert len(lexicons) == 1


def test_student_keeps_everything_it_was_not_asked_to_change() -> None:
    changed = replace(OPTICAL_ATLAS, seed=3)
    assert isinstance(changed, Student)
    assert replace(changed, seed=OPTICAL_ATLAS.seed) == OPTICAL_ATLAS
