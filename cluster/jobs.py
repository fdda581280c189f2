"""A study's attempts on a cluster: what each was, what the next is called, and what a job is told."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ray.job_submission import JobStatus, JobSubmissionClient

from cluster.access import Access
from cluster.command import Stamps, entrypoint, run_words
from studies.schema.study import Study

NO_AGENT = "No available agent"
"""What a head says whose dashboard is up before its agent."""

AGENT_SECONDS = 180.0
POLL_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One submission of a study. ``sources`` and ``storage`` are those it was submitted with."""

    number: int
    submission_id: str
    status: JobStatus
    sources: str
    storage: str
    message: str = ""
    runtime_env: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True)
class Attach:
    """The study runs: follow this attempt."""

    attempt: Attempt


@dataclass(frozen=True, kw_only=True)
class Nothing:
    """This attempt brought the study home, and nothing is owed since."""

    attempt: Attempt


@dataclass(frozen=True, kw_only=True)
class Submit:
    """Submit attempt ``number``, for the reason given in words."""

    number: int
    reason: str


Decision = Attach | Nothing | Submit


@dataclass(frozen=True, kw_only=True)
class JobRequest:
    """What is sent to a job server, apart from the sources. Everybody who sees the dashboard sees all of it."""

    submission_id: str
    entrypoint: str
    metadata: dict[str, str]
    env_vars: dict[str, str]
    py_executable: str | None

    def runtime_env(self, working_dir: Path) -> dict[str, Any]:
        environment: dict[str, Any] = {"working_dir": str(working_dir), "env_vars": dict(self.env_vars)}
        if self.py_executable:
            environment["py_executable"] = self.py_executable
        return environment


def attempts(client: JobSubmissionClient, study: Study) -> tuple[Attempt, ...]:
    """The attempts at a study's version that a cluster remembers, in order; a new head remembers none."""
    pattern = re.compile(rf"{re.escape(_stem(study))}-(\d+)\Z")
    found = []
    for job in client.list_jobs():
        if match := pattern.match(job.submission_id or ""):
            facts = job.metadata or {}
            found.append(
                Attempt(
                    number=int(match[1]),
                    submission_id=match[0],
                    status=job.status,
                    sources=facts.get("sources", ""),
                    storage=facts.get("storage", ""),
                    message=job.message or "",
                    runtime_env=job.runtime_env or {},
                )
            )
    return tuple(sorted(found, key=lambda attempt: attempt.number))


def start(
    client: JobSubmissionClient,
    *,
    entrypoint: str,
    submission_id: str,
    runtime_env: dict[str, Any],
    metadata: dict[str, str] | None = None,
) -> None:
    """Start a job; waits for a head that answers already but whose agent is not up yet.

    RuntimeError when the id is taken, or when no agent comes.
    """
    deadline = time.monotonic() + AGENT_SECONDS
    while True:
        try:
            client.submit_job(
                entrypoint=entrypoint, submission_id=submission_id, runtime_env=runtime_env, metadata=metadata
            )
            return
        except RuntimeError as error:
            if NO_AGENT not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(POLL_SECONDS)


def decide(known: Sequence[Attempt], *, sources: str, storage: str, owed: int | None) -> Decision:
    """What to do about a study, given its attempts so far, our sources and storage, and how many runs are owed there.

    ``owed`` is None where nobody looked. Raises ValueError while it runs over another storage.
    """
    if not known:
        return Submit(number=1, reason="first attempt")
    last = known[-1]
    if not last.status.is_terminal():
        if last.storage != storage:
            raise ValueError(
                f"{last.submission_id} runs over {last.storage}, not over {storage}; wait for its end, or stop it first"
            )
        return Attach(attempt=last)
    following = last.number + 1
    if last.status is not JobStatus.SUCCEEDED:
        return Submit(number=following, reason=f"{last.submission_id} ended as {last.status}; finished runs are kept")
    if last.storage != storage:
        return Submit(number=following, reason=f"{last.submission_id} ran over {last.storage}")
    if last.sources != sources:
        return Submit(number=following, reason=f"{last.submission_id} ran sources {last.sources}, these are {sources}")
    if owed:
        return Submit(number=following, reason=f"{owed} runs are owed though {last.submission_id} succeeded")
    return Nothing(attempt=last)


def request(
    study: Study, number: int, where: Access, stamps: Stamps, *, storage: str, tracking_uri: str | None = None
) -> JobRequest:
    """The job of an attempt; a pure function. ValueError for a tracking URI that carries a password."""
    check_tracking_uri(tracking_uri)
    return JobRequest(
        submission_id=f"{_stem(study)}-{number}",
        entrypoint=entrypoint(where.python, *run_words(study.name, storage, tracking_uri)),
        metadata={
            "study": study.name,
            "version": study.version,
            "attempt": str(number),
            "sources": stamps.sources,
            "revision": stamps.revision or "unknown",
            "storage": storage,
        },
        env_vars=stamps.environment(),
        py_executable=py_executable(where),
    )


def py_executable(where: Access) -> str | None:
    """The interpreter that workers are pinned to, where the target names one by its path."""
    return where.python if where.python.startswith("/") else None


def check_tracking_uri(uri: str | None) -> None:
    """Raise ValueError for a tracking URI that is no server's, or that holds a secret: jobs show their command."""
    if uri is None:
        return
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"tracking URI {uri.partition('@')[2] or uri!r} is no server's; write http(s)://HOST:PORT")
    if parts.username or parts.password or parts.query:
        raise ValueError(
            f"the tracking URI of {parts.hostname} carries credentials, and everybody who sees the job would see them; "
            "leave them out, and set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD on the cluster's nodes"
        )


def _stem(study: Study) -> str:
    return f"{study.name}-{study.version}".replace("+", "-")
