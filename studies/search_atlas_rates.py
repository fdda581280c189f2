"""Which learning rate suits each rung of the atlas ladder, and do the small rungs foretell the largest's?

Question
    The peak learning rate of a rung is tied to its width by a declared rule. Which rate is best on validation queries,
    rung by rung? Does the optimum of the four smaller rungs, carried over size, name the largest's, and what does the
    guess cost?
Budget
    300 steps, as in ``search_objectives``, in rotation 0 of the exposures, one seed. The same six rates on every rung,
    all trained to their end: an optimum with an interval takes six finished trials, and halving would leave fewer. The
    largest rung is searched too, so that the regret of the guess is against the best that is known there.
What the answer decides
    ``ladders.atlas_learning_rate``, and whether a rung that nobody can search may take its rate from smaller ones.
Status
    Written on 2026-11-26, before any of its trials, and run that day: 0.0039 [0.0014, 0.0105] was predicted for the
    largest rung, and one trial there beat the six that were searched on it by 0.008. Version 2026.11.20 ran over
    another ladder, and 2026.11.25, with five trials a rung and halving, never.
"""

from dataclasses import replace

from ir_measures import nDCG

from studies.bases import ATLAS_BITEXT, ATLAS_LANGUAGES, OPTICAL_ATLAS
from studies.ladders import ATLAS
from studies.schema.axes import exposure_of
from studies.schema.execution import Execution
from studies.schema.optimiser import Schedule
from studies.schema.search import Search, Verification
from studies.schema.space import LogUniform, Parameter

LARGEST = ATLAS.rungs[-1][0]
RATES = (0.0015, 0.003, 0.006, 0.012, 0.024, 0.048)

SEARCH = Search(
    name="search_atlas_rates",
    version="2026.11.26",
    question="Which learning rate suits each rung of the atlas ladder, and do the small rungs foretell the largest's?",
    base=replace(
        OPTICAL_ATLAS,
        bitext=replace(ATLAS_BITEXT, exposure=exposure_of(0, 2, ATLAS_LANGUAGES, low=0.1)),
        schedule=Schedule(steps=300, warmup_steps=30),
    ),
    space=(
        Parameter(
            name="learning_rate", path="optimiser.learning_rate", domain=LogUniform(low=RATES[0], high=RATES[-1])
        ),
    ),
    measure=nDCG @ 10,
    trials=len(RATES),
    seed=0,
    rungs=tuple(rung for rung, _ in ATLAS.rungs),
    first=tuple({"learning_rate": rate} for rate in RATES),
    verify=(Verification(rung=LARGEST, values={"learning_rate": 0.003882}),),  # predicted from the other four
    execution=Execution(workers=1, micro_batch=256, checkpoint_every=300),
)
