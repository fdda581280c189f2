"""Named starting runs over published data: seven languages, their parallel text with English, what they are asked.

Resource classes are those of ``studies.languages``: by the size of a language's file in CC-100. MIRACL has two
languages of low resource, Swahili and Telugu, and one that XLM-R has not seen, Yoruba; four of low resource and of
different families it has not. The seven are therefore

    sw  Swahili  low    Atlantic-Congo   MIRACL, queries and passages in Swahili
    te  Telugu   low    Dravidian        MIRACL
    so  Somali   low    Afro-Asiatic     CIRAL, English queries and passages in Somali
    bn  Bangla   mid    Indo-European    MIRACL; just above the limit, and with fewer tokens in CC-100 than Tagalog,
                                         which the study of OPTICAL counts as of low resource
    hi  Hindi    mid    Indo-European    MIRACL
    ko  Korean   high   Koreanic         MIRACL
    ar  Arabic   high   Afro-Asiatic     MIRACL

Somali is asked otherwise than the six: the teacher reads the queries, the student the passages, and all of them, since
BM25 cannot fill a pool across languages. Within a language nothing hangs on that; between languages scores are not
comparable anyway.
"""

from studies.bases import TRANSPORT_AND_POOLED
from studies.collections import miracl
from studies.ladders import XLM_R
from studies.local_collections import ciral
from studies.parallel_texts import NOT_FETCHED, flores, opus
from studies.schema.atlas import ENGLISH
from studies.schema.axes import cross, rotations, seeds, vary
from studies.schema.collection import TRAIN, Collection
from studies.schema.estimand import Compute
from studies.schema.evaluation import Searched
from studies.schema.execution import Execution
from studies.schema.objective import Transport
from studies.schema.optimiser import Optimiser, Schedule
from studies.schema.parallel import Corpus, Filters, ParallelText
from studies.schema.pool import Pool
from studies.schema.published_teacher import PublishedTeacher, Side
from studies.schema.run import Student
from studies.schema.rung import Precision

MIRACL_SEVEN = ("sw", "te", "ko", "so", "bn", "ar", "hi")
"""Neighbours fall into opposite halves of a rotation, so that each half holds low and high resource."""

LOW_RESOURCE = ("sw", "te", "so", "bn")
"""The four of the seven with the least text in CC-100."""

LINES = 200_000
"""Of each language at full exposure."""

POOL = Pool(queries=200, size=20_000)
"""The same for all languages of MIRACL, so that the size of a collection plays no part."""

_FLORES = {
    "ar": "arb_Arab",
    "bn": "ben_Beng",
    "en": "eng_Latn",
    "hi": "hin_Deva",
    "ko": "kor_Hang",
    "so": "som_Latn",
    "sw": "swh_Latn",
    "te": "tel_Telu",
}

COLBERT = PublishedTeacher(
    checkpoint="colbert-ir/colbertv2.0",
    revision="c1e84128e85ef755c096a95bdb06b47793b13acf",
    token_size=128,
    lines=Side.DOCUMENT,
)
"""ColBERTv2 (arXiv 2112.01488). It reads English sides as documents, so that sentences are neither cut to the length of
a query nor filled up with masks."""


def collection(language: str) -> Collection:
    """Where a language's queries and judgments come from."""
    return ciral(language, revision=NOT_FETCHED) if language == "so" else miracl(language)


def queries_of(language: str) -> Searched:
    """What conclusions are drawn from: MIRACL's development queries in a pool, CIRAL's test set A in the whole."""
    if language == "so":
        return Searched(collection=collection(language), split="test-a")
    return Searched(collection=collection(language), split="dev", pool=POOL)


VALIDATED = tuple(language for language in MIRACL_SEVEN if language != "so")
"""Languages with queries to choose by: MIRACL's training queries, which neither distillation nor the teacher's training
has seen. Somali's ten development queries in CIRAL choose nothing."""


def validation_queries_of(language: str) -> Searched:
    """What choices are made on, in pools like those of :func:`queries_of`, which asks none of them."""
    return Searched(collection=collection(language), split=TRAIN, pool=POOL)


def flores_devtest(language: str) -> Corpus:
    """The 1,012 sentences of FLORES-200's devtest in a language and in English."""
    names = (_FLORES[language], _FLORES[ENGLISH])
    return flores(language, ENGLISH, names=names, split="devtest", revision=NOT_FETCHED)


COLLECTIONS = tuple(collection(language) for language in MIRACL_SEVEN)
SENTENCES = tuple(flores_devtest(language) for language in MIRACL_SEVEN)

LINES_WITH_ENGLISH = ParallelText(
    corpora=tuple(opus("NLLB", *sorted((language, ENGLISH)), revision=NOT_FETCHED) for language in MIRACL_SEVEN),
    filters=Filters(most_characters=250),
    lines=LINES * len(MIRACL_SEVEN),
    exponent=1.0,
    seed=0,
    caps=tuple((f"{language}-{ENGLISH}", LINES) for language in MIRACL_SEVEN),
    kept_out=COLLECTIONS,
    kept_out_text=SENTENCES,
)
"""Mined lines of NLLB as OPUS packs them, as many of each language. No query that is asked and no sentence that
alignment is measured on is among them."""

_SMALLEST, _RATE = XLM_R.rungs[0]

OPTICAL_MIRACL = Student(
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
)
"""OPTICAL (arXiv 2301.12566) on XLM-R's smallest size and the seven languages; the paper's solver settings are not
public."""


def shared_exposure(*, low_resource: float, others: float) -> tuple[tuple[str, float], ...]:
    """Exposure of the seven languages, by whether CC-100 has little text of them."""
    return tuple((language, low_resource if language in LOW_RESOURCE else others) for language in MIRACL_SEVEN)


def exposure_alone(language: str) -> tuple[tuple[str, float], ...]:
    """All lines of one of the seven languages and none of the others."""
    return tuple((each, float(each == language)) for each in MIRACL_SEVEN)


MIRACL_COMPUTE = Compute(student_tokens=32.0, teacher_tokens=32.0, iterations=55.0)
"""How FLOPs are counted on mined lines; both objectives have the same steps, since the solver's work is a
ten-thousandth of the encoder's at these sizes."""

SIZES = ("xlm-r-base", "xlm-r-large", "xlm-r-xl")
"""Three sizes of XLM-R's ladder; its fourth has 10.7 billion weights."""

SIZE_BY_OBJECTIVE = cross(
    XLM_R.axis(*SIZES),
    vary("objective", "objective", TRANSPORT_AND_POOLED),
    rotations(2, MIRACL_SEVEN, low=0.1),
    seeds(1),
)
"""The students of ``gap_by_size_miracl``: studies that share these axes train them once."""

SMALLEST_ON = Execution(workers=1, gpus_per_worker=1, micro_batch=256)
LARGER_ON = (
    ("xlm-r-large", Execution(workers=4, gpus_per_worker=1, micro_batch=128)),
    ("xlm-r-xl", Execution(workers=8, gpus_per_worker=1, micro_batch=64, zero_stage=3, gradient_checkpointing=True)),
)
"""Workers of the smallest size, and of each larger one."""
