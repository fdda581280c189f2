"""How good translated topics are, where people's translations of the same topics exist."""

from collections.abc import Mapping

from sacrebleu.metrics.chrf import CHRF

from studies.schema.collection import Chrf


def measure_chrf(translated: Mapping[str, str], references: Mapping[str, str], name: str) -> Chrf:
    """chrF of topics against references with the same ids, to be written into the translator's declaration.

    ``name`` says what the references are. ValueError when a topic has no reference or the other way round.
    """
    if translated.keys() != references.keys() or not translated:
        odd = sorted(translated.keys() ^ references.keys())
        raise ValueError(
            f"{len(translated)} topics and {len(references)} references {name} do not have the same ids, "
            f"among others {' '.join(odd[:3])}; give one reference for each topic"
        )
    order = sorted(translated)
    metric = CHRF()
    score = metric.corpus_score([translated[key] for key in order], [[references[key] for key in order]])
    return Chrf(score=round(score.score, 2), references=name, signature=str(metric.get_signature()))
