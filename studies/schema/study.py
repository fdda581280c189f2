"""A study: a starting run, the axes it varies, what it measures and what it will conclude from.

Everything is checked when the study is written: a misspelt path in an axis fails at import.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain, product

from ir_measures.measures import Measure

from studies.schema.asked import check_retrieval
from studies.schema.atlas import Bitext
from studies.schema.axes import Axis, Tie, assign, assign_all
from studies.schema.batches import check_batches
from studies.schema.beside import builders
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
from studies.schema.over_epsilon import check_epsilons
from studies.schema.parallel import ParallelText
from studies.schema.points import Labels, Point, student_of
from studies.schema.record import SUPERVISED, Role
from studies.schema.run import Student, Supervised, Teacher, Translator
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
            [student_of(point) for point in points if point.role is Role.STUDENT],
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
        students = {_spoken(p): student_of(p) for p in points if p.role is Role.STUDENT}
        if isinstance(self.estimand, UnseenDegradation):
            withheld_by(self.estimand, bitexts(points), self.pairs)
        if compute := compute_of(self.estimand):
            check_compute(compute, students)
        if alignment := alignment_of(self.estimand):
            check_alignment(alignment, students)
        if isinstance(self.estimand, EpsilonOptimum):
            asked = [p for p in points if p.role is Role.STUDENT]
            check_epsilons(self.estimand, [(p.labels.objective, p.labels.bitext, student_of(p)) for p in asked])

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
    made = builders(study.rivals, study.retrieval, study.translator, study.decoding, dict(study.supervised))
    for build in made:
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
            bitext = student_of(point).bitext
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


def _spoken(point: Point) -> str:
    return " · ".join(label for label in point.labels.as_dict().values() if label != "-")
