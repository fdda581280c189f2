"""RayCluster and RayJob manifests for KubeRay 1.6 (ray.io/v1), as plain values.

Source of field names: the API reference of KubeRay v1.6.2, docs.ray.io, "KubeRay CRD API reference".
"""

from typing import Any

from cluster.command import Stamps, entrypoint, run_words
from cluster.demand import Workers, demands
from cluster.targets import KubeRayCluster, KubeRayJob, Pods
from studies.schema.study import Study

RAY_VERSION = "2.60.0"
"""The Ray in the image (constraints.txt); KubeRay sets up pods by it."""

USER = 1000
"""User and group of the image, see the Dockerfile."""

OBJECT_STORE_BYTES = 2**30
"""Everything large goes through storage, so a small shared memory does."""

IDLE_SECONDS = 300
"""After which a worker without work is given back."""

KEPT_SECONDS = 600
"""How long a finished RayJob keeps its cluster, for a look at its dashboard."""


def ray_cluster(target: KubeRayCluster, study: Study) -> dict[str, Any]:
    """The manifest of a cluster with a worker group for every kind of workers that ``study`` needs."""
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {"name": target.name, "namespace": target.pods.namespace},
        "spec": _cluster_spec(target.pods, study),
    }


def ray_job(target: KubeRayJob, study: Study, stamps: Stamps | None = None) -> dict[str, Any]:
    """The manifest of a job with a cluster of its own; applying it twice changes nothing.

    The code is the image's. With ``stamps`` the harness refuses an image that was built from other sources.
    """
    spec: dict[str, Any] = {
        "entrypoint": entrypoint("python", *run_words(study.name, target.pods.storage)),
        "submissionMode": "HTTPMode",
        "backoffLimit": target.retries,
        "shutdownAfterJobFinishes": True,
        "ttlSecondsAfterFinished": KEPT_SECONDS,
        "metadata": {"study": study.name, "version": study.version},
        "rayClusterSpec": _cluster_spec(target.pods, study),
    }
    if stamps is not None:
        lines = "".join(f"  {name}: '{value}'\n" for name, value in stamps.environment().items())
        spec["runtimeEnvYAML"] = f"env_vars:\n{lines}"
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": {"name": job_name(study), "namespace": target.pods.namespace},
        "spec": spec,
    }


def job_name(study: Study) -> str:
    """A study and its version as a Kubernetes name."""
    return (
        f"{study.name}-{study.version}".lower().replace("_", "-").replace(".", "-").replace("+", "-")[:47].rstrip("-")
    )


def _cluster_spec(pods: Pods, study: Study) -> dict[str, Any]:
    return {
        "rayVersion": RAY_VERSION,
        "authOptions": {"mode": "token", "secretName": pods.token_secret},
        "enableInTreeAutoscaling": True,
        "autoscalerOptions": {"idleTimeoutSeconds": IDLE_SECONDS},
        "headGroupSpec": {
            # No CPU is offered, so that nothing but drivers and what claims no core runs where a loss ends the study.
            "rayStartParams": {"num-cpus": "0", "object-store-memory": str(OBJECT_STORE_BYTES)},
            "template": {
                "spec": {
                    "nodeSelector": dict([pods.stable_nodes]),
                    **_pod(pods, "ray-head", cpus=pods.head.cpus, memory_gib=pods.head.memory_gib, gpus=0),
                }
            },
        },
        "workerGroupSpecs": [_worker_group(pods, asked) for asked in demands(study)],
    }


def _worker_group(pods: Pods, asked: Workers) -> dict[str, Any]:
    """One pod a worker. Ray is told of the worker's cores alone; the pod has one more for Ray itself."""
    if asked.fewest > pods.workers.maximum:
        raise ValueError(
            f"rung {', '.join(asked.rungs)} needs {asked.fewest} workers and the target has at most "
            f"{pods.workers.maximum}; raise the target's range, or lower workers or workers_min in the Execution"
        )
    label, value = pods.preemptible_nodes
    kind = f"gpu-{asked.gpus}-cpu-{asked.cpus}" if asked.gpus else f"cpu-{asked.cpus}"
    return {
        "groupName": kind,
        "replicas": pods.workers.minimum,
        "minReplicas": pods.workers.minimum,
        "maxReplicas": pods.workers.maximum,
        "rayStartParams": {"num-cpus": str(asked.cpus), "object-store-memory": str(OBJECT_STORE_BYTES)},
        "template": {
            "metadata": {"annotations": {"studies/rungs": ",".join(asked.rungs)}},
            "spec": {
                "nodeSelector": {label: value},
                "tolerations": [{"key": label, "operator": "Equal", "value": value, "effect": "NoSchedule"}],
                **_pod(pods, "ray-worker", cpus=asked.cpus + 1, memory_gib=pods.worker_memory_gib, gpus=asked.gpus),
            },
        },
    }


def _pod(pods: Pods, name: str, *, cpus: int, memory_gib: int, gpus: int) -> dict[str, Any]:
    amounts = {"cpu": str(cpus), "memory": f"{memory_gib}Gi"} | ({"nvidia.com/gpu": str(gpus)} if gpus else {})
    container: dict[str, Any] = {
        "name": name,
        "image": pods.image,
        "env": [{"name": "HARNESS_STORAGE", "value": pods.storage}],
        "resources": {"requests": amounts, "limits": dict(amounts)},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "storage", "mountPath": pods.storage}],
    }
    if pods.environment_secret:
        container["envFrom"] = [{"secretRef": {"name": pods.environment_secret}}]
    return {
        "securityContext": {"runAsNonRoot": True, "runAsUser": USER, "fsGroup": USER},
        "containers": [container],
        "volumes": [{"name": "storage", "persistentVolumeClaim": {"claimName": pods.claim}}],
    }
