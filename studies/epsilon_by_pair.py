"""What does the strength of OT's regularisation do to nDCG@10, language pair by language pair?

Question
    Epsilon weighs the entropy of the plan. Near 0 a token is aligned to few others, far above to all of them alike.
    Which epsilon is best for each of seven pairs into English, and does a language that was seen little want another?
Expectation
    On validation queries of twelve languages scores rose to the smallest epsilon tried, 0.005, and exact transport was
    as good. So there may be no optimum inside any grid, only an epsilon below which nothing changes: then the report
    refuses to name one and says up to where it may lie.
Students
    Two joint students at every epsilon. In ``joint`` the four languages of low resource have a tenth of the bitext and
    the other three all of it, as in life; in ``swapped`` it is the other way round, so that every language is its own
    control. And a student for each pair, trained on all of that pair's lines and on no others.
Budget
    One rung and the same steps for all. A student of one pair therefore sees its 4,000 lines about 64 times, a joint
    student its 13,600 or 17,200 lines 15 to 19 times. Problems are solved to the same marginal error at every
    epsilon, so that FLOPs differ with the iterations that takes; a run whose solver did not get there is in no fit.
Tuning
    ``search_epsilon_by_pair`` tried the same six rates at every epsilon on validation queries, for the joint student;
    ``RATES`` are the best. ``swapped`` and the pairs' own students take the same, so they are tuned less well.
Primary contrast
    Under the joint students the optimum at a tenth of the bitext minus the optimum at all of it, in decades of epsilon,
    of the mean curve over the same seven languages. Each optimum is the top of a parabola in log epsilon on the logit
    of the teacher's share of nDCG@10. Low-resource languages against the others under ``joint`` is descriptive: they
    differ in script and cognates as well.
What the answer decides
    Whether one epsilon may serve all pairs of the real collections.
Status
    Declared on 2026-11-26, before any of its runs; version 2026.11.26.1, before any of them too, has 1,000 steps
    instead of 400, since most trials of the search were still improving after 400. It was run that day.
    One seed: its intervals speak of these trained models.
"""

from dataclasses import replace

from ir_measures import AP, nDCG

from studies.bases import ATLAS_EPSILONS, ATLAS_SEVEN, OPTICAL_SEVEN, exposure_alone, shared_exposure
from studies.ladders import ATLAS
from studies.schema.axes import Axis, Setting, cross, seeds, vary
from studies.schema.estimand import EpsilonOptimum
from studies.schema.execution import Execution
from studies.schema.optimiser import Schedule
from studies.schema.study import Study

RUNG = "atlas-13k"

RATES = {
    "0.002": 0.024,
    "0.005": 0.024,
    "0.0126": 0.024,
    "0.0316": 0.012,
    "0.0794": 0.006,
    "0.2": 0.024,
    "0.5": 0.003,
}
"""Peak learning rate at each epsilon: the best of six that ``search_epsilon_by_pair`` 2026.11.26.3 tried."""

STUDY = Study(
    name="epsilon_by_pair",
    version="2026.11.26.1",
    question="What does the strength of OT's regularisation do to nDCG@10, language pair by language pair?",
    base=replace(OPTICAL_SEVEN, schedule=Schedule(steps=1000, warmup_steps=100)),
    axes=cross(
        ATLAS.axis(RUNG),
        Axis(
            name="objective",
            settings=tuple(
                Setting(label=label, assign=(("objective", objective), ("optimiser.learning_rate", RATES[label])))
                for label, objective in ATLAS_EPSILONS.items()
            ),
        ),
        vary(
            "bitext",
            "bitext.exposure",
            {
                "joint": shared_exposure(low_resource=0.1, others=1.0),
                "swapped": shared_exposure(low_resource=1.0, others=0.1),
                **{language: exposure_alone(language) for language in ATLAS_SEVEN.languages},
            },
        ),
        seeds(1),
    ),
    measures=(nDCG @ 10, AP),
    estimand=EpsilonOptimum(measure=nDCG @ 10, joint=("joint", "swapped"), search="search_epsilon_by_pair"),
    rivals=(),
    execution=Execution(workers=1, micro_batch=256, at_once=2),
)
