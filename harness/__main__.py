"""python -m harness: plan, run and look after studies.

The libraries that train take ten seconds to import, so only the commands that need them do.
"""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape

from harness import housekeeping
from harness.outcome import Outcome
from harness.plan import memory_table, misfits, plan_table, size, totals
from harness.plan import plan as plan_of
from harness.progress import clock, open_view, outcome, status_table, summary
from harness.show import lines, search_lines
from harness.status import Phase, RunStatus, status_of, statuses
from harness.trials import owed as owed_trials
from harness.trials import trial_statuses
from studies import catalogue
from studies.schema.search import Search
from studies.schema.storage import Storage, lease_owner, write_json_atomic
from studies.schema.study import Study, expand
from studies.schema.trials import points_of

BAD_INPUT = 2
UNFINISHED = 1
INTERRUPTED = 130

PIPED_WIDTH = 160
"""Columns of a table that goes into a file or a pipe."""

QUIET = {
    "DS_ACCELERATOR_LOG_LEVEL": "warning",
    "GIT_PYTHON_REFRESH": "quiet",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_SCHEDULER_EVENTS": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
}
"""What the libraries are asked to keep to themselves, here and in every process started from here."""

app = typer.Typer(
    name="python -m harness",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help=(
        "Run scaling studies of cross-lingual retrieval.\n\n"
        "A [b]study[/b] is a file studies/NAME.py, a [b]search[/b] a file studies/search_NAME.py; a [b]run[/b] is one "
        "model of either. Begin with\n\n"
        "  python -m harness plan first_look      say what would be trained\n\n"
        "  python -m harness run first_look       train and evaluate it, or go on with it\n\n"
        "  python -m analysis report first_look   draw what came out"
    ),
    epilog="HARNESS_DEBUG=1 in the environment shows the libraries' own logs and where an error was raised.",
)

StudyName = Annotated[
    str, typer.Argument(metavar="STUDY", help="Name of a study, for example first_look for studies/first_look.py.")
]
EitherName = Annotated[
    str,
    typer.Argument(
        metavar="STUDY", help="Name of a study or a search, for example first_look for studies/first_look.py."
    ),
]
TrackingUri = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri",
        envvar="MLFLOW_TRACKING_URI",
        metavar="URI",
        help="An MLflow server to record in. Without one, a server over the storage runs along on loopback.",
    ),
]
StorageRoot = Annotated[
    str,
    typer.Option(
        "--storage",
        envvar="HARNESS_STORAGE",
        metavar="PATH",
        show_default="harness-storage under ~/.local/share",
        help="Where runs, collections and the tracking database lie: an absolute path or a file: URI.",
    ),
]

_LOOK, _WORK, _KEEP = "Look", "Work", "Look after results"


@app.command(rich_help_panel=_LOOK)
def plan(study: EitherName, storage: StorageRoot = "") -> None:
    """Say what a study would train, how much that is, and what of it is done. Starts nothing."""
    with _one_line_errors():
        declared, place = catalogue.find_any(study), Storage.named(storage)
        out = _console()
        out.print(f"[b]{declared.name} {declared.version}[/b]  {escape(declared.question)}")
        out.print(f"storage {place.root}\n", highlight=False, soft_wrap=True)
        if isinstance(declared, Search):
            out.print("\n".join(search_lines(declared, place)), markup=False, highlight=False, soft_wrap=True)
            return
        planned = plan_of(declared, place)
        out.print(plan_table(planned, width=out.width))
        out.print(memory_table(planned))
        out.print(f"\n{totals(planned)}", markup=False, highlight=False, soft_wrap=True)
        out.print(
            "\nParameters are those of the encoder's layers, the size axis; in total adds embeddings and projection."
            "\nMemory is that of one worker at its fullest, with the longest texts; hours are those of all workers.",
            style="dim",
        )
        if found := misfits(planned):
            raise ValueError("; ".join(found))


@app.command(rich_help_panel=_WORK)
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
    with _one_line_errors():
        declared, place = catalogue.find(study), Storage.named(storage)
        if only is not None:
            catalogue.select(declared, only)
        console = Console(stderr=True)
        _quiet(console)
        # Imported here because it loads Ray, torch and MLflow.
        from harness.runner import run_study

        try:
            with open_view(console) as view:
                done = run_study(declared, place, only=only, tracking_uri=tracking_uri, view=view)
        except KeyboardInterrupt:
            _complain(f"interrupted; what was saved stays, python -m harness run {study} goes on from there")
            raise typer.Exit(INTERRUPTED) from None
        rows = statuses(declared, place)
        chosen = {point.key for point in catalogue.select(declared, only)} if only else None
        owed = [row for row in rows if row.phase.is_owed and (chosen is None or row.point.key in chosen)]
        _close(study, f"{declared.name} {declared.version}: {summary(rows)}", done, storage, place)
        if owed or done.failed or done.undelivered:
            raise typer.Exit(UNFINISHED)


@app.command(rich_help_panel=_WORK)
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
    with _one_line_errors():
        declared, place = catalogue.find_search(search), Storage.named(storage)
        console = Console(stderr=True)
        _quiet(console)
        # Imported here because it loads Ray, torch and MLflow.
        from harness.search_runner import run_search

        try:
            with open_view(console) as view:
                done = run_search(declared, place, tracking_uri=tracking_uri, view=view)
        except KeyboardInterrupt:
            _complain(f"interrupted; what was saved stays, python -m harness search {search} goes on from there")
            raise typer.Exit(INTERRUPTED) from None
        _close(search, "\n".join(search_lines(declared, place)), done, storage, place)
        if owed_trials(declared, place) or done.undelivered:
            raise typer.Exit(UNFINISHED)


@app.command(rich_help_panel=_LOOK)
def status(study: EitherName, storage: StorageRoot = "") -> None:
    """Show how far every run of a study is. Reads files only, so it works while the study runs, and from anywhere."""
    with _one_line_errors():
        declared, place = catalogue.find_any(study), Storage.named(storage)
        rows = _statuses(declared, place)
        out = _console()
        out.print(status_table(rows, width=out.width))
        out.print(f" {summary(rows)}", style="bold", highlight=False)
        out.print(f" {_driver(declared.name, place)}; storage {place.root}", style="dim", soft_wrap=True)
        for row in rows:
            if row.phase is Phase.FAILED or row.flags:
                out.print(f" {row.point.key}  {outcome(row)}", markup=False, highlight=False, soft_wrap=True)


@app.command(rich_help_panel=_LOOK)
def show(
    study: EitherName,
    key: Annotated[str, typer.Argument(metavar="KEY", help="A run's key, or its beginning, as plan lists it.")],
    storage: StorageRoot = "",
) -> None:
    """Show one run: what it is, how far it is, what it measured, and where its files lie."""
    with _one_line_errors():
        declared, place = catalogue.find_any(study), Storage.named(storage)
        points = points_of(declared, place) if isinstance(declared, Search) else expand(declared)
        row = status_of(catalogue.find_point(declared.name, points, key), declared, place)
        _console().print("\n".join(lines(declared, row, place)), markup=False, highlight=False, soft_wrap=True)


@app.command(rich_help_panel=_WORK)
def stop(study: EitherName, storage: StorageRoot = "") -> None:
    """Ask the process that runs a study or a search to save and end. It goes on with the next such command."""
    with _one_line_errors():
        declared, place = catalogue.find_any(study), Storage.named(storage)
        owner = lease_owner(place.study_lease(declared.name))
        if owner is None:
            typer.echo(f"nothing runs {study} in {place.root}; there is nothing to stop")
            return
        write_json_atomic(place.stop_request(declared.name), {"schema": 1, "asked_by": os.getpid()})
        verb = "search" if isinstance(declared, Search) else "run"
        typer.echo(f"asked {owner} to save and end; python -m harness {verb} {study} goes on from there")


@app.command(rich_help_panel=_KEEP)
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
    with _one_line_errors():
        place = Storage.named(storage)
        _quiet(Console(stderr=True))
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
            _complain(f"warning: MLflow asks nobody for a password; whoever reaches {host}:{port} sees every run")
        serve_ui(place, port, host, allow_remote=remote, announce=typer.echo)


@app.command(rich_help_panel=_KEEP)
def export(
    study: StudyName,
    key: Annotated[str, typer.Argument(metavar="KEY", help="A run's key, or its beginning, as plan lists it.")],
    directory: Annotated[
        Path, typer.Argument(metavar="DIRECTORY", help="Where the model goes; a directory that does not exist yet.")
    ],
    storage: StorageRoot = "",
) -> None:
    """Write a trained model, its tokenizer and a card where sentence-transformers' MultiVectorEncoder loads them."""
    with _one_line_errors():
        declared, place = catalogue.find(study), Storage.named(storage)
        point = catalogue.find_point(declared.name, expand(declared), key)
        _quiet(Console(stderr=True))
        # Imported here because it loads torch and sentence-transformers.
        from harness.export import export as export_of

        typer.echo(f"wrote run {point.key} to {export_of(place, declared, point, directory.absolute())}")


@app.command(rich_help_panel=_KEEP)
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
    with _one_line_errors():
        _quiet(Console(stderr=True))
        # Imported here because no other command serves anything.
        from harness.mlflow_server import is_loopback
        from harness.team_server import serve_team

        if not is_loopback(host):
            _complain(f"warning: MLflow asks nobody for a password; whoever reaches {host}:{port} can change every run")
        serve_team(backend, artifacts, host=host, port=port, names=allowed_hosts or (), announce=typer.echo)


@app.command(rich_help_panel=_KEEP)
def gc(
    storage: StorageRoot = "",
    yes: Annotated[bool, typer.Option("--yes", help="Delete; without it gc only says what it would free.")] = False,
) -> None:
    """Say what can be deleted without losing a result, and delete it with --yes. What a process uses is left alone."""
    with _one_line_errors():
        place = Storage.named(storage)
        found = housekeeping.garbage(place, (*catalogue.every_study(), *catalogue.every_search()))
        gone = housekeeping.delete(place, found) if yes else found
        out = _console()
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


@app.command(rich_help_panel=_KEEP)
def drill(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of a drill, or all.")] = "all",
    listed: Annotated[bool, typer.Option("--list", help="Say which drills there are and do none.")] = False,
) -> None:
    """Disturb a small study on purpose and compare what comes of it with the same study left in peace.

    Works in a temporary folder: no storage of yours is touched. The exit status is 0 only if everything held.
    """
    with _one_line_errors():
        _quiet(Console(stderr=True))
        # Imported here because it loads MLflow.
        from harness.drills import perform

        if listed:
            _console().print(perform.list_table())
            return
        reports = perform.perform_all(perform.chosen(name), typer.echo)
        _console().print(perform.table(reports))
        if not all(report.holds for report in reports):
            raise typer.Exit(UNFINISHED)


def _statuses(declared: Study | Search, place: Storage) -> tuple[RunStatus, ...]:
    return trial_statuses(declared, place) if isinstance(declared, Search) else statuses(declared, place)


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
    _console().print("\n".join(closing), markup=False, highlight=False, soft_wrap=True)


def _driver(study: str, storage: Storage) -> str:
    owner = lease_owner(storage.study_lease(study))
    return f"run by {owner}" if owner else "nothing runs it now"


def _console() -> Console:
    """Standard output, wide enough for whole tables where no terminal sets a width."""
    return Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)


def _quiet(console: Console) -> None:
    """Our logs to the terminal, of others' only warnings; their Python warnings only when debugging."""
    debug = _is_debugging()
    for name, value in QUIET.items():
        if not debug:
            os.environ.setdefault(name, value)
    if console.is_terminal:
        handler: logging.Handler = RichHandler(console=console, show_path=debug, log_time_format="%H:%M:%S")
        layout = "%(message)s"
    else:
        handler, layout = logging.StreamHandler(), "%(asctime)s %(levelname)s %(message)s"
    logging.basicConfig(level=logging.WARNING, handlers=[handler], format=layout, datefmt="%H:%M:%S", force=True)
    for package in ("harness", "studies"):
        logging.getLogger(package).setLevel(logging.DEBUG if debug else logging.INFO)
    # It tells of every attempt to reach a server; that none succeeded is told once, by whoever needed the server.
    logging.getLogger("urllib3").setLevel(logging.WARNING if debug else logging.ERROR)
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").setLevel(logging.WARNING if debug else logging.ERROR)


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """Turn what a person can mend into one message and exit code 2; anything else is ours and keeps its traceback."""
    try:
        yield
    except Exception as error:
        if _is_debugging() or not _is_for_a_person(error):
            raise
        _complain(f"error: {error}")
        raise typer.Exit(BAD_INPUT) from None


def _is_for_a_person(error: Exception) -> bool:
    ours = type(error).__module__.partition(".")[0] in ("harness", "studies")
    return ours or isinstance(error, ValueError | OSError)


def _is_debugging() -> bool:
    return os.environ.get("HARNESS_DEBUG", "0") not in ("", "0")


def _complain(text: str) -> None:
    typer.echo(text, err=True)


if __name__ == "__main__":
    app()
