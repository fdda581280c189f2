"""How much accuracy is lost on a language that distillation never saw, on MIRACL, and is transport's loss the larger?

Question
    XLM-R's smallest size is distilled on parallel text of eight languages with English. If the corpora of one language
    are left out and as many lines of the others are read in their place, how far does nDCG@10 fall for that language's
    queries? Is the fall larger under optimal transport than under pooled vectors? The twin is ``unseen_pairs``.
Languages
    The seven of ``studies.published_bases`` and Yoruba, which XLM-R's pretraining has not seen either. Swahili and
    Yoruba are related: of one family and script. Bangla and Hindi share a family alone, Arabic and Somali too.
Levels
    Unseen language: each of the eight in turn is in no corpus. Three pairs x -> y between other languages are read at
    three levels: trained pair (half of the lines of x have y beside them), unseen pair (both with English alone),
    unseen language (no line of x). Every language and pair is its own control.
Second factor
    A language may also be unseen in pretraining. XLM-R has one such among MIRACL's: Yoruba. One language is no sample,
    so it stands apart, descriptively, and is no part of the primary estimand; its queries are 100 where others' are
    200, since MIRACL has 119.
Readings
    x -> x of MIRACL as published, in pools, and English -> Somali of CIRAL, as in ``gap_by_size_miracl``. Pairs x -> y
    are CLIRMatrix's: titles of Wikipedia in x against articles in y, whose judgments were made by rule, not by people;
    they are asked whole. MIRACL's own topics translated into another language, against English passages or against
    y's, need a file of translations that nobody has published; they can be declared by
    ``studies.collections.miracl_across`` where there is one.
Direct lines
    NLLB's mined lines of bn-hi, hi-te and sw-yo, as allenai publishes them. Korean has direct lines with none of the
    eight there, Arabic with Somali alone, for which CLIRMatrix has no collection; they have no pair here. As no
    English side is there for the teacher to read, the target is the student's own vectors of the y side, held constant.
Primary estimand
    The mean over the seven languages of the degradation of nDCG@10 under OT, minus the same under pooled vectors.
    Beside it: each language, related against isolated ones, Yoruba, the pairs.
Budget
    1,400,000 lines in every rotation: 175,000 of each of eight languages, or 200,000 of each of seven. A corpus with
    fewer lines than its share would leave a rotation with fewer in all, which a run's record of its lines shows. Steps,
    batch and teacher are the same; ``direct`` reads some lines twice and takes fewer steps for it.
What the answer decides
    Whether claims of transfer to unseen languages may rest on one objective, and on which languages they hold.
Status
    Declared on 2026-11-26; none of its runs has been made, and revisions of files are to be written by whoever fetches
    them. Learning rates are the ladder's starting points. One seed.
"""

from dataclasses import replace

from ir_measures import R, Success, nDCG

from studies.bases import TRANSPORT_AND_POOLED
from studies.collections import clirmatrix, miracl
from studies.ladders import XLM_R
from studies.parallel_texts import NOT_FETCHED, nllb, opus
from studies.published_bases import (
    LINES_WITH_ENGLISH,
    MIRACL_COMPUTE,
    MIRACL_SEVEN,
    OPTICAL_MIRACL,
    POOL,
    SMALLEST_ON,
    queries_of,
)
from studies.schema.axes import Tie, cross, seeds, vary
from studies.schema.evaluation import Searched
from studies.schema.optimiser import Schedule
from studies.schema.pool import Pool
from studies.schema.record import Role
from studies.schema.study import Study, UnseenDegradation
from studies.schema.withheld_text import withheld_text

LINES = 1_400_000
"""Of all languages together: seven and eight share it evenly, and by halves."""

PAIRS = (("bn", "hi"), ("hi", "te"), ("sw", "yo"))

DIRECT = (
    nllb("bn", "hi", names=("ben_Beng", "hin_Deva"), revision=NOT_FETCHED),
    nllb("hi", "te", names=("hin_Deva", "tel_Telu"), revision=NOT_FETCHED),
    nllb("sw", "yo", names=("swh_Latn", "yor_Latn"), revision=NOT_FETCHED),
)

YORUBA = Searched(collection=miracl("yo"), split="dev", pool=Pool(queries=100, size=POOL.size))
BETWEEN = tuple(Searched(collection=clirmatrix(query, document), split="test1") for query, document in PAIRS)

TEXT = replace(
    LINES_WITH_ENGLISH,
    corpora=(*LINES_WITH_ENGLISH.corpora, opus("NLLB", "en", "yo", revision=NOT_FETCHED)),
    lines=LINES,
    caps=(),
    kept_out=(*LINES_WITH_ENGLISH.kept_out, YORUBA.collection, *(searched.collection for searched in BETWEEN)),
)
ROTATIONS = withheld_text(TEXT, lines=LINES, direct=DIRECT)
BASE = replace(OPTICAL_MIRACL, bitext=dict(ROTATIONS.settings[0].assign)["bitext"])


def fewer_steps(label: str) -> Tie:
    """The schedule of the rotation ``direct``: the FLOPs of the others, though it reads some lines twice."""
    direct = replace(BASE, bitext=dict(ROTATIONS.settings[1].assign)["bitext"], objective=TRANSPORT_AND_POOLED[label])
    steps = MIRACL_COMPUTE.steps(direct, as_much_as=BASE)
    return Tie(
        where=(("objective", label), ("rotation", "direct")),
        assign=(("schedule", Schedule(steps=steps, warmup_steps=steps // 10)),),
    )


STUDY = Study(
    name="unseen_pairs_miracl",
    version="2026.11.26",
    question="How much accuracy is lost on a language of MIRACL that distillation never saw, and more under transport?",
    base=BASE,
    axes=cross(
        XLM_R.axis(BASE.rung.name),
        vary("objective", "objective", TRANSPORT_AND_POOLED),
        ROTATIONS,
        seeds(1),
    ),
    ties=tuple(fewer_steps(label) for label in TRANSPORT_AND_POOLED),
    measures=(nDCG @ 10, R @ 100, Success @ 1),
    estimand=UnseenDegradation(
        measure=nDCG @ 10,
        reference="ot",
        against="pooled-mse",
        trained="all",
        direct="direct",
        compute=MIRACL_COMPUTE,
        apart=("yo",),
    ),
    rivals=(Role.UNTRAINED,),
    pairs=PAIRS,
    retrieval=(*(queries_of(language) for language in MIRACL_SEVEN), YORUBA, *BETWEEN),
    execution=SMALLEST_ON,
)
