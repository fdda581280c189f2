"""A search: a starting run, the fields that are sampled, the measure that is maximised and the budget.

A search asks validation queries only: what it finds enters a study as a literal, and the study's conclusion is drawn
from test queries that no choice has seen.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ir_measures.measures import Measure

from studies.schema.asked import is_english
from studies.schema.axes import accepted, assign
from studies.schema.batches import check_batches
from studies.schema.evaluation import Evaluation, Searched, Split
from studies.schema.execution import Execution
from studies.schema.key import Json, canonical
from studies.schema.parallel import ParallelText
from studies.schema.published_teacher import PublishedTeacher
from studies.schema.run import Student
from studies.schema.rung import Rung
from studies.schema.space import Choice, Parameter, Value, assigned

PREFIX = "search_"
"""How the name of a search begins, and that of its file."""

_NAME = re.compile(r"^[a-z][a-z0-9_]*\Z")


@dataclass(frozen=True, kw_only=True)
class Halving:
    """Asynchronous successive halving (ASHA, arXiv 1810.05934): only the best 1 / ``factor`` pass a milestone.

    Milestones lie at ``first`` optimiser steps and at its multiples by powers of ``factor`` below the schedule's end.
    """

    first: int
    factor: int

    def __post_init__(self) -> None:
        if self.first < 1 or self.factor < 2:
            raise ValueError(
                f"halving from step {self.first} by a factor of {self.factor}; "
                "the first milestone is at step 1 or later, the factor at least 2"
            )

    def milestones(self, steps: int) -> tuple[int, ...]:
        """Steps after which a run is scored and may be pruned, in order."""
        found = []
        step = self.first
        while step < steps:
            found.append(step)
            step *= self.factor
        return tuple(found)


@dataclass(frozen=True, kw_only=True)
class Verification:
    """One trial at a point that a report predicted for a rung from smaller ones; nothing else is asked for by it."""

    rung: Rung
    values: Mapping[str, Value]


@dataclass(frozen=True, kw_only=True)
class Search:
    """A declared search.

    ``trials`` are asked for on each of ``rungs`` (the base's own when none is named), one rung after another.
    ``first`` are points by hand that are tried before any sampled one; as many of them as there are trials make a grid.
    Trials are scored on validation queries, at the milestones of ``halving`` (without it none is given up) and at their
    end. ``verify`` is written last, when the smaller rungs' report has said what to try on a larger one, which need not
    be one of ``rungs``: it adds its trials, and like their number it is no part of the recipe.

    A search from a student of published text asks the collections of ``retrieval``, their training queries or others
    that no study concludes from; no trial of it is given up, since nothing is searched while a student is trained.
    """

    name: str
    version: str
    question: str
    base: Student
    space: tuple[Parameter, ...]
    measure: Measure
    trials: int
    seed: int
    halving: Halving | None = None
    rungs: tuple[Rung, ...] = ()
    verify: tuple[Verification, ...] = ()
    first: tuple[Mapping[str, Value], ...] = ()
    depth: int = 100
    split: Split = Split.VALIDATION
    execution: Execution = field(default_factory=lambda: Execution(workers=1))
    retrieval: tuple[Searched, ...] = ()

    def __post_init__(self) -> None:
        if not self.name.startswith(PREFIX):
            raise ValueError(f"search {self.name!r} must be named {PREFIX + self.name!r}, and its file like it")
        if self.split is not Split.VALIDATION:
            raise ValueError(
                f"search {self.name} would choose by {self.split} queries, and every later score on them would be "
                f"optimistic; leave split at {Split.VALIDATION}"
            )
        _check_asked(self)
        _ = self.evaluation
        self._check_budget()
        _check_space(self)
        for values in self.first:
            run_of(self, self.all_rungs[0], values)
        for each in self.verify:
            run_of(self, each.rung, each.values)
        if self.base.pretraining is not None:
            raise ValueError(
                f"search {self.name} starts from a student with pretraining, and a search trains a teacher alone; "
                "leave pretraining out"
            )
        for rung in self.all_rungs:
            check_batches(replace(self.base, rung=rung), self.execution)
        check_batches(self.base.teacher, self.execution)

    def _check_budget(self) -> None:
        steps = self.base.schedule.steps
        if self.trials < 1 or self.seed < 0:
            raise ValueError(f"search {self.name} has {self.trials} trials and seed {self.seed}; at least 1, and 0")
        if len(self.first) > self.trials:
            raise ValueError(f"search {self.name} names {len(self.first)} first points and has {self.trials} trials")
        if self.halving is not None and not self.milestones:
            raise ValueError(
                f"search {self.name} has its first milestone at step {self.halving.first} of {steps}, where a run is "
                "over; put it earlier"
            )
        if self.execution.zero_stage > 2:
            raise ValueError(
                "a trial is scored from its present weights, which a worker does not hold whole under ZeRO 3; use "
                "zero_stage 0, 1 or 2 for a search"
            )
        if self.execution.workers_min is not None:
            raise ValueError(
                f"search {self.name} has workers_min {self.execution.workers_min}, and trials that share a cluster "
                "would take one another's workers; leave workers_min out of a search"
            )
        names = [rung.name for rung in self.all_rungs]
        if len(set(names)) != len(names):
            raise ValueError(f"search {self.name} names a rung twice: {', '.join(names)}")

    @property
    def evaluation(self) -> Evaluation:
        return Evaluation(measures=(self.measure,), depth=self.depth, split=self.split, retrieval=self.retrieval)

    @property
    def asks_teacher(self) -> bool:
        """Whether the teacher answers queries, with which trials are compared; a published one reads English alone."""
        return not isinstance(self.base.teacher, PublishedTeacher) or any(map(is_english, self.retrieval))

    @property
    def evaluator_gpus(self) -> int:
        """GPUs that trials are scored with: published collections are read by students as large as those trained."""
        return min(1, self.execution.gpus_per_worker) if self.retrieval else 0

    @property
    def measures(self) -> tuple[Measure, ...]:
        return (self.measure,)

    @property
    def milestones(self) -> tuple[int, ...]:
        return () if self.halving is None else self.halving.milestones(self.base.schedule.steps)

    @property
    def searched(self) -> tuple[Rung, ...]:
        """The rungs on which trials are sampled."""
        return self.rungs or (self.base.rung,)

    @property
    def all_rungs(self) -> tuple[Rung, ...]:
        """The searched rungs, then those that are only verified."""
        return (*self.searched, *dict.fromkeys(each.rung for each in self.verify if each.rung not in self.searched))

    def points_by_hand(self, rung: Rung) -> tuple[Mapping[str, Value], ...]:
        """What is tried on a rung before anything is sampled: the first points where it is searched, then checks."""
        first = self.first if rung in self.searched else ()
        return (*first, *(each.values for each in self.verify if each.rung == rung))

    def trials_on(self, rung: Rung) -> int:
        """How many trials are asked for on a rung."""
        return (self.trials if rung in self.searched else 0) + sum(each.rung == rung for each in self.verify)


def run_of(search: Search, rung: Rung, values: Mapping[str, Value]) -> Student:
    """The run at a point of the space; ValueError if there can be no such run, or a name is none of the space."""
    unknown = values.keys() ^ {parameter.name for parameter in search.space}
    if unknown:
        names = ", ".join(parameter.name for parameter in search.space)
        raise ValueError(f"a point of {search.name} has a value for each of {names}; see {', '.join(sorted(unknown))}")
    run = replace(search.base, rung=rung)
    for parameter in search.space:
        run = assign(run, parameter.path, assigned(parameter, values[parameter.name]))
    return run


def recipe(search: Search) -> dict[str, Json]:
    """What is recorded of a search under its version, and may not change under it."""
    asked: dict[str, Json] = {"retrieval": canonical(search.retrieval)} if search.retrieval else {}
    return asked | {
        "name": search.name,
        "version": search.version,
        "base": canonical(search.base),
        "space": [{"name": each.name, "path": each.path, "domain": canonical(each.domain)} for each in search.space],
        "measure": str(search.measure),
        "split": str(search.split),
        "depth": search.depth,
        "seed": search.seed,
        "halving": canonical(search.halving),
        "rungs": canonical(search.searched),
        "first": [dict(values) for values in search.first],
    }


def _check_asked(search: Search) -> None:
    text = search.base.bitext
    if isinstance(text, ParallelText) is not bool(search.retrieval):
        raise ValueError(
            f"search {search.name} starts from a student of {type(text).__name__} and asks {len(search.retrieval)} "
            "collections; students of published text are asked at least one, others the embedded collection: give or "
            "leave out retrieval"
        )
    if not isinstance(text, ParallelText):
        return
    if search.halving is not None:
        raise ValueError(
            f"search {search.name} would give trials up by what published collections score while a student is "
            "trained, and these are searched when it has ended; leave halving out"
        )
    for searched in search.retrieval:
        if searched.collection not in text.kept_out:
            raise ValueError(
                f"search {search.name} asks {searched.collection.name}, whose queries may be lines of its parallel "
                "text; name the collection in ParallelText.kept_out"
            )


def _check_space(search: Search) -> None:
    names = [parameter.name for parameter in search.space]
    paths = [parameter.path for parameter in search.space]
    if not names or len(set(names)) != len(names) or len(set(paths)) != len(paths):
        raise ValueError(f"search {search.name} needs parameters with distinct names and paths, got {names}, {paths}")
    for parameter in search.space:
        if not _NAME.match(parameter.name):
            raise ValueError(f"parameter {parameter.name!r}: use small letters, digits and _, a letter first")
        if parameter.path.partition(".")[0] == "rung":
            raise ValueError("a size is no parameter: the best one would always be the largest; name sizes in rungs")
        types = accepted(search.base, parameter.path)
        found = [value for _, value in parameter.domain.values] if isinstance(parameter.domain, Choice) else [1.0]
        for value in found:
            if type(value) not in types:
                raise ValueError(
                    f"{parameter.path!r} holds {' or '.join(kind.__name__ for kind in types)}, which {parameter.name} "
                    f"would set to {value!r}; choose another domain"
                )
