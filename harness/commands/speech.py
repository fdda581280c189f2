"""What a person sees of a command: tables, logs, and errors of one line."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.logging import RichHandler

from harness.commands.application import BAD_INPUT

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


def console() -> Console:
    """Standard output, wide enough for whole tables where no terminal sets a width."""
    return Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)


def quiet(console: Console) -> None:
    """Our logs to the terminal, of others' only warnings; their Python warnings only when debugging."""
    debug = is_debugging()
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
def one_line_errors() -> Iterator[None]:
    """Turn what a person can mend into one message and exit code 2; anything else is ours and keeps its traceback."""
    try:
        yield
    except Exception as error:
        if is_debugging() or not _is_for_a_person(error):
            raise
        complain(f"error: {error}")
        raise typer.Exit(BAD_INPUT) from None


def _is_for_a_person(error: Exception) -> bool:
    ours = type(error).__module__.partition(".")[0] in ("harness", "studies")
    return ours or isinstance(error, ValueError | OSError)


def is_debugging() -> bool:
    return os.environ.get("HARNESS_DEBUG", "0") not in ("", "0")


def complain(text: str) -> None:
    typer.echo(text, err=True)
