"""Which language each rotation of a study withholds from distillation, and that the others are trained on as much."""

from collections.abc import Mapping

from studies.schema.estimand import UnseenDegradation
from studies.schema.run import Bitext

TOLERANCE = 0.01
"""By how much rotations may differ in lines, as a share."""


def withheld_by(estimand: UnseenDegradation, bitexts: Mapping[str, Bitext]) -> dict[str, str]:
    """The language without lines in each rotation but ``trained``, from the rotations' bitexts by label.

    ValueError where a rotation withholds none or several, two withhold the same, or lines differ in number.
    """
    found: dict[str, str] = {}
    total = bitexts[estimand.trained].total_lines
    for label, bitext in bitexts.items():
        without = [language for language, share in bitext.exposure if share == 0.0]
        expected = 0 if label == estimand.trained else 1
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
        for language in without:
            if language in found.values():
                raise ValueError(f"two rotations withhold {language}; give each language one")
            found[label] = language
    return found
