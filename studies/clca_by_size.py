"""How does size change the cross-lingual alignment that transport distillation brings, at low and high exposure?

Question
    A student reads a sentence in English and in another language, before and after distillation. By how much does
    distillation bring the two readings together, how much of that does a tenth of the bitext cost a language, and how
    does the cost move with size under transport, beyond how it moves under pooled vectors?
Expectation
    Neither objective shows the student English, so what it gains there is carried over. Transport is expected to gain
    more on tokens, pooled vectors on whole sentences. Nothing is expected of the slope.
Measures
    The family of ``studies.schema.alignment``, on test queries, which no training has seen, in the last hidden layer of
    the backbone. Transport is trained at epsilon 0.03 and measured at 0.01. An objective on transport is favoured by a
    score on transport all the same, so MEXA and RankC stand beside it.
Primary estimand
    The slope, per tenfold non-embedding parameters, of the difference between the two objectives' within-language
    effects of exposure on the improvement of ``clca_token_ot``, in points of 100, by the four smaller rungs. A language
    starts from the same weights in both rotations, so what it had before drops out of the effect. The improvement as a
    share of what was missing stands beside it.
Compute
    The students are those of ``gap_by_size``, the same runs; what holds for their compute and rates holds here.
What the answer decides
    Whether alignment is worth measuring at every size, or follows from retrieval.
Status
    Version 2026.11.26 measured the runs of ``gap_by_size`` 2026.11.26, and its slope was refused like that study's.
    This version measures those of 2026.11.26.1, and was declared before any alignment was measured of them; on
    2026-11-27 the slope was -0.10 [-0.82, 0.59] points of 100. One seed: its intervals speak of these trained models.
"""

from ir_measures import AP, Success, nDCG

from studies.bases import ATLAS_COMPUTE, OPTICAL_ATLAS, SIZE_BY_OBJECTIVE, SIZE_BY_OBJECTIVE_TIES
from studies.ladders import ATLAS
from studies.schema.alignment import Alignment
from studies.schema.execution import Execution
from studies.schema.study import AlignmentImprovement, Law, Study

STUDY = Study(
    name="clca_by_size",
    version="2026.11.26.1",
    question="How does size change the cross-lingual alignment that distillation brings, at low and high exposure?",
    base=OPTICAL_ATLAS,
    axes=SIZE_BY_OBJECTIVE,
    ties=SIZE_BY_OBJECTIVE_TIES,
    measures=(nDCG @ 10, AP, Success @ 1),
    estimand=AlignmentImprovement(
        measure=nDCG @ 10,
        alignment=Alignment(epsilon=0.01),
        reference="ot",
        against="pooled-mse",
        compute=ATLAS_COMPUTE,
    ),
    law=Law.LOG_LINEAR,
    hold_out=ATLAS.largest,
    rivals=(),
    execution=Execution(workers=1, micro_batch=32, at_once=2),
    executions=tuple((rung.name, Execution(workers=1, micro_batch=256, at_once=2)) for rung, _ in ATLAS.rungs),
)
