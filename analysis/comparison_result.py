"""``result.json`` of a comparison: the head of every study's, then systems with their compute and ``comparisons``."""

from collections.abc import Mapping
from dataclasses import dataclass

from analysis.answer import flags
from analysis.comparison import Compared, Gain, NoGain, Row
from analysis.comparison_words import REPORTED, REPORTED_GAIN
from analysis.frame import RunRecord
from analysis.result import Document, estimate_document, heading, ledger_document
from analysis.systems import System, counted, observed_iterations


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What a trained system's runs cost at a stage, means over its runs; None where it is not known.

    ``flops`` are the declared ones, ``observed`` those with the solver's iterations that the journals hold.
    """

    steps: float | None
    learning_rate: float | None
    flops: float | None
    observed: float | None


def spent(found: Compared, system: System) -> Spent:
    """Count a system's compute as its study declares it."""
    asked = found.asked
    compute, students = asked.compute, asked.students

    def observed(run: RunRecord) -> float | None:
        return None if compute is None else compute.flops(students[run.key], iterations=observed_iterations(run))

    return Spent(
        steps=counted(system, asked, lambda run: float(students[run.key].schedule.steps)),
        learning_rate=counted(system, asked, lambda run: students[run.key].optimiser.learning_rate),
        flops=counted(system, asked, lambda run: None if compute is None else compute.flops(students[run.key])),
        observed=counted(system, asked, observed),
    )


def document(found: Compared, *, source: str) -> Document:
    """Describe what was found in JSON values; ``source`` is the kind of store it was read from."""
    asked = found.asked
    head = heading(asked, found.runs, source=source, resampling=found.resampling, num_clusters=found.num_clusters)
    return {
        **head,
        "primary": {
            "measure": asked.measure,
            "reference": asked.reference,
            "axis": asked.axis,
            "stage": asked.stage,
            "exposure": asked.exposure,
            "correction": "Holm over the rivals",
        },
        "amounts": dict(asked.amounts),
        "teacher": dict(found.teacher),
        "systems": [_system(found, stage.name, system) for stage in found.stages for system in stage.systems],
        "comparisons": [_comparison(row) for row in found.rows],
        "gain": {"refused": found.gain.reason} if isinstance(found.gain, NoGain) else _gain(found.gain),
        "ledger": {name: ledger_document(each) for name, each in found.ledgers.items()},
    }


def _system(found: Compared, stage: str, system: System) -> Document:
    cost = spent(found, system)
    return {
        "stage": stage,
        "system": system.name,
        "trained": system.trained,
        "runs": list(dict.fromkeys(run.key for run in system.runs)),
        "flags": _counts(system.flags),
        "steps": cost.steps,
        "learning_rate": cost.learning_rate,
        "flops": cost.flops,
        "flops_observed": cost.observed,
    }


def _counts(found: Mapping[str, int]) -> Document:
    return {flags((name,)): count for name, count in found.items()}


def _comparison(row: Row) -> Document:
    difference = row.difference
    return {
        "stage": row.stage,
        "exposure": row.exposure,
        "part": row.part,
        "measure": row.measure,
        "system": row.system,
        "rank": row.rank,
        **estimate_document(row.score),
        "languages": row.num_languages,
        "queries_per_language": row.num_queries,
        "difference": None
        if difference is None
        else {**estimate_document(difference), "p": row.p, "p_corrected": row.corrected},
        "primary": row.corrected is not None,
    }


def _gain(gain: Gain) -> Document:
    return {
        "rival": gain.rival,
        "measure": gain.measure,
        "stage": gain.stage,
        "exposure": gain.exposure,
        **estimate_document(gain.overall),
        "languages": {
            code: estimate_document(value) for code, value in zip(gain.languages, gain.by_language, strict=True)
        },
        "reference_line": {"value": REPORTED_GAIN, "label": REPORTED},
    }
