"""Which learning rate suits each objective, tried alike for all?

Question
    ``objectives_compared`` is fair only if its rivals are tuned as OT was. Which peak learning rate is best for each of
    its objectives on validation queries?
Budget
    The same six rates for every objective, trained to the end of half of OT's schedule there, at ``atlas-28k``, in
    rotation 0 of the exposures, one seed. Nothing is given up in the middle: objectives are not to be judged by how
    fast another one learns. Steps are the same for all, unlike there.
What the answer decides
    ``bases.ATLAS_RATES``: for each objective the optimum of the report, or the best rate that was tried where the
    report names none.
Status
    Written on 2026-11-25, before any of its trials; run on 2026-11-26. Every objective has an optimum, between
    0.0035 and 0.0059; the report is in ``docs/results``.
"""

from dataclasses import replace

from ir_measures import nDCG

from studies.bases import ATLAS_BITEXT, ATLAS_LANGUAGES, ATLAS_OBJECTIVES, OPTICAL_ATLAS
from studies.ladders import ATLAS
from studies.schema.axes import exposure_of
from studies.schema.execution import Execution
from studies.schema.optimiser import Schedule
from studies.schema.search import Search
from studies.schema.space import Choice, LogUniform, Parameter

RUNG = "atlas-28k"
RATES = (0.0015, 0.003, 0.006, 0.012, 0.024, 0.048)

SEARCH = Search(
    name="search_objectives",
    version="2026.11.25",
    question="Which learning rate suits each objective, tried alike for all?",
    base=replace(
        OPTICAL_ATLAS,
        rung=next(rung for rung, _ in ATLAS.rungs if rung.name == RUNG),
        bitext=replace(ATLAS_BITEXT, exposure=exposure_of(0, 2, ATLAS_LANGUAGES, low=0.1)),
        schedule=Schedule(steps=300, warmup_steps=30),
    ),
    space=(
        Parameter(name="objective", path="objective", domain=Choice(values=tuple(ATLAS_OBJECTIVES.items()))),
        Parameter(
            name="learning_rate", path="optimiser.learning_rate", domain=LogUniform(low=RATES[0], high=RATES[-1])
        ),
    ),
    measure=nDCG @ 10,
    trials=len(ATLAS_OBJECTIVES) * len(RATES),
    seed=0,
    first=tuple({"objective": label, "learning_rate": rate} for rate in RATES for label in ATLAS_OBJECTIVES),
    execution=Execution(workers=1, micro_batch=256, checkpoint_every=300),
)
