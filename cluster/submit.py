"""Submit a study, follow it, ask how it stands and stop it. Submitting twice is the same as submitting once."""

import asyncio
import secrets
import shlex
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp
from ray.job_submission import JobStatus, JobSubmissionClient

from cluster.access import Access
from cluster.command import Stamps, entrypoint
from cluster.jobs import Attempt, JobRequest, attempts, request, start
from cluster.package import Package, copy
from studies.schema.sources import git_revision
from studies.schema.study import Study

POLL_SECONDS = 1.0
STOP_SECONDS = 300.0
"""How long a study may take to save after it was asked to; it does so at its next step."""

ASKED = "to save and end"
"""What ``python -m harness stop`` says when there was a driver to ask."""


def stamps(sources: Package) -> Stamps:
    """What a job is told of its sources."""
    return Stamps(sources=sources.sources, revision=git_revision(sources.top))


def submit(
    client: JobSubmissionClient,
    where: Access,
    study: Study,
    number: int,
    sources: Package,
    *,
    storage: str,
    tracking_uri: str | None = None,
) -> str:
    """Send an attempt and return its submission id; one that somebody else sent in this moment counts as ours."""
    asked = request(study, number, where, stamps(sources), storage=storage, tracking_uri=tracking_uri)
    try:
        send(client, asked, sources)
    except RuntimeError:
        if asked.submission_id not in {attempt.submission_id for attempt in attempts(client, study)}:
            raise
    return asked.submission_id


def send(client: JobSubmissionClient, asked: JobRequest, sources: Package) -> None:
    """Upload the sources, unless the cluster has them, and start the job."""
    with tempfile.TemporaryDirectory() as folder:
        copy(sources, Path(folder))
        start(
            client,
            entrypoint=asked.entrypoint,
            submission_id=asked.submission_id,
            runtime_env=asked.runtime_env(Path(folder)),
            metadata=dict(asked.metadata),
        )


def follow(client: JobSubmissionClient, submission_id: str, write: Callable[[str], object]) -> JobStatus:
    """Write a job's log as it grows, across lost connections, until the job ends; returns how it ended."""
    log = _Log(write)
    while True:
        try:
            asyncio.run(_tail(client, submission_id, log))
        except (RuntimeError, OSError, aiohttp.ClientError):
            time.sleep(POLL_SECONDS)
        status = client.get_job_status(submission_id)
        if status.is_terminal():
            log.take(client.get_job_logs(submission_id), 0)
            return status
        time.sleep(POLL_SECONDS)


class _Log:
    """Writes a log once, however often its beginning is told again."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._written = 0

    def take(self, text: str, start: int) -> int:
        """Write what is new of a piece that begins at character ``start``; returns where the piece ends."""
        end = start + len(text)
        if end > self._written:
            self._write(text[max(0, self._written - start) :])
            self._written = end
        return end


async def _tail(client: JobSubmissionClient, submission_id: str, log: _Log) -> None:
    place = 0
    async for text in client.tail_job_logs(submission_id):
        place = log.take(text, place)


def stop(client: JobSubmissionClient, where: Access, attempt: Attempt, study: Study, *, now: bool) -> str:
    """End a running attempt; with ``now`` without saving. Returns how it ended, in words.

    The polite way is the harness's own: a small job on the cluster asks the driver through storage to save and end.
    """
    if now:
        client.stop_job(attempt.submission_id)
        _wait(client, attempt.submission_id)
        return f"{attempt.submission_id} was ended; what it had saved stays"
    kept = ("working_dir", "py_executable", "env_vars")
    asking = f"stop-{secrets.token_hex(6)}"
    start(
        client,
        entrypoint=entrypoint(where.python, "harness", "stop", study.name, "--storage", attempt.storage),
        submission_id=asking,
        runtime_env={name: value for name, value in attempt.runtime_env.items() if name in kept},
    )
    answered = _wait(client, asking) and client.get_job_status(asking) is JobStatus.SUCCEEDED
    said = client.get_job_logs(asking)
    if not answered or ASKED not in said:
        last = said.strip().splitlines()[-1:] or ["the cluster ran no small job"]
        return f"{attempt.submission_id} could not be asked: {last[0]}; ask again, or end it with --now"
    client.delete_job(asking)
    if _wait(client, attempt.submission_id):
        return f"{attempt.submission_id} saved and ended"
    return f"{attempt.submission_id} was asked to save and has not ended within {STOP_SECONDS:g} s; --now ends it"


def _wait(client: JobSubmissionClient, submission_id: str) -> bool:
    """Wait for a job to end; says whether it did."""
    deadline = time.monotonic() + STOP_SECONDS
    while not client.get_job_status(submission_id).is_terminal():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def environment_line(token: Path) -> str:
    """What a shell has to export so that Ray's own commands reach a cluster."""
    return f"export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH={shlex.quote(str(token))}"
