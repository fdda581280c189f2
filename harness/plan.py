"""What a study will ask of a machine, from arithmetic alone: nothing is built, downloaded or started."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import assert_never

from rich.console import JustifyMethod
from rich.table import Table
from rich.text import Text

from harness.status import Phase, RunStatus, names, statuses, steps_of
from studies.schema.cost import Parameters, parameters_of, state_bytes_per_rank, training_flops
from studies.schema.execution import Execution
from studies.schema.run import LookUp, Run, Student, System, Teacher, TranslateQuery, Translator
from studies.schema.storage import Storage
from studies.schema.study import Point, Study, expand

TEACHER_TOKENS = 44.0
STUDENT_TOKENS = 11.0
"""Tokens of a query with its passage, and of a line's side: means over the embedded collection of twelve languages."""

SHOWN_DIGITS = 8
"""Digits of a key that are shown; commands take the beginning of a key for the whole."""


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """One run with its price.

    ``flops`` are those of training (see :mod:`studies.schema.cost`), ``state_bytes`` weights, gradients and
    optimiser moments on one worker. ``phase`` is None when no storage was asked.
    """

    point: Point
    phase: Phase | None
    parameters: Parameters
    steps: int
    examples: int
    flops: float
    state_bytes: float
    execution: Execution


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All runs of a study in order."""

    study: Study
    runs: tuple[PlannedRun, ...]

    @property
    def owed(self) -> tuple[PlannedRun, ...]:
        """Runs that are not done yet; all of them when no storage was asked."""
        return tuple(run for run in self.runs if run.phase is None or run.phase.is_owed)


def plan(study: Study, storage: Storage | None = None) -> Plan:
    """Price every run of a study; with a storage also say how far each is."""
    rows: Sequence[RunStatus | None] = statuses(study, storage) if storage else [None] * len(expand(study))
    points = expand(study)
    return Plan(study=study, runs=tuple(_price(study, p, row) for p, row in zip(points, rows, strict=True)))


def tokens_per_example(run: Run) -> float:
    """About how many tokens ``training_flops`` has to count for one example of the embedded collection."""
    match run:
        case Teacher():
            return TEACHER_TOKENS
        case Student() | Translator():
            return STUDENT_TOKENS
        case LookUp() | TranslateQuery():
            return 0.0
        case unknown:
            assert_never(unknown)


def plan_table(planned: Plan, *, width: int) -> Table:
    """The plan as a table, one line a run and a line of totals; a narrow terminal gets fewer columns."""
    called = names([run.point for run in planned.runs])
    runs = planned.runs
    table = Table(box=None, pad_edge=True, padding=(0, 1), header_style="bold", show_footer=True)
    table.add_column("Run", footer=f"{len(runs)} runs, {len(planned.owed)} owed", no_wrap=True)
    columns = [column for column in _columns(runs) if width >= column.from_width]
    for column in columns:
        justify: JustifyMethod = "right" if column.is_number else "left"
        table.add_column(column.title, footer=column.footer, justify=justify, no_wrap=True)
    for run in runs:
        table.add_row(Text(called[run.point.key]), *(column.cell(run) for column in columns))
    return table


@dataclass(frozen=True, kw_only=True)
class _Column:
    """A column of the plan, shown from a width of the terminal on."""

    title: str
    cell: Callable[[PlannedRun], str]
    footer: str = ""
    is_number: bool = True
    from_width: int = 0


def _columns(runs: Sequence[PlannedRun]) -> tuple[_Column, ...]:
    def trained(text: Callable[[PlannedRun], str]) -> Callable[[PlannedRun], str]:
        return lambda run: text(run) if run.steps else ""

    def built(text: Callable[[PlannedRun], str]) -> Callable[[PlannedRun], str]:
        return lambda run: "" if isinstance(run.point.run, System) else text(run)

    return (
        _Column(title="Key", cell=lambda run: run.point.key[:SHOWN_DIGITS], is_number=False),
        _Column(title="State", cell=lambda run: run.phase or "", is_number=False, from_width=90),
        _Column(title="Parameters", cell=built(lambda run: f"{run.parameters.non_embedding:,}")),
        _Column(title="in total", cell=built(lambda run: f"{run.parameters.total:,}"), from_width=100),
        _Column(title="Steps", cell=trained(lambda run: f"{run.steps:,}"), footer=f"{sum(r.steps for r in runs):,}"),
        _Column(
            title="Examples",
            cell=trained(lambda run: f"{run.examples:,}"),
            footer=f"{sum(run.examples for run in runs):,}",
            from_width=120,
        ),
        _Column(
            title="FLOPs", cell=trained(lambda run: f"{run.flops:.1e}"), footer=f"{sum(r.flops for r in runs):.1e}"
        ),
        _Column(title="Memory", cell=trained(lambda run: size(run.state_bytes)), from_width=110),
        _Column(
            title="Workers",
            cell=trained(lambda run: f"{run.execution.workers} x ZeRO {run.execution.zero_stage}"),
            is_number=False,
            from_width=130,
        ),
    )


def size(count: float) -> str:
    """Bytes for people, in powers of 1024."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def _price(study: Study, point: Point, row: RunStatus | None) -> PlannedRun:
    execution = study.execution_of(point)
    steps = steps_of(point.run)
    return PlannedRun(
        point=point,
        phase=None if row is None else row.phase,
        parameters=parameters_of(point.run),
        steps=steps,
        examples=0 if isinstance(point.run, System) else steps * point.run.global_batch,
        flops=training_flops(point.run, tokens_per_example=tokens_per_example(point.run)),
        state_bytes=state_bytes_per_rank(point.run, execution),
        execution=execution,
    )
