"""Named targets. Copy one, give it a name and your cluster's facts; ``python -m cluster preflight`` checks them."""

import difflib
from collections.abc import Mapping

from cluster.targets import (
    ExistingRay,
    KubeRayCluster,
    KubeRayJob,
    LocalRay,
    Node,
    Pods,
    Range,
    RayVms,
    SlurmJob,
    Target,
)

MOUNT = "/mnt/harness"
"""Where the shared storage lies on every node."""

_PODS = Pods(
    namespace="studies",
    image="clir-scaling-harness:0.1.0",
    token_secret="ray-token",
    claim="harness-storage",
    storage=MOUNT,
    head=Node(cpus=4, memory_gib=16),
    worker_memory_gib=32,
    workers=Range(minimum=0, maximum=8),
    stable_nodes=("nodes.example.org/lifetime", "stable"),
    preemptible_nodes=("nodes.example.org/lifetime", "preemptible"),
    gpu_gib=80,
)

_ALL: tuple[Target, ...] = (
    LocalRay(name="local"),
    ExistingRay(name="tunnel", address="http://127.0.0.1:8265", storage=MOUNT),
    KubeRayCluster(name="kuberay-cluster", pods=_PODS),
    KubeRayJob(name="kuberay-job", pods=_PODS),
    RayVms(
        name="aws-spot",
        region="eu-central-1",
        image="clir-scaling-harness:0.1.0",
        head_type="m6i.xlarge",
        head=Node(cpus=4, memory_gib=16),
        worker_type="p4d.24xlarge",
        worker=Node(cpus=96, memory_gib=1152, gpus=8, gpu_gib=40),
        workers=Range(minimum=0, maximum=2),
        nfs="storage.example.org:/harness",
        storage=MOUNT,
    ),
    SlurmJob(
        name="slurm",
        partition="gpu",
        nodes=Range(minimum=1, maximum=2),
        node=Node(cpus=32, memory_gib=256, gpus=4, gpu_gib=80),
        hours=24,
        checkout="/shared/clir-scaling-harness",
        environment="/shared/clir-scaling-harness/.venv",
        storage="/shared/harness",
    ),
)

TARGETS: Mapping[str, Target] = {target.name: target for target in _ALL}


def find(name: str) -> Target:
    """The target of that name; ValueError with a suggestion when there is none."""
    if name in TARGETS:
        return TARGETS[name]
    close = difflib.get_close_matches(name, TARGETS, n=1)
    listed = f"the targets are {', '.join(TARGETS)} (cluster/catalogue.py)"
    raise ValueError(f"there is no target {name!r}; " + (f"did you mean {close[0]}? ({listed})" if close else listed))
