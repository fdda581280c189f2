"""A study: a starting run, the axes it varies, what it measures and what it will conclude from.

Everything is checked when the study is written: a misspelt path in an axis fails at import.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, product
from typing import assert_never

from ir_measures.measures import Measure

from studies.schema.asked import check_retrieval, is_english
from studies.schema.atlas import Bitext
from studies.schema.axes import ADDED_AXES, AXIS_NAMES, Axis, Tie, assign, assign_all
from studies.schema.batches import check_batches
from studies.schema.estimand import (
    AlignmentImprovement,
    DataCurve,
    EpsilonOptimum,
    Estimand,
    Law,
    ResourceEffect,
    Scale,
    SystemComparison,
    UnseenDegradation,
    alignment_of,
    check_alignment,
    check_compute,
    check_estimand,
    compute_of,
)
from studies.schema.evaluation import Evaluation, Pair, Searched, Split, pair_name
from studies.schema.execution import Execution
from studies.schema.key import Json, canonical, run_key
from studies.schema.optimiser import Schedule
from studies.schema.over_epsilon import check_epsilons
from studies.schema.parallel import ParallelText
from studies.schema.published_teacher import PublishedTeacher
from studies.schema.record import SUPERVISED, Role
from studies.schema.run import LookUp, Run, Student, Supervised, Teacher, TranslateQuery, Translator
from studies.schema.translation import GREEDY, Decoding, PublishedTranslator
from studies.schema.withheld import withheld_by

__all__ = [
    "AlignmentImprovement",
    "DataCurve",
    "EpsilonOptimum",
    "Estimand",
    "Labels",
    "Law",
    "Point",
    "ResourceEffect",
    "Scale",
    "Study",
    "SystemComparison",
    "UnseenDegradation",
    "bitexts",
    "expand",
    "recipe",
]


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Where a run stands in its study, as text."""

    rung: str = "-"
    objective: str = "-"
    bitext: str = "-"
    rotation: str = "-"
    seed: str = "-"
    trial: str = "-"

    def as_dict(self) -> dict[str, str]:
        """Labels by axis; a later axis, and the trial, which is no axis of a study, only where there is one."""
        labels = {name: getattr(self, name) for name in AXIS_NAMES}
        labels = {name: label for name, label in labels.items() if label != "-" or name not in ADDED_AXES}
        return labels if self.trial == "-" else {**labels, "trial": self.trial}


@dataclass(frozen=True, kw_only=True)
class Point:
    """A run of a study, with its key and its place in it."""

    key: str
    run: Run
    role: Role
    labels: Labels


@dataclass(frozen=True, kw_only=True)
class Study:
    """A declared question.

    ``hold_out`` is the label of the rung that no fit may see, ``law`` the primary form; both belong to a curve over
    size. ``ties`` assign what depends on several axes. ``rivals`` are systems that need no training, but for
    :attr:`Role.TRANSLATED`, which needs a ``translator``: a published one, or one to train on each student's bitext
    from each student's seed. Students are asked ``pairs`` as well, whose passages they read themselves. A changed
    recipe needs a new ``version``: the storage refuses one under an old name.

    Students of a teacher of published text are asked the collections of ``retrieval``, the teacher those in English,
    and ``split`` plays no part. There rivals may also be trained to retrieve: ``supervised`` has the recipe of each
    such role, of which one run is made for every rung and seed of the students, with the rung's learning rate.
    """

    name: str
    version: str
    question: str
    base: Student
    axes: tuple[Axis, ...]
    measures: tuple[Measure, ...]
    estimand: Estimand
    law: Law | None = None
    hold_out: str | None = None
    ties: tuple[Tie, ...] = ()
    rivals: tuple[Role, ...] = (Role.UNTRAINED, Role.DICTIONARY, Role.COPY_THROUGH)
    depth: int = 100
    split: Split = Split.TEST
    execution: Execution = field(default_factory=Execution)
    executions: tuple[tuple[str, Execution], ...] = ()
    translator: Translator | PublishedTranslator | None = None
    decoding: Decoding = GREEDY
    pairs: tuple[Pair, ...] = ()
    retrieval: tuple[Searched, ...] = ()
    supervised: tuple[tuple[Role, Supervised], ...] = ()

    def __post_init__(self) -> None:
        names = [axis.name for axis in self.axes]
        if len(set(names)) != len(names):
            raise ValueError(
                f"study {self.name} has axes {', '.join(names)}; a run has one label for each, tie the two"
            )
        by_axis = {axis.name: [setting.label for setting in axis.settings] for axis in self.axes}
        for assigned in (setting.assign for axis in self.axes for setting in axis.settings):
            assign_all(self.base, assigned)
        for path, value in chain(*(tie.assign for tie in self.ties)):
            assign(self.base, path, value)
        for tie in self.ties:
            for name, label in tie.where:
                if label not in by_axis.get(name, ()):
                    raise ValueError(f"a tie stands at {name} {label!r}, which is none of {by_axis.get(name, [])}")
        check_estimand(self.estimand, by_axis, law=self.law, hold_out=self.hold_out)
        if self.estimand.measure not in self.measures:
            raise ValueError(f"the estimand's measure {self.estimand.measure} is not among the study's measures")
        self._check_rivals()
        _ = self.evaluation
        self._check_pairs()
        points = expand(self)
        check_retrieval(
            self.name,
            self.retrieval,
            [_student(point) for point in points if point.role is Role.STUDENT],
            rivals=self.rivals,
            translator=self.translator,
            supervised=dict(self.supervised),
            scale=self.estimand.scale if isinstance(self.estimand, ResourceEffect | EpsilonOptimum) else Scale.RAW,
        )
        labels = dict.fromkeys(point.labels.rung for point in points)
        for name, _ in self.executions:
            if name not in labels:
                raise ValueError(f"an execution is given for rung {name!r}, which is none of {', '.join(labels)}")
        for point in points:
            check_batches(point.run, self.execution_of(point))
        students = {_spoken(p): _student(p) for p in points if p.role is Role.STUDENT}
        if isinstance(self.estimand, UnseenDegradation):
            withheld_by(self.estimand, bitexts(points), self.pairs)
        if compute := compute_of(self.estimand):
            check_compute(compute, students)
        if alignment := alignment_of(self.estimand):
            check_alignment(alignment, students)
        if isinstance(self.estimand, EpsilonOptimum):
            asked = [p for p in points if p.role is Role.STUDENT]
            check_epsilons(self.estimand, [(p.labels.objective, p.labels.bitext, _student(p)) for p in asked])

    def _check_rivals(self) -> None:
        """A rival that is trained goes together with its recipe."""
        if (Role.TRANSLATED in self.rivals) is (self.translator is None):
            raise ValueError(
                f"study {self.name} has rivals {', '.join(self.rivals)} and translator {self.translator}; the rival "
                f"{Role.TRANSLATED} and a translator go together, give both or neither"
            )
        trained = [role for role, _ in self.supervised]
        if sorted(trained) != sorted(role for role in self.rivals if role in SUPERVISED):
            raise ValueError(
                f"study {self.name} has rivals {', '.join(self.rivals)} and recipes for {', '.join(trained) or 'no'} "
                f"rival; {' and '.join(SUPERVISED)} and a recipe in supervised go together, give both or neither"
            )
        if self.supervised and not self.retrieval:
            raise ValueError(
                f"study {self.name} asks the embedded collection, which {', '.join(trained)} does not read; leave "
                "it out"
            )

    def _check_pairs(self) -> None:
        """Pairs are of languages of the embedded collection, or each has a collection that is asked."""
        between = tuple(each.collection.pair for each in self.retrieval if each.is_between)
        if self.retrieval and set(self.pairs) != {(pair.query, pair.document) for pair in between}:
            raise ValueError(
                f"study {self.name} has pairs {', '.join(map(pair_name, self.pairs)) or 'none'} and asks "
                f"{len(between)} collections between two languages other than English; name a collection for each pair"
            )
        known = self.base.teacher.collection.languages if isinstance(self.base.teacher, Teacher) else ()
        for pair in () if self.retrieval else self.pairs:
            if len(set(pair)) != 2 or not set(pair) <= set(known):
                raise ValueError(
                    f"pair {pair_name(pair)} is not of two languages of the embedded collection: {', '.join(known)}"
                )

    @property
    def evaluation(self) -> Evaluation:
        return Evaluation(
            measures=self.measures,
            depth=self.depth,
            split=self.split,
            alignment=alignment_of(self.estimand),
            pairs=() if self.retrieval else self.pairs,
            retrieval=self.retrieval,
        )

    def execution_of(self, point: Point) -> Execution:
        return dict(self.executions).get(point.labels.rung, self.execution)


def expand(study: Study) -> tuple[Point, ...]:
    """All runs of a study, each once: teachers, pretraining, rivals with their translators, then students in order."""
    students: list[Point] = []
    for settings in product(*(axis.settings for axis in study.axes)):
        run = study.base
        for setting in settings:
            run = assign_all(run, setting.assign)
        labels = {axis.name: s.label for axis, s in zip(study.axes, settings, strict=True)}
        for tie in study.ties:
            run = assign_all(run, tie.assign if tie.holds(labels) else ())
        students.append(Point(key=run_key(run), run=run, role=Role.STUDENT, labels=Labels(**labels)))
    points: dict[str, Point] = {}
    by_rung: set[tuple[Role, Labels]] = set()
    for build in _builders(study):
        for student in students:
            point = build(student)
            if point is None:
                continue
            if point.role in (Role.UNTRAINED, *SUPERVISED):
                if (point.role, point.labels) in by_rung:
                    continue
                by_rung.add((point.role, point.labels))
            points.setdefault(point.key, point)
    for student in students:
        if student.key in points:
            raise ValueError(
                f"study {study.name} asks for the same run twice: {student.labels}; an axis changes nothing"
            )
        points[student.key] = student
    return tuple(points.values())


def bitexts(points: Iterable[Point]) -> dict[str, Bitext | ParallelText]:
    """The students' bitext in each rotation, by its label; ValueError where it depends on another axis too."""
    found: dict[str, Bitext | ParallelText] = {}
    for point in points:
        if point.role is Role.STUDENT:
            bitext = _student(point).bitext
            if found.setdefault(point.labels.rotation, bitext) != bitext:
                raise ValueError(f"students of rotation {point.labels.rotation} differ in bitext; give them one")
    return found


def recipe(study: Study) -> dict[str, Json]:
    """What is recorded of a study under its version, and may not change under it: every run, fully described."""
    described: dict[str, Json] = {
        "name": study.name,
        "version": study.version,
        "measures": [str(measure) for measure in study.measures],
        "estimand": canonical(study.estimand),
        "law": canonical(study.law),
        "hold_out": study.hold_out,
        "depth": study.depth,
        "split": str(study.split),
    }
    described["base"] = canonical(study.base)
    described["axes"] = canonical(study.axes)
    if study.ties:
        described["ties"] = canonical(study.ties)
    described["rivals"] = [str(role) for role in study.rivals]
    if study.translator is not None:
        described["translator"] = canonical(study.translator)
        described["decoding"] = canonical(study.decoding)
    if study.pairs:
        described["pairs"] = canonical(study.pairs)
    if study.retrieval:
        described["retrieval"] = canonical(study.retrieval)
    if study.supervised:
        described["supervised"] = canonical(study.supervised)
    return described


def _point(run: Run, role: Role, labels: Labels) -> Point:
    return Point(key=run_key(run), run=run, role=role, labels=labels)


def _spoken(point: Point) -> str:
    return " · ".join(label for label in point.labels.as_dict().values() if label != "-")


def _student(point: Point) -> Student:
    if not isinstance(point.run, Student):
        raise TypeError(f"run {point.key} is a {type(point.run).__name__}, not a student")
    return point.run


def _teacher(retrieval: tuple[Searched, ...], student: Point) -> Point | None:
    """The teacher; a published one where it is asked anything."""
    teacher = _student(student).teacher
    match teacher:
        case Teacher() | Supervised():
            return _point(teacher, Role.TEACHER, Labels(rung=teacher.rung.name, seed=str(teacher.seed)))
        case PublishedTeacher():
            asked = any(is_english(searched) for searched in retrieval)
            return _point(teacher, Role.TEACHER, Labels()) if asked else None
        case unknown:
            assert_never(unknown)


def _pretraining(student: Point) -> Point | None:
    """What the student's encoder starts from, where that is trained as well."""
    pretraining = _student(student).pretraining
    if pretraining is None:
        return None
    return _point(pretraining, Role.PRETRAINING, Labels(rung=student.labels.rung, seed=str(pretraining.seed)))


def _embedded(bitext: Bitext | ParallelText) -> Bitext:
    if isinstance(bitext, ParallelText):
        raise ValueError(
            "a dictionary and a translator of one's own are made of the embedded collection's "
            f"lines alone; with parallel text leave the rival {Role.DICTIONARY} out, and name a PublishedTranslator"
        )
    return bitext


def _untrained(student: Point) -> Point:
    """The same rung before any step; the objective it never saw is that of the rung's first student."""
    run = _student(student)
    full = tuple((language, 1.0) for language, _ in run.bitext.exposure)
    schedule = Schedule(steps=0, warmup_steps=0)
    bare = replace(run, schedule=schedule, bitext=replace(run.bitext, exposure=full))
    return _point(bare, Role.UNTRAINED, Labels(rung=student.labels.rung, seed=student.labels.seed))


def _dictionary(student: Point) -> Point:
    run = _student(student)
    look_up = LookUp(teacher=run.teacher, bitext=_embedded(run.bitext))
    return _point(look_up, Role.DICTIONARY, Labels(bitext=student.labels.bitext, rotation=student.labels.rotation))


def _copy_through(student: Point) -> Point:
    return _point(LookUp(teacher=_student(student).teacher, bitext=None), Role.COPY_THROUGH, Labels())


def _translator(recipe: Translator, student: Point) -> Point:
    """The translator with the lines and the seed of a student."""
    run = _student(student)
    trained = replace(recipe, bitext=_embedded(run.bitext), seed=run.seed)
    labels = replace(student.labels, rung=str(Role.TRANSLATOR), objective="-")
    return _point(trained, Role.TRANSLATOR, labels)


def _translated(recipe: Translator | PublishedTranslator, decoding: Decoding, student: Point) -> Point:
    teacher, labels = _student(student).teacher, Labels()
    if isinstance(recipe, Translator):
        trained = _translator(recipe, student)
        assert isinstance(trained.run, Translator)
        recipe, labels = trained.run, replace(trained.labels, rung="-")
    query = TranslateQuery(teacher=teacher, translator=recipe, decoding=decoding)
    return _point(query, Role.TRANSLATED, labels)


def _supervised(role: Role, recipe: Supervised, student: Point) -> Point:
    """The recipe at a student's rung, with its seed and the learning rate that the rung's first student has."""
    run = _student(student)
    optimiser = replace(recipe.optimiser, learning_rate=run.optimiser.learning_rate)
    trained = replace(recipe, rung=run.rung, seed=run.seed, optimiser=optimiser)
    return _point(trained, role, Labels(rung=student.labels.rung, seed=student.labels.seed))


_RIVALS: Mapping[Role, Callable[[Point], Point]] = {
    Role.UNTRAINED: _untrained,
    Role.DICTIONARY: _dictionary,
    Role.COPY_THROUGH: _copy_through,
}


def _builders(study: Study) -> Iterator[Callable[[Point], Point | None]]:
    """What makes teachers, pretraining and rivals of the students, in order."""
    yield partial(_teacher, study.retrieval)
    yield _pretraining
    for role in study.rivals:
        if role is Role.TRANSLATED and study.translator is not None:
            if isinstance(study.translator, Translator):
                yield partial(_translator, study.translator)
            yield partial(_translated, study.translator, study.decoding)
        elif role in SUPERVISED:
            yield partial(_supervised, role, dict(study.supervised)[role])
        else:
            yield _RIVALS[role]
