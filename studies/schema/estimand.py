"""What a study concludes from: the closed union of estimands, and the compute that compared systems share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import assert_never

from ir_measures.measures import Measure

from studies.schema.added import ADDED
from studies.schema.alignment import Alignment, AlignmentMeasure
from studies.schema.checks import above_zero
from studies.schema.cost import training_flops
from studies.schema.objective import Objective, Transport, WeightedSum
from studies.schema.objective_cost import objective_flops
from studies.schema.parallel import ParallelText
from studies.schema.run import Student


class Scale(StrEnum):
    """On which scale scores are compared."""

    LOGIT_OF_TEACHER_SHARE = "logit_of_teacher_share"
    RAW = "raw"


class Law(StrEnum):
    """The forms that a curve over size may take; formulas are in ``analysis.laws``."""

    CONSTANT = "constant"
    LOG_LINEAR = "log_linear"
    POWER = "power"
    SATURATING = "saturating"
    LOG_QUADRATIC = "log_quadratic"


class Exposure(StrEnum):
    """Which languages a contrast is read on: those at full exposure, or those below it."""

    FULL = "full"
    REDUCED = "reduced"


@dataclass(frozen=True, kw_only=True)
class Compute:
    """How the FLOPs of training are counted: the encoder's, and the objective's own with its solver.

    Tokens are means per line; ``iterations`` is the mean of ``transport.iterations`` in a journal. Students of one
    rung may differ by ``tolerance``, as a share.
    """

    student_tokens: float
    teacher_tokens: float
    iterations: float
    tolerance: float = 0.01

    def __post_init__(self) -> None:
        above_zero(self, "student_tokens", "teacher_tokens", "iterations", "tolerance")

    def flops(self, run: Student, *, iterations: float | None = None) -> float:
        """FLOPs of a whole training; ``iterations`` stands for the declared ones where they were observed."""
        of_objective = objective_flops(
            run.objective,
            student_tokens=self.student_tokens,
            teacher_tokens=self.teacher_tokens,
            token_size=run.teacher.token_size,
            iterations=self.iterations if iterations is None else iterations,
        )
        lines = run.global_batch * run.schedule.steps
        return training_flops(run, tokens_per_example=self.student_tokens) + lines * of_objective

    def steps(self, run: Student, *, as_much_as: Student) -> int:
        """Steps after which ``run`` has had the FLOPs of another student, to the nearest; its own are left aside."""
        return round(self.flops(as_much_as) / (self.flops(run) / run.schedule.steps))


@dataclass(frozen=True, kw_only=True)
class ResourceEffect:
    """The within-language difference between high and low exposure, averaged over languages.

    With ``reference`` and ``against``, labels of two objectives, the primary contrast is how much larger it is under
    the one than under the other; with ``compute``, students of a rung have the same FLOPs.
    """

    measure: Measure
    scale: Scale = Scale.LOGIT_OF_TEACHER_SHARE
    reference: str | None = field(default=None, metadata=ADDED)
    against: str | None = field(default=None, metadata=ADDED)
    compute: Compute | None = field(default=None, metadata=ADDED)

    def __post_init__(self) -> None:
        if (self.reference is None) is not (self.against is None) or (
            self.reference and self.reference == self.against
        ):
            raise ValueError(
                f"a resource effect of {self.reference!r} is read against that of {self.against!r}; name two "
                "objectives, or neither"
            )


@dataclass(frozen=True, kw_only=True)
class SystemComparison:
    """One system against every other: the difference in raw score, a language's against the same language's.

    ``reference`` is the label of an objective. The primary contrasts, corrected for their number, are those at
    ``rung`` over languages at ``exposure``. With ``compute``, students of a rung have the same FLOPs.
    """

    measure: Measure
    reference: str
    rung: str
    exposure: Exposure = Exposure.REDUCED
    compute: Compute | None = None


@dataclass(frozen=True, kw_only=True)
class DataCurve:
    """Scores over the number of bitext lines, and one objective against the others at every amount.

    ``amount`` is the label of the amount at which the primary contrasts are read; otherwise as SystemComparison.
    """

    measure: Measure
    reference: str
    amount: str
    exposure: Exposure = Exposure.REDUCED
    compute: Compute | None = None


@dataclass(frozen=True, kw_only=True)
class AlignmentImprovement:
    """What exposure is worth, within a language, in the alignment that distillation brings (after minus before).

    The primary contrast is how much larger that effect is under ``reference`` than under ``against``, labels of two
    objectives, in the measure ``aligned``; the other measures of the family stand beside it. ``measure`` is the
    retrieval measure that is reported with them. With ``compute``, students of a rung have the same FLOPs.
    """

    measure: Measure
    alignment: Alignment
    reference: str
    against: str
    aligned: AlignmentMeasure = AlignmentMeasure.TOKEN_OT
    compute: Compute | None = None

    def __post_init__(self) -> None:
        if self.reference == self.against:
            raise ValueError(f"an improvement under {self.reference!r} is read against itself; name two objectives")


@dataclass(frozen=True, kw_only=True)
class EpsilonOptimum:
    """Where a score is highest over the logarithm of epsilon: a parabola's top, by language and bitext.

    Settings of the ``objective`` axis are epsilons, those of the ``bitext`` axis languages with a student of their own,
    or one of ``joint``: labels of bitexts that all languages share. Between these every language has full and reduced
    exposure, and in the first as its resource has it in life. The primary contrast is the optimum at reduced minus that
    at full exposure, in decades, each of the mean curve of all languages under the joint students. ``search`` chose the
    learning rate at each epsilon, on validation queries.
    """

    measure: Measure
    joint: tuple[str, ...]
    search: str
    scale: Scale = Scale.LOGIT_OF_TEACHER_SHARE

    def __post_init__(self) -> None:
        if len(self.joint) < 2 or len(set(self.joint)) != len(self.joint):
            raise ValueError(
                f"an epsilon optimum is read from joint bitexts {', '.join(self.joint) or '(none)'}; name two or more, "
                "between which the exposure of every language differs"
            )
        if not self.search.startswith("search_"):
            raise ValueError(f"{self.search!r} is no search; name the one that chose the learning rate at each epsilon")


@dataclass(frozen=True, kw_only=True)
class UnseenDegradation:
    """How far a score falls for a language that distillation never saw, and by how much further under one objective.

    The degradation of a language is its score under students that had lines of it minus its score under students from
    which they were withheld, on the same queries and after as many lines. In the rotation ``trained`` every language
    has lines; in every other exactly one has none. ``reference`` and ``against`` are labels of objectives: the primary
    contrast is the mean degradation under the first minus that under the second. With ``compute``, students have the
    same FLOPs. In the rotation ``direct``, where there is one, the study's pairs have lines of their own: for these,
    ``trained`` is the level at which both languages were seen with English alone. Languages of ``apart``, which
    pretraining has not seen either, are withheld like the others and stand beside the contrast, not in it.
    """

    measure: Measure
    reference: str
    against: str
    trained: str
    direct: str | None = None
    compute: Compute | None = None
    apart: tuple[str, ...] = field(default=(), metadata=ADDED)

    def __post_init__(self) -> None:
        if self.reference == self.against:
            raise ValueError(
                f"the degradation under {self.reference!r} is read against that under the same objective; name two"
            )


Estimand = ResourceEffect | SystemComparison | DataCurve | AlignmentImprovement | EpsilonOptimum | UnseenDegradation

NUM_EPSILONS = 5
"""Epsilons that a parabola needs: its three coefficients and two to spare."""


def check_estimand(
    estimand: Estimand, labels: Mapping[str, Sequence[str]], *, law: Law | None, hold_out: str | None
) -> None:
    """Raise ValueError unless the axes, with their ``labels``, and the rest of a declaration serve its estimand."""
    match estimand:
        case ResourceEffect() | AlignmentImprovement():
            if law is None or hold_out is None:
                raise ValueError("a resource effect is a curve over size; declare its law and the rung it holds out")
            if hold_out not in labels.get("rung", ()):
                raise ValueError(f"held-out rung {hold_out!r} is none of the study's rungs {labels.get('rung', [])}")
            for name in ("reference", "against"):
                if (label := getattr(estimand, name)) is not None:
                    _check_label(name, label, "objective", labels, at_least=2)
        case SystemComparison():
            _check_no_curve(estimand, law, hold_out)
            _check_label("reference", estimand.reference, "objective", labels, at_least=2)
            _check_label("rung", estimand.rung, "rung", labels, at_least=1)
        case DataCurve():
            _check_no_curve(estimand, law, hold_out)
            _check_label("reference", estimand.reference, "objective", labels, at_least=2)
            _check_label("amount", estimand.amount, "bitext", labels, at_least=2)
        case EpsilonOptimum():
            _check_no_curve(estimand, law, hold_out)
            for label in estimand.joint:
                _check_label("joint", label, "bitext", labels, at_least=2)
            if len(labels.get("objective", ())) < NUM_EPSILONS:
                raise ValueError(
                    f"the objective axis has {len(labels.get('objective', ()))} epsilons, and a parabola needs "
                    f"{NUM_EPSILONS}; give it more"
                )
        case UnseenDegradation():
            _check_no_curve(estimand, law, hold_out)
            for name in ("reference", "against"):
                _check_label(name, getattr(estimand, name), "objective", labels, at_least=2)
            _check_label("trained", estimand.trained, "rotation", labels, at_least=2)
            if estimand.direct is not None:
                _check_label("direct", estimand.direct, "rotation", labels, at_least=3)
            if len(labels.get("rung", ())) > 1:
                raise ValueError(f"an UnseenDegradation is read at one rung; the axis has {', '.join(labels['rung'])}")
        case unknown:
            assert_never(unknown)


def compute_of(estimand: Estimand) -> Compute | None:
    """How the FLOPs of a study's students are counted; None where they are not compared."""
    return None if isinstance(estimand, EpsilonOptimum) else estimand.compute


def alignment_of(estimand: Estimand) -> Alignment | None:
    """How the alignment of a study's students is measured; None where it is not."""
    return estimand.alignment if isinstance(estimand, AlignmentImprovement) else None


def check_alignment(alignment: Alignment, students: Mapping[str, Student]) -> None:
    """Raise ValueError if a student, by what it is called, is trained at the epsilon that alignment is measured at, or
    on what it is measured on."""
    for name, run in students.items():
        kept_out = run.bitext.kept_out_text if isinstance(run.bitext, ParallelText) else ()
        for corpus in alignment.sentences:
            if corpus not in kept_out:
                raise ValueError(
                    f"alignment of {name} is measured on {corpus.name}, whose sentences may be lines of its bitext; "
                    "name the corpus in ParallelText.kept_out_text"
                )
        if alignment.epsilon in _epsilons(run.objective):
            raise ValueError(
                f"{name} is trained on transport at epsilon {alignment.epsilon}, and measured at it alignment would be "
                "its training loss on other lines; give Alignment another epsilon"
            )


def _epsilons(objective: Objective) -> tuple[float, ...]:
    terms = objective.terms if isinstance(objective, WeightedSum) else (objective,)
    return tuple(term.epsilon for term in terms if isinstance(term, Transport))


def check_compute(compute: Compute, students: Mapping[str, Student]) -> None:
    """Raise ValueError if students of one rung, by what they are called, differ in FLOPs by more than is tolerated."""
    by_rung: dict[str, dict[str, float]] = {}
    for name, run in students.items():
        by_rung.setdefault(run.rung.name, {})[name] = compute.flops(run)
    for rung, flops in by_rung.items():
        least, most = min(flops, key=flops.__getitem__), max(flops, key=flops.__getitem__)
        if flops[most] > flops[least] * (1 + compute.tolerance):
            raise ValueError(
                f"{rung}: {most} is trained with {flops[most]:.3g} FLOPs, {least} with {flops[least]:.3g}, which is "
                f"more than {compute.tolerance:.0%} apart; tie each objective's schedule to Compute.steps"
            )


def _check_no_curve(estimand: Estimand, law: Law | None, hold_out: str | None) -> None:
    if law is not None or hold_out is not None:
        raise ValueError(
            f"a {type(estimand).__name__} fits no curve over size, and law {law} with held-out rung {hold_out!r} would "
            "do nothing; leave both out"
        )


def _check_label(name: str, label: str, axis: str, labels: Mapping[str, Sequence[str]], *, at_least: int) -> None:
    known = labels.get(axis, ())
    if label not in known:
        raise ValueError(f"the estimand's {name} is {label!r}, the {axis} axis has {', '.join(known) or 'no setting'}")
    if len(known) < at_least:
        raise ValueError(f"the {axis} axis has {label} alone, so there is nothing to compare; give it {at_least}")
