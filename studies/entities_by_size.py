"""How does size change the gap in the rate at which the first passage found is about an entity that was asked for?

Question
    A query names two or three entities, a passage is about one. How much of recall at rank one does a tenth of the
    bitext cost a language, and how does that move with size under transport, beyond how it moves under pooled vectors?
    Zero-shot: students have seen translated text alone, no query and no judgment.
Expectation
    ``gap_by_size`` found that exposure is worth more to larger students in nDCG@10, under transport the more so. Rank
    one is where a small student errs first, so the same is expected.
Measure
    Success@1: the share of queries whose first passage is relevant, which with any number of relevant passages is what
    the literature on captions calls R@1. ``ir_measures`` keeps R for the share of relevant passages that were found.
Primary estimand
    The slope, per tenfold non-embedding parameters, of the difference between the two objectives' within-language
    effects of exposure, in logits of the teacher's share of Success@1, by the four smaller rungs. The effect under each
    objective, its law and the forecast of the largest rung stand beside it.
Compute
    The students are those of ``gap_by_size``, the same runs; what holds for their compute and rates holds here.
What the answer decides
    Whether the full study on captions, ``entities_by_size_flickr30k``, needs both objectives at every size.
Status
    Declared on 2026-11-27 after the report of ``gap_by_size`` had shown Success@1 of these runs in its tables: a second
    reading of one experiment, and exploratory. One seed: its intervals speak of these trained models.
"""

from ir_measures import AP, Success, nDCG

from studies.bases import ATLAS_COMPUTE, OPTICAL_ATLAS, SIZE_BY_OBJECTIVE, SIZE_BY_OBJECTIVE_TIES
from studies.ladders import ATLAS
from studies.schema.execution import Execution
from studies.schema.study import Law, ResourceEffect, Study

STUDY = Study(
    name="entities_by_size",
    version="2026.11.27",
    question="How does size change what exposure is worth in finding an entity at rank one, zero-shot?",
    base=OPTICAL_ATLAS,
    axes=SIZE_BY_OBJECTIVE,
    ties=SIZE_BY_OBJECTIVE_TIES,
    measures=(nDCG @ 10, AP, Success @ 1),
    estimand=ResourceEffect(measure=Success @ 1, reference="ot", against="pooled-mse", compute=ATLAS_COMPUTE),
    law=Law.LOG_LINEAR,
    hold_out=ATLAS.largest,
    execution=Execution(workers=1, micro_batch=32, at_once=2),
    executions=tuple((rung.name, Execution(workers=1, micro_batch=256, at_once=2)) for rung, _ in ATLAS.rungs),
)
