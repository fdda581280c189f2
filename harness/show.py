"""One run in words: what it is, how far it is, what it measured, and where its files lie; and a search in words."""

import json
from collections.abc import Iterator
from typing import assert_never

from harness.description import described
from harness.evaluation_key import key_of
from harness.progress import outcome, pace
from harness.status import Phase, RunStatus
from harness.trials import Closed, closed
from studies.schema.cost import parameters_of
from studies.schema.key import canonical
from studies.schema.run import Preparatory, System
from studies.schema.search import Search
from studies.schema.space import Choice, LogUniform, Parameter, Uniform
from studies.schema.storage import Damaged, Storage, read_manifest
from studies.schema.study import Point, Study
from studies.schema.trials import read_ledger, spell

MEASURES = "measures.json"


def lines(study: Study | Search, row: RunStatus, storage: Storage) -> Iterator[str]:
    """Everything there is to say about a run of a study, line by line."""
    point = row.point
    told = {"key": point.key, "role": point.role.replace("_", "-")}
    told |= {name: label for name, label in point.labels.as_dict().items() if label != "-"}
    told["state"] = f"{outcome(row)}, {pace(row)}" if row.phase is Phase.RUNNING else outcome(row)
    told["files"] = str(storage.run(point.key))
    if not isinstance(point.run, System):
        counted = parameters_of(point.run)
        told["size"] = f"{counted.non_embedding:,} parameters, {counted.total:,} in total"
    yield from _aligned(told)
    if row.evaluated and not isinstance(point.run, Preparatory):
        yield ""
        yield from measures(study, row, storage)
    yield ""
    choices = canonical(point.run)
    assert isinstance(choices, dict)
    yield from _aligned(described(choices))


def measures(study: Study | Search, row: RunStatus, storage: Storage) -> Iterator[str]:
    """A table of the study's measures by language, with their means; Damaged when the evaluation lacks one."""
    columns = scores(study, row.point, storage)
    assert columns is not None
    languages = list(next(iter(columns.values())))
    table = [[column[language] for column in columns.values()] for language in languages]
    yield "        " + "".join(f"{name:>11}" for name in columns)
    for language, found in zip(languages, table, strict=True):
        yield f"{language:<8}" + "".join(f"{score:11.4f}" for score in found)
    if len(languages) > 1:
        means = [sum(column) / len(languages) for column in zip(*table, strict=True)]
        yield f"{'mean':<8}" + "".join(f"{mean:11.4f}" for mean in means)


def scores(study: Study | Search, point: Point, storage: Storage) -> dict[str, dict[str, float]] | None:
    """Value by the study's measures and by language; None before the evaluation, Damaged when it lacks one."""
    folder = storage.evaluation(point.key, key_of(point.run, study.evaluation))
    if read_manifest(folder) is None:
        return None
    names = [str(measure) for measure in study.measures]
    path = folder / MEASURES
    try:
        found = json.loads(path.read_text())["measures"]
        languages = list(found[names[0]])
        return {name: {language: float(found[name][language]) for language in languages} for name in names}
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise Damaged(path, f"the measures {', '.join(names)}", repr(error)) from error


def _aligned(pairs: dict[str, str]) -> Iterator[str]:
    width = max(8, *(len(name) for name in pairs))
    for name, text in pairs.items():
        yield f"{name:<{width}}  {text}"


def search_lines(search: Search, storage: Storage) -> Iterator[str]:
    """A search in words: what is varied, what is asked for, and every trial with what came of it, the best first."""
    domains = {parameter.name: _range(parameter) for parameter in search.space}
    told = {
        "varied": "; ".join(f"{name} {domain}" for name, domain in domains.items()),
        "scored": f"{search.measure} on {search.split} queries, mean over languages",
        "rungs": ", ".join(rung.name for rung in search.all_rungs),
        "trials": f"{search.trials} on each rung, at most {search.base.schedule.steps} steps; {_halved(search)}",
    }
    if search.retrieval:
        told["asked"] = "; ".join(f"{each.collection.name} {each.split}" for each in search.retrieval)
    if search.verify:
        told["verified"] = "; ".join(
            f"{each.rung.name} at {', '.join(f'{name} {spell(value)}' for name, value in each.values.items())}"
            for each in search.verify
        )
    yield from _aligned(told)
    trials = read_ledger(storage.ledger(search.name, search.version)).trials
    if not trials:
        yield "no trial yet"
        return
    yield ""
    names = list(domains)
    yield f"{'trial':>5}  {'key':<8}  {'rung':<12}" + "".join(f"{name:>15}" for name in names) + "  outcome"
    ends = [(trial, closed(search, storage, trial)) for trial in trials]
    for trial, end in sorted(ends, key=lambda pair: _rank(pair[1]), reverse=True):
        values = "".join(f"{spell(trial.values[name]):>15}" for name in names)
        yield f"{trial.number:>5}  {(trial.key or '-')[:8]:<8}  {trial.rung:<12}{values}  {_ended(end)}"


def _halved(search: Search) -> str:
    if search.halving is None:
        return "none is given up"
    return f"1 in {search.halving.factor} passes step {' and step '.join(map(str, search.milestones))}"


def _range(parameter: Parameter) -> str:
    match parameter.domain:
        case LogUniform(low=low, high=high):
            return f"log-uniform from {low:g} to {high:g}"
        case Uniform(low=low, high=high):
            return f"uniform from {low:g} to {high:g}"
        case Choice(values=values):
            return f"one of {', '.join(label for label, _ in values)}"
        case unknown:
            assert_never(unknown)


def _rank(end: Closed | None) -> tuple[bool, int, float]:
    """Trials with a result before others, the others by how far they came."""
    if end is None:
        return False, -1, 0.0
    if end.score is not None:
        return True, 0, end.score
    return False, len(end.reached), end.reached[-1] if end.reached else 0.0


def _ended(end: Closed | None) -> str:
    if end is None:
        return "under way"
    if end.score is not None:
        return f"{end.score:.4f}"
    return f"{end.state}, {end.reached[-1]:.4f} at its last milestone" if end.reached else str(end.state)
