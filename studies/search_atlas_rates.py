"""Which learning rate suits each rung of the atlas ladder?

Question
    The peak learning rate of a rung is tied to its width by a declared rule. Which rate is best on validation queries,
    rung by rung, at the schedule that studies on the atlas use?
Budget
    The whole schedule of the base run, in rotation 0 of the exposures, one seed. The first two trials of a rung are
    the rates that first_look was first written with, for rungs from and below a width of 32.
What the answer decides
    ``ladders.atlas_learning_rate``.
Status
    Written on 2026-11-25, before any of its trials. Version 2026.11.20 ran: 1,200 steps of 256 lines, and a largest
    rung of width 136 where the ladder now has 80. This version, over the ladder as it is now, has not been run.
"""

from dataclasses import replace

from ir_measures import nDCG

from studies.bases import ATLAS_LANGUAGES, OPTICAL_ATLAS
from studies.ladders import ATLAS
from studies.schema.axes import exposure_of
from studies.schema.execution import Execution
from studies.schema.search import Halving, LogUniform, Parameter, Search

SEARCH = Search(
    name="search_atlas_rates",
    version="2026.11.25",
    question="Which learning rate suits each rung of the atlas ladder?",
    base=replace(
        OPTICAL_ATLAS,
        bitext=replace(OPTICAL_ATLAS.bitext, exposure=exposure_of(0, 2, ATLAS_LANGUAGES, low=0.1)),
    ),
    space=(Parameter(name="learning_rate", path="optimiser.learning_rate", domain=LogUniform(low=0.002, high=0.03)),),
    measure=nDCG @ 10,
    trials=5,
    seed=0,
    halving=Halving(first=300, factor=2),
    rungs=tuple(rung for rung, _ in ATLAS.rungs),
    first=({"learning_rate": 0.006}, {"learning_rate": 0.012}),
    execution=Execution(workers=1, checkpoint_every=300),
)
