"""All checks before a submission, cheapest first: what lies here, whether the cluster answers, how it looks inside."""

import json
import secrets
import shlex
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray.job_submission import JobSubmissionClient

from cluster import checks
from cluster.access import Access, NotReached, Refused, access, connect, has_job_server
from cluster.checks import Check, Result, failed, passed, skipped
from cluster.command import Stamps, entrypoint
from cluster.jobs import py_executable, start
from cluster.package import Package, copy, package
from cluster.probe import MARKER
from cluster.targets import Target
from studies.schema.study import Study

PROBE_SECONDS = 180.0
"""Six seconds were seen on one warm machine; nodes that unpack the sources for the first time take more."""

POLL_SECONDS = 0.25
_INSIDE = ("versions", "storage", "tracking server")


@dataclass(frozen=True, kw_only=True)
class Preflight:
    """The checks in order; ``owed`` counts the study's runs that storage still waits for, None where nobody looked."""

    checks: tuple[Check, ...]
    owed: int | None

    @property
    def failures(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.result is Result.FAIL)


def preflight(
    target: Target,
    study: Study,
    *,
    top: Path,
    storage: str,
    tracking_uri: str | None = None,
    say: Callable[[str], object] = lambda text: None,
) -> Preflight:
    """Look at everything; uses one job and a task per node, and those only where nothing failed before."""
    found: list[Check] = [checks.clean_tree(top)]
    sources = _package(top)
    found.append(checks.working_directory(sources))
    declared = checks.declared_nodes(target, study)
    if declared is not None:
        found.append(checks.devices(study, declared, f"the {len(declared)} nodes that {target.name} may have"))
    if not has_job_server(target):
        why = f"{target.name} has no cluster before its job runs"
        return Preflight(checks=(*found, *(skipped(name, why) for name in ("reachable", *_INSIDE))), owed=None)
    try:
        client = connect(target)
    except (NotReached, Refused) as error:
        name = "reachable" if isinstance(error, NotReached) else "token"
        return _cut_short(found, failed(name, error.what, error.remedy))
    found.append(passed("reachable", f"{access(target).address} answers and takes our token"))
    if any(check.result is Result.FAIL for check in found) or isinstance(sources, ValueError):
        return _cut_short(found)
    say("looking at the cluster from inside ...")
    answer = probe(client, access(target), sources, study.name, storage, tracking_uri)
    if "error" in answer:
        remedy = f"install the packages of constraints.txt for {access(target).python} on every node"
        return _cut_short(found, failed("versions", answer["error"], remedy))
    found += inside(answer, target, study, storage, tracking_uri, has_declared=declared is not None)
    return Preflight(checks=tuple(found), owed=answer["owed"])


def inside(
    answer: dict[str, Any], target: Target, study: Study, storage: str, tracking_uri: str | None, *, has_declared: bool
) -> list[Check]:
    """The checks on what a probe answered."""
    nodes = answer["nodes"]
    lost = [node for node in nodes if "error" in node]
    if lost:
        what = "; ".join(f"{node['name']}: {node['error']}" for node in lost)
        return [failed("nodes", what, "no task could run there: see that node's Ray logs, or take it out")]
    found = [
        checks.versions(nodes),
        checks.storage(nodes, storage, answer["free_bytes"], study),
        checks.tracking(nodes, tracking_uri),
    ]
    if not has_declared:
        living = checks.living_nodes(nodes)
        found.append(checks.devices(study, living, f"{len(living)} nodes of {target.name}"))
    return found


def probe(
    client: JobSubmissionClient, where: Access, sources: Package, study: str, storage: str, tracking_uri: str | None
) -> dict[str, Any]:
    """Run :mod:`cluster.probe` as a job and return its answer; ``error`` says why there is none."""
    facts = json.dumps({"storage": storage, "tracking_uri": tracking_uri, "study": study})
    with tempfile.TemporaryDirectory() as folder:
        copy(sources, Path(folder))
        environment: dict[str, Any] = {"working_dir": folder}
        environment["env_vars"] = Stamps(sources=sources.sources, revision=None).environment()
        if pinned := py_executable(where):
            environment["py_executable"] = pinned
        job = f"preflight-{secrets.token_hex(6)}"
        asked = f"{entrypoint(where.python, 'cluster.probe')} {shlex.quote(facts)}"
        start(client, entrypoint=asked, submission_id=job, runtime_env=environment)
    deadline = time.monotonic() + PROBE_SECONDS
    while not client.get_job_status(job).is_terminal():
        if time.monotonic() > deadline:
            client.stop_job(job)
            return {"error": f"the cluster began no small job within {PROBE_SECONDS:g} s ({job})"}
        time.sleep(POLL_SECONDS)
    said = client.get_job_logs(job)
    message = client.get_job_info(job).message or ""
    client.delete_job(job)
    for line in reversed(said.splitlines()):
        if line.startswith(MARKER):
            answer: dict[str, Any] = json.loads(line.removeprefix(MARKER))
            return answer
    last = next((line for line in reversed(said.splitlines()) if line.strip()), message)
    return {"error": f"a small job ended without an answer: {last.strip()[:300]}"}


def _package(top: Path) -> Package | ValueError:
    try:
        return package(top)
    except ValueError as error:
        return error


def _cut_short(found: list[Check], *last: Check) -> Preflight:
    done = {check.name for check in (*found, *last)}
    rest = (skipped(name, "a check before it failed") for name in ("reachable", *_INSIDE, "plan fits"))
    return Preflight(checks=(*found, *last, *(check for check in rest if check.name not in done)), owed=None)
