"""python -m cluster: start a local cluster, check a target, submit studies and look after them."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, assert_never

import typer
from ray.job_submission import JobStatus
from rich.console import Console

from cluster import catalogue as targets
from cluster import local
from cluster.access import access, connect, has_job_server, storage_of
from cluster.checks import table
from cluster.jobs import Attach, Attempt, Nothing, Submit, attempts, check_tracking_uri, decide
from cluster.package import package
from cluster.preflight import Preflight
from cluster.preflight import preflight as look
from cluster.render import how_to_start
from cluster.render import render as render_target
from cluster.submit import environment_line, follow, stamps
from cluster.submit import stop as stop_attempt
from cluster.submit import submit as send
from cluster.targets import LocalRay, Target
from studies import catalogue
from studies.schema.sources import TOP

BAD_INPUT = 2
UNFINISHED = 1
PIPED_WIDTH = 160
"""Columns of a table that goes into a file or a pipe."""

app = typer.Typer(
    name="python -m cluster",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=(
        "Run studies on a Ray cluster. Targets are declared in cluster/catalogue.py. Begin with\n\n"
        "  python -m cluster up local\n\n"
        "  python -m cluster submit first_look --target local --follow"
    ),
)

StudyName = Annotated[str, typer.Argument(metavar="STUDY", help="Name of a study, for example first_look.")]
TargetName = Annotated[str, typer.Option("--target", metavar="NAME", help="A target of cluster/catalogue.py.")]
StorageRoot = Annotated[
    str,
    typer.Option(
        "--storage",
        metavar="PATH",
        show_default="the target's own; on this machine HARNESS_STORAGE",
        help="Where runs lie, as the cluster's nodes see it: an absolute path or a file: URI.",
    ),
]
TrackingUri = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri",
        envvar="MLFLOW_TRACKING_URI",
        metavar="URI",
        help="An MLflow server that the nodes reach. Without one, the driver runs one on its loopback.",
    ),
]


@app.command()
def up(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A local target; others say how they are started.")],
    port: Annotated[
        int, typer.Option("--port", min=1024, max=65535, help="Port of the dashboard, on loopback.")
    ] = local.DASHBOARD_PORT,
    cpus: Annotated[
        int | None, typer.Option("--cpus", min=0, help="Cores to offer.", show_default="the machine's")
    ] = None,
) -> None:
    """Start a Ray cluster on this machine: on loopback alone, and behind a token of its own."""
    with _one_line_errors():
        _local(name)
        record, is_new = local.up(name, port=port, cpus=cpus)
        typer.echo(f"{'started' if is_new else 'already running'}: {record.address} (process {record.pid})")
        typer.echo(f"for Ray's own commands: {environment_line(local.State(name).token)}")


@app.command()
def down(name: Annotated[str, typer.Argument(metavar="NAME", help="A local target.")]) -> None:
    """End the cluster that up started, with the jobs on it. No other Ray on the machine is touched."""
    with _one_line_errors():
        _local(name)
        typer.echo(f"{name} is down" if local.down(name) else f"{name} was not up")


@app.command()
def preflight(
    study: StudyName, target: TargetName, storage: StorageRoot = "", tracking_uri: TrackingUri = None
) -> None:
    """Check everything that a study needs of a target, and say what to do about what is missing."""
    with _one_line_errors():
        place = _checked(study, target, storage, tracking_uri)
        done = look(
            targets.find(target), catalogue.find(study), top=TOP, storage=place, tracking_uri=tracking_uri, say=_say
        )
        _show(done)
        if done.failures:
            raise typer.Exit(UNFINISHED)


@app.command()
def submit(
    study: StudyName,
    target: TargetName,
    storage: StorageRoot = "",
    tracking_uri: TrackingUri = None,
    following: Annotated[bool, typer.Option("--follow", help="Show the log until the study ends.")] = False,
    no_preflight: Annotated[bool, typer.Option("--no-preflight", help="Submit without looking first.")] = False,
) -> None:
    """Run a study on a target, or go on with it: finished runs are never repeated.

    While the study runs, the same command follows it; after a success it says so and submits nothing.
    """
    with _one_line_errors():
        place = _checked(study, target, storage, tracking_uri)
        found, declared = targets.find(target), catalogue.find(study)
        if not has_job_server(found):
            raise ValueError(f"target {target} is handed over as a whole: {how_to_start(found, study)}")
        sources, client = package(TOP), connect(found)
        known = attempts(client, declared)
        owed = None
        if not (known and not known[-1].status.is_terminal()) and not no_preflight:
            done = look(found, declared, top=TOP, storage=place, tracking_uri=tracking_uri, say=_say)
            if done.failures:
                _show(done)
                raise ValueError("preflight failed; mend what the table names, or say --no-preflight")
            owed = done.owed
        match decide(known, sources=sources.sources, storage=place, owed=owed):
            case Attach(attempt=attempt):
                name = attempt.submission_id
                typer.echo(f"{name} is {attempt.status}")
            case Nothing(attempt=attempt):
                typer.echo(f"nothing to do: {attempt.submission_id} succeeded and nothing is owed in {place}")
                return
            case Submit(number=number, reason=reason):
                name = send(client, access(found), declared, number, sources, storage=place, tracking_uri=tracking_uri)
                typer.echo(f"submitted {name} ({reason}), sources {sources.sources}")
            case unknown:
                assert_never(unknown)
        if following:
            _follow_to_its_end(found, name, study)
        else:
            typer.echo(f"python -m cluster logs {study} --target {target} --follow")


@app.command()
def status(study: StudyName, target: TargetName) -> None:
    """Show the attempts at a study that a cluster remembers."""
    with _one_line_errors():
        known = attempts(connect(targets.find(target)), catalogue.find(study))
        for attempt in known:
            # Below its first line, the message of a failed job repeats the end of its log.
            why = attempt.message.partition("\n")[0]
            typer.echo(f"{attempt.submission_id}  {attempt.status}  {attempt.storage}  {why}".rstrip())
        if not known:
            typer.echo(f"{target} knows of no attempt at {study}")


@app.command()
def logs(
    study: StudyName,
    target: TargetName,
    following: Annotated[bool, typer.Option("--follow", help="Go on until the study ends.")] = False,
) -> None:
    """Show the log of the last attempt at a study."""
    with _one_line_errors():
        found = targets.find(target)
        last = _last(found, study)
        if following:
            _follow_to_its_end(found, last.submission_id, study)
        else:
            typer.echo(connect(found).get_job_logs(last.submission_id), nl=False)


@app.command()
def stop(
    study: StudyName,
    target: TargetName,
    now: Annotated[bool, typer.Option("--now", help="End it at once instead of letting it save.")] = False,
) -> None:
    """Ask a running study to save and end; submit goes on from there."""
    with _one_line_errors():
        found = targets.find(target)
        last = _last(found, study)
        if last.status.is_terminal():
            typer.echo(f"{last.submission_id} is not running: {last.status}")
            return
        typer.echo(stop_attempt(connect(found), access(found), last, catalogue.find(study), now=now))


@app.command()
def render(study: StudyName, target: TargetName) -> None:
    """Print a target's manifest, launcher configuration or batch script for a study."""
    with _one_line_errors():
        typer.echo(render_target(targets.find(target), catalogue.find(study), stamps(package(TOP))), nl=False)


def _checked(study: str, target: str, storage: str, tracking_uri: str | None) -> str:
    """The storage root, after everything that a person wrote was checked."""
    found = targets.find(target)
    catalogue.find(study)
    check_tracking_uri(tracking_uri)
    return storage_of(found, storage)


def _local(name: str) -> LocalRay:
    found = targets.find(name)
    if not isinstance(found, LocalRay):
        raise ValueError(f"target {name} is not on this machine; it is started by: {how_to_start(found, 'STUDY')}")
    return found


def _last(target: Target, study: str) -> Attempt:
    known = attempts(connect(target), catalogue.find(study))
    if not known:
        raise ValueError(
            f"{target.name} knows of no attempt at {study}; python -m cluster submit {study} --target {target.name}"
        )
    return known[-1]


def _follow_to_its_end(target: Target, submission_id: str, study: str) -> None:
    try:
        ended = follow(connect(target), submission_id, lambda text: typer.echo(text, nl=False))
    except KeyboardInterrupt:
        typer.echo(
            f"\n{submission_id} goes on; python -m cluster stop {study} --target {target.name} ends it", err=True
        )
        raise typer.Exit(130) from None
    typer.echo(f"{submission_id} {ended}")
    if ended is not JobStatus.SUCCEEDED:
        raise typer.Exit(UNFINISHED)


def _show(done: Preflight) -> None:
    Console(width=None if sys.stdout.isatty() else PIPED_WIDTH).print(table(done.checks))


def _say(text: str) -> None:
    typer.echo(text, err=True)


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """What a person can mend is told in one message; anything else is ours and keeps its traceback."""
    for name in ("ray.dashboard.modules.dashboard_sdk", "ray.dashboard.modules.job.sdk", "ray._private.runtime_env"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        yield
    except (ValueError, OSError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and type(error) is not RuntimeError:
            raise
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(BAD_INPUT) from None


if __name__ == "__main__":
    app()
