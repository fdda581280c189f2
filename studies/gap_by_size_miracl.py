"""Does the gap that low exposure leaves on MIRACL close as XLM-R grows, and how much of that is transport's doing?

Question
    XLM-R of three sizes is distilled from an English ColBERT on parallel text of seven languages with English, by
    optimal transport and by pooled vectors. Every language is once at full exposure and once at a tenth of it. How does
    the loss that low exposure causes move with size under transport, beyond how it moves under pooled vectors?
Languages
    The seven of ``studies.published_bases``: Swahili, Telugu and Somali are of low resource in CC-100, Bangla and Hindi
    of mid; Korean and Arabic of high. They belong to five families and are written in six scripts. Each has the same
    number of lines at full exposure.
Reading of MIRACL
    x -> x as published: queries and passages in one language, both read by the student, in pools of one size and one
    number of queries for all languages. Somali, which MIRACL has not, is asked by CIRAL: the teacher reads English
    queries, the student passages in Somali, and all of them. MIRACL's English topics in other languages, the reading in
    which the teacher reads the passages, need a file of translations (``studies.collections.miracl_in_english``), which
    nobody has published; the teacher is therefore asked nothing, and scores are compared as they are.
Primary estimand
    The slope, per tenfold non-embedding parameters, of the difference between the two objectives' within-language
    effects of exposure in nDCG@10. Three sizes are too few to fit a law and forecast the largest: the study says how
    the curve lies, and refuses the forecast. The embedded twin is ``gap_by_size``.
Compute
    Both objectives have the same steps: the solver's work is a ten-thousandth of the encoder's at these sizes.
Rival that is trained to retrieve
    Translate-train (arXiv 2201.08471): each size of XLM-R on MS MARCO's triples with both sides in mMARCO's Arabic and
    Hindi, for as many tokens as a student reads. mMARCO has no other of the seven languages; in those the rival is
    asked without any training text.
Teacher
    ColBERTv2 (arXiv 2112.01488). It reads the English side as documents, so that sentences are neither cut to the
    length of a query nor filled up with masks.
Status
    Declared on 2026-11-26 with Thai in the place of Somali; version 2026.11.26.1 has the named base of seven languages,
    shared with the other studies on MIRACL. None of its runs has been made. The revisions of the archives of OPUS, of
    CIRAL and of FLORES are not known before somebody has fetched them: until they are written in
    ``studies.published_bases``, ``run`` says which they are and stops. Learning rates are the ladder's starting points;
    none was searched for.
"""

from ir_measures import R, Success, nDCG

from studies.ladders import XLM_R
from studies.published_bases import (
    COLLECTIONS,
    LARGER_ON,
    MIRACL_COMPUTE,
    MIRACL_SEVEN,
    OPTICAL_MIRACL,
    SIZE_BY_OBJECTIVE,
    SIZES,
    SMALLEST_ON,
    queries_of,
)
from studies.schema.record import Role
from studies.schema.study import Law, ResourceEffect, Scale, Study
from studies.supervised import late_interaction, marco_triples

_RUNG, _RATE = XLM_R.rungs[0]

TRANSLATE_TRAIN = late_interaction(
    _RUNG,
    _RATE,
    (marco_triples("ar", "ar"), marco_triples("hi", "hi")),
    triples=1_000_000,
    steps=2_400,
    kept_out=COLLECTIONS,
)

STUDY = Study(
    name="gap_by_size_miracl",
    version="2026.11.26.1",
    question="Does the gap on MIRACL close as the student grows, and how much of that is optimal transport's doing?",
    base=OPTICAL_MIRACL,
    axes=SIZE_BY_OBJECTIVE,
    measures=(nDCG @ 10, R @ 100, Success @ 1),
    estimand=ResourceEffect(
        measure=nDCG @ 10,
        scale=Scale.RAW,
        reference="ot",
        against="pooled-mse",
        compute=MIRACL_COMPUTE,
    ),
    law=Law.CONSTANT,
    hold_out=SIZES[-1],
    rivals=(Role.UNTRAINED, Role.TRANSLATE_TRAIN),
    supervised=((Role.TRANSLATE_TRAIN, TRANSLATE_TRAIN),),
    retrieval=tuple(queries_of(language) for language in MIRACL_SEVEN),
    execution=SMALLEST_ON,
    executions=LARGER_ON,
)
