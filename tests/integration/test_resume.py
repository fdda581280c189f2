"""A run that was stopped and went on in fresh processes ends exactly where an undisturbed one does."""

import pytest

from harness.drills.results import weights
from harness.drills.tiny import MEASURES
from harness.evaluate import evaluate
from studies.schema.evaluation import Evaluation
from studies.schema.run import Student
from studies.schema.storage import read_manifest
from tests.integration.curves import CUT, Curves

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


@pytest.mark.parametrize("name", ["ZeRO 2", "ZeRO 3", "dropout", "bf16", "translator"])
def test_resumed_run_equals_an_undisturbed_one_bit_for_bit(curves: Curves, name: str) -> None:
    whole, cut = f"whole, {name}", f"cut, {name}"
    key = curves.variants[whole].task.key
    assert curves.half[cut] == CUT
    assert curves.journal(cut) == curves.journal(whole)
    found = weights(curves.storages[cut], key)
    assert found
    assert found == weights(curves.storages[whole], key)


def test_resumed_run_is_evaluated_to_the_same_bytes(curves: Curves) -> None:
    files = []
    for name in ("whole, ZeRO 2", "cut, ZeRO 2"):
        run = curves.variants[name].run
        assert isinstance(run, Student)
        folder = evaluate(curves.storages[name], run, Evaluation(measures=MEASURES))
        manifest = read_manifest(folder)
        assert manifest is not None
        files.append(manifest.files)
    assert files[0] == files[1]
    assert set(files[0]) == {"measures.json", "per_query.parquet", "run.trec.gz"}
