"""How does XLM-R's size change the zero-shot R@1 gap on captions in languages of little text?

Question
    A caption asks for the English captions of the same image. How much of recall at rank one does a tenth of the
    parallel text cost a language, and how does that move with the student's size? Zero-shot: no caption is in training.
    ``entities_by_size_flickr30k`` asks this of three languages with much text, the twin is ``entities_by_size``.
Captions
    XM3600's: 3,600 images from where 36 languages are spoken, and captions in each of these by people who saw the image
    and no other caption. So a caption and what it asks for need not name the same things, and scores are not comparable
    with those where one is a translation. The first English caption of an image is the teacher's query, its other
    English captions are the passages.
Languages
    Swahili, Telugu, Bangla, Hindi, Korean and Arabic: the named base of seven but Somali, which XM3600 lacks. Three of
    them have the least text in CC-100.
Measure
    Success@1, which is R@1 as the literature on captions has it.
Primary estimand
    The within-language effect of exposure on the logit of the teacher's share of Success@1 by size. Three sizes are too
    few to fit a law and forecast the largest: the study says how the curve lies, and refuses the forecast.
What the answer decides
    Whether what is found where people translated holds where they did not, and where text is scarce.
Status
    Declared on 2026-11-27; none of its runs has been made, and revisions of files are to be written by whoever fetches
    them.
"""

from dataclasses import replace

from ir_measures import R, Success, nDCG

from studies.ladders import XLM_R
from studies.local_collections import xm3600
from studies.parallel_texts import NOT_FETCHED
from studies.published_bases import (
    LARGER_ON,
    LINES,
    LINES_WITH_ENGLISH,
    MIRACL_SEVEN,
    OPTICAL_MIRACL,
    SIZES,
    SMALLEST_ON,
)
from studies.schema.atlas import ENGLISH
from studies.schema.axes import cross, rotations, seeds, vary
from studies.schema.evaluation import Searched
from studies.schema.record import Role
from studies.schema.study import Law, ResourceEffect, Study

LANGUAGES = tuple(language for language in MIRACL_SEVEN if language != "so")
CAPTIONS = tuple(xm3600(language, revision=NOT_FETCHED) for language in (ENGLISH, *LANGUAGES))

TEXT = replace(
    LINES_WITH_ENGLISH,
    corpora=tuple(corpus for corpus in LINES_WITH_ENGLISH.corpora if corpus.source in LANGUAGES),
    lines=LINES * len(LANGUAGES),
    caps=tuple((f"{language}-{ENGLISH}", LINES) for language in LANGUAGES),
    kept_out=CAPTIONS,
    kept_out_text=(),
)

STUDY = Study(
    name="entities_by_size_xm3600",
    version="2026.11.27",
    question="How does size change the zero-shot R@1 gap on captions in languages of little text?",
    base=replace(OPTICAL_MIRACL, bitext=TEXT),
    axes=cross(
        XLM_R.axis(*SIZES),
        vary("objective", "objective", {"ot": OPTICAL_MIRACL.objective}),
        rotations(2, LANGUAGES, low=0.1),
        seeds(1),
    ),
    measures=(Success @ 1, nDCG @ 10, R @ 100),
    estimand=ResourceEffect(measure=Success @ 1),
    law=Law.CONSTANT,
    hold_out=SIZES[-1],
    rivals=(Role.UNTRAINED, Role.COPY_THROUGH),
    retrieval=tuple(Searched(collection=each, split="test") for each in CAPTIONS),
    execution=SMALLEST_ON,
    executions=LARGER_ON,
)
