"""What a study will ask of a machine, from arithmetic alone: nothing is built, downloaded or started."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rich.console import JustifyMethod
from rich.table import Table
from rich.text import Text

from harness.status import Phase, RunStatus, names, statuses, steps_of
from studies.schema.cost import Parameters, parameters_of
from studies.schema.execution import Execution
from studies.schema.fit import memory_of, misfit
from studies.schema.memory import Memory
from studies.schema.price import ITERATIONS, Work, device_hours, examples_of, kept, tokens_read, work_of
from studies.schema.run import System
from studies.schema.storage import Storage
from studies.schema.study import Point, Study, expand

ZERO_STAGES = (0, 1, 2, 3)

SHOWN_DIGITS = 8
"""Digits of a key that are shown; commands take the beginning of a key for the whole."""


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """One run with its price.

    ``memory`` is that of one worker at the longest texts, ``hours`` are those of the execution's device over all
    workers, ``misfit`` says what is wrong where the run does not fit. ``phase`` is None when no storage was asked.
    """

    point: Point
    phase: Phase | None
    parameters: Parameters
    steps: int
    examples: int
    tokens: float
    work: Work
    memory: Memory
    hours: float
    misfit: str | None
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
            title="Tokens",
            cell=trained(lambda run: f"{run.tokens:.1e}"),
            footer=f"{sum(run.tokens for run in runs):.1e}",
            from_width=140,
        ),
        _Column(
            title="FLOPs",
            cell=trained(lambda run: f"{run.work.total:.1e}"),
            footer=f"{sum(r.work.total for r in runs):.1e}",
        ),
        _Column(
            title="Hours",
            cell=trained(lambda run: hours(run.hours)),
            footer=hours(sum(r.hours for r in runs)),
            from_width=150,
        ),
        _Column(title="Memory", cell=trained(lambda run: size(run.memory.peak)), from_width=110),
        _Column(
            title="Workers",
            cell=trained(lambda run: f"{run.execution.span} x ZeRO {run.execution.zero_stage}"),
            is_number=False,
            from_width=130,
        ),
    )


def memory_table(planned: Plan) -> Table:
    """What a worker of each rung holds at its fullest, part by part, and what it would hold under every ZeRO stage."""
    table = Table(box=None, pad_edge=True, padding=(0, 1), header_style="bold")
    table.add_column("Memory of a worker", no_wrap=True)
    parts = ("weights", "gradients", "optimiser", "buffers", "activations")
    for title in (*(part.capitalize() for part in parts), *(f"ZeRO {stage}" for stage in ZERO_STAGES)):
        table.add_column(title, justify="right", no_wrap=True)
    for run in _one_of_each_rung(planned):
        stages = (replace(run.execution, zero_stage=stage) for stage in ZERO_STAGES)
        table.add_row(
            Text(run.point.labels.rung),
            *(size(getattr(run.memory, part)) for part in parts),
            *(size(memory_of(run.point.run, stage).peak) for stage in stages),
        )
    return table


def totals(planned: Plan) -> str:
    """Work, device hours and storage of the whole study, each with what was assumed."""
    runs = planned.runs
    objective, total = (sum(getattr(run.work, part) for run in runs) for part in ("objective", "total"))
    said = [
        f"Work     {total:.1e} FLOPs, {objective:.1e} of them the objectives' own at {ITERATIONS:.0f} iterations a line"
    ]
    for device in dict.fromkeys(run.execution.named_device for run in runs if run.steps):
        mine = [run for run in runs if run.steps and run.execution.named_device is device]
        owed, whole = (sum(run.hours for run in some if run in mine) for some in (planned.owed, runs))
        said.append(
            f"Time     {hours(owed)} hours of {device} owed, {hours(whole)} in all, if it reaches "
            f"{mine[0].execution.kind.utilisation:.0%} of its peak; evaluation comes on top"
        )
    stored = kept([(run.point.run, run.execution) for run in runs], planned.study.retrieval)
    said.append(
        f"Storage  {size(stored.total)}: final weights {size(stored.final)}, checkpoints while training "
        f"{size(stored.checkpoints)}, the teacher's vectors of lines {size(stored.lines)} and passages "
        f"{size(stored.passages)}"
    )
    return "\n".join(said)


def misfits(planned: Plan) -> list[str]:
    """One line for every rung that does not fit its devices."""
    return [
        f"rung {run.point.labels.rung} {run.misfit}" for run in _one_of_each_rung(planned) if run.misfit is not None
    ]


def _one_of_each_rung(planned: Plan) -> tuple[PlannedRun, ...]:
    """The run of each rung that needs most memory."""
    found: dict[str, PlannedRun] = {}
    for run in sorted(planned.runs, key=lambda run: run.memory.peak, reverse=True):
        if run.steps:
            found.setdefault(run.point.labels.rung, run)
    return tuple(sorted(found.values(), key=lambda run: run.parameters.non_embedding))


def hours(count: float) -> str:
    """Hours for people."""
    return f"{count:,.0f}" if count >= 100 else f"{count:.2g}" if count else "0"


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
        examples=examples_of(point.run),
        tokens=tokens_read(point.run),
        work=work_of(point.run, execution),
        memory=memory_of(point.run, execution),
        hours=device_hours(point.run, execution),
        misfit=misfit(point.run, execution),
        execution=execution,
    )
