"""Points of a curve may differ in what the study varies, and in nothing else."""

from dataclasses import replace

import pytest

from analysis.bootstrap import Resampling
from analysis.declared import Declared
from analysis.findings import find
from analysis.fit import Status
from analysis.frame import RunRecord
from analysis.ledger import compare
from studies.languages import LANGUAGES


def _students(runs: tuple[RunRecord, ...]) -> list[RunRecord]:
    return [run for run in runs if run.role == "student"]


def test_compare_declared_study_lists_the_tied_learning_rate(asked: Declared, runs: tuple[RunRecord, ...]) -> None:
    ledger = compare(_students(runs), asked.varied)
    assert ledger.refusal is None
    varied = {difference.field for difference in ledger.declared}
    assert {"optimiser.learning_rate", "bitext.exposure", "rung.name"} <= varied
    assert {"global_batch", "schedule.steps", "precision", "teacher.seed", "evaluation.collection"} <= set(
        ledger.agreed
    )


@pytest.mark.parametrize("field", ["global_batch", "schedule.steps", "precision", "teacher.seed", "objective.epsilon"])
def test_compare_undeclared_difference_is_named_with_its_rung(
    asked: Declared, runs: tuple[RunRecord, ...], field: str
) -> None:
    students = _students(runs)
    students[-1] = replace(students[-1], parameters={**students[-1].parameters, field: "other"})
    refusal = compare(students, asked.varied).refusal
    assert refusal is not None
    assert refusal.startswith(f"{field}: ")
    assert f"other at {students[-1].labels.rung}" in refusal


def test_compare_other_collection_is_a_confounder(asked: Declared, runs: tuple[RunRecord, ...]) -> None:
    students = _students(runs)
    students[0] = replace(students[0], collection="another")
    assert [each.field for each in compare(students, asked.varied).confounders] == ["evaluation.collection"]


def test_find_confounded_points_fit_no_law(asked: Declared, runs: tuple[RunRecord, ...]) -> None:
    place = next(place for place, run in enumerate(runs) if run.role == "student")
    odd = replace(runs[place], parameters={**runs[place].parameters, "global_batch": "128"})
    changed = (*runs[:place], odd, *runs[place + 1 :])
    found = find(asked, changed, LANGUAGES, Resampling(resamples=20))
    assert {report.fit.status for report in found.strands[0].fits} == {Status.CONFOUNDED}
    assert "global_batch" in found.strands[0].fits[0].fit.message
