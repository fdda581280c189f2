"""How does XLM-R's size change the cross-lingual alignment that transport distillation brings to seven languages?

Question
    A student reads a sentence in English and in another language, before and after distillation. By how much does
    distillation bring the two readings together, how much of that does a tenth of the bitext cost a language, and how
    does the cost move with size under transport, beyond how it moves under pooled vectors? The twin is
    ``clca_by_size``.
Expectation
    XLM-R's backbone is aligned before distillation already, unlike the twin's; what is left to gain is smaller, and
    largest where pretraining has seen little text.
Sentences
    FLORES-200's devtest, 1,012 sentences in every language and in English. None of them is a line of the parallel text
    that students read. Sentences of one article resemble one another: the sentence that stands for chance is half of
    the devtest away. The bootstrap draws sentences, not articles, whose bounds the files do not hold.
Measures
    The family of ``studies.schema.alignment``, in the last hidden layer of the backbone. Transport is trained at
    epsilon 0.03 and measured at 0.01. An objective on transport is favoured by a score on transport all the same, so
    MEXA and RankC stand beside it.
Primary estimand
    The slope, per tenfold non-embedding parameters, of the difference between the two objectives' within-language
    effects of exposure on the improvement of ``clca_token_ot``, in points of 100. Three sizes are too few to forecast
    the largest. Low-resource languages against the others is descriptive.
Compute
    The students are those of ``gap_by_size_miracl``, the same runs; what holds for their compute and rates holds here.
What the answer decides
    Whether alignment is worth measuring at every size, or follows from retrieval.
Status
    Declared on 2026-11-26; none of its runs has been made, and the revisions of FLORES's files are to be written in
    ``studies.published_bases`` by whoever fetches them.
"""

from ir_measures import R, Success, nDCG

from studies.published_bases import (
    LARGER_ON,
    MIRACL_COMPUTE,
    MIRACL_SEVEN,
    OPTICAL_MIRACL,
    SENTENCES,
    SIZE_BY_OBJECTIVE,
    SIZES,
    SMALLEST_ON,
    queries_of,
)
from studies.schema.alignment import Alignment
from studies.schema.study import AlignmentImprovement, Law, Study

STUDY = Study(
    name="clca_by_size_miracl",
    version="2026.11.26",
    question="How does size change the cross-lingual alignment that distillation brings to seven languages of MIRACL?",
    base=OPTICAL_MIRACL,
    axes=SIZE_BY_OBJECTIVE,
    measures=(nDCG @ 10, R @ 100, Success @ 1),
    estimand=AlignmentImprovement(
        measure=nDCG @ 10,
        alignment=Alignment(epsilon=0.01, sentences=SENTENCES),
        reference="ot",
        against="pooled-mse",
        compute=MIRACL_COMPUTE,
    ),
    law=Law.CONSTANT,
    hold_out=SIZES[-1],
    rivals=(),
    retrieval=tuple(queries_of(language) for language in MIRACL_SEVEN),
    execution=SMALLEST_ON,
    executions=LARGER_ON,
)
