"""Renderings are what is checked in, what their readers accept, and what the study asks for."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from cluster.catalogue import TARGETS, find
from cluster.command import Stamps
from cluster.kuberay import RAY_VERSION, ray_cluster, ray_job
from cluster.render import checked_in, how_to_start, render
from cluster.slurm import batch_script
from cluster.targets import KubeRayCluster, KubeRayJob, LocalRay, Range, SlurmJob
from cluster.vms import launcher
from studies.first_look import STUDY
from studies.schema.sources import SOURCES_STAMP, TOP
from tests.cluster.gpu_study import elastic_study, gpu_study
from tests.cluster.kuberay_schema import RAY_CLUSTER, RAY_JOB

RENDERED = TOP / "cluster" / "rendered"
STAMPS = Stamps(sources="0123456789ab", revision="abc'; rm -rf /")
"""A revision that would do harm where it is not quoted."""


def test_renderings_that_are_checked_in_are_up_to_date() -> None:
    fresh = checked_in(STUDY)
    assert {path.name for path in RENDERED.iterdir()} == set(fresh)
    for name, text in fresh.items():
        assert (RENDERED / name).read_text() == text, f"{name} is stale: python -m tests.goldens writes it again"


@pytest.mark.parametrize("study", [STUDY, gpu_study()], ids=lambda study: study.name)
@pytest.mark.parametrize("name", ["kuberay-cluster", "kuberay-job"])
def test_manifest_fits_the_schema_of_its_kind(name: str, study: object) -> None:
    chosen = STUDY if study is STUDY else gpu_study()
    target = find(name)
    text = render(target, chosen, STAMPS if isinstance(target, KubeRayJob) else None)
    jsonschema.validate(yaml.safe_load(text), RAY_JOB if isinstance(target, KubeRayJob) else RAY_CLUSTER)
    assert "&id" not in text


def test_launcher_configuration_fits_the_schema_that_ray_ships() -> None:
    config = prepare_config(yaml.safe_load(render(find("aws-spot"), STUDY)))
    validate_config(config)
    with pytest.raises(jsonschema.ValidationError):
        validate_config(config | {"provider": "a name alone"})


def test_batch_script_is_shell_that_a_linter_accepts(tmp_path: Path) -> None:
    script = tmp_path / "job.sh"
    script.write_text(render(find("slurm"), STUDY, STAMPS))
    assert subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True, check=False).stderr == ""
    if linter := shutil.which("shellcheck"):
        checked = subprocess.run([linter, str(script)], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout


def test_batch_script_quotes_what_it_exports() -> None:
    script = render(find("slurm"), STUDY, STAMPS)
    line = next(line for line in script.splitlines() if line.startswith("export HARNESS_REVISION="))
    said = subprocess.run(
        ["bash", "-c", f'{line}; printf %s "$HARNESS_REVISION"'], capture_output=True, text=True, check=True
    )
    assert said.stdout == STAMPS.revision


def test_every_kind_of_workers_gets_a_group_with_its_gpus() -> None:
    target = find("kuberay-cluster")
    assert isinstance(target, KubeRayCluster)
    groups = ray_cluster(target, gpu_study())["spec"]["workerGroupSpecs"]
    found = {
        group["template"]["metadata"]["annotations"]["studies/rungs"]: (
            group["template"]["spec"]["containers"][0]["resources"]["limits"].get("nvidia.com/gpu"),
            group["rayStartParams"]["num-cpus"],
            group["minReplicas"],
            group["maxReplicas"],
        )
        for group in groups
    }
    assert found == {"teacher": (None, "2", 0, 8), "xlm-r-base,xlm-r-xl": ("1", "4", 0, 8)}
    assert len({group["groupName"] for group in groups}) == len(groups)


def test_head_is_on_stable_nodes_offers_no_core_and_workers_are_elsewhere() -> None:
    target = find("kuberay-job")
    assert isinstance(target, KubeRayJob)
    spec = ray_job(target, STUDY)["spec"]["rayClusterSpec"]
    head, worker = spec["headGroupSpec"], spec["workerGroupSpecs"][0]
    assert head["template"]["spec"]["nodeSelector"] == dict([target.pods.stable_nodes])
    assert head["rayStartParams"]["num-cpus"] == "0"
    assert worker["template"]["spec"]["nodeSelector"] == dict([target.pods.preemptible_nodes])
    assert spec["authOptions"] == {"mode": "token", "secretName": target.pods.token_secret}


def test_target_too_small_for_a_rung_names_it() -> None:
    cluster, slurm = find("kuberay-cluster"), find("slurm")
    assert isinstance(cluster, KubeRayCluster)
    assert isinstance(slurm, SlurmJob)
    small = replace(cluster, pods=replace(cluster.pods, workers=Range(minimum=0, maximum=4)))
    with pytest.raises(ValueError, match=r"xlm-r-xl needs 8 workers and the target has at most 4"):
        ray_cluster(small, gpu_study())
    assert ray_cluster(small, elastic_study(gpu_study(), 2))["spec"]["workerGroupSpecs"][-1]["maxReplicas"] == 4
    smallest = replace(cluster, pods=replace(cluster.pods, workers=Range(minimum=0, maximum=2)))
    with pytest.raises(ValueError, match=r"needs 4 workers and the target has at most 2"):
        ray_cluster(smallest, elastic_study(gpu_study(), 4))
    with pytest.raises(ValueError, match=r"needs 8 workers of 4 CPUs and 1 GPUs, the nodes have places for 4"):
        batch_script(replace(slurm, nodes=Range(minimum=1, maximum=1)), gpu_study())


def test_stamps_travel_in_every_rendering_that_runs_a_study() -> None:
    assert STAMPS.environment()[SOURCES_STAMP] == "0123456789ab"
    for name in ("kuberay-job", "slurm"):
        assert "0123456789ab" in render(find(name), STUDY, STAMPS)


def test_environment_secret_is_named_and_never_read() -> None:
    target = find("kuberay-cluster")
    assert isinstance(target, KubeRayCluster)
    pods = replace(target.pods, environment_secret="mlflow-login")
    manifest = ray_cluster(replace(target, pods=pods), STUDY)
    jsonschema.validate(manifest, RAY_CLUSTER)
    container = manifest["spec"]["headGroupSpec"]["template"]["spec"]["containers"][0]
    assert container["envFrom"] == [{"secretRef": {"name": "mlflow-login"}}]


def test_spot_workers_leave_the_head_alone() -> None:
    target = find("aws-spot")
    config = launcher(target)  # type: ignore[arg-type]
    types = config["available_node_types"]
    assert "InstanceMarketOptions" not in types["head"]["node_config"]
    assert types["worker"]["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert types["head"]["resources"] == {"CPU": 0}


def test_version_of_ray_in_manifests_is_the_one_that_is_pinned() -> None:
    assert f"ray=={RAY_VERSION}\n" in (TOP / "constraints.txt").read_text()


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_says_how_it_is_started(name: str) -> None:
    assert how_to_start(find(name), "first_look")


def test_target_without_a_manifest_says_how_it_is_started() -> None:
    with pytest.raises(ValueError, match="python -m cluster up here"):
        render(LocalRay(name="here"), STUDY)
