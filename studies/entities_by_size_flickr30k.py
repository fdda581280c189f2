"""How does XLM-R's size change the zero-shot R@1 gap on the captions of Flickr30k-Entities?

Question
    A caption in Czech, German or French asks for the English captions of the same image. How much of recall at rank one
    does a tenth of the parallel text cost a language, and how does that move with the student's size? Zero-shot: no
    caption is in training. The twin is ``entities_by_size``.
Captions
    Flickr30k-Entities has five English captions for every image, and says which of their words name the same thing.
    Multi30K had one caption each of 1,000 images translated by people. The other four of every image are the passages,
    some 4,000; any caption of the image counts, and for nDCG one that names every entity of the query counts twice. No
    image is looked at: this is a ranker of texts, and its figures are not those of retrieval from images.
Resource
    What people translated is in three languages, all with much text in CC-100, so that low resource here is low
    exposure: each language is once at full exposure and once at a tenth, and is its own control. Captions in languages
    of little text can be asked where somebody has them: ``TranslatedTopics`` of the same collection, by people or by a
    named translator, and for all languages alike.
Measure
    Success@1, which is R@1 as the literature on captions has it.
Primary estimand
    The within-language effect of exposure on the logit of the teacher's share of Success@1 by size. Three sizes are too
    few to fit a law and forecast the largest: the study says how the curve lies, and refuses the forecast.
What the answer decides
    Whether the gap on MIRACL is one of retrieval, or of sentences in general.
Status
    Declared on 2026-11-27; none of its runs has been made, and revisions of files are to be written by whoever fetches
    them. That every topic of Multi30K has the words of one of Flickr30k's five captions was seen in Multi30K's files.
"""

from dataclasses import replace

from ir_measures import R, Success, nDCG

from studies.ladders import XLM_R
from studies.local_collections import MULTI30K_LANGUAGES, flickr30k_entities, multi30k
from studies.parallel_texts import NOT_FETCHED, opus
from studies.published_bases import LARGER_ON, LINES, OPTICAL_MIRACL, SIZES, SMALLEST_ON
from studies.schema.atlas import ENGLISH
from studies.schema.axes import cross, rotations, seeds, vary
from studies.schema.collection import Collection
from studies.schema.evaluation import Searched
from studies.schema.parallel import Filters, ParallelText
from studies.schema.record import Role
from studies.schema.study import Law, ResourceEffect, Study

ENGLISH_CAPTIONS = flickr30k_entities(revision=NOT_FETCHED)
CAPTIONS: tuple[Collection, ...] = (
    ENGLISH_CAPTIONS,
    *(multi30k(language, original=ENGLISH_CAPTIONS, revision=NOT_FETCHED) for language in MULTI30K_LANGUAGES),
)

TEXT = ParallelText(
    corpora=tuple(opus("NLLB", *sorted((language, ENGLISH)), revision=NOT_FETCHED) for language in MULTI30K_LANGUAGES),
    filters=Filters(most_characters=250),
    lines=LINES * len(MULTI30K_LANGUAGES),
    exponent=1.0,
    seed=0,
    caps=tuple((f"{language}-{ENGLISH}", LINES) for language in MULTI30K_LANGUAGES),
    kept_out=CAPTIONS,
)

STUDY = Study(
    name="entities_by_size_flickr30k",
    version="2026.11.27",
    question="How does size change the zero-shot R@1 gap on the captions of Flickr30k-Entities?",
    base=replace(OPTICAL_MIRACL, bitext=TEXT),
    axes=cross(
        XLM_R.axis(*SIZES),
        vary("objective", "objective", {"ot": OPTICAL_MIRACL.objective}),
        rotations(2, MULTI30K_LANGUAGES, low=0.1),
        seeds(1),
    ),
    measures=(Success @ 1, nDCG @ 10, R @ 100),
    estimand=ResourceEffect(measure=Success @ 1),
    law=Law.CONSTANT,
    hold_out=SIZES[-1],
    rivals=(Role.UNTRAINED, Role.COPY_THROUGH),
    retrieval=tuple(Searched(collection=each, split=ENGLISH_CAPTIONS.split) for each in CAPTIONS),
    execution=SMALLEST_ON,
    executions=LARGER_ON,
)
