"""What is shown of a run, from the files alone."""

import os
from pathlib import Path

import pytest

from harness.delivery import aggregates, started
from studies.schema.record import Role, State
from studies.schema.state import write_state
from studies.schema.storage import Storage, write_json_atomic
from studies.schema.study import Point, expand
from tests.harness.small_study import leave_journal, small_study

POINT: Point = next(point for point in expand(small_study()) if point.role is Role.STUDENT)


def planned(storage: Storage, milliseconds: int) -> None:
    path = storage.description(POINT.key)
    write_json_atomic(path, {"key": POINT.key})
    os.utime(path, ns=(milliseconds * 1_000_000, milliseconds * 1_000_000))


def test_run_began_with_its_first_step(storage: Path) -> None:
    place = Storage.at(storage)
    planned(place, 1_600_000_000_000)
    leave_journal(place, POINT, range(1, 5))
    assert started(place, POINT.key) == 1_700_000_000_020


def test_run_without_training_began_before_its_end(storage: Path) -> None:
    place = Storage.at(storage)
    planned(place, 1_600_000_000_000)
    write_state(place, POINT.key, State.FINISHED)
    assert started(place, POINT.key) == 1_600_000_000_000


def test_aggregates_are_few_and_split_only_the_primary_measure() -> None:
    measures = {
        "measures": {"nDCG@10": {"de": 0.75, "sw": 0.25}, "AP": {"de": 0.5, "sw": 0.25}},
        "exposure": {"de": 1.0, "sw": 0.1},
    }
    found = aggregates(measures, "nDCG@10")
    assert found == {"nDCG_at_10": 0.5, "nDCG_at_10.high": 0.75, "nDCG_at_10.low": 0.25, "AP": 0.375}


def test_aggregates_of_translated_queries_say_how_good_the_translations_are() -> None:
    translation = {
        "chrf": {"de": 40.0, "sw": 60.0},
        "bleu": {"de": 20.0, "sw": 30.0},
        "empty": {"de": 2, "sw": 1},
        "signatures": {"chrf": "a", "bleu": "b"},
    }
    found = aggregates({"measures": {"AP": {"de": 0.5}}, "exposure": {}, "translation": translation}, "AP")
    assert found == {"AP": 0.5, "translation.chrf": 50.0, "translation.bleu": 25.0, "translation.empty": 3.0}


def test_aggregates_of_alignment_are_means_over_languages() -> None:
    aligned = {"clca_mexa.before": {"de": 0.25, "sw": 0.0}, "clca_mexa.after": {"de": 0.5, "sw": 0.25}}
    found = aggregates({"measures": {"AP": {"de": 0.5, "sw": 0.5}}, "exposure": {}, "alignment": aligned}, "AP")
    assert found == {"AP": 0.5, "alignment.clca_mexa.before": 0.125, "alignment.clca_mexa.after": 0.375}


def test_aggregates_without_the_primary_measure_are_refused() -> None:
    with pytest.raises(ValueError, match="lacks the primary measure"):
        aggregates({"measures": {"AP": {"de": 0.5}}, "exposure": {}}, "nDCG@10")
