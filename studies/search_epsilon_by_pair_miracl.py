"""Which learning rate does each epsilon want, for XLM-R's smallest size and the joint student over seven languages?

Question
    ``epsilon_by_pair_miracl`` is fair to an epsilon only if it is trained at a rate that suits it. Which peak learning
    rate is best at each of its epsilons, on validation queries?
Validation
    Training queries of MIRACL, 200 for each of six languages against pools of 20,000 passages. Students see parallel
    text alone and the teacher was trained on MS MARCO, so that nobody has seen these queries or their judgments; the
    studies conclude from development queries, which no trial is asked. A training query that happens to be a mined line
    is not kept out of it. CIRAL has ten development queries in Somali, too few to choose by: its rate is that of the
    others. German and Yoruba, which MIRACL has no training queries of, are none of the seven.
Budget
    The same five rates at every epsilon, each trained to the end of the study's schedule, one seed; nothing is given up
    in the middle. They span a factor of 16 around the ladder's starting point.
What the answer decides
    ``epsilon_by_pair_miracl.RATES``: at each epsilon the best rate that was tried. Where that is the lowest or the
    highest of the five, the rates have to be widened first. The students at these rates are the study's own.
Status
    Declared on 2026-11-26, before any of its trials.
"""

from dataclasses import replace

from ir_measures import nDCG

from studies.bases import ATLAS_EPSILONS
from studies.published_bases import OPTICAL_MIRACL, SMALLEST_ON, VALIDATED, shared_exposure, validation_queries_of
from studies.schema.optimiser import Schedule
from studies.schema.search import Search
from studies.schema.space import Choice, LogUniform, Parameter

RATES = (5e-6, 1e-5, 2e-5, 4e-5, 8e-5)

SEARCH = Search(
    name="search_epsilon_by_pair_miracl",
    version="2026.11.26",
    question="Which learning rate does each epsilon want, for XLM-R base over seven languages of MIRACL?",
    base=replace(
        OPTICAL_MIRACL,
        bitext=replace(OPTICAL_MIRACL.bitext, exposure=shared_exposure(low_resource=0.1, others=1.0)),
        schedule=Schedule(steps=4_000, warmup_steps=400),
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
    retrieval=tuple(validation_queries_of(language) for language in VALIDATED),
    execution=SMALLEST_ON,
)
