"""How good translations are, where the same texts exist in the other language."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from studies.schema.topic_makers import Chrf


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


@dataclass(frozen=True, kw_only=True)
class Quality:
    """chrF and BLEU of a corpus, from 0 to 100, and how many of its translations are empty."""

    chrf: float
    bleu: float
    empty: int


def is_empty(translation: str) -> bool:
    """Whether a translation says nothing, so that nothing can be retrieved for it."""
    return not translation.strip()


def quality(translations: Sequence[str], references: Sequence[str]) -> Quality:
    """Compare translations with one reference each, in order; an empty one counts against the corpus."""
    if len(translations) != len(references) or not translations:
        raise ValueError(f"{len(translations)} translations and {len(references)} references; give one for each")
    return Quality(
        chrf=round(CHRF().corpus_score(translations, [references]).score, 2),
        bleu=round(BLEU().corpus_score(translations, [references]).score, 2),
        empty=sum(is_empty(text) for text in translations),
    )


def signatures() -> dict[str, str]:
    """sacreBLEU's own words for how :func:`quality` measures, with one reference."""
    found = {}
    for name, metric in (("chrf", CHRF()), ("bleu", BLEU())):
        metric.corpus_score(["a"], [["a"]])
        found[name] = str(metric.get_signature())
    return found
