"""What makes the students of a study curves over epsilon: one solver, one rate for each epsilon, and controls."""

from collections.abc import Sequence
from dataclasses import replace

from studies.schema.atlas import Bitext
from studies.schema.estimand import EpsilonOptimum
from studies.schema.objective import Objective, Solver, Transport
from studies.schema.optimiser import Optimiser
from studies.schema.parallel import ParallelText
from studies.schema.record import FULL_EXPOSURE
from studies.schema.run import Student


def shares_of(bitext: Bitext | ParallelText) -> dict[str, float]:
    """The share of its lines that each language gets."""
    if isinstance(bitext, Bitext):
        return dict(bitext.exposure)
    return {language: bitext.exposure_of(language) for language in bitext.languages}


def check_epsilons(estimand: EpsilonOptimum, students: Sequence[tuple[str, str, Student]]) -> None:
    """Raise ValueError unless students, each with its ``objective`` and ``bitext`` label, make curves over epsilon."""
    settings: dict[str, tuple[Objective, Optimiser]] = {}
    sides: dict[str, set[bool]] = {}
    for objective, bitext, run in students:
        if not isinstance(run.objective, Transport) or run.objective.solver is not Solver.SINKHORN:
            raise ValueError(f"objective {objective!r} is {run.objective}; a curve over epsilon needs Sinkhorn's")
        found = run.objective, run.optimiser
        if settings.setdefault(objective, found) != found:
            raise ValueError(
                f"objective {objective!r} has two epsilons or learning rates; tie one of each to its label"
            )
        shares = shares_of(run.bitext)
        if bitext in estimand.joint:
            for language, share in shares.items():
                sides.setdefault(language, set()).add(share >= FULL_EXPOSURE)
        elif [language for language, share in shares.items() if share > 0.0] != [bitext]:
            raise ValueError(
                f"bitext {bitext!r} has exposures {shares}; a bitext is one of {', '.join(estimand.joint)}, or named "
                "after the one language that has any"
            )
    alike = [replace(each, epsilon=1.0) for each, _ in settings.values() if isinstance(each, Transport)]
    if any(each != alike[0] for each in alike):
        raise ValueError("the epsilons differ in tolerance, iterations or form as well; let epsilon alone differ")
    alone = [language for language, seen in sides.items() if len(seen) < 2]
    if alone:
        raise ValueError(
            f"{', '.join(alone)} have one exposure alone between {', '.join(estimand.joint)}; a language is its own "
            "control only at full and at reduced exposure: add a bitext in which it is swapped"
        )
