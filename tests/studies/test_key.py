"""Keys: stable bytes, moved by every field of a run and by nothing else."""

import copy
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from ir_measures import AP, RR, Measure, nDCG

from studies.bases import ATLAS_BITEXT, ATLAS_TEACHER, ATLAS_TRANSLATOR, OPTICAL_ATLAS, atlas_pretraining
from studies.ladders import ATLAS
from studies.schema.evaluation import Evaluation, Split
from studies.schema.execution import Execution
from studies.schema.key import KEY_LENGTH, canonical, evaluation_key, run_key
from studies.schema.run import LookUp, Run, TranslateQuery
from studies.schema.study import expand
from tests.goldens.__main__ import KEYS, keys
from tests.harness.small_study import small_study

ROOT = Path(__file__).resolve().parents[2]
PRETRAINING = atlas_pretraining(*ATLAS.rungs[0])
RUNS: tuple[Run, ...] = (
    ATLAS_TEACHER,
    OPTICAL_ATLAS,
    PRETRAINING,
    replace(OPTICAL_ATLAS, pretraining=PRETRAINING),
    LookUp(teacher=ATLAS_TEACHER, bitext=ATLAS_BITEXT),
    LookUp(teacher=ATLAS_TEACHER, bitext=None),
    ATLAS_TRANSLATOR,
    TranslateQuery(teacher=ATLAS_TEACHER, translator=ATLAS_TRANSLATOR),
)

Path_ = tuple[str | int, ...]


def leaves(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """Paths of everything inside a run that is no dataclass or tuple itself."""
    if is_dataclass(value):
        for field in fields(value):
            yield from leaves(getattr(value, field.name), (*path, field.name))
    elif isinstance(value, tuple):
        for place, item in enumerate(value):
            yield from leaves(item, (*path, place))
    else:
        yield path


def altered(value: Any, path: Path_) -> Any:
    """A copy with one leaf changed; unchecked, as most single changes of a shape are no valid shape."""
    if not path:
        return _another(value)
    head, *rest = path
    if isinstance(head, int):
        return (*value[:head], altered(value[head], tuple(rest)), *value[head + 1 :])
    changed = copy.copy(value)
    object.__setattr__(changed, head, altered(getattr(value, head), tuple(rest)))
    return changed


def _another(leaf: Any) -> Any:
    match leaf:
        case None:
            return "weights"
        case Enum():
            return next(member for member in type(leaf) if member is not leaf)
        case bool():
            return not leaf
        case int() | float():
            return leaf + type(leaf)(1)
        case str():
            return f"{leaf}."
        case _:
            raise AssertionError(f"no other value is known for {leaf!r}")


@pytest.mark.parametrize("run", RUNS, ids=lambda run: type(run).__name__)
def test_key_changes_with_every_single_field(run: Run) -> None:
    paths = list(leaves(run))
    found = {run_key(altered(run, path)): path for path in paths}
    assert len(found) == len(paths)
    assert run_key(run) not in found


@pytest.mark.parametrize("run", RUNS, ids=lambda run: type(run).__name__)
def test_key_belongs_to_the_value_and_not_to_the_object(run: Run) -> None:
    assert run_key(copy.deepcopy(run)) == run_key(run)
    assert len(run_key(run)) == KEY_LENGTH
    assert set(run_key(run)) <= set("0123456789abcdef")


def test_key_of_a_student_contains_every_field_of_its_teacher() -> None:
    for path in leaves(ATLAS_TEACHER):
        student = copy.copy(OPTICAL_ATLAS)
        object.__setattr__(student, "teacher", altered(ATLAS_TEACHER, path))
        assert run_key(student) != run_key(OPTICAL_ATLAS), path


def test_key_tells_a_copied_query_from_a_dictionary_without_lines() -> None:
    nothing = replace(ATLAS_BITEXT, exposure=tuple((code, 0.0) for code, _ in ATLAS_BITEXT.exposure))
    copied = LookUp(teacher=ATLAS_TEACHER, bitext=None)
    assert run_key(copied) != run_key(LookUp(teacher=ATLAS_TEACHER, bitext=nothing))


def test_keys_of_a_study_do_not_depend_on_its_execution() -> None:
    study = small_study()
    elsewhere = replace(
        study,
        execution=Execution(workers=1, micro_batch=32, zero_stage=3, threads=2, teacher_cache_bytes=0),
        executions=((str(study.hold_out), Execution(workers=1, micro_batch=128, zero_stage=0)),),
    )
    assert [point.key for point in expand(elsewhere)] == [point.key for point in expand(study)]


@pytest.mark.parametrize("seed", ["0", "1", "4242"])
def test_keys_are_the_same_in_a_process_that_hashes_strings_otherwise(seed: str) -> None:
    program = "import json; from tests.goldens.__main__ import keys; print(json.dumps(keys()))"
    printed = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert json.loads(printed.stdout) == keys()


def test_keys_are_those_on_record() -> None:
    on_record = json.loads(KEYS.read_text(encoding="utf-8"))
    assert keys() == on_record, (
        "the key of a run changed, and runs stored under the old one would not be found again; if that is meant, "
        "raise the study's version, run `python -m tests.goldens` and let the diff be seen"
    )


@dataclass(kw_only=True)
class Thawed:
    value: int


@pytest.mark.parametrize(
    "value",
    [
        {1, 2},
        frozenset({1}),
        {"a": 1},
        [1, 2],
        b"bytes",
        float("nan"),
        float("inf"),
        -float("inf"),
        1 + 2j,
        len,
        lambda: 0,
        object(),
        Execution,
        Thawed(value=1),
        Path("weights"),
        (1, [2]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_value_without_stable_bytes_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match=r"no stable bytes|no canonical spelling"):
        canonical(value)
    with pytest.raises(TypeError):
        run_key(altered_seed(value))


def altered_seed(value: object) -> Run:
    run = copy.copy(OPTICAL_ATLAS)
    object.__setattr__(run, "seed", value)
    return run


def test_canonical_spelling_tells_apart_what_python_calls_equal() -> None:
    spelled = [json.dumps(canonical(value)) for value in (1, 1.0, True, "1", (1,), None, 0.0, -0.0, "None")]
    assert len(set(spelled)) == len(spelled)


def evaluation(**changes: Any) -> str:
    asked: dict[str, Any] = {
        "collection_revision": "one",
        "measures": (nDCG @ 10, AP),
        "version": 1,
    }
    asked |= changes
    run = asked.pop("run", OPTICAL_ATLAS)
    version, revision = asked.pop("version"), asked.pop("collection_revision")
    return evaluation_key(run, Evaluation(**asked), collection_revision=revision, version=version)


def test_evaluation_key_changes_with_everything_that_can_change_a_number() -> None:
    measures: tuple[tuple[Measure, ...], ...] = (
        (nDCG @ 10,),
        (nDCG @ 20, AP),
        (nDCG @ 10, AP, RR),
        (nDCG @ 10, AP(rel=2)),
    )
    asked = [
        evaluation(),
        evaluation(run=ATLAS_TEACHER),
        evaluation(collection_revision="two"),
        evaluation(split=Split.VALIDATION),
        evaluation(depth=1000),
        evaluation(version=2),
        evaluation(pairs=(("de", "sw"),)),
        evaluation(pairs=(("sw", "de"),)),
        *(evaluation(measures=others) for others in measures),
    ]
    assert len(set(asked)) == len(asked)
    assert evaluation() == asked[0]
    assert evaluation(run=ATLAS_TEACHER, pairs=(("de", "sw"),)) == evaluation(run=ATLAS_TEACHER)
