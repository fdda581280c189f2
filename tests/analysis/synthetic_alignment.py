"""A study of alignment with planted levels: every value of every sentence, before and after, under two objectives."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ir_measures import AP, Success, nDCG

from studies import ladders
from studies.schema.alignment import TOKEN_OT_RANDOM, TOKEN_OT_RAW, Alignment, AlignmentMeasure, Stage, column_name
from studies.schema.axes import cross, rotations, seeds, vary
from studies.schema.cost import parameters_of
from studies.schema.execution import Execution
from studies.schema.record import Role
from studies.schema.run import Student
from studies.schema.study import AlignmentImprovement, Law, Point, Study
from tests.analysis import synthetic

OBJECTIVES = {name: synthetic.OBJECTIVES[name] for name in ("ot", "mse")}
BEFORE, RANDOM, GAIN = 0.3, 0.2, 0.25
EFFECT = {"ot": 0.08, "mse": 0.05}
EFFECT_SLOPE = {"ot": 0.04, "mse": 0.01}
"""What full exposure adds to the improvement, and how that grows per tenfold size; the same in every measure."""

NOISE = 0.02


def study() -> Study:
    """Five rungs, two objectives, two rotations, the largest rung held out."""
    return Study(
        name="planted_alignment",
        version="2026.11.26",
        question="Does size change what exposure is worth in alignment?",
        base=synthetic.study().base,
        axes=cross(
            ladders.ATLAS.axis(),
            vary("objective", "objective", OBJECTIVES),
            rotations(2, synthetic.LANGUAGES, low=0.1),
            seeds(1),
        ),
        measures=(nDCG @ 10, AP, Success @ 1),
        estimand=AlignmentImprovement(
            measure=nDCG @ 10, alignment=Alignment(epsilon=0.01), reference="ot", against="mse"
        ),
        law=Law.LOG_LINEAR,
        hold_out=ladders.ATLAS.largest,
        rivals=(),
        execution=Execution(workers=1, micro_batch=64),
    )


def effect(objective: str, size: int) -> float:
    return EFFECT[objective] + EFFECT_SLOPE[objective] * float(np.log10(size / 1e4))


def level(point: Point, language: str, stage: Stage) -> float:
    """The planted value of every measure."""
    assert isinstance(point.run, Student)
    before = BEFORE + 0.02 * synthetic.LANGUAGES.index(language)
    if stage is Stage.BEFORE:
        return before
    side = 0.5 if dict(point.run.bitext.exposure)[language] == 1.0 else -0.5
    return before + GAIN + side * effect(point.labels.objective, parameters_of(point.run).non_embedding)


def columns(point: Point, rows: Mapping[str, Any]) -> Mapping[str, Sequence[float]]:
    """Values of every sentence whose means are exactly the planted ones; sentences of an entity vary together."""
    if point.role is not Role.STUDENT:
        return {}
    language, entity = np.array(rows["language"]), np.array(rows["entity"])
    codes = {name: place for place, name in enumerate(sorted(set(entity.tolist())))}
    place = np.array([codes[name] for name in entity.tolist()])
    rng = np.random.default_rng(int(point.key, 16))
    found: dict[str, Sequence[float]] = {}
    for stage in Stage:
        drawn = {name: np.zeros(len(language)) for name in (TOKEN_OT_RAW, TOKEN_OT_RANDOM, "clca_mexa", "clca_rankc")}
        for code in dict.fromkeys(rows["language"]):
            own, planted = language == code, level(point, code, stage)
            means = {
                TOKEN_OT_RAW: RANDOM + planted * (1 - RANDOM),
                TOKEN_OT_RANDOM: RANDOM,
                AlignmentMeasure.MEXA: planted,
                AlignmentMeasure.RANKC: planted,
            }
            for name, mean in means.items():
                noise = NOISE * rng.standard_normal(len(codes))[place[own]]
                drawn[name][own] = mean + noise - noise.mean()
        found |= {column_name(name, stage): values.tolist() for name, values in drawn.items()}
    return found
