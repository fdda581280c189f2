"""Every check that can fail is seen to fail, with its remedy."""

import importlib.metadata
import io
import platform
import subprocess
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cluster import checks
from cluster.catalogue import TARGETS, find
from cluster.checks import Check, Result, passed
from cluster.demand import demands, shortfalls, storage_bytes
from cluster.package import package
from cluster.preflight import inside, preflight
from cluster.targets import Node
from studies.first_look import STUDY
from studies.schema.cost import parameters_of
from studies.schema.run import Student
from studies.schema.sources import TOP
from studies.schema.study import expand
from tests.cluster.gpu_study import elastic_study, gpu_study

SMALL = Node(cpus=2, memory_gib=8)
GPUS = Node(cpus=64, memory_gib=512, gpus=8, gpu_gib=80)


def node(**changes: Any) -> dict[str, Any]:
    """What a probe tells of a node that is as it should be."""
    return {
        "name": "n1",
        "ray": importlib.metadata.version("ray"),
        "python": platform.python_version(),
        "cpus": 2,
        "gpus": 0,
        "memory_gib": 8,
        "gpu_gib": 0,
        "storage_error": None,
        "tracking_error": None,
    } | changes


def looked(*nodes: dict[str, Any], free_bytes: float = 1e12, uri: str | None = None) -> dict[str, Check]:
    answer = {"nodes": list(nodes), "free_bytes": free_bytes, "owed": 0}
    found = inside(answer, find("local"), STUDY, "/data", uri, has_declared=False)
    return {check.name: check for check in found}


def test_cluster_as_it_should_be_passes_every_check() -> None:
    found = looked(node(), node(name="n2"), uri="http://127.0.0.1:5000")
    assert [check.result for check in found.values()] == [Result.PASS] * 4


@pytest.mark.parametrize(
    ("change", "name", "said", "remedy"),
    [
        ({"ray": "2.49.0"}, "versions", "n2 has Ray 2.49.0", "constraints.txt"),
        ({"python": "3.10.4"}, "versions", "Python 3.10.4", "constraints.txt"),
        ({"storage_error": "/data is another directory here"}, "storage", "n2: /data is another", "mount one"),
        ({"tracking_error": "answers 403"}, "tracking server", "n2: answers 403", "--allowed-hosts"),
        ({"error": "the worker died"}, "nodes", "n2: the worker died", "that node's Ray logs"),
    ],
)
def test_one_bad_node_fails_its_check_by_name(change: dict[str, Any], name: str, said: str, remedy: str) -> None:
    found = looked(node(), node(name="n2", **change), uri="http://127.0.0.1:5000")[name]
    assert found.result is Result.FAIL
    assert said in found.found
    assert remedy in found.remedy


def test_another_patch_of_python_passes() -> None:
    major, minor, _ = platform.python_version_tuple()
    assert looked(node(python=f"{major}.{minor}.99"))["versions"].result is Result.PASS


def test_disk_that_is_too_small_fails_with_both_sizes() -> None:
    found = looked(node(), free_bytes=1e8)["storage"]
    assert found.result is Result.FAIL
    assert "has 0.1 GB free and the study may need 0.6" in found.found


def test_cluster_without_places_fails_with_what_to_lower() -> None:
    found = looked(node(cpus=0))["plan fits"]
    assert found.result is Result.FAIL
    assert "needs 1 workers of 1 CPUs, the nodes have places for 0" in found.found
    assert "Execution" in found.remedy


def test_demand_is_the_most_that_any_rung_of_a_kind_needs() -> None:
    found = {kind.gpus: kind for kind in demands(gpu_study())}
    assert (found[0].rungs, found[0].count, found[0].cpus) == (("teacher",), 2, 2)
    assert (found[1].rungs, found[1].count, found[1].cpus) == (("xlm-r-base", "xlm-r-xl"), 8, 4)


def test_places_follow_from_cores_and_gpus_together() -> None:
    assert shortfalls(gpu_study(), [GPUS]) == []
    assert "places for 0" in shortfalls(gpu_study(), [SMALL] * 4)[0]
    few_cores = Node(cpus=8, memory_gib=512, gpus=8, gpu_gib=80)
    assert "places for 2" in shortfalls(gpu_study(), [few_cores])[0]
    assert shortfalls(gpu_study(), [few_cores] * 4) == []


def test_elastic_study_fits_where_its_fewest_workers_have_places() -> None:
    study = elastic_study(gpu_study(), 2)
    few_cores = Node(cpus=8, memory_gib=512, gpus=8, gpu_gib=80)
    assert shortfalls(study, [few_cores]) == []
    assert checks.devices(study, [few_cores], "a node").found.startswith(
        "2 workers of 2 CPUs; 2 to 8 workers of 4 CPUs"
    )
    (text,) = shortfalls(study, [Node(cpus=4, memory_gib=512, gpus=8, gpu_gib=80)])
    assert "needs 2 to 8 workers of 4 CPUs and 1 GPUs, the nodes have places for 1" in text


def test_elastic_worker_has_to_hold_what_it_holds_among_the_fewest() -> None:
    whole, elastic = (
        max(kind.memory_bytes for kind in demands(s)) for s in (gpu_study(), elastic_study(gpu_study(), 2))
    )
    assert elastic > whole
    between = Node(cpus=64, memory_gib=512, gpus=8, gpu_gib=int(whole / 2**30) + 1)
    assert shortfalls(gpu_study(), [between]) == []
    assert "GiB in each worker at its fullest" in shortfalls(elastic_study(gpu_study(), 2), [between])[0]


def test_model_that_a_worker_cannot_hold_fails_with_the_stage_to_raise() -> None:
    small_gpus = Node(cpus=64, memory_gib=512, gpus=8, gpu_gib=2)
    (text,) = shortfalls(gpu_study(), [small_gpus])
    assert "GiB in each worker at its fullest, which has 2 GiB" in text
    assert "raise zero_stage" in text


def test_storage_holds_every_final_and_the_checkpoints_of_the_largest() -> None:
    students = [parameters_of(p.run).total for p in expand(STUDY) if isinstance(p.run, Student)]
    assert storage_bytes(STUDY) > 4 * sum(students) + 2 * 12 * max(students)


def test_tree_is_clean_dirty_or_none(tmp_path: Path) -> None:
    assert checks.clean_tree(tmp_path).result is Result.SKIPPED
    for words in (["init"], ["config", "user.email", "t@localhost"], ["config", "user.name", "t"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True, capture_output=True, timeout=20)
    for name in "abcde":
        (tmp_path / name).write_text("x")
    found = checks.clean_tree(tmp_path)
    assert found.result is Result.FAIL
    assert found.found == "a, b, c and 2 more not committed"
    assert "--no-preflight" in found.remedy
    subprocess.run(["git", "add", "."], cwd=tmp_path, check=True, capture_output=True, timeout=20)
    subprocess.run(["git", "commit", "-m", "all"], cwd=tmp_path, check=True, capture_output=True, timeout=20)
    assert checks.clean_tree(tmp_path).result is Result.PASS


def test_working_directory_that_is_refused_fails_with_its_offenders() -> None:
    assert checks.working_directory(package(TOP)).result is Result.PASS
    found = checks.working_directory(ValueError("the working directory x is 40 MiB; largest: corpus/ (30 MiB); move"))
    assert found.result is Result.FAIL
    assert "corpus/" in found.remedy


def test_failure_without_a_remedy_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="a failure names one"):
        Check(name="x", result=Result.FAIL, found="y")
    with pytest.raises(ValueError, match="a failure names one"):
        Check(name="x", result=Result.PASS, found="y", remedy="z")


def test_target_without_a_job_server_is_checked_by_what_it_declares() -> None:
    for name in ("kuberay-job", "slurm"):
        done = preflight(find(name), gpu_study(), top=TOP, storage="/data")
        results = {check.name: check.result for check in done.checks}
        assert results["plan fits"] is Result.PASS
        assert results["versions"] is results["storage"] is Result.SKIPPED
        assert done.owed is None


def test_local_cluster_that_is_not_up_fails_with_how_to_start_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    (found,) = (c for c in preflight(find("local"), STUDY, top=TOP, storage="/data").failures if c.name == "reachable")
    assert "python -m cluster up local" in found.remedy
    assert list(tmp_path.iterdir()) == []


def test_every_target_says_its_nodes_or_leaves_them_to_the_cluster() -> None:
    declared = {name: checks.declared_nodes(find(name), STUDY) for name in TARGETS}
    assert {name for name, nodes in declared.items() if nodes is None} == {"local", "tunnel"}


def test_table_shows_what_was_found_and_what_to_do_as_it_was_written() -> None:
    stream = io.StringIO()
    rows = [passed("one", "[b]as written[/b]"), checks.failed("two", "wrong", "mend it")]
    Console(file=stream, width=100).print(checks.table(rows))
    text = stream.getvalue()
    assert "[b]as written[/b]" in text
    assert "FAIL" in text
    assert "mend it" in text
