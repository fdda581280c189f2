"""What holds for every file in ``studies``: it asks a question without any library of tensors, and can be run."""

import subprocess
import sys
from pathlib import Path

import pytest

from studies.catalogue import every_search, every_study, find, find_search, names, search_names
from studies.schema.batches import check_batches
from studies.schema.cost import parameters_of, state_bytes_per_rank
from studies.schema.estimand import AlignmentImprovement, ResourceEffect, check_compute, compute_of
from studies.schema.lineage import needs
from studies.schema.record import Role
from studies.schema.run import Student, System
from studies.schema.study import Study, expand, recipe

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "numpy", "ray", "deepspeed", "transformers", "mlflow", "scipy", "pandas")
STUDIES = every_study()

each = pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)


def test_every_study_is_found_under_the_name_of_its_file() -> None:
    files = {path.stem for path in (ROOT / "studies").glob("*.py")}
    assert {study.name for study in STUDIES} | {search.name for search in every_search()} <= files
    assert [find(name) for name in names()] == list(STUDIES)
    assert [find_search(name) for name in search_names()] == list(every_search())


@pytest.mark.parametrize("name", names())
def test_study_expands_and_is_named_without_any_heavy_library(name: str) -> None:
    program = (
        f"import sys; from studies.{name} import STUDY; from studies.schema.study import expand, recipe\n"
        "from studies.schema.cost import parameters_of\n"
        "recipe(STUDY); [parameters_of(point.run) for point in expand(STUDY)]\n"
        f"print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == []


@pytest.mark.parametrize("name", search_names())
def test_search_is_read_without_any_heavy_library(name: str) -> None:
    program = (
        f"import sys; from studies.{name} import SEARCH; from studies.schema.search import recipe\n"
        "import studies.schema.trials\n"
        f"recipe(SEARCH); print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == []


@each
def test_study_has_unique_keys_and_unique_places(study: Study) -> None:
    points = expand(study)
    assert len({point.key for point in points}) == len(points)
    assert len({(point.role, point.labels) for point in points}) == len(points)


@each
def test_study_names_every_run_before_those_that_need_it(study: Study) -> None:
    seen: list[object] = []
    for point in expand(study):
        assert all(needed in seen for needed in needs(point.run))
        seen.append(point.run)


@each
def test_study_divides_its_batches_and_fits_somewhere(study: Study) -> None:
    for point in expand(study):
        execution = study.execution_of(point)
        check_batches(point.run, execution)
        if isinstance(point.run, System):
            assert state_bytes_per_rank(point.run, execution) == 0
        else:
            assert min(execution.calls(point.run.global_batch)) >= 1
            assert state_bytes_per_rank(point.run, execution) > 0


@each
def test_study_over_size_holds_out_the_largest_of_its_rungs(study: Study) -> None:
    if not isinstance(study.estimand, ResourceEffect | AlignmentImprovement):
        assert study.hold_out is None
        return
    sizes = {
        point.labels.rung: parameters_of(point.run).non_embedding
        for point in expand(study)
        if point.role is Role.STUDENT
    }
    assert study.hold_out == max(sizes, key=lambda rung: sizes[rung])
    assert len(set(sizes.values())) == len(sizes)


@each
def test_study_gives_every_rung_the_same_recipe_but_for_size_and_rate(study: Study) -> None:
    """A curve over size says nothing about size if its points differ in budget, batch or precision as well.

    Systems that are compared have the same FLOPs instead of the same steps.
    """
    compute = compute_of(study.estimand)
    students = [point.run for point in expand(study) if point.role is Role.STUDENT]
    shared = {
        (run.schedule if compute is None else None, run.global_batch, run.precision, run.teacher, run.dropout)
        for run in students
        if isinstance(run, Student)
    }
    assert len(shared) == 1
    if compute is not None:
        check_compute(compute, {str(place): run for place, run in enumerate(students) if isinstance(run, Student)})


@each
def test_study_records_all_that_its_conclusion_rests_on(study: Study) -> None:
    recorded = recipe(study)
    assert {
        "base",
        "axes",
        "measures",
        "estimand",
        "law",
        "hold_out",
        "rivals",
        "depth",
        "split",
        "version",
    } <= recorded.keys()
