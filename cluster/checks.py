"""What has to hold before a study is submitted: each check says what was found and what to do about it."""

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, assert_never

from rich.table import Table
from rich.text import Text

from cluster.demand import demands, shortfalls, storage_bytes
from cluster.package import Package
from cluster.targets import (
    ExistingRay,
    KubeRayCluster,
    KubeRayJob,
    LocalRay,
    Node,
    RayVms,
    SlurmJob,
    Target,
)
from studies.schema.sources import git
from studies.schema.study import Study

SPARE_BYTES = 500_000_000
"""Disk that the harness wants free besides what a study leaves."""

SHOWN_CHANGES = 3


class Result(StrEnum):
    PASS = "pass"
    FAIL = "FAIL"
    SKIPPED = "not checked"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked at; ``remedy`` is empty unless it failed."""

    name: str
    result: Result
    found: str
    remedy: str = ""

    def __post_init__(self) -> None:
        if (self.result is Result.FAIL) != bool(self.remedy):
            raise ValueError(f"check {self.name!r} is {self.result} with remedy {self.remedy!r}; a failure names one")


def passed(name: str, found: str) -> Check:
    return Check(name=name, result=Result.PASS, found=found)


def failed(name: str, found: str, remedy: str) -> Check:
    return Check(name=name, result=Result.FAIL, found=found, remedy=remedy)


def skipped(name: str, why: str) -> Check:
    return Check(name=name, result=Result.SKIPPED, found=why)


def clean_tree(top: Path) -> Check:
    """Whether the sources are those of a commit, so that a result can be traced to them."""
    changed = git(top, "status", "--porcelain")
    if changed is None:
        return skipped("clean tree", f"{top} is no git repository; sources are told by their hash alone")
    if not changed:
        return passed("clean tree", f"at {git(top, 'rev-parse', '--short=12', 'HEAD') or 'no commit'}")
    names = [line.strip().split(maxsplit=1)[-1] for line in changed.splitlines()]
    more = f" and {len(names) - SHOWN_CHANGES} more" if len(names) > SHOWN_CHANGES else ""
    return failed(
        "clean tree",
        f"{', '.join(names[:SHOWN_CHANGES])}{more} not committed",
        "commit or stash, so that results can be traced; --no-preflight submits nevertheless",
    )


def working_directory(found: Package | ValueError) -> Check:
    """Whether the sources can be sent, as :func:`cluster.package.package` found."""
    match found:
        case Package():
            return passed("working directory", f"{len(found.files)} files, {found.size / 2**20:.1f} MiB")
        case ValueError():
            what, _, remedy = str(found).partition("; largest: ")
            return failed("working directory", what, f"largest: {remedy}" if remedy else "submit from a checkout")


def versions(nodes: Sequence[Mapping[str, Any]]) -> Check:
    """Whether every node has our Ray, and our Python up to its last digit: Ray refuses another minor version."""
    ours = (importlib.metadata.version("ray"), _minor(platform.python_version()))
    others = [
        f"{node['name']} has Ray {node['ray']} and Python {node['python']}"
        for node in nodes
        if (node["ray"], _minor(node["python"])) != ours
    ]
    if others:
        return failed(
            "versions",
            "; ".join(others),
            f"install Ray {ours[0]} and Python {ours[1]} there (constraints.txt), or submit with theirs",
        )
    return passed("versions", f"Ray {ours[0]} and Python {ours[1]} on {len(nodes)} nodes")


def storage(nodes: Sequence[Mapping[str, Any]], root: str, free_bytes: float, study: Study) -> Check:
    """Whether every node writes to one and the same storage, with room for the study."""
    wrong = [f"{node['name']}: {node['storage_error']}" for node in nodes if node["storage_error"]]
    if wrong:
        return failed(
            "storage", "; ".join(wrong), f"mount one file system at {root} on every node, writable by Ray's user"
        )
    needed = storage_bytes(study) + SPARE_BYTES
    if free_bytes < needed:
        return failed(
            "storage",
            f"{root} has {free_bytes / 1e9:.1f} GB free and the study may need {needed / 1e9:.1f}",
            "free some space (python -m harness gc), or choose another root with --storage",
        )
    return passed("storage", f"{root} written by {len(nodes)} nodes, {free_bytes / 1e9:.0f} GB free")


def tracking(nodes: Sequence[Mapping[str, Any]], uri: str | None) -> Check:
    """Whether every node reaches the tracking server."""
    if uri is None:
        return skipped("tracking server", "none is named; the driver runs one on its own loopback")
    wrong = [f"{node['name']}: {node['tracking_error']}" for node in nodes if node["tracking_error"]]
    if wrong:
        return failed(
            "tracking server",
            "; ".join(wrong),
            "open the way from the nodes, and name the host in the server's --allowed-hosts (403 means it is not)",
        )
    return passed("tracking server", f"{uri} answers on {len(nodes)} nodes")


def devices(study: Study, nodes: Sequence[Node], where: str) -> Check:
    """Whether the nodes have places for the study's workers, and these the memory for its models."""
    lacking = shortfalls(study, nodes)
    if lacking:
        what, _, remedy = lacking[0].partition("; ")
        return failed("plan fits", what, remedy)
    asked = "; ".join(kind.span for kind in demands(study))
    return passed("plan fits", f"{asked}, on {where}")


def declared_nodes(target: Target, study: Study) -> tuple[Node, ...] | None:
    """The most nodes that a target can have, as it says itself; None where only the cluster knows."""
    match target:
        case LocalRay() | ExistingRay():
            return None
        case KubeRayCluster() | KubeRayJob():
            pods = target.pods
            return tuple(
                Node(
                    cpus=kind.cpus,
                    memory_gib=pods.worker_memory_gib,
                    gpus=kind.gpus,
                    gpu_gib=pods.gpu_gib if kind.gpus else 0,
                )
                for kind in demands(study)
                for _ in range(pods.workers.maximum)
            )
        case RayVms():
            return (target.worker,) * target.workers.maximum
        case SlurmJob():
            return (target.node,) * target.nodes.maximum
        case unknown:
            assert_never(unknown)


def living_nodes(nodes: Sequence[Mapping[str, Any]]) -> tuple[Node, ...]:
    """Nodes of a probe that offer cores; a head that offers none carries drivers alone."""
    return tuple(
        Node(
            cpus=node["cpus"],
            memory_gib=max(1, node["memory_gib"]),
            gpus=node["gpus"],
            gpu_gib=max(1, node["gpu_gib"]) if node["gpus"] else 0,
        )
        for node in nodes
        if node["cpus"]
    )


def table(checks: Sequence[Check]) -> Table:
    """Checks as a table: what was looked at, how it stands, what was found, and what to do."""
    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("Check", "Result", "Found", "Remedy"):
        drawn.add_column(column, overflow="fold")
    styles = {Result.PASS: "green", Result.FAIL: "bold red", Result.SKIPPED: "dim"}
    for check in checks:
        style = styles[check.result]
        drawn.add_row(check.name, Text(check.result, style=style), Text(check.found), Text(check.remedy))
    return drawn


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
