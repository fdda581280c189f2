"""Confounders: what else differs between the points of a curve besides their size."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from analysis.frame import SIZES, RunRecord


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A field that differs between runs of one curve: its values and the points, such as rungs, that have them."""

    field: str
    values: Mapping[str, tuple[str, ...]]

    def __str__(self) -> str:
        return f"{self.field}: " + "; ".join(f"{value} at {', '.join(rungs)}" for value, rungs in self.values.items())


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """``confounders`` forbid a fit; ``declared`` fields vary because the study says so (as a tied learning rate)."""

    agreed: tuple[str, ...]
    declared: tuple[Difference, ...]
    confounders: tuple[Difference, ...]

    @property
    def refusal(self) -> str | None:
        return "; ".join(str(difference) for difference in self.confounders) or None


EVALUATION: Mapping[str, Callable[[RunRecord], str]] = {
    "evaluation.collection": lambda run: run.collection,
    "evaluation.split": lambda run: run.split,
    "evaluation.measures": lambda run: ", ".join(sorted(run.measures)),
    "evaluation.languages": lambda run: ", ".join(sorted(next(iter(run.measures.values()), {}))),
    "evaluation.queries": lambda run: str(0 if run.queries is None else run.queries.num_rows),
}
"""What must agree in how the points were scored."""


def by_rung(run: RunRecord) -> str:
    return run.labels.rung


def by_objective(run: RunRecord) -> str:
    return run.labels.objective


def compare(runs: Sequence[RunRecord], varied: Sequence[str], *, by: Callable[[RunRecord], str] = by_rung) -> Ledger:
    """Compare every recorded field of the runs of one curve; ``varied`` are the paths that the study's axes assign.

    ``by`` names the point of a run: its rung, or its objective where systems of one size are compared.
    """
    fields = sorted(set().union(*(run.parameters for run in runs)))
    read = {name: lambda run, name=name: run.parameters.get(name, "(absent)") for name in fields} | dict(EVALUATION)
    agreed: list[str] = []
    declared: list[Difference] = []
    confounders: list[Difference] = []
    for name, value_of in read.items():
        if name.startswith(SIZES):
            continue
        values: dict[str, list[str]] = {}
        for run in runs:
            points = values.setdefault(value_of(run), [])
            if by(run) not in points:
                points.append(by(run))
        if len(values) == 1:
            agreed.append(name)
            continue
        difference = Difference(field=name, values={value: tuple(points) for value, points in values.items()})
        (declared if _is_declared(name, varied) else confounders).append(difference)
    return Ledger(agreed=tuple(agreed), declared=tuple(declared), confounders=tuple(confounders))


def _is_declared(field: str, varied: Sequence[str]) -> bool:
    return any(field == path or field.startswith((f"{path}.", f"{path}[")) for path in varied)
