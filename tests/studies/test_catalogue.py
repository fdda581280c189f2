"""Studies and runs are found by the names a person gives."""

import pytest

from studies import catalogue
from studies.schema.study import expand


def test_find_misspelt_name_suggests_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean first_look"):
        catalogue.find("first_lok")


def test_find_module_without_study_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no study 'ladders'"):
        catalogue.find("ladders")


def test_select_by_rung_gives_every_run_of_it() -> None:
    study = catalogue.find("first_look")
    largest = str(study.hold_out)
    chosen = catalogue.select(study, largest)
    assert chosen == tuple(point for point in expand(study) if point.labels.rung == largest)
    assert len(chosen) == 3


def test_select_by_the_beginning_of_a_key_gives_that_run() -> None:
    study = catalogue.find("first_look")
    last = expand(study)[-1]
    assert catalogue.select(study, last.key[:10]) == (last,)


def test_select_unknown_rung_names_the_rungs() -> None:
    study = catalogue.find("first_look")
    with pytest.raises(ValueError, match=f"did you mean {study.hold_out}"):
        catalogue.select(study, f"{study.hold_out}k")
