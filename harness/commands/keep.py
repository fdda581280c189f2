"""Commands for what was recorded: ui, serve, export, gc; and drill, which sees that it would not be lost."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from harness import housekeeping
from harness.commands.application import KEEP, UNFINISHED, StorageRoot, StudyName, app
from harness.commands.speech import complain, console, one_line_errors, quiet
from harness.plan import size
from studies import catalogue
from studies.schema.storage import Storage
from studies.schema.study import expand


@app.command(rich_help_panel=KEEP)
def ui(
    storage: StorageRoot = "",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to serve on; 0 takes a free one.")] = 5000,
    host: Annotated[
        str,
        typer.Option("--host", help="Address to serve on. Beyond loopback everybody who reaches it sees every run."),
    ] = "127.0.0.1",
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="First make a new MLflow store from storage alone; the old is put aside.")
    ] = False,
) -> None:
    """Serve the recorded runs in the MLflow UI until interrupted."""
    with one_line_errors():
        place = Storage.named(storage)
        quiet(Console(stderr=True))
        if rebuild:
            # Imported here because it loads MLflow.
            from harness.rebuild import rebuild as rebuild_store

            aside = rebuild_store(place, typer.echo)
            typer.echo(f"the MLflow store was made anew; the old one is {aside or 'none'}")
        # Imported here because no other command serves anything.
        from harness.mlflow_server import is_loopback
        from harness.mlflow_ui import serve_ui

        remote = not is_loopback(host)
        if remote:
            complain(f"warning: MLflow asks nobody for a password; whoever reaches {host}:{port} sees every run")
        serve_ui(place, port, host, allow_remote=remote, announce=typer.echo)


@app.command(rich_help_panel=KEEP)
def export(
    study: StudyName,
    key: Annotated[str, typer.Argument(metavar="KEY", help="A run's key, or its beginning, as plan lists it.")],
    directory: Annotated[
        Path, typer.Argument(metavar="DIRECTORY", help="Where the model goes; a directory that does not exist yet.")
    ],
    storage: StorageRoot = "",
) -> None:
    """Write a trained model, its tokenizer and a card where sentence-transformers' MultiVectorEncoder loads them."""
    with one_line_errors():
        declared, place = catalogue.find(study), Storage.named(storage)
        point = catalogue.find_point(declared.name, expand(declared), key)
        quiet(Console(stderr=True))
        # Imported here because it loads torch and sentence-transformers.
        from harness.export import export as export_of

        typer.echo(f"wrote run {point.key} to {export_of(place, declared, point, directory.absolute())}")


@app.command(rich_help_panel=KEEP)
def serve(
    backend: Annotated[
        str,
        typer.Option(
            "--backend", metavar="URI", help="Where runs are kept: postgresql://USER@HOST/DATABASE, without a password."
        ),
    ],
    artifacts: Annotated[
        Path, typer.Option("--artifacts", metavar="PATH", help="Where artifacts are kept: a directory of this machine.")
    ],
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port to serve on.")] = 5000,
    host: Annotated[
        str, typer.Option("--host", help="Address to serve on. Beyond loopback everybody who reaches it may write.")
    ] = "127.0.0.1",
    allowed_hosts: Annotated[
        list[str] | None,
        typer.Option("--allowed-hosts", metavar="NAME", help="A further name by which people reach it; repeatable."),
    ] = None,
) -> None:
    """Serve MLflow for a team, over PostgreSQL, until interrupted. Give the database's password as PGPASSWORD."""
    with one_line_errors():
        quiet(Console(stderr=True))
        # Imported here because no other command serves anything.
        from harness.mlflow_server import is_loopback
        from harness.team_server import serve_team

        if not is_loopback(host):
            complain(f"warning: MLflow asks nobody for a password; whoever reaches {host}:{port} can change every run")
        serve_team(backend, artifacts, host=host, port=port, names=allowed_hosts or (), announce=typer.echo)


@app.command(rich_help_panel=KEEP)
def gc(
    storage: StorageRoot = "",
    yes: Annotated[bool, typer.Option("--yes", help="Delete; without it gc only says what it would free.")] = False,
) -> None:
    """Say what can be deleted without losing a result, and delete it with --yes. What a process uses is left alone."""
    with one_line_errors():
        place = Storage.named(storage)
        found = housekeeping.garbage(place, (*catalogue.every_study(), *catalogue.every_search()))
        gone = housekeeping.delete(place, found) if yes else found
        out = console()
        for item in gone:
            out.print(
                f"{size(item.size):>10}  {item.path.relative_to(place.root)}  ({item.reason})",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
        total = size(sum(item.size for item in gone))
        said = f"freed {total}" if yes else f"{total} can be freed: python -m harness gc --yes" if gone else "nothing"
        out.print(f"{said} in {place.root}" if gone else f"nothing to free in {place.root}", highlight=False)


@app.command(rich_help_panel=KEEP)
def drill(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of a drill, or all.")] = "all",
    listed: Annotated[bool, typer.Option("--list", help="Say which drills there are and do none.")] = False,
) -> None:
    """Disturb a small study on purpose and compare what comes of it with the same study left in peace.

    Works in a temporary folder: no storage of yours is touched. The exit status is 0 only if everything held.
    """
    with one_line_errors():
        quiet(Console(stderr=True))
        # Imported here because it loads MLflow.
        from harness.drills import perform

        if listed:
            console().print(perform.list_table())
            return
        reports = perform.perform_all(perform.chosen(name), typer.echo)
        console().print(perform.table(reports))
        if not all(report.holds for report in reports):
            raise typer.Exit(UNFINISHED)
