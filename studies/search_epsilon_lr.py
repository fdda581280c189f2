"""Which epsilon and learning rate suit transport distillation on the embedded collection?

Question
    The two settings that OPTICAL leaves open and that interact: a larger epsilon blurs the plan, and a blurred plan
    wants another learning rate. Where, on validation queries, is their joint optimum for a small student?
Budget
    Trials of 400 steps, two fifths of first_look's schedule, so the learning rate found belongs to the shorter one.
    The first trial is the setting that first_look was written with.
What the answer decides
    The epsilon and the learning rate with which later studies on the atlas begin.
Status
    Written on 2026-11-25, before any trial of this version; run on 2026-11-26, with a kill in its middle. It
    names no optimum: the score rises to the smallest epsilon that it may try. ``epsilon_confirmed`` asks test queries.
"""

from dataclasses import replace

from ir_measures import nDCG

from studies.bases import OPTICAL_ATLAS
from studies.ladders import ATLAS
from studies.schema.execution import Execution
from studies.schema.optimiser import Schedule
from studies.schema.search import Halving, Search
from studies.schema.space import LogUniform, Parameter

_RUNG, _RATE = ATLAS.rungs[2]

SEARCH = Search(
    name="search_epsilon_lr",
    version="2026.11.25",
    question="Which epsilon and learning rate suit transport distillation on the embedded collection?",
    base=replace(OPTICAL_ATLAS, rung=_RUNG, schedule=Schedule(steps=400, warmup_steps=40)),
    space=(
        Parameter(name="epsilon", path="objective.epsilon", domain=LogUniform(low=0.005, high=1.0)),
        Parameter(name="learning_rate", path="optimiser.learning_rate", domain=LogUniform(low=0.0005, high=0.05)),
    ),
    measure=nDCG @ 10,
    trials=32,
    seed=0,
    halving=Halving(first=100, factor=2),
    first=({"epsilon": 0.03, "learning_rate": _RATE},),
    execution=Execution(workers=1, checkpoint_every=100),
)
