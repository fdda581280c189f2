"""result.json keeps its promises."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from analysis.findings import Findings
from analysis.result import check, document, dumps, loads


def test_result_written_and_read_is_the_same(findings: Findings) -> None:
    result = document(findings, source="sqlite")
    assert loads(dumps(result)) == json.loads(json.dumps(result))


def test_result_numbers_are_those_of_the_runs(findings: Findings) -> None:
    result = document(findings, source="sqlite")
    by_key = {run["key"]: run for run in result["runs"]}
    for run in findings.runs:
        row = by_key[run.key]
        assert row["parameters"] == {"non_embedding": run.non_embedding, "total": run.total}
        assert set(row["measures"]) == {"nDCG@10", "AP", "Success@1"}
        if run.role == "student":
            scores = row["measures"]["AP"]
            full = [score for code, score in scores["languages"].items() if run.exposure[code] == 1.0]
            assert scores["high"] == pytest.approx(sum(full) / len(full))
            assert scores["gap"] == pytest.approx(scores["high"] - scores["low"])


def test_result_held_out_is_forecast_by_laws_that_did_not_see_it(findings: Findings) -> None:
    fits = document(findings, source="sqlite")["fits"]
    forecast = [each for each in fits if each["held_out"] is not None]
    assert {each["law"] for each in forecast if each["target"] == "effect.logit"} >= {"constant", "log_linear", "power"}
    for each in forecast:
        assert each["held_out"]["rung"] not in each["rungs"]
        assert each["held_out"]["label"] == "conditional on these trained models"
        low, high = each["held_out"]["interval"]
        assert low <= each["held_out"]["forecast"] <= high


def test_result_refused_fit_carries_its_reason_and_no_parameters(findings: Findings) -> None:
    fits = document(findings, source="sqlite")["fits"]
    refused = [each for each in fits if each["status"] == "too_few_rungs"]
    assert refused
    assert all(not each["parameters"] and "need 5 rungs" in each["message"] for each in refused)


def _drop(*path: str) -> Callable[[dict[str, Any]], None]:
    def change(result: dict[str, Any]) -> None:
        place: Any = result
        for name in path[:-1]:
            place = place[name][0]
        del place[path[-1]]

    return change


@pytest.mark.parametrize("path", [("fits",), ("teacher",), ("runs", "key"), ("fits", "status"), ("effects", "message")])
def test_check_missing_field_is_named(findings: Findings, path: tuple[str, ...]) -> None:
    result = document(findings, source="sqlite")
    _drop(*path)(result)
    with pytest.raises(ValueError, match=f"lacks {path[-1]}"):
        check(result)


def test_loads_other_schema_is_refused() -> None:
    with pytest.raises(ValueError, match="schema 2, this reads 1"):
        loads('{"schema": 2}')


def test_dumps_not_a_number_is_refused(findings: Findings) -> None:
    result = document(findings, source="sqlite")
    result["teacher"]["AP"] = float("nan")
    with pytest.raises(ValueError, match="JSON"):
        dumps(result)
