"""What a study declared before any run, reduced to what the analysis has to obey."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, assert_never

from analysis.frame import Frame, IncompleteStudy, Labels, RunRecord
from studies.schema.alignment import Alignment
from studies.schema.estimand import (
    AlignmentImprovement,
    Compute,
    DataCurve,
    EpsilonOptimum,
    ResourceEffect,
    SystemComparison,
    UnseenDegradation,
)
from studies.schema.evaluation import Pair
from studies.schema.objective import Transport
from studies.schema.over_epsilon import shares_of
from studies.schema.record import Role, State
from studies.schema.run import Student
from studies.schema.study import Study, bitexts, expand
from studies.schema.withheld import withheld_by


@dataclass(frozen=True, kw_only=True)
class DeclaredPoint:
    """A run that the study asks for."""

    key: str
    role: str
    labels: Labels


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What every study declares, as text.

    ``measure`` is that of the estimand. ``varied`` are the dotted paths that axes and ties assign: only these may
    differ between the points of a curve, or between systems that are compared.
    """

    study: str
    version: str
    question: str
    measures: tuple[str, ...]
    measure: str
    varied: tuple[str, ...]
    points: tuple[DeclaredPoint, ...]


@dataclass(frozen=True, kw_only=True)
class Declared(Asked):
    """A resource effect over size: its scale, the primary law and the held-out rung.

    Where the study contrasts two objectives, ``reference`` is the one whose effect is read against that of ``against``.
    """

    scale: str
    law: str
    hold_out: str
    reference: str | None = None
    against: str | None = None


@dataclass(frozen=True, kw_only=True)
class DeclaredAlignment(Declared):
    """An improvement of alignment over size: ``aligned`` is the measure of the primary contrast.

    ``alignment`` says how all of them were measured.
    """

    aligned: str
    alignment: Alignment


@dataclass(frozen=True, kw_only=True)
class DeclaredComparison(Asked):
    """One objective against all other systems, stage by stage.

    A stage is a setting of ``axis``, a rung or an amount of bitext (``amounts`` are its lines by label, empty for
    rungs). The primary contrasts are those at ``stage`` and ``exposure``. ``students`` are the declared runs by key,
    from which FLOPs are counted as ``compute`` says.
    """

    reference: str
    axis: str
    stages: tuple[str, ...]
    stage: str
    exposure: str
    amounts: Mapping[str, int]
    compute: Compute | None
    students: Mapping[str, Student]


@dataclass(frozen=True, kw_only=True)
class DeclaredOptimum(Asked):
    """A score over epsilon: what each ``objective`` label has for epsilon and for learning rate, in order of epsilon.

    ``bitexts`` are labels in declared order, of which all languages share ``joint``; the others are languages.
    ``search`` chose the learning rates.
    """

    scale: str
    epsilons: Mapping[str, float]
    rates: Mapping[str, float]
    languages: tuple[str, ...]
    bitexts: tuple[str, ...]
    joint: tuple[str, ...]
    search: str


@dataclass(frozen=True, kw_only=True)
class DeclaredUnseen(Asked):
    """What is lost on languages that distillation never saw, under ``reference`` beyond what is under ``against``.

    ``withheld`` is the language without lines by rotation, ``trained`` the rotation in which every language has some.
    ``pairs`` have lines of their own in the rotation ``direct``; there are none where that is None. Languages of
    ``apart`` are unseen in pretraining too, and no part of the contrast.
    """

    reference: str
    against: str
    trained: str
    withheld: Mapping[str, str]
    direct: str | None = None
    pairs: tuple[Pair, ...] = ()
    apart: tuple[str, ...] = ()


def declared(study: Study) -> Declared:
    """Read the declaration of a resource effect; ValueError for another estimand."""
    if not isinstance(study.estimand, ResourceEffect):
        raise ValueError(f"study {study.name} declares a {type(study.estimand).__name__}, not a ResourceEffect")
    return Declared(
        **_asked(study),
        scale=str(study.estimand.scale),
        law=str(study.law),
        hold_out=str(study.hold_out),
        reference=study.estimand.reference,
        against=study.estimand.against,
    )


def declared_alignment(study: Study) -> DeclaredAlignment:
    """Read the declaration of an improvement of alignment; ValueError for another estimand."""
    estimand = study.estimand
    if not isinstance(estimand, AlignmentImprovement):
        raise ValueError(f"study {study.name} declares a {type(estimand).__name__}, not an AlignmentImprovement")
    return DeclaredAlignment(
        **_asked(study),
        scale="improvement",
        law=str(study.law),
        hold_out=str(study.hold_out),
        reference=estimand.reference,
        against=estimand.against,
        aligned=str(estimand.aligned),
        alignment=estimand.alignment,
    )


def declared_comparison(study: Study) -> DeclaredComparison:
    """Read the declaration of a comparison; ValueError for another estimand."""
    students = _students(study)
    match study.estimand:
        case SystemComparison(rung=stage):
            axis = "rung"
        case DataCurve(amount=stage):
            axis = "bitext"
        case ResourceEffect() | AlignmentImprovement() | EpsilonOptimum() | UnseenDegradation():
            what = type(study.estimand).__name__
            raise ValueError(f"study {study.name} concludes by {what}, which compares no systems")
        case unknown:
            assert_never(unknown)
    labels = {point.key: getattr(point.labels, axis) for point in expand(study) if point.key in students}
    return DeclaredComparison(
        **_asked(study),
        reference=study.estimand.reference,
        axis=axis,
        stages=tuple(dict.fromkeys(labels.values())),
        stage=stage,
        exposure=str(study.estimand.exposure),
        amounts={labels[key]: run.bitext.lines for key, run in students.items()} if axis == "bitext" else {},
        compute=study.estimand.compute,
        students=students,
    )


def declared_optimum(study: Study) -> DeclaredOptimum:
    """Read the declaration of an optimum over epsilon; ValueError for another estimand."""
    if not isinstance(study.estimand, EpsilonOptimum):
        raise ValueError(f"study {study.name} declares a {type(study.estimand).__name__}, not an EpsilonOptimum")
    students = _students(study)
    labels = {point.key: point.labels for point in expand(study) if point.key in students}
    epsilons = {
        labels[key].objective: run.objective.epsilon
        for key, run in students.items()
        if isinstance(run.objective, Transport)
    }
    return DeclaredOptimum(
        **_asked(study),
        scale=str(study.estimand.scale),
        epsilons=dict(sorted(epsilons.items(), key=lambda item: item[1])),
        rates={labels[key].objective: run.optimiser.learning_rate for key, run in students.items()},
        languages=tuple(shares_of(study.base.bitext)),
        bitexts=tuple(dict.fromkeys(each.bitext for each in labels.values())),
        joint=study.estimand.joint,
        search=study.estimand.search,
    )


def _students(study: Study) -> dict[str, Student]:
    """The declared students by key."""
    return {
        point.key: point.run for point in expand(study) if isinstance(point.run, Student) and point.role is Role.STUDENT
    }


def declared_unseen(study: Study) -> DeclaredUnseen:
    """Read the declaration of a degradation on unseen languages; ValueError for another estimand."""
    estimand = study.estimand
    if not isinstance(estimand, UnseenDegradation):
        raise ValueError(f"study {study.name} declares a {type(estimand).__name__}, not an UnseenDegradation")
    return DeclaredUnseen(
        **_asked(study),
        reference=estimand.reference,
        against=estimand.against,
        trained=estimand.trained,
        withheld=withheld_by(estimand, bitexts(expand(study)), study.pairs),
        direct=estimand.direct,
        pairs=study.pairs if estimand.direct else (),
        apart=estimand.apart,
    )


def _asked(study: Study) -> dict[str, Any]:
    """What is asked of any study, but for runs that answer no query: what stands on those says what they are worth."""
    points = tuple(
        DeclaredPoint(
            key=point.key,
            role=str(point.role),
            labels=Labels(
                rung=point.labels.rung,
                objective=point.labels.objective,
                bitext=point.labels.bitext,
                rotation=point.labels.rotation,
                seed=point.labels.seed,
            ),
        )
        for point in expand(study)
        if point.role not in (Role.TRANSLATOR, Role.PRETRAINING)
    )
    assigned = [*(setting.assign for axis in study.axes for setting in axis.settings)]
    assigned += [tie.assign for tie in study.ties]
    return {
        "study": study.name,
        "version": study.version,
        "question": study.question,
        "measures": tuple(str(measure) for measure in study.measures),
        "measure": str(study.estimand.measure),
        "varied": tuple(sorted({path for each in assigned for path, _ in each})),
        "points": points,
    }


def completed(asked: Asked, frame: Frame) -> tuple[RunRecord, ...]:
    """The declared runs in declared order; raises IncompleteStudy if one is missing, unfinished or not evaluated."""
    owed = [(point, _why_owed(frame.runs.get(point.key), asked)) for point in asked.points]
    lines = [f"  {point.key}  {point.role} · {point.labels}: {why}" for point, why in owed if why]
    if lines:
        raise IncompleteStudy(
            f"{len(lines)} of the {len(asked.points)} runs of {asked.study} {asked.version} have no result:\n"
            + "\n".join(lines)
            + f"\nfinish them with: python -m harness run {asked.study}"
        )
    return tuple(frame.runs[point.key] for point in asked.points)


def _why_owed(run: RunRecord | None, asked: Asked) -> str | None:
    if run is None:
        return "not recorded"
    if run.state not in {state.value for state in State if state.has_result}:
        return f"state is {run.state}"
    if run.queries is None:
        return "finished, but its evaluation is not recorded"
    absent = [measure for measure in asked.measures if measure not in run.queries.scores]
    return f"evaluated without {', '.join(absent)}" if absent else None
