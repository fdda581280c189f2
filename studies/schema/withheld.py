"""Which language each rotation of a study withholds from distillation, and that the others are trained on as much."""

from collections.abc import Mapping, Sequence

from studies.schema.atlas import Bitext
from studies.schema.estimand import UnseenDegradation
from studies.schema.evaluation import Pair
from studies.schema.parallel import ParallelText

TOLERANCE = 0.01
"""By how much rotations may differ in lines, as a share."""


def withheld_by(
    estimand: UnseenDegradation, bitexts: Mapping[str, Bitext | ParallelText], pairs: Sequence[Pair] = ()
) -> dict[str, str]:
    """The language without lines in each rotation that withholds one, from the rotations' bitexts by label.

    ValueError where a rotation withholds several or none but should, two withhold the same, lines differ in number, or
    lines are direct elsewhere than in the rotation ``direct`` and for the study's ``pairs``.
    """
    found: dict[str, str] = {}
    total = bitexts[estimand.trained].total_lines
    for label, bitext in bitexts.items():
        without = _without(bitext, bitexts[estimand.trained])
        expected = 0 if label in (estimand.trained, estimand.direct) else 1
        if len(without) != expected:
            raise ValueError(
                f"rotation {label} withholds {', '.join(without) or 'no language'}; {estimand.trained} withholds none "
                "and every other rotation exactly one: set its exposure to 0"
            )
        if abs(bitext.total_lines - total) > TOLERANCE * total:
            raise ValueError(
                f"rotation {label} has {bitext.total_lines} lines in all, {estimand.trained} has {total}; withholding "
                "a language may not change the budget: give its lines to the others"
            )
        direct = tuple(pairs) if label == estimand.direct else ()
        if set(bitext.direct) != set(direct):
            raise ValueError(
                f"rotation {label} has direct lines of {_spell(bitext.direct)}, where those of {_spell(direct)} are "
                "asked for; give the study's pairs lines in the estimand's rotation 'direct' and nowhere else"
            )
        for language in without:
            if language in found.values():
                raise ValueError(f"two rotations withhold {language}; give each language one")
            found[label] = language
    if not set(estimand.apart) < set(found.values()):
        raise ValueError(
            f"{', '.join(estimand.apart)} stand apart of {', '.join(found.values())}; name some of those "
            "withheld, not all"
        )
    return found


def _without(bitext: Bitext | ParallelText, trained: Bitext | ParallelText) -> list[str]:
    """The languages on no side of any line, of those that are trained on elsewhere."""
    if isinstance(bitext, Bitext) or isinstance(trained, Bitext):
        return [language for language, share in bitext.exposure if share == 0.0]
    read = {language for corpus in bitext.corpora for language in (corpus.source, corpus.target)}
    return [each for each in trained.languages if each not in read or bitext.exposure_of(each) == 0.0]


def _spell(pairs: Sequence[Pair]) -> str:
    return ", ".join("-".join(pair) for pair in pairs) or "no pair"
