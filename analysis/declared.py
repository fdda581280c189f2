"""What a study declared before any run, reduced to what the analysis has to obey."""

from dataclasses import dataclass

from analysis.frame import Frame, IncompleteStudy, Labels, RunRecord
from studies.schema.record import Role, State
from studies.schema.study import Study, expand


@dataclass(frozen=True, kw_only=True)
class DeclaredPoint:
    """A run that the study asks for."""

    key: str
    role: str
    labels: Labels


@dataclass(frozen=True, kw_only=True)
class Declared:
    """The question, the primary estimand, the law and the held-out rung, as text.

    ``varied`` are the dotted paths that the axes assign: only these may differ between the points of a curve.
    """

    study: str
    version: str
    question: str
    measures: tuple[str, ...]
    measure: str
    scale: str
    law: str
    hold_out: str
    varied: tuple[str, ...]
    points: tuple[DeclaredPoint, ...]


def declared(study: Study) -> Declared:
    """Read a declaration, but for its translators: translated queries say what those are worth, flags included."""
    points = tuple(
        DeclaredPoint(
            key=point.key,
            role=str(point.role),
            labels=Labels(
                rung=point.labels.rung,
                objective=point.labels.objective,
                rotation=point.labels.rotation,
                seed=point.labels.seed,
            ),
        )
        for point in expand(study)
        if point.role is not Role.TRANSLATOR
    )
    paths = {path for axis in study.axes for setting in axis.settings for path, _ in setting.assign}
    return Declared(
        study=study.name,
        version=study.version,
        question=study.question,
        measures=tuple(str(measure) for measure in study.measures),
        measure=str(study.estimand.measure),
        scale=str(study.estimand.scale),
        law=str(study.law),
        hold_out=study.hold_out,
        varied=tuple(sorted(paths)),
        points=points,
    )


def completed(asked: Declared, frame: Frame) -> tuple[RunRecord, ...]:
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


def _why_owed(run: RunRecord | None, asked: Declared) -> str | None:
    if run is None:
        return "not recorded"
    if run.state not in {state.value for state in State if state.has_result}:
        return f"state is {run.state}"
    if run.queries is None:
        return "finished, but its evaluation is not recorded"
    absent = [measure for measure in asked.measures if measure not in run.queries.scores]
    return f"evaluated without {', '.join(absent)}" if absent else None
