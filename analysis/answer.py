"""The answer to a study's question in words, with its interval and what it is conditional on."""

from collections.abc import Sequence

from analysis.bootstrap import Estimate, Interval
from analysis.findings import Findings, Strand
from analysis.gaps import Curve, NoCurve


def with_interval(estimate: Estimate, digits: int = 2) -> str:
    """A number with its interval: ``0.41 [0.35, 0.47]``."""
    return f"{decimal(estimate.point, digits)} {interval_text(estimate.interval, digits)}"


def interval_text(interval: Interval, digits: int = 2) -> str:
    return f"[{decimal(interval.low, digits)}, {decimal(interval.high, digits)}]"


def decimal(value: float, digits: int = 2) -> str:
    """A number with a true minus sign, and none before a zero."""
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0.0 else text.replace("-", "−")


def answer(findings: Findings) -> str:
    """One sentence on the primary contrast of the first objective."""
    strand = findings.strands[0]
    contrast = strand.contrast(findings.asked.measure, findings.primary)
    if isinstance(contrast, NoCurve):
        return f"This study cannot answer its question: {contrast.reason}."
    last = contrast.points()[-1]
    return (
        f"{_size_of_effect(findings, contrast)} Across sizes {_trend(findings, strand)}"
        if last.sound
        else f"The largest rung is flagged ({flags(contrast.flagged[last.rung])}), so this is provisional. "
        f"{_size_of_effect(findings, contrast)} Across sizes {_trend(findings, strand)}"
    )


def _size_of_effect(findings: Findings, contrast: Curve) -> str:
    last = contrast.points()[-1]
    value, verb = last.value, "helps"
    if 0.0 in value.interval:
        verb = "makes no difference that can be told from zero"
    elif value.point < 0.0:
        verb = "harms"
    return (
        f"At the largest size ({last.rung}, {last.size:,} non-embedding parameters) more exposure {verb}: "
        f"{with_interval(value)} {contrast.unit} in {findings.asked.measure} within a language."
    )


def _trend(findings: Findings, strand: Strand) -> str:
    report = strand.report(findings.asked.measure, findings.primary, "log_linear")
    if not report.fit.usable:
        return f"no trend can be stated ({report.fit.message})."
    slope, band = report.fit.parameters["b"], report.fit.intervals["b"]
    words = "shows no trend that can be told from zero" if 0.0 in band else ("rises" if slope > 0 else "falls")
    text = (
        f"the effect {words}: {decimal(slope)} {interval_text(band)} per tenfold size, fitted without the held-out rung"
    )
    declared = strand.report(findings.asked.measure, findings.primary, findings.asked.law)
    held_out = declared.held_out
    if held_out is None:
        return f"{text}; the declared law ({spoken(findings.asked.law)}) could not be fitted: {declared.fit.message}."
    return (
        f"{text}; for {held_out.rung} the declared law ({spoken(findings.asked.law)}) forecast "
        f"{decimal(held_out.forecast)} {interval_text(held_out.interval)} ({held_out.label}), "
        f"observed was {with_interval(held_out.observed)}."
    )


def spoken(name: str) -> str:
    """A name from the code as people write it."""
    return name.replace("_", "-")


def flags(names: Sequence[str]) -> str:
    """Stated defects as people read them: ``still improving``."""
    return ", ".join(name.replace("_", " ") for name in names)
