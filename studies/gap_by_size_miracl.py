"""Does the gap that low exposure leaves on MIRACL close as XLM-R grows, and how much of that is transport's doing?

Question
    XLM-R of three sizes is distilled from an English ColBERT on parallel text of seven languages with English, by
    optimal transport and by pooled vectors. Every language is once at full exposure and once at a tenth of it. How does
    the loss that low exposure causes move with size under transport, beyond how it moves under pooled vectors?
Languages
    Swahili and Telugu are of low resource in CC-100, Bangla and Hindi of mid; Thai, Korean and Arabic of high. They
    belong to six families and are written in seven scripts. Each has the same number of lines at full exposure.
Reading of MIRACL
    x -> x as published: queries and passages in one language, both read by the student, in pools of one size and one
    number of queries for all languages. MIRACL's English topics in other languages, the reading in which the teacher
    reads the passages, need a file of translations (``studies.collections.miracl_in_english``), which nobody has
    published; the teacher is therefore asked nothing, and scores are compared as they are.
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
    Declared on 2026-11-26; none of its runs has been made. The revisions of the seven archives of OPUS are not known
    before somebody has fetched them: until they are written here, ``run`` says which they are and stops. Learning rates
    are the ladder's starting points; none was searched for.
"""

from ir_measures import R, Success, nDCG

from studies.bases import TRANSPORT_AND_POOLED
from studies.collections import miracl
from studies.ladders import XLM_R
from studies.parallel_texts import NOT_FETCHED, opus
from studies.schema.axes import cross, rotations, seeds, vary
from studies.schema.estimand import Compute
from studies.schema.evaluation import Searched
from studies.schema.execution import Execution
from studies.schema.objective import Transport
from studies.schema.parallel import Filters, ParallelText
from studies.schema.pool import Pool
from studies.schema.published_teacher import PublishedTeacher, Side
from studies.schema.record import Role
from studies.schema.run import Optimiser, Precision, Schedule, Student
from studies.schema.study import Law, ResourceEffect, Scale, Study
from studies.supervised import late_interaction, marco_triples

LANGUAGES = ("sw", "ko", "te", "ar", "bn", "th", "hi")
"""Neighbours fall into opposite halves of a rotation, so that each half holds low and high resource."""

LINES = 200_000
"""Of each language at full exposure."""

COLLECTIONS = tuple(miracl(language) for language in LANGUAGES)

COLBERT = PublishedTeacher(
    checkpoint="colbert-ir/colbertv2.0",
    revision="c1e84128e85ef755c096a95bdb06b47793b13acf",
    token_size=128,
    lines=Side.DOCUMENT,
)

LINES_WITH_ENGLISH = ParallelText(
    corpora=tuple(opus("NLLB", *sorted((language, "en")), revision=NOT_FETCHED) for language in LANGUAGES),
    filters=Filters(most_characters=250),
    lines=LINES * len(LANGUAGES),
    exponent=1.0,
    seed=0,
    caps=tuple((f"{language}-en", LINES) for language in LANGUAGES),
    kept_out=COLLECTIONS,
)

_SMALLEST, _RATE = XLM_R.rungs[0]
_RUNGS = ("xlm-r-base", "xlm-r-large", "xlm-r-xl")

TRANSLATE_TRAIN = late_interaction(
    _SMALLEST,
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
    base=Student(
        teacher=COLBERT,
        rung=_SMALLEST,
        bitext=LINES_WITH_ENGLISH,
        objective=Transport(epsilon=0.03),
        optimiser=Optimiser(learning_rate=_RATE),
        schedule=Schedule(steps=10_000, warmup_steps=1_000),
        global_batch=512,
        precision=Precision.BF16,
        dropout=0.0,
        seed=0,
    ),
    axes=cross(
        XLM_R.axis(*_RUNGS),
        vary("objective", "objective", TRANSPORT_AND_POOLED),
        rotations(2, LANGUAGES, low=0.1),
        seeds(1),
    ),
    measures=(nDCG @ 10, R @ 100, Success @ 1),
    estimand=ResourceEffect(
        measure=nDCG @ 10,
        scale=Scale.RAW,
        reference="ot",
        against="pooled-mse",
        compute=Compute(student_tokens=32.0, teacher_tokens=32.0, iterations=55.0),
    ),
    law=Law.CONSTANT,
    hold_out=_RUNGS[-1],
    rivals=(Role.UNTRAINED, Role.TRANSLATE_TRAIN),
    supervised=((Role.TRANSLATE_TRAIN, TRANSLATE_TRAIN),),
    retrieval=tuple(
        Searched(collection=collection, split="dev", pool=Pool(queries=200, size=20_000)) for collection in COLLECTIONS
    ),
    execution=Execution(workers=1, gpus_per_worker=1, micro_batch=256),
    executions=(
        ("xlm-r-large", Execution(workers=4, gpus_per_worker=1, micro_batch=128)),
        (
            "xlm-r-xl",
            Execution(workers=8, gpus_per_worker=1, micro_batch=64, zero_stage=3, gradient_checkpointing=True),
        ),
    ),
)
