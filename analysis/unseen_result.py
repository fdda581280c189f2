"""``result.json`` of degradations on unseen languages: the head of every study's, then every fall and their means."""

from analysis.bootstrap import Estimate
from analysis.falls import Fall, MeanFall
from analysis.result import Document, estimate_document, heading, ledger_document
from analysis.unseen import Unseen


def document(found: Unseen, *, source: str) -> Document:
    """Describe what was found in JSON values; ``source`` is the kind of store it was read from."""
    asked, primary = found.asked, found.primary
    head = heading(asked, found.runs, source=source, resampling=found.resampling, num_clusters=found.num_clusters)
    return {
        **head,
        "primary": {
            "measure": asked.measure,
            "target": "mean degradation on unseen languages, reference minus against",
            "reference": asked.reference,
            "against": asked.against,
            "languages": list(primary.languages),
            "estimate": _estimate(primary.difference),
            "p": primary.p,
            "refused": found.ledger.refusal,
        },
        "withheld": dict(asked.withheld),
        "direct": asked.direct,
        "related": {code: list(others) for code, others in found.kin.items()},
        "teacher": dict(found.teacher),
        "copied": dict(found.floor),
        "degradations": [_fall(row) for row in found.falls],
        "means": [_mean(row) for row in found.means],
        "ledger": ledger_document(found.ledger),
    }


def _fall(row: Fall) -> Document:
    return {
        "system": row.system,
        "measure": row.measure,
        "queries": row.queries,
        "passages": row.passages,
        "level": row.level,
        **_sides(row),
    }


def _mean(row: MeanFall) -> Document:
    return {
        "system": row.system,
        "measure": row.measure,
        "level": row.level,
        "group": row.group,
        "languages": list(row.languages),
        **_sides(row),
        "difference": None if row.difference is None else {**estimate_document(row.difference), "p": row.p},
    }


def _sides(row: Fall | MeanFall) -> Document:
    return {
        "trained": estimate_document(row.trained),
        "unseen": estimate_document(row.unseen),
        "degradation": estimate_document(row.degradation),
        "relative": _estimate(row.relative),
    }


def _estimate(value: Estimate | None) -> Document | None:
    return None if value is None else estimate_document(value)
