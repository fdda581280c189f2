"""What does the strength of OT's regularisation do to nDCG@10 on seven languages of MIRACL, language by language?

Question
    Epsilon weighs the entropy of the plan. Which is best for each of the seven, and does a language that was seen
    little want another? The twin is ``epsilon_by_pair``.
Students
    XLM-R's smallest size, two joint students at every epsilon. In ``joint`` the four languages with the least text in
    CC-100 have a tenth of the parallel text and the other three all of it, as in life; in ``swapped`` it is the other
    way round, so that every language is its own control. And a student for each language, trained on all of its lines
    with English and on no others.
Budget
    The same 4,000 steps of 512 lines for all. A student of one language sees its 200,000 lines ten times, a joint
    student its 680,000 or 860,000 lines two to three times. Problems are solved to the same marginal error at every
    epsilon; a run whose solver did not get there is in no fit.
Tuning
    ``search_epsilon_by_pair_miracl`` tries the same five rates at every epsilon for the joint student, on queries that
    this study does not ask; ``RATES`` are the best. ``swapped`` and the languages' own students take the same.
Reading of MIRACL
    x -> x as published, in pools, and CIRAL for Somali, as in ``gap_by_size_miracl``. The teacher is asked nothing, so
    curves are over the score itself, not over a share of the teacher's.
Primary contrast
    Under the joint students the optimum at a tenth of the lines minus the optimum at all of them, in decades of
    epsilon, of the mean curve over the same seven languages. Each optimum is the top of a parabola in log epsilon.
    Low-resource languages against the others under ``joint`` is descriptive.
What the answer decides
    Whether one epsilon may serve all languages of the studies over size.
Status
    Declared on 2026-11-26; none of its runs has been made. One seed: its intervals speak of these trained models.
"""

from dataclasses import replace

from ir_measures import R, nDCG

from studies.bases import ATLAS_EPSILONS
from studies.ladders import XLM_R
from studies.published_bases import (
    MIRACL_SEVEN,
    OPTICAL_MIRACL,
    SMALLEST_ON,
    exposure_alone,
    queries_of,
    shared_exposure,
)
from studies.schema.axes import Axis, Setting, cross, seeds, vary
from studies.schema.estimand import EpsilonOptimum, Scale
from studies.schema.optimiser import Schedule
from studies.schema.study import Study

RATES = dict.fromkeys(ATLAS_EPSILONS, OPTICAL_MIRACL.optimiser.learning_rate)
"""Peak learning rate at each epsilon. These are the ladder's starting point, until the search has been run."""

STUDY = Study(
    name="epsilon_by_pair_miracl",
    version="2026.11.26",
    question="What does the strength of OT's regularisation do to nDCG@10 on seven languages of MIRACL?",
    base=replace(OPTICAL_MIRACL, schedule=Schedule(steps=4_000, warmup_steps=400)),
    axes=cross(
        XLM_R.axis(OPTICAL_MIRACL.rung.name),
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
                **{language: exposure_alone(language) for language in MIRACL_SEVEN},
            },
        ),
        seeds(1),
    ),
    measures=(nDCG @ 10, R @ 100),
    estimand=EpsilonOptimum(
        measure=nDCG @ 10, joint=("joint", "swapped"), search="search_epsilon_by_pair_miracl", scale=Scale.RAW
    ),
    rivals=(),
    retrieval=tuple(queries_of(language) for language in MIRACL_SEVEN),
    execution=SMALLEST_ON,
)
