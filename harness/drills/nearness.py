"""Whether runs by other numbers of workers end where they would have: sums over other ranks differ by rounding.

Comparisons are written so that what is not a number is never near.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load

from harness.drills.results import journal, trained, weights
from harness.evaluation_key import key_of
from studies.schema.record import Metric
from studies.schema.storage import Storage
from studies.schema.study import Point, Study, expand

LOSS = 1e-5
"""Largest difference of two losses; 4e-8 was seen."""

SHARE = 1e-2
"""Largest difference of another recorded value as a share of it: norms, and means of the solver's iterations."""

RESIDUAL = 5e-6
"""Largest difference of the solver's mean marginal error, which lies anywhere below its tolerance of 1e-4: where
rounding gives one problem of a window's 160 another iteration, the mean moves by up to 6e-7; 5e-7 was seen."""

CLOSE, FAR, STRAYS = 1e-4, 1e-2, 1e-3
"""A weight may be beyond the first with one in a thousand of its tensor, and never beyond the second: where a gradient
is nothing but rounding, Adam moves a weight by the learning rate in a direction that rounding decides."""

MEASURE = 2e-3
"""Largest difference of a measure: one of some hundred queries that answers otherwise."""

BY_WORKERS = ("workers", "held_weights")
"""What a state says of the group that finished a run, which is another one."""


def near_differences(expected: Storage, found: Storage, study: Study) -> list[str]:
    """Parts of a study's runs in ``found`` that are further from those in ``expected`` than rounding brings them."""
    return [text for point in expand(study) for text in _of_run(expected, found, study, point)]


def _of_run(expected: Storage, found: Storage, study: Study, point: Point) -> list[str]:
    key = point.key
    states = [_state(storage, key) for storage in (expected, found)]
    tables = [
        json.loads((storage.evaluation(key, key_of(point.run, study.evaluation)) / "measures.json").read_bytes())
        for storage in (expected, found)
    ]
    wrong = [f"{key} state differs"] if states[0] != states[1] else []
    wrong += [f"{key} journal: {text}" for text in journal_differences(journal(expected, key), journal(found, key))]
    wrong += [f"{key} weights: {text}" for text in weight_differences(weights(expected, key), weights(found, key))]
    measures = [
        {f"{name} {language}": value for name, by in table["measures"].items() for language, value in by.items()}
        for table in tables
    ]
    if measures[0].keys() != measures[1].keys():
        return [*wrong, f"{key} evaluation: other measures"]
    return wrong + [
        f"{key} evaluation: {name} is {measures[1][name]:.4f} instead of {value:.4f}"
        for name, value in measures[0].items()
        if not abs(measures[1][name] - value) <= MEASURE
    ]


def _state(storage: Storage, key: str) -> Mapping[str, Any]:
    state: dict[str, Any] = trained(storage, key)[f"{key} state"]
    facts = {name: fact for name, fact in state.get("facts", {}).items() if name not in BY_WORKERS}
    return {**state, "facts": facts}


def journal_differences(
    expected: list[tuple[int, dict[str, float]]], found: list[tuple[int, dict[str, float]]]
) -> list[str]:
    """Where two journals are apart, in words."""
    if [(step, set(metrics)) for step, metrics in expected] != [(step, set(metrics)) for step, metrics in found]:
        return ["other steps or other metrics"]
    return [
        f"{name} at step {step} is {values[name]:.8g} instead of {value:.8g}"
        for (step, metrics), (_, values) in zip(expected, found, strict=True)
        for name, value in metrics.items()
        if not abs(values[name] - value) <= _allowed(name, value)
    ]


def _allowed(name: str, value: float) -> float:
    if name == Metric.TRANSPORT_MARGINAL_ERROR:
        return RESIDUAL
    return LOSS if name.startswith("loss") else SHARE * abs(value)


def weight_differences(expected: Mapping[str, bytes], found: Mapping[str, bytes]) -> list[str]:
    """Tensors of safetensors files that are apart, in words."""
    first, second = _tensors(expected), _tensors(found)
    if first.keys() != second.keys():
        return ["other tensors"]
    apart = {name: np.abs(second[name] - values) for name, values in first.items()}
    return [
        f"{name} differs by up to {far.max():.1e}"
        for name, far in apart.items()
        if not (far.max() <= FAR and np.mean(far > CLOSE) <= STRAYS)
    ]


def _tensors(files: Mapping[str, bytes]) -> dict[str, NDArray[np.float32]]:
    return {f"{file} {name}": tensor for file, content in files.items() for name, tensor in load(content).items()}
