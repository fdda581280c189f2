"""``python -m analysis``: draw what a study found."""

import json
from pathlib import Path
from typing import Annotated, assert_never

import typer

from analysis.alignment_report import alignment_report
from analysis.comparison_report import comparison_report
from analysis.declared import declared, declared_alignment, declared_comparison, declared_optimum, declared_unseen
from analysis.epsilon_report import epsilon_report
from analysis.frame import IncompleteStudy
from analysis.report import report as write_report
from analysis.search_report import search_report
from analysis.unseen_report import unseen_report
from studies import catalogue
from studies.schema.estimand import (
    AlignmentImprovement,
    DataCurve,
    EpsilonOptimum,
    ResourceEffect,
    SystemComparison,
    UnseenDegradation,
)
from studies.schema.search import Search
from studies.schema.storage import Storage
from studies.schema.study import Study

BAD_INPUT = 2
UNFINISHED = 3

app = typer.Typer(
    name="python -m analysis",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Say what the runs of a study mean: estimates with intervals, fitted laws, figures and a page.",
)


@app.callback()
def main() -> None:
    """Keep ``report`` a command of its own, so that others can stand beside it."""


@app.command()
def report(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="Name of a study or a search, for example first_look.")],
    storage: Annotated[
        str,
        typer.Option(
            "--storage",
            envvar="HARNESS_STORAGE",
            metavar="PATH",
            show_default="harness-storage under ~/.local/share",
            help="Where the study ran: an absolute path or a file: URI. Its records are read, no server is needed.",
        ),
    ] = "",
    tracking_uri: Annotated[
        str,
        typer.Option(
            "--tracking-uri",
            envvar="MLFLOW_TRACKING_URI",
            metavar="URI",
            help="Read from this MLflow server instead of the storage's own records.",
        ),
    ] = "",
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Write to DIR/STUDY/.")] = Path("reports"),
) -> None:
    """Write a study's report: index.html, figures as PNG and SVG, and result.json.

    Every run of the study has to be finished; otherwise the missing ones are named. Of a search, what it has found so
    far: the surface over what it sampled, the optimum with its interval, and what mattered.
    """
    try:
        asked = catalogue.find_any(study)
        uri, identity = source(storage, tracking_uri)
        if isinstance(asked, Search):
            written = search_report(asked, tracking_uri=uri, out=out, storage=identity)
        else:
            written = _write(asked, tracking_uri=uri, out=out, storage=identity)
    except IncompleteStudy as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(UNFINISHED) from None
    except (ValueError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(BAD_INPUT) from None
    typer.echo(f"report: {written}")


def _write(study: Study, *, tracking_uri: str, out: Path, storage: str | None) -> Path:
    """The report that belongs to what a study concludes from."""
    match study.estimand:
        case ResourceEffect():
            return write_report(declared(study), tracking_uri=tracking_uri, out=out, storage=storage)
        case SystemComparison() | DataCurve():
            compared = declared_comparison(study)
            return comparison_report(compared, tracking_uri=tracking_uri, out=out, storage=storage)
        case AlignmentImprovement():
            return alignment_report(declared_alignment(study), tracking_uri=tracking_uri, out=out, storage=storage)
        case EpsilonOptimum():
            return epsilon_report(declared_optimum(study), tracking_uri=tracking_uri, out=out, storage=storage)
        case UnseenDegradation():
            return unseen_report(declared_unseen(study), tracking_uri=tracking_uri, out=out, storage=storage)
        case unknown:
            assert_never(unknown)


def source(storage: str, tracking_uri: str) -> tuple[str, str | None]:
    """Where MLflow is read, and the storage root whose runs are meant (None for any)."""
    if tracking_uri:
        return tracking_uri, _identity(Storage.at(storage)) if storage else None
    place = Storage.named(storage)
    database = place.mlflow_database()
    if not database.is_file():
        raise ValueError(
            f"storage root {place.root} has no MLflow records ({database} does not exist); run the study first, or "
            "name where it ran with --storage or --tracking-uri"
        )
    return f"sqlite:///{database}", _identity(place)


def _identity(place: Storage) -> str | None:
    path = place.root / "storage.json"
    return str(json.loads(path.read_text(encoding="utf-8"))["id"]) if path.is_file() else None


if __name__ == "__main__":
    app()
