"""Does more exposure in distillation help a language less as the student grows?

Question
    A frozen English retriever is distilled by optimal transport into multilingual students of five sizes. Every
    language is once at full exposure and once at a tenth of it. How large is the loss that low exposure causes, and
    how does it move with size?
Expectation
    Low exposure costs every size something; whether larger students lose less is not known.
What the answer decides
    Whether the full study needs rungs beyond those at hand, and which law it should declare for the effect.
Status
    Declared on 2026-11-25. Learning rates were first set by hand and then kept by ``search_atlas_rates``, on validation
    queries. Batch, steps and the largest width were chosen by the loss on held-out lines, so that no rung should still
    be improving (one of width 136 was, and one of 80 at half the batch), and to keep the whole short. The teacher's
    temperature and the single layer were compared in trial runs on test queries, and again on validation queries, which
    changed neither. Exploratory: earlier versions, and trials of this one with other widths, had shown an effect of
    exposure that grows with size. One seed: its intervals speak of these trained models, not of training them again.
"""

from ir_measures import AP, P, R, Success, nDCG

from studies.bases import ATLAS_LANGUAGES, OPTICAL_ATLAS
from studies.ladders import ATLAS
from studies.schema.axes import cross, rotations, seeds, vary
from studies.schema.execution import Execution
from studies.schema.study import Law, ResourceEffect, Study

# A second worker makes models of this size hardly faster, so runs are trained two at a time. The teacher is called with
# 32 queries: so cut, a batch of 64 gives one worker and two the same gradient to the last bit.
STUDY = Study(
    name="first_look",
    version="2026.11.25",
    question="Does more exposure in distillation help a language less as the student grows?",
    base=OPTICAL_ATLAS,
    axes=cross(
        ATLAS.axis(),
        vary("objective", "objective", {"ot": OPTICAL_ATLAS.objective}),
        rotations(2, ATLAS_LANGUAGES, low=0.1),
        seeds(1),
    ),
    measures=(nDCG @ 10, AP, R @ 100, P @ 10, Success @ 1),
    estimand=ResourceEffect(measure=nDCG @ 10),
    law=Law.LOG_LINEAR,
    hold_out=ATLAS.largest,
    execution=Execution(workers=1, micro_batch=32, at_once=2),
    executions=tuple((rung.name, Execution(workers=1, micro_batch=256, at_once=2)) for rung, _ in ATLAS.rungs),
)
