"""The application that commands belong to, and arguments that several of them take."""

from typing import Annotated

import typer

BAD_INPUT = 2
UNFINISHED = 1
INTERRUPTED = 130

LOOK, WORK, KEEP = "Look", "Work", "Look after results"
"""What commands are listed under."""

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
