"""How little bitext is enough, for optimal transport and for its rivals?

Question
    The paper claims that OPTICAL needs minimal training data. How do average precision and nDCG@10 move with the number
    of bitext lines, and does OT need fewer of them than its rivals?
Expectation
    All lose when lines are few. An objective that scores candidate groups gets fewer distinct negatives too, so OT may
    lose less.
Design
    One rung. A language has the stated lines, or in the other rotation a tenth of them; FLOPs and steps are the same
    at every amount, so fewer lines are seen more often. The rivals are the two strongest trained ones of
    ``objectives_compared``, where both were ahead of OT. Learning rates are those of ``search_objectives``.
Primary contrasts
    OT minus each rival in AP at 1,000 lines, over languages at a tenth of them.
Status
    Declared on 2026-11-25; its rivals were chosen on 2026-11-26, after ``objectives_compared`` and before any of its
    runs, and run that day. One seed: its intervals speak of these trained models.
"""

from dataclasses import replace

from ir_measures import AP, nDCG

from studies.bases import (
    ATLAS_COMPUTE,
    ATLAS_LANGUAGES,
    ATLAS_OBJECTIVES,
    ATLAS_RATES,
    OPTICAL_ATLAS,
    matched_to_transport,
)
from studies.ladders import ATLAS
from studies.schema.axes import cross, rotations, seeds, vary
from studies.schema.estimand import DataCurve
from studies.schema.execution import Execution
from studies.schema.record import Role
from studies.schema.study import Study

RUNG = "atlas-13k"
STEPS = 600
COMPARED = ("ot", "assignment", "exact-ot")
AMOUNTS = (250, 500, 1000, 2000, 4000)

_RUNG = next(rung for rung, _ in ATLAS.rungs if rung.name == RUNG)

STUDY = Study(
    name="bitext_amount",
    version="2026.11.26",
    question="How little bitext is enough, for optimal transport and for its rivals?",
    base=OPTICAL_ATLAS,
    axes=cross(
        ATLAS.axis(RUNG),
        vary("objective", "objective", {label: ATLAS_OBJECTIVES[label] for label in COMPARED}),
        vary("bitext", "bitext.lines", {str(lines): lines for lines in AMOUNTS}),
        rotations(2, ATLAS_LANGUAGES, low=0.1),
        seeds(1),
    ),
    ties=tuple(
        replace(
            matched_to_transport(_RUNG, label, steps=STEPS, learning_rate=ATLAS_RATES[label]),
            where=(("objective", label),),
        )
        for label in COMPARED
    ),
    measures=(AP, nDCG @ 10),
    estimand=DataCurve(measure=AP, reference="ot", amount="1000", compute=ATLAS_COMPUTE),
    rivals=(Role.DICTIONARY, Role.COPY_THROUGH),
    execution=Execution(workers=1, micro_batch=32, at_once=2),
    executions=((RUNG, Execution(workers=1, micro_batch=256, at_once=2)),),
)
