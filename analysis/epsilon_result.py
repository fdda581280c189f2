"""``result.json`` of an optimum over epsilon: the head of every study's, then curves, optima and their differences."""

from analysis.epsilon import Contrast, EpsilonCurve, EpsilonFindings
from analysis.peak import NoPeak
from analysis.result import Document, estimate_document, heading, ledger_document


def document(found: EpsilonFindings, *, source: str) -> Document:
    """Describe what was found in JSON values; ``source`` is the kind of store it was read from."""
    asked = found.asked
    head = heading(asked, found.runs, source=source, resampling=found.resampling, num_clusters=found.num_clusters)
    means = {curve.name: curve for each in found.contrasts for curve in (each.upper, each.lower)}
    return {
        **head,
        "primary": {
            "measure": asked.measure,
            "scale": asked.scale,
            "contrast": [found.primary.upper.name, found.primary.lower.name],
            "unit": "decades of epsilon",
        },
        "teacher": {asked.measure: None if found.teacher is None else found.teacher.point},
        "epsilons": [
            {"label": label, "epsilon": epsilon, "learning_rate": asked.rates[label]}
            for label, epsilon in asked.epsilons.items()
        ],
        "rates_from": asked.search,
        "scores_clipped": found.num_clipped,
        "optima": [
            {"language": code, "exposure": found.exposure[bitext, code], **_curve(found, curve)}
            for (bitext, code), curve in found.pairs.items()
        ]
        + [{"language": None, "exposure": None, **_curve(found, curve)} for curve in means.values()],
        "contrasts": [_contrast(each, is_primary=each is found.primary) for each in found.contrasts],
        "ledger": ledger_document(found.ledger),
    }


def _curve(found: EpsilonFindings, curve: EpsilonCurve) -> Document:
    """A curve, its optimum (status and message say how that was had) and the best epsilon that was tried."""
    peak = curve.peak
    optimum = (
        {"status": "refused", "message": peak.reason, "optimum": None, "residual": None}
        if isinstance(peak, NoPeak)
        else {
            "status": "success",
            "message": "",
            "optimum": estimate_document(peak.setting),
            "residual": peak.residual,
        }
    )
    return {
        "curve": curve.name,
        "bitext": curve.bitext,
        **optimum,
        "best_tried": {"epsilon": curve.best.point, "interval": [curve.best.low, curve.best.high]},
        "scores": [
            {"epsilon": label, **estimate_document(score)}
            for label, score in zip(found.asked.epsilons, curve.scores, strict=True)
        ],
        "left_out": list(curve.unsolved),
        "flagged": list(curve.improving),
    }


def _contrast(contrast: Contrast, *, is_primary: bool) -> Document:
    difference = contrast.difference
    outcome = (
        {"status": "refused", "message": difference, "difference": None}
        if isinstance(difference, str)
        else {"status": "success", "message": "", "difference": estimate_document(difference)}
    )
    return {
        "upper": contrast.upper.name,
        "lower": contrast.lower.name,
        "primary": is_primary,
        **outcome,
        "p": contrast.p,
    }
