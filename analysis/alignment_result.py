"""``result.json`` of a study of alignment: the head of every study's, then ``improvements`` and their contrasts."""

from analysis.alignment import Aligned, AlignedStrand, Reading
from analysis.bootstrap import Estimate
from analysis.interaction_words import interaction_document
from analysis.result import Document, contrast_document, estimate_document, heading, ledger_document
from studies.schema.alignment import AlignmentMeasure
from studies.schema.estimand import Exposure
from studies.schema.record import Role

MEAN = "mean"
"""In the place of a language: the mean over all of them."""


def document(found: Aligned, *, source: str) -> Document:
    """Describe what was found in JSON values; ``source`` is the kind of store it was read from."""
    asked = found.asked
    head = heading(asked, found.runs, source=source, resampling=found.resampling, num_clusters=found.num_clusters)
    teachers = [run for run in found.runs if run.role == Role.TEACHER]
    return {
        **head,
        "primary": {
            "measure": asked.aligned,
            "reading": str(Reading.IMPROVEMENT),
            "reference": asked.reference,
            "against": asked.against,
            "law": asked.law,
            "hold_out": asked.hold_out,
            "epsilon": asked.alignment.epsilon,
            "depth": asked.alignment.depth,
        },
        "teacher": {
            measure: sum(scores.values()) / len(scores)
            for teacher in teachers
            for measure, scores in teacher.measures.items()
        },
        "improvements": [row for strand in found.strands for row in _improvements(strand)],
        "effects": [
            {"objective": strand.objective, "measure": str(measure), "target": target, **contrast_document(contrast)}
            for strand in found.strands
            for measure, gained in strand.gained.items()
            for target, contrast in gained.contrasts.items()
        ],
        "interactions": [
            {"measure": str(measure), "reading": str(reading), **interaction_document(each)}
            for (measure, reading), each in found.interactions.items()
        ],
        "ledger": {strand.objective: ledger_document(strand.ledger) for strand in found.strands},
    }


def _improvements(strand: AlignedStrand) -> list[Document]:
    """Levels in points of 100 by measure, exposure, rung and language."""
    rows: list[Document] = []
    for measure in strand.gained:
        for exposure in Exposure:
            for place, rung in enumerate(strand.ladder.rungs):
                for language in (MEAN, *strand.ladder.languages):
                    values = _values(strand, measure, exposure, place, language)
                    if values[Reading.IMPROVEMENT] is None:
                        continue
                    rows.append(
                        {
                            "objective": strand.objective,
                            "measure": str(measure),
                            "exposure": str(exposure),
                            "rung": rung,
                            "language": language,
                            **{
                                str(name): None if each is None else estimate_document(each)
                                for name, each in values.items()
                            },
                        }
                    )
    return rows


def _values(
    strand: AlignedStrand, measure: AlignmentMeasure, exposure: Exposure, place: int, language: str
) -> dict[Reading, Estimate | None]:
    found: dict[Reading, Estimate | None] = {}
    for reading in Reading:
        level = strand.gained[measure].levels.get((exposure, reading))
        by_rung = None if level is None else level.mean if language == MEAN else level.by_language[language]
        found[reading] = None if by_rung is None else by_rung[place]
    return found
