"""Which learning rate does each epsilon want, for the joint student over seven pairs?

Question
    ``epsilon_by_pair`` is fair to an epsilon only if it is trained at a rate that suits it: a larger epsilon blurs the
    plan, and a blurred plan has smaller gradients. Which peak learning rate is best at each of its epsilons, on
    validation queries?
Budget
    The same six rates at every epsilon, each trained to the end of the study's schedule, one seed; nothing is given up
    in the middle. In ``search_epsilon_lr``, with the same rung and 400 steps, the best trials lay between 0.006 and
    0.024.
What the answer decides
    ``epsilon_by_pair.RATES``: at each epsilon the best rate that was tried. Where that is the lowest or the highest of
    the six, the rates have to be widened first. The students at these rates are the study's own, trained once.
Status
    Declared on 2026-11-26, before any of its trials, with the four larger rates. At epsilon 0.0794 the best was 0.003,
    the lowest of them, so version 2026.11.26.1 added 0.0015 at every epsilon. Those had 400 steps, after which most
    students were still improving, which bars them from the study's fit; 2026.11.26.2 has the 1,000 of the study.
    Then the best at four epsilons was 0.024, the highest, by less than 0.01; 2026.11.26.3 added 0.048.
"""

from dataclasses import replace

from ir_measures import nDCG

from studies.bases import ATLAS_EPSILONS, OPTICAL_SEVEN, shared_exposure
from studies.ladders import ATLAS
from studies.schema.execution import Execution
from studies.schema.optimiser import Schedule
from studies.schema.search import Search
from studies.schema.space import Choice, LogUniform, Parameter

RUNG = "atlas-13k"
RATES = (0.0015, 0.003, 0.006, 0.012, 0.024, 0.048)

SEARCH = Search(
    name="search_epsilon_by_pair",
    version="2026.11.26.3",
    question="Which learning rate does each epsilon want, for the joint student over seven pairs?",
    base=replace(
        OPTICAL_SEVEN,
        rung=next(rung for rung, _ in ATLAS.rungs if rung.name == RUNG),
        bitext=replace(OPTICAL_SEVEN.bitext, exposure=shared_exposure(low_resource=0.1, others=1.0)),
        schedule=Schedule(steps=1000, warmup_steps=100),
    ),
    space=(
        Parameter(name="epsilon", path="objective", domain=Choice(values=tuple(ATLAS_EPSILONS.items()))),
        Parameter(
            name="learning_rate", path="optimiser.learning_rate", domain=LogUniform(low=RATES[0], high=RATES[-1])
        ),
    ),
    measure=nDCG @ 10,
    trials=len(ATLAS_EPSILONS) * len(RATES),
    seed=0,
    first=tuple({"epsilon": label, "learning_rate": rate} for rate in RATES for label in ATLAS_EPSILONS),
    execution=Execution(workers=1, micro_batch=256, checkpoint_every=1000),
)
