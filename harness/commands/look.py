"""Commands that only look: plan, status and show."""

from typing import Annotated

import typer
from rich.markup import escape

from harness.commands.application import LOOK, EitherName, StorageRoot, app
from harness.commands.speech import console, one_line_errors
from harness.plan import memory_table, misfits, plan_table, totals
from harness.plan import plan as plan_of
from harness.progress import outcome, status_table, summary
from harness.show import lines, search_lines
from harness.status import Phase, RunStatus, status_of, statuses
from harness.trials import trial_statuses
from studies import catalogue
from studies.schema.search import Search
from studies.schema.storage import Storage, lease_owner
from studies.schema.study import Study, expand
from studies.schema.trials import points_of


@app.command(rich_help_panel=LOOK)
def plan(study: EitherName, storage: StorageRoot = "") -> None:
    """Say what a study would train, how much that is, and what of it is done. Starts nothing."""
    with one_line_errors():
        declared, place = catalogue.find_any(study), Storage.named(storage)
        out = console()
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


@app.command(rich_help_panel=LOOK)
def status(study: EitherName, storage: StorageRoot = "") -> None:
    """Show how far every run of a study is. Reads files only, so it works while the study runs, and from anywhere."""
    with one_line_errors():
        declared, place = catalogue.find_any(study), Storage.named(storage)
        rows = _statuses(declared, place)
        out = console()
        out.print(status_table(rows, width=out.width))
        out.print(f" {summary(rows)}", style="bold", highlight=False)
        out.print(f" {_driver(declared.name, place)}; storage {place.root}", style="dim", soft_wrap=True)
        for row in rows:
            if row.phase is Phase.FAILED or row.flags:
                out.print(f" {row.point.key}  {outcome(row)}", markup=False, highlight=False, soft_wrap=True)


@app.command(rich_help_panel=LOOK)
def show(
    study: EitherName,
    key: Annotated[str, typer.Argument(metavar="KEY", help="A run's key, or its beginning, as plan lists it.")],
    storage: StorageRoot = "",
) -> None:
    """Show one run: what it is, how far it is, what it measured, and where its files lie."""
    with one_line_errors():
        declared, place = catalogue.find_any(study), Storage.named(storage)
        points = points_of(declared, place) if isinstance(declared, Search) else expand(declared)
        row = status_of(catalogue.find_point(declared.name, points, key), declared, place)
        console().print("\n".join(lines(declared, row, place)), markup=False, highlight=False, soft_wrap=True)


def _statuses(declared: Study | Search, place: Storage) -> tuple[RunStatus, ...]:
    return trial_statuses(declared, place) if isinstance(declared, Search) else statuses(declared, place)


def _driver(study: str, storage: Storage) -> str:
    owner = lease_owner(storage.study_lease(study))
    return f"run by {owner}" if owner else "nothing runs it now"
