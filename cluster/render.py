"""Targets as the text that other programs read: values in, text out."""

from collections.abc import Mapping
from typing import assert_never

import yaml

from cluster.catalogue import TARGETS
from cluster.command import Stamps
from cluster.image import dockerfile
from cluster.kuberay import ray_cluster, ray_job
from cluster.slurm import batch_script
from cluster.targets import ExistingRay, KubeRayCluster, KubeRayJob, LocalRay, RayVms, SlurmJob, Target
from cluster.vms import launcher
from studies.schema.study import Study


def render(target: Target, study: Study, stamps: Stamps | None = None) -> str:
    """A target's manifest, configuration or script for one study; ValueError where there is none to write."""
    match target:
        case LocalRay():
            raise ValueError(f"target {target.name} has no manifest: python -m cluster up {target.name} starts it")
        case ExistingRay():
            raise ValueError(f"target {target.name} has no manifest: somebody else runs it at {target.address}")
        case KubeRayCluster():
            return _yaml(ray_cluster(target, study))
        case KubeRayJob():
            return _yaml(ray_job(target, study, stamps))
        case RayVms():
            return _yaml(launcher(target))
        case SlurmJob():
            return batch_script(target, study, stamps)
        case unknown:
            assert_never(unknown)


def how_to_start(target: Target, study: str) -> str:
    """The command that brings a target to life."""
    rendered = f"python -m cluster render {study} --target {target.name}"
    match target:
        case LocalRay():
            return f"python -m cluster up {target.name}"
        case ExistingRay():
            return f"ask whoever runs {target.address}; a tunnel is ssh -L 8265:127.0.0.1:8265 HOST"
        case KubeRayCluster():
            head = f"kubectl -n {target.pods.namespace} port-forward service/{target.name}-head-svc 8265"
            return f"{rendered} | kubectl apply -f -, then {head}"
        case KubeRayJob():
            return f"{rendered} | kubectl apply -f -"
        case RayVms():
            return f"{rendered} > {target.name}.yaml; ray up {target.name}.yaml; ray dashboard {target.name}.yaml"
        case SlurmJob():
            return f"{rendered} | sbatch"
        case unknown:
            assert_never(unknown)


def checked_in(study: Study) -> Mapping[str, str]:
    """By file name, the renderings that lie in ``cluster/rendered``: without stamps, which change with every source."""
    files = {"Dockerfile": dockerfile()}
    for target in TARGETS.values():
        match target:
            case LocalRay() | ExistingRay():
                continue
            case SlurmJob():
                files[f"{target.name}.sh"] = render(target, study)
            case _:
                files[f"{target.name}.yaml"] = render(target, study)
    return files


def _yaml(value: object) -> str:
    return yaml.safe_dump(value, sort_keys=False, width=1000, default_flow_style=False)
