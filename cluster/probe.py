"""A look at a cluster from inside, run there as a job: ``python -m cluster.probe FACTS``. Prints one line of JSON.

FACTS is JSON with ``storage``, ``tracking_uri`` (or null) and ``study``.
"""

import json
import logging
import platform
import secrets
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from studies import catalogue
from studies.schema.run import Preparatory, System
from studies.schema.sources import TOP, sources_hash
from studies.schema.state import read_state
from studies.schema.storage import Storage, read_manifest
from studies.schema.study import Point, Study, expand

MARKER = "HARNESS-PROBE "
"""Begins the line that holds the answer; whatever else a job prints is no answer."""

NODE_SECONDS = 60.0
TRACKING_SECONDS = 10.0
GIB = 2**30


def look(storage: str, tracking_uri: str | None, nonce: str) -> dict[str, Any]:
    """What one node is and can do: versions, accelerators, storage and the way to the tracking server."""
    return {
        "ray": ray.__version__,
        "python": platform.python_version(),
        "gpu_gib": _gpu_gib(),
        "storage_error": _storage_error(storage, nonce),
        "tracking_error": _tracking_error(tracking_uri),
    }


def survey(storage: str, tracking_uri: str | None) -> list[dict[str, Any]]:
    """:func:`look` from every living node, by a task that is pinned there and claims nothing."""
    nonce = f".probe-{secrets.token_hex(8)}"
    shared = Path(storage, nonce)
    head_error = _write(shared, nonce)
    task = ray.remote(num_cpus=0, max_retries=0)(look)
    asked = {}
    for node in ray.nodes():
        if node["Alive"]:
            pinned = NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)
            asked[node["NodeID"]] = (
                node,
                task.options(scheduling_strategy=pinned).remote(storage, tracking_uri, nonce),
            )
    found = []
    try:
        for node, reference in asked.values():
            resources = node["Resources"]
            known = {
                "name": node["NodeManagerHostname"],
                "cpus": int(resources.get("CPU", 0)),
                "gpus": int(resources.get("GPU", 0)),
                "memory_gib": int(resources.get("memory", 0) / GIB),
            }
            try:
                found.append(known | ray.get(reference, timeout=NODE_SECONDS))
            except Exception as error:
                found.append(known | {"error": str(error).strip().splitlines()[-1]})
            if head_error:
                found[-1]["storage_error"] = head_error
    finally:
        shared.unlink(missing_ok=True)
    return found


def owed(study: Study, storage: Storage) -> int:
    """How many runs of a study have no result, or have one without any evaluation; a failed run is not owed."""
    return sum(_is_owed(point, storage) for point in expand(study))


def _is_owed(point: Point, storage: Storage) -> bool:
    folders = storage.evaluations(point.key).glob("*")
    evaluated = any(read_manifest(folder, verify=False) is not None for folder in folders)
    if isinstance(point.run, System):
        return not evaluated
    state = read_state(storage, point.key).state
    return not state.is_final or (state.has_result and not (evaluated or isinstance(point.run, Preparatory)))


def _write(path: Path, text: str) -> str | None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    except OSError as error:
        return f"the head cannot write {path.parent}: {error.strerror}"
    return None


def _storage_error(storage: str, nonce: str) -> str | None:
    """What is wrong with storage here: not to be written or locked, or not the file system that the head has."""
    try:
        Storage.at(storage).check_writable()
    except ValueError as error:
        return str(error)
    if not Path(storage, nonce).exists():
        return f"{storage} is another directory here than on the head; mount one file system on every node"
    return None


def _tracking_error(uri: str | None) -> str | None:
    if uri is None:
        return None
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=TRACKING_SECONDS) as answer:
            return None if answer.status == 200 else f"{uri} answers {answer.status}"
    except urllib.error.HTTPError as error:
        return f"{uri} answers {error.code}"
    except OSError as error:
        return f"{uri} does not answer: {getattr(error, 'reason', error)}"


def _gpu_gib() -> int:
    """Memory of the smallest accelerator here; 0 without one."""
    if shutil.which("nvidia-smi") is None:
        return 0
    ask = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(ask, capture_output=True, text=True, timeout=20, check=True).stdout
        return min((int(line) // 1024 for line in said.split()), default=0)
    except (OSError, subprocess.SubprocessError, ValueError):
        return 0


def main(facts: dict[str, Any]) -> dict[str, Any]:
    """Everything that preflight asks of a cluster; ``error`` alone where Ray does not let us in."""
    try:
        ray.init(logging_level=logging.ERROR, log_to_driver=False)
    except Exception as error:
        return {"error": " ".join(str(error).split())}
    storage = Storage.at(facts["storage"])
    nodes = survey(facts["storage"], facts["tracking_uri"])
    readable = storage.root.is_dir()
    return {
        "nodes": nodes,
        "sources": sources_hash(TOP),
        "free_bytes": shutil.disk_usage(storage.root).free if readable else 0,
        "owed": owed(catalogue.find(facts["study"]), storage),
    }


if __name__ == "__main__":
    sys.stdout.write(f"\n{MARKER}{json.dumps(main(json.loads(sys.argv[1])))}\n")
