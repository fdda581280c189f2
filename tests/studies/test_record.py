"""Names of metrics: a bijection between measures and what MLflow takes as a name."""

import re

import ir_measures
import pytest
from ir_measures import AP, ERR, RBP, RR, Judged, Measure, P, R, Success, nDCG
from mlflow.utils.validation import _validate_metric_name

from studies.schema.record import METRIC_NAME, Metric, Role, Side, measure_and_side, measure_of, metric_name, run_name

MEASURES = [
    nDCG @ 10,
    nDCG @ 1000,
    nDCG(dcg="exp-log2") @ 5,
    nDCG(gains={0: 0, 1: 1, 2: 5}) @ 20,
    AP,
    AP(rel=2),
    AP(rel=2) @ 100,
    P @ 10,
    P(rel=2) @ 10,
    P(rel=2, judged_only=True) @ 10,
    R @ 100,
    R(rel=2) @ 1,
    RR,
    RR @ 10,
    Success @ 1,
    RBP(p=0.8),
    RBP(p=0.95, rel=1) @ 10,
    ERR @ 20,
    Judged @ 10,
    *(ir_measures.parse_measure(name) for name in ("SetP(relative=True)", "IPrec@0.1", "alpha_nDCG(alpha=0.5)@20")),
    *(ir_measures.parse_measure(name) for name in ("NERR8@10", "Rprec", "infAP", "Bpref", "NumRet(rel=1)", "SDCG@10")),
]


@pytest.mark.parametrize("measure", MEASURES, ids=str)
def test_metric_name_of_a_measure_reads_back_as_that_measure(measure: Measure) -> None:
    name = metric_name(measure)
    assert measure_of(name) == measure
    assert str(measure_of(name)) == str(measure)


@pytest.mark.parametrize("measure", MEASURES, ids=str)
def test_metric_name_of_a_measure_is_one_that_mlflow_takes(measure: Measure) -> None:
    _validate_metric_name(metric_name(measure))  # type: ignore[no-untyped-call]
    assert METRIC_NAME.match(metric_name(measure))


def test_metric_names_of_different_measures_differ() -> None:
    assert len({metric_name(measure) for measure in MEASURES}) == len(MEASURES)


def test_metric_name_of_every_registered_measure_reads_back() -> None:
    for name in ir_measures.measures.registry:
        measure = ir_measures.parse_measure(name)
        assert measure_of(metric_name(measure)) == measure


def test_metric_name_of_the_plain_measures_reads_naturally() -> None:
    assert metric_name(nDCG @ 10) == "nDCG_at_10"
    assert metric_name(nDCG @ 10, Side.HIGH) == "nDCG_at_10.high"
    assert metric_name(AP) == "AP"


@pytest.mark.parametrize("measure", MEASURES, ids=str)
@pytest.mark.parametrize("side", [None, *Side])
def test_metric_name_with_a_side_reads_back(measure: Measure, side: Side | None) -> None:
    assert measure_and_side(metric_name(measure, side)) == (measure, side)


@pytest.mark.parametrize("name", [*Metric, "", "nDCG", "nDCG@10", "nDCG_at_10.high", "nDCG_at_", "system/cpu"])
def test_metric_name_that_is_no_measure_is_refused(name: str) -> None:
    if name == "nDCG":
        assert measure_of(name) == nDCG
        return
    with pytest.raises(ValueError, match=re.escape(repr(str(name)))):
        measure_of(name)


def test_run_name_reads_as_people_say_it() -> None:
    labels = {"rung": "rung-4", "objective": "ot", "rotation": "0", "seed": "0"}
    assert run_name(Role.STUDENT, labels) == "rung-4 · ot · rotation 0 · seed 0"
    assert run_name(Role.UNTRAINED, labels) == "untrained · rung-4 · ot · rotation 0 · seed 0"
    assert run_name(Role.STUDENT, {"rung": ""}) == "student"
    assert run_name(Role.COPY_THROUGH, {"rung": "", "seed": "1"}) == "copy-through · seed 1"
