"""``result.json``: findings as a document with a stated schema, for programs that read them later."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from analysis.bootstrap import Estimate, Interval, Resampling
from analysis.declared import Asked
from analysis.findings import Findings, FitReport, Measured, Strand
from analysis.frame import RunRecord
from analysis.gaps import Curve, NoCurve
from analysis.ledger import Difference, Ledger
from studies.schema.record import FULL_EXPOSURE, Role

SCHEMA = 1

Document = dict[str, Any]


def document(findings: Findings, *, source: str) -> Document:
    """Describe findings in JSON values; ``source`` is the kind of store they were read from."""
    primary = findings.strands[0].measured
    head = heading(
        findings.asked,
        findings.runs,
        source=source,
        resampling=findings.resampling,
        num_clusters=findings.num_clusters,
    )
    return {
        **head,
        "primary": {
            "measure": findings.asked.measure,
            "target": findings.primary,
            "law": findings.asked.law,
            "hold_out": findings.asked.hold_out,
        },
        "teacher": {
            measure: None if measured.teacher is None else measured.teacher.point
            for measure, measured in primary.items()
        },
        "baselines": [
            {
                "role": row.role,
                "rung": row.rung,
                "exposure": row.exposure,
                "measure": row.measure,
                **estimate_document(row.mean),
                "latin": row.latin,
                "other_scripts": row.other_scripts,
            }
            for row in findings.baselines
        ],
        "effects": [effect for strand in findings.strands for effect in _effects(strand)],
        "levels": [level for strand in findings.strands for level in _levels(strand)],
        "fits": [_fit(strand, report) for strand in findings.strands for report in strand.fits],
        "rolling_origin": [
            {
                "objective": strand.objective,
                "law": origin.law,
                "rungs": list(origin.rungs),
                "rung": origin.rung,
                "forecast": origin.forecast,
                "observed": origin.observed,
            }
            for strand in findings.strands
            for origin in strand.origins
        ],
        "ledger": {strand.objective: ledger_document(strand.ledger) for strand in findings.strands},
    }


def heading(
    asked: Asked, runs: Sequence[RunRecord], *, source: str, resampling: Resampling, num_clusters: int
) -> Document:
    """What a document begins with, whatever its study concludes from."""
    return {
        "schema": SCHEMA,
        "study": asked.study,
        "version": asked.version,
        "question": asked.question,
        "generated_from": {
            "source": source,
            "revisions": sorted({run.revision for run in runs}),
            "resamples": resampling.resamples,
            "seed": resampling.seed,
            "clusters": num_clusters,
        },
        "runs": [_run(run) for run in runs],
    }


def _run(run: RunRecord) -> Document:
    amount = {} if run.labels.bitext == "-" else {"bitext": run.labels.bitext}
    return {
        "key": run.key,
        "role": run.role,
        "rung": run.labels.rung,
        "objective": run.labels.objective,
        **amount,
        "rotation": run.labels.rotation,
        "seed": run.labels.seed,
        "state": run.state,
        "flags": list(run.flags),
        "parameters": {"non_embedding": run.non_embedding, "total": run.total},
        "measures": {measure: by_exposure(run, scores) for measure, scores in run.measures.items()},
    }


def by_exposure(run: RunRecord, scores: Mapping[str, float]) -> Document:
    """Scores by language, their means at full and at reduced exposure, and the difference; None without such a side."""
    full = [score for code, score in scores.items() if run.exposure.get(code, -1.0) >= FULL_EXPOSURE]
    reduced = [score for code, score in scores.items() if 0.0 <= run.exposure.get(code, -1.0) < FULL_EXPOSURE]
    high = sum(full) / len(full) if full else None
    low = sum(reduced) / len(reduced) if reduced else None
    gap = high - low if high is not None and low is not None else None
    return {"languages": dict(sorted(scores.items())), "high": high, "low": low, "gap": gap}


def _effects(strand: Strand) -> list[Document]:
    rows: list[Document] = []
    for measure, measured in strand.measured.items():
        for target, contrast in measured.contrasts.items():
            head = {"objective": strand.objective, "measure": measure, "target": target}
            rows.append({**head, **contrast_document(contrast)})
    return rows


def contrast_document(contrast: Curve | NoCurve) -> Document:
    """A contrast by rung, or why there is none."""
    if isinstance(contrast, NoCurve):
        return {"status": "refused", "message": contrast.reason, "unit": None, "rungs": []}
    return {
        "status": "success",
        "message": _clipped(contrast),
        "unit": contrast.unit,
        "rungs": _points(contrast),
    }


def _clipped(contrast: Curve) -> str:
    return f"{contrast.num_clipped} scores clipped half a query away from the end of the scale"


def _points(contrast: Curve) -> list[Document]:
    return [
        {
            "rung": point.rung,
            "non_embedding": point.size,
            **estimate_document(point.value),
            "flags": list(contrast.flagged.get(point.rung, ())),
        }
        for point in contrast.points()
    ]


def _levels(strand: Strand) -> list[Document]:
    return [row for measured in strand.measured.values() for row in _levels_of(strand, measured)]


def _levels_of(strand: Strand, measured: Measured) -> list[Document]:
    rows: list[Document] = []
    for exposure, side in (("full", measured.full), ("reduced", measured.reduced)):
        for place, rung in enumerate(strand.ladder.rungs if side is not None else ()):
            assert side is not None
            rows.append(
                {
                    "objective": strand.objective,
                    "measure": measured.measure,
                    "exposure": exposure,
                    "rung": rung,
                    **estimate_document(side.mean[place]),
                    "languages": dict(zip(strand.ladder.languages, side.by_language_GL[place].tolist(), strict=True)),
                }
            )
    return rows


def _fit(strand: Strand, report: FitReport) -> Document:
    fitted, held_out = report.fit, report.held_out
    return {
        "objective": strand.objective,
        "measure": report.measure,
        "target": fitted.target,
        "law": fitted.law.name,
        "formula": fitted.law.formula,
        "status": fitted.status.code,
        "message": fitted.message,
        "saw_every_rung": report.saw_every_rung,
        "rungs": list(fitted.rungs),
        "reference_size": fitted.reference_size,
        "parameters": fitted.parameters,
        "intervals": {name: interval_document(value) for name, value in fitted.intervals.items()},
        "residual": fitted.residual,
        "aicc": fitted.aicc,
        "held_out": None
        if held_out is None
        else {
            "rung": held_out.rung,
            "forecast": held_out.forecast,
            "interval": interval_document(held_out.interval),
            "label": held_out.label,
            "observed": held_out.observed.point,
            "observed_interval": interval_document(held_out.observed.interval),
            "miss": held_out.miss.point,
            "miss_interval": interval_document(held_out.miss.interval),
            "inside": held_out.inside,
        },
    }


def ledger_document(ledger: Ledger) -> Document:
    return {
        "agreed": list(ledger.agreed),
        "declared": [_difference(each) for each in ledger.declared],
        "confounders": [_difference(each) for each in ledger.confounders],
    }


def _difference(difference: Difference) -> Document:
    return {"field": difference.field, "values": {value: list(rungs) for value, rungs in difference.values.items()}}


def interval_document(interval: Interval) -> list[float]:
    return [interval.low, interval.high]


def estimate_document(value: Estimate) -> Document:
    return {"value": value.point, "interval": interval_document(value.interval)}


def dumps(result: Mapping[str, Any]) -> str:
    """Spell a document; raises ValueError for a number that is not finite or a document that breaks the schema."""
    check(result)
    return json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def loads(text: str) -> Document:
    """Read a document; raises ValueError when it is of another schema or incomplete."""
    result: Document = json.loads(text)
    check(result)
    return result


_FIELDS: Mapping[str, tuple[str, ...]] = {
    "runs": ("key", "role", "rung", "objective", "rotation", "seed", "state", "parameters", "measures"),
    "baselines": ("role", "rung", "exposure", "measure", "value", "interval"),
    "effects": ("objective", "measure", "target", "status", "message", "rungs"),
    "fits": ("measure", "target", "law", "status", "message", "parameters", "intervals", "held_out"),
}
_HELD_OUT = ("rung", "forecast", "interval", "observed", "label")

_COMPARED: Mapping[str, tuple[str, ...]] = {
    "runs": _FIELDS["runs"],
    "systems": ("stage", "system", "trained", "runs", "flags", "flops"),
    "comparisons": ("stage", "exposure", "part", "measure", "system", "rank", "value", "interval", "difference"),
}
"""What a document of a comparison has in the place of effects and fits."""

_ALIGNED: Mapping[str, tuple[str, ...]] = {
    "runs": _FIELDS["runs"],
    "improvements": ("objective", "measure", "exposure", "rung", "language", "before", "after", "improvement", "share"),
    "effects": _FIELDS["effects"],
    "interactions": ("measure", "reading", "status", "message", "slope_per_tenfold_size", "rungs", "held_out"),
}
"""What a document on alignment has."""

_OPTIMA: Mapping[str, tuple[str, ...]] = {
    "runs": _FIELDS["runs"],
    "epsilons": ("label", "epsilon", "learning_rate"),
    "optima": ("language", "exposure", "curve", "bitext", "status", "message", "optimum", "best_tried", "scores"),
    "contrasts": ("upper", "lower", "primary", "status", "message", "difference"),
}
"""What a document of optima over epsilon has there."""

_UNSEEN: Mapping[str, tuple[str, ...]] = {
    "runs": _FIELDS["runs"],
    "degradations": (
        "system",
        "measure",
        "queries",
        "passages",
        "level",
        "trained",
        "unseen",
        "degradation",
        "relative",
    ),
    "means": ("system", "measure", "level", "group", "languages", "degradation", "relative", "difference"),
}
"""What a document of degradations on unseen languages has in the place of effects and fits."""

_KINDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "comparisons": _COMPARED,
    "improvements": _ALIGNED,
    "optima": _OPTIMA,
    "degradations": _UNSEEN,
}
"""Kinds of documents, by what only they hold."""


def check(result: Mapping[str, Any]) -> None:
    """Raise ValueError where a document lacks what schema 1 promises."""
    if result.get("schema") != SCHEMA:
        raise ValueError(
            f"result.json has schema {result.get('schema')!r}, this reads {SCHEMA}; write the report again"
        )
    expected = next((fields for name, fields in _KINDS.items() if name in result), _FIELDS)
    _need("result.json", result, ("study", "version", "generated_from", "teacher", "ledger", *expected))
    for name, fields in expected.items():
        for place, row in enumerate(result[name]):
            _need(f"{name}[{place}]", row, fields)
    for place, row in enumerate(result.get("fits", ())):
        if row["held_out"] is not None:
            _need(f"fits[{place}].held_out", row["held_out"], _HELD_OUT)
    if not any(run["role"] == Role.STUDENT for run in result["runs"]):
        raise ValueError("result.json holds no student; write the report again")


def _need(where: str, value: Mapping[str, Any], fields: Sequence[str]) -> None:
    absent = [field for field in fields if field not in value]
    if absent:
        raise ValueError(f"{where} lacks {', '.join(absent)}; write the report again")
