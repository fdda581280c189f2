"""Reaching a target's job server: its address, the token by reference, and one error for each way it can fail."""

import os
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import assert_never
from urllib.parse import urlsplit

from ray.exceptions import AuthenticationError
from ray.job_submission import JobSubmissionClient

from cluster.local import State
from cluster.render import how_to_start
from cluster.targets import ExistingRay, KubeRayCluster, KubeRayJob, LocalRay, RayVms, SlurmJob, Target
from studies.schema.storage import Storage

CONNECT_SECONDS = 5.0
DEFAULT_TOKEN = "~/.ray/auth_token"


class NotReached(ValueError):
    """Nothing answers at a target's address; ``remedy`` says what to do."""

    def __init__(self, what: str, remedy: str) -> None:
        self.what, self.remedy = what, remedy
        super().__init__(f"{what}; {remedy}")


class Refused(ValueError):
    """A target's job server does not accept our token, or wants one that we have not."""

    def __init__(self, what: str, remedy: str) -> None:
        self.what, self.remedy = what, remedy
        super().__init__(f"{what}; {remedy}")


@dataclass(frozen=True, kw_only=True)
class Access:
    """Where a job server is, the interpreter of its nodes, and the token, which no representation shows."""

    address: str
    python: str
    token: str | None = field(repr=False)


def has_job_server(target: Target) -> bool:
    """Whether jobs are sent to a server; other targets are handed over as a whole, to kubectl or sbatch."""
    return not isinstance(target, KubeRayJob | SlurmJob)


def storage_of(target: Target, named: str) -> str:
    """The storage root as the target's nodes see it: as named, or the target's own; ValueError for a relative one.

    HARNESS_STORAGE names a place on this machine, so it counts for a cluster on this machine alone.
    """
    own = os.environ.get("HARNESS_STORAGE", "") if isinstance(target, LocalRay) else _own_storage(target)
    return str(Storage.named(named or own).root)


def access(target: Target) -> Access:
    """How to reach a target. Raises NotReached where nothing can be there yet."""
    match target:
        case LocalRay():
            state = State(target.name)
            record = state.read()
            if record is None:
                raise NotReached(
                    f"no cluster {target.name!r} runs on this machine", f"start it: {how_to_start(target, '')}"
                )
            return Access(address=record.address, python=record.python, token=_read(state.token))
        case ExistingRay():
            return Access(address=target.address, python=target.python, token=_usual_token())
        case KubeRayCluster():
            return Access(address=target.address, python="python", token=_usual_token())
        case RayVms():
            return Access(address=target.address, python="python", token=_read(Path(target.token_file).expanduser()))
        case KubeRayJob() | SlurmJob():
            raise NotReached(
                f"target {target.name} has no job server before its job runs",
                f"hand it over as a whole: {how_to_start(target, 'STUDY')}",
            )
        case unknown:
            assert_never(unknown)


def connect(target: Target) -> JobSubmissionClient:
    """A client of the target's job server, which has answered it. Raises NotReached or Refused."""
    where = access(target)
    start = how_to_start(target, "STUDY")
    parts = urlsplit(where.address)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise NotReached(f"nothing answers at {where.address} ({error})", f"start it: {start}") from None
    # Ray would put these before the address that it is given.
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        os.environ.pop(name, None)
    headers = {"Authorization": f"Bearer {where.token}"} if where.token else {}
    try:
        return JobSubmissionClient(where.address, headers=headers)
    except AuthenticationError:
        how = "does not accept our token" if where.token else "wants a token, and there is none here"
        raise Refused(f"{where.address} {how}", _token_remedy(target)) from None
    except (OSError, RuntimeError) as error:
        raise NotReached(
            f"{where.address} is no dashboard of Ray ({_last_line(error)})", f"start it: {start}"
        ) from None


def _own_storage(target: ExistingRay | KubeRayCluster | KubeRayJob | RayVms | SlurmJob) -> str:
    return target.pods.storage if isinstance(target, KubeRayCluster | KubeRayJob) else target.storage


def _token_remedy(target: Target) -> str:
    match target:
        case LocalRay():
            return f"the cluster was started anew behind its record: python -m cluster down {target.name}, then up"
        case KubeRayCluster() | KubeRayJob():
            secret = f"kubectl -n {target.pods.namespace} get secret {target.pods.token_secret}"
            text = f"{secret} -o jsonpath='{{.data.auth_token}}' | base64 -d"
            return f"write the present token into {DEFAULT_TOKEN}, readable by you alone: {text}"
        case ExistingRay() | RayVms() | SlurmJob():
            return (
                "the cluster was started with another token: fetch ~/.ray/auth_token from its head, and name the file "
                "in RAY_AUTH_TOKEN_PATH"
            )
        case unknown:
            assert_never(unknown)


def _usual_token() -> str | None:
    """Ray's own order: the variable, the file it names, the file at home; none where authentication is off."""
    if os.environ.get("RAY_AUTH_MODE", "").lower() == "disabled":
        return None
    if given := os.environ.get("RAY_AUTH_TOKEN"):
        return given
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    token = _read(Path(named or DEFAULT_TOKEN).expanduser())
    if named and token is None:
        raise ValueError(f"RAY_AUTH_TOKEN_PATH names {named}, which holds no token; correct or unset it")
    return token


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip() or None
    except FileNotFoundError:
        return None


def _last_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1][:200] if lines else type(error).__name__
