"""The systems of a comparison, each asked the same queries: what is trained, and what has to be beaten.

Everything is compared on the reference's own trainings: for each of its rotations and seeds (a cell), every system
gives the run that stands there, or the one it has for all of them. Exposure and whether a name was seen are the
reference's, so that a rival without bitext is compared on the same queries as one with it.

Legend: N cells, Q queries over all languages.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.declared import DeclaredComparison
from analysis.frame import Bools, Floats, Places, RunRecord, Texts
from analysis.scores import evaluated
from studies.schema.language import Language
from studies.schema.record import FULL_EXPOSURE, Metric, Role, State

LATIN = "Latn"


@dataclass(frozen=True, kw_only=True)
class System:
    """A system at one stage: one run for each cell, in order. ``trained`` systems are objectives."""

    name: str
    trained: bool
    runs: tuple[RunRecord, ...]

    @property
    def flags(self) -> Mapping[str, int]:
        """How many of the system's runs end with each stated defect."""
        flagged = {run.key: run.flags or ("flagged",) for run in self.runs if run.state == State.FLAGGED}
        names = sorted({flag for flags in flagged.values() for flag in flags})
        return {name: sum(name in flags for flags in flagged.values()) for name in names}

    @property
    def num_runs(self) -> int:
        return len({run.key for run in self.runs})

    def scores_NQ(self, measure: str) -> Floats:
        return np.stack([evaluated(run).scores[measure] for run in self.runs])


@dataclass(frozen=True, kw_only=True)
class Stage:
    """All systems at one rung or amount, the reference first, and what is known of the queries.

    ``language_Q`` and ``entity_Q`` are places in ``languages`` and ``entities``.
    """

    name: str
    systems: tuple[System, ...]
    seeds: tuple[str, ...]
    languages: tuple[str, ...]
    entities: tuple[str, ...]
    language_Q: Places
    entity_Q: Places
    full_NQ: Bools
    parts: Mapping[str, Bools]

    @property
    def reference(self) -> System:
        return self.systems[0]


ALL = "all queries"
SEEN, UNSEEN = "seen names", "unseen names"
COGNATE, NOT_COGNATE = "spelled as in English", "not spelled as in English"
IN_LATIN, OTHER_SCRIPT = "Latin script", "other scripts"


def stages(
    asked: DeclaredComparison, runs: Sequence[RunRecord], languages: Mapping[str, Language]
) -> tuple[Stage, ...]:
    """Arrange completed runs; ValueError where a system has no run for a cell, or was asked other queries."""
    return tuple(_stage(asked, name, runs, languages) for name in asked.stages)


def _stage(asked: DeclaredComparison, name: str, runs: Sequence[RunRecord], languages: Mapping[str, Language]) -> Stage:
    here = [run for run in runs if run.role == Role.STUDENT and getattr(run.labels, asked.axis) == name]
    cells = [run for run in here if run.labels.objective == asked.reference]
    named: dict[str, tuple[bool, list[RunRecord]]] = {asked.reference: (True, cells)}
    for run in here:
        named.setdefault(run.labels.objective, (True, []))
    for objective, (_, members) in named.items():
        members[:] = [run for run in here if run.labels.objective == objective]
    for run in runs:
        if run.role not in (Role.STUDENT, Role.TEACHER) and run.queries is not None:
            named.setdefault(run.role, (False, []))[1].append(run)
    systems = tuple(
        System(name=each, trained=trained, runs=tuple(_run_for(each, members, cell) for cell in cells))
        for each, (trained, members) in named.items()
    )
    for system in systems:
        for run, cell in zip(system.runs, cells, strict=True):
            _check_same_queries(system.name, run, cell)
    asked_of = evaluated(cells[0])
    codes, language_Q = np.unique(asked_of.language, return_inverse=True)
    entities, entity_Q = np.unique(asked_of.entity, return_inverse=True)
    return Stage(
        name=name,
        systems=systems,
        seeds=tuple(cell.labels.seed for cell in cells),
        languages=tuple(codes.tolist()),
        entities=tuple(entities.tolist()),
        language_Q=language_Q,
        entity_Q=entity_Q,
        full_NQ=np.stack([_by_language(cell, asked_of.language) for cell in cells]),
        parts=_parts(cells, asked_of.language, languages),
    )


def _run_for(name: str, members: Sequence[RunRecord], cell: RunRecord) -> RunRecord:
    """The run of a system that stands where a cell does, label by label, or that has no such label."""
    found = list(members)
    strict: Mapping[str, bool] = {"rotation": True, "rung": False, "bitext": False, "seed": False}
    for axis, has_to in strict.items():
        same = [run for run in found if getattr(run.labels, axis) == getattr(cell.labels, axis)]
        free = [run for run in found if getattr(run.labels, axis) == "-"]
        found = same or free or ([] if has_to else found)
    if len(found) != 1:
        raise ValueError(
            f"system {name} has {len(found)} runs to stand beside {cell.labels}; a comparison needs exactly one: vary "
            "all systems alike"
        )
    return found[0]


def _check_same_queries(name: str, run: RunRecord, cell: RunRecord) -> None:
    own, reference = evaluated(run), evaluated(cell)
    if (run.collection, run.split) != (cell.collection, cell.split) or not (
        np.array_equal(own.language, reference.language) and np.array_equal(own.query, reference.query)
    ):
        raise ValueError(
            f"run {run.key} of {name} was asked {own.num_rows} {run.split} queries of {run.collection}, "
            f"{cell.key} of the reference {reference.num_rows} {cell.split} queries of {cell.collection}, and they are "
            "not the same; evaluate both again"
        )


def _by_language(cell: RunRecord, language_Q: Texts) -> Bools:
    codes = np.unique(language_Q).tolist()
    absent = sorted(set(codes) - set(cell.exposure))
    if absent:
        raise ValueError(f"run {cell.key} records no exposure for {', '.join(absent)}; evaluate it again")
    full = [code for code in codes if cell.exposure[code] >= FULL_EXPOSURE]
    return np.isin(language_Q, full)


def _parts(cells: Sequence[RunRecord], language_Q: Texts, languages: Mapping[str, Language]) -> dict[str, Bools]:
    """Masks [N, Q] of the parts of the queries."""
    shape = (len(cells), language_Q.size)
    seen_NQ = np.stack([evaluated(cell).seen for cell in cells])
    cognate_NQ = np.broadcast_to(evaluated(cells[0]).cognate, shape)
    latin = [code for code in np.unique(language_Q).tolist() if code in languages and languages[code].script == LATIN]
    latin_NQ = np.broadcast_to(np.isin(language_Q, latin), shape)
    return {
        ALL: np.ones(shape, dtype=np.bool_),
        SEEN: seen_NQ,
        UNSEEN: ~seen_NQ,
        COGNATE: cognate_NQ,
        NOT_COGNATE: ~cognate_NQ,
        IN_LATIN: latin_NQ,
        OTHER_SCRIPT: ~latin_NQ,
    }


def observed_iterations(run: RunRecord) -> float | None:
    """Mean iterations of the transport solver over a training; None for an objective without one."""
    series = run.series.get(Metric.TRANSPORT_ITERATIONS)
    return None if series is None or not series.values.size else float(series.values.mean())


def counted(system: System, asked: DeclaredComparison, count: Callable[[RunRecord], float | None]) -> float | None:
    """The mean of what is counted of a system's runs; None where there is nothing to count."""
    found = [value for run in system.runs if run.key in asked.students and (value := count(run)) is not None]
    return sum(found) / len(found) if found else None
