"""Commands that have work done, or ended: run, search and stop."""

import os
from typing import Annotated

import typer
from rich.console import Console

from harness.commands.application import (
    INTERRUPTED,
    UNFINISHED,
    WORK,
    EitherName,
    StorageRoot,
    StudyName,
    TrackingUri,
    app,
)
from harness.commands.speech import complain, console, one_line_errors, quiet
from harness.outcome import Outcome
from harness.progress import clock, open_view, summary
from harness.show import search_lines
from harness.status import statuses
from harness.trials import owed as owed_trials
from studies import catalogue
from studies.schema.search import Search
from studies.schema.storage import Storage, lease_owner, write_json_atomic


@app.command(rich_help_panel=WORK)
def run(
    study: StudyName,
    storage: StorageRoot = "",
    only: Annotated[
        str | None,
        typer.Option(
            "--only",
            metavar="KEY_OR_RUNG",
            help="Only the runs of one rung, or one run by its key or the key's beginning; with what they need.",
        ),
    ] = None,
    tracking_uri: TrackingUri = None,
) -> None:
    """Train and evaluate what a study still owes.

    Interrupt it as you like: the same command goes on where it was. A finished run is never trained again.
    """
    with one_line_errors():
        declared, place = catalogue.find(study), Storage.named(storage)
        chosen = {point.key for point in catalogue.select(declared, only)} if only else None
        terminal = Console(stderr=True)
        quiet(terminal)
        # Imported here because it loads Ray, torch and MLflow.
        from harness.runner import run_study

        try:
            with open_view(terminal) as view:
                done = run_study(declared, place, only=only, tracking_uri=tracking_uri, view=view)
        except KeyboardInterrupt:
            complain(f"interrupted; what was saved stays, python -m harness run {study} goes on from there")
            raise typer.Exit(INTERRUPTED) from None
        rows = statuses(declared, place)
        owed = [row for row in rows if row.phase.is_owed and (chosen is None or row.point.key in chosen)]
        _close(study, f"{declared.name} {declared.version}: {summary(rows)}", done, storage, place)
        if owed or done.failed or done.undelivered:
            raise typer.Exit(UNFINISHED)


@app.command(rich_help_panel=WORK)
def search(
    search: Annotated[
        str,
        typer.Argument(
            metavar="SEARCH", help="Name of a search, for example search_epsilon_lr for studies/search_epsilon_lr.py."
        ),
    ],
    storage: StorageRoot = "",
    tracking_uri: TrackingUri = None,
) -> None:
    """Look for the best settings of a run with Ray Tune, or go on looking.

    Trials are scored on validation queries, the unpromising are given up early. Interrupt it as you like: the same
    command goes on where it was. A point that was ever trained, by whatever search or study, is read and not repeated.
    """
    with one_line_errors():
        declared, place = catalogue.find_search(search), Storage.named(storage)
        terminal = Console(stderr=True)
        quiet(terminal)
        # Imported here because it loads Ray, torch and MLflow.
        from harness.search_runner import run_search

        try:
            with open_view(terminal) as view:
                done = run_search(declared, place, tracking_uri=tracking_uri, view=view)
        except KeyboardInterrupt:
            complain(f"interrupted; what was saved stays, python -m harness search {search} goes on from there")
            raise typer.Exit(INTERRUPTED) from None
        _close(search, "\n".join(search_lines(declared, place)), done, storage, place)
        if owed_trials(declared, place) or done.undelivered:
            raise typer.Exit(UNFINISHED)


@app.command(rich_help_panel=WORK)
def stop(study: EitherName, storage: StorageRoot = "") -> None:
    """Ask the process that runs a study or a search to save and end. It goes on with the next such command."""
    with one_line_errors():
        declared, place = catalogue.find_any(study), Storage.named(storage)
        owner = lease_owner(place.study_lease(declared.name))
        if owner is None:
            typer.echo(f"nothing runs {study} in {place.root}; there is nothing to stop")
            return
        write_json_atomic(place.stop_request(declared.name), {"schema": 1, "asked_by": os.getpid()})
        verb = "search" if isinstance(declared, Search) else "run"
        typer.echo(f"asked {owner} to save and end; python -m harness {verb} {study} goes on from there")


def _close(name: str, said: str, done: Outcome, storage: str, place: Storage) -> None:
    """What a person is told at the end: what happened, how long it took, and where to go on."""
    # A place that only this command was told of has to be told to the next ones too.
    there = "" if storage == os.environ.get("HARNESS_STORAGE", "") else f" --storage {storage}"
    closing = [
        *done.messages,
        said,
        f"Time     {clock(done.seconds)}; all training loops together {clock(done.training_seconds)}",
        f"Results  {place.root}",
        f"Report   python -m analysis report {name}{there}",
        f"MLflow   python -m harness ui{there}   (recorded in {done.tracking})",
    ]
    if done.undelivered:
        closing.append(f"{done.undelivered} runs are not in MLflow yet; the same command delivers them")
    console().print("\n".join(closing), markup=False, highlight=False, soft_wrap=True)
