"""How does size change the gap in the rate at which the first passage found is about an entity that was asked for?

Question
    A query names two or three entities, a passage is about one. How much of recall at rank one does a tenth of the
    bitext cost a language, and how does that move with the student's size? Zero-shot: students have seen translated
    text alone, no query and no judgment.
Expectation
    ``gap_by_size`` found that exposure is worth more to larger students in nDCG@10, on the scale of logits. Rank one is
    where a small student errs first, so the same is expected.
Measure
    Success@1: the share of queries whose first passage is relevant, which with any number of relevant passages is what
    the literature on captions calls R@1. ``ir_measures`` keeps R for the share of relevant passages that were found.
Primary estimand
    The within-language effect of exposure on the logit of the teacher's share of Success@1 by size, a law fitted to the
    four smaller rungs, and its forecast of the largest. The gap between CC-100's classes is descriptive.
Students
    Those of ``gap_by_size`` under transport, the same runs.
What the answer decides
    Whether ``entities_by_size_flickr30k``, the full study on captions, should look for a law beyond its three sizes.
Status
    Declared on 2026-11-27 after the report of ``gap_by_size`` had shown Success@1 of these runs in its tables: a second
    reading of one experiment, and exploratory. Version 2026.11.27 asked for the difference to pooled vectors. On the
    processor it was run on, one student of pooled vectors was still improving at its end, by 2.4 % where 2 % are
    allowed, which leaves too few rungs for a law of that difference; this version asks of transport alone. One seed:
    its intervals speak of these trained models.
"""

from dataclasses import replace

from ir_measures import AP, Success, nDCG

from studies.bases import ATLAS_LANGUAGES, OPTICAL_ATLAS, pretrained_atlas
from studies.ladders import ATLAS
from studies.schema.axes import cross, rotations, seeds, vary
from studies.schema.execution import Execution
from studies.schema.optimiser import Schedule
from studies.schema.study import Law, ResourceEffect, Study

STUDY = Study(
    name="entities_by_size",
    version="2026.11.27.1",
    question="How does size change what exposure is worth in finding an entity at rank one, zero-shot?",
    base=replace(OPTICAL_ATLAS, schedule=Schedule(steps=1600, warmup_steps=160)),
    axes=cross(
        pretrained_atlas(),
        vary("objective", "objective", {"ot": OPTICAL_ATLAS.objective}),
        rotations(2, ATLAS_LANGUAGES, low=0.1),
        seeds(1),
    ),
    measures=(nDCG @ 10, AP, Success @ 1),
    estimand=ResourceEffect(measure=Success @ 1),
    law=Law.LOG_LINEAR,
    hold_out=ATLAS.largest,
    execution=Execution(workers=1, micro_batch=32, at_once=2),
    executions=tuple((rung.name, Execution(workers=1, micro_batch=256, at_once=2)) for rung, _ in ATLAS.rungs),
)
