"""How much accuracy is lost on a language that distillation never saw, and is transport's loss the larger?

Question
    A student is distilled on lines of seven languages and English. If the lines of one language are withheld and as
    many of the others are read in their place, how far does nDCG@10 fall for that language's queries? Is the fall
    larger under optimal transport than under pooled vectors?
Levels
    Trained pair: the bitext has lines of the two languages side by side. Unseen pair: it has lines of each with
    English, and none of the two. Unseen language: it has no line of the queries' language x at all. A pair x -> English
    is trained or of an unseen language, and each language in turn is the one withheld. Seven pairs x -> y between other
    languages, where each asks for passages in the next, are read at all three levels. Every pair is its own control.
Expectation
    Nearly all is lost where no other language shares the script and many words: Telugu, Korean. Marathi should keep
    most, as Hindi, of its family and script, stays in the bitext, and Hindi likewise. Names spelled as in English
    survive without any line, so Swahili and Somali keep something. Lines of a pair x -> y itself should add little to
    lines of both with English.
Primary estimand
    The mean over the seven languages of the degradation of nDCG@10 (score where trained on minus score where withheld)
    under OT, minus the same under pooled vectors. Beside it: the degradation as a share of the score where trained on,
    each language, related against isolated languages, and translate-the-query, whose translator is trained on the same
    lines with English and has not seen the withheld language either; the pairs x -> y, under the objectives alone.
Direct lines
    In the rotation ``direct`` every second line of x has y beside it. No English side is there for the teacher to read,
    so the target is the student's own vectors of the y side, held constant. Passages in y are lists of the names that
    the English passage states, and the student reads them.
Budget
    28,014 lines in every rotation: 4,002 of each of seven languages, or 4,669 of each of six. Steps, batch and teacher
    are the same; both objectives have the FLOPs of 600 steps of OT and the learning rate that ``search_objectives``
    found for them; ``direct`` reads half of its lines twice and takes fewer steps for it. FLOPs are counted with the
    mean length of a line over all languages; without one language it is up to 4 % more or less, under both objectives
    alike.
What the answer decides
    Whether claims of transfer to unseen languages may rest on one objective, and on which languages they hold.
Left out
    Languages that pretraining has not seen either: students start from random weights, so every language is unseen in
    pretraining, and the factor has one level.
Status
    Declared on 2026-11-26, before any of its runs, and run that day. Lines of a pair x -> y do harm instead of adding
    little, under both objectives. 16 runs are flagged, as their loss still fell after 600 steps. One seed: its
    intervals speak of these trained models.
"""

from dataclasses import replace

from ir_measures import AP, Success, nDCG

from studies.bases import (
    ATLAS_COMPUTE,
    ATLAS_RATES,
    ATLAS_SEVEN,
    ATLAS_TEACHER,
    ATLAS_TRANSLATOR,
    ATLAS_TRANSLATOR_RATE,
    OPTICAL_ATLAS,
    TRANSPORT_AND_POOLED,
)
from studies.ladders import ATLAS
from studies.schema.atlas import Bitext
from studies.schema.axes import Tie, cross, seeds, vary, withheld
from studies.schema.execution import Execution
from studies.schema.optimiser import Optimiser, Schedule
from studies.schema.record import Role
from studies.schema.study import Study, UnseenDegradation

RUNG = "atlas-13k"
STEPS = 600
LINES = 28_014
"""Of all languages together: the least above 28,000 that six and seven languages share evenly."""

COMPUTE = replace(ATLAS_COMPUTE, student_tokens=8.9, teacher_tokens=6.3)
"""Tokens are means over the lines of all seven languages, and over their English sides."""

SCHEDULE = Schedule(steps=STEPS, warmup_steps=STEPS // 10)
BITEXT = Bitext(
    collection=ATLAS_SEVEN,
    lines=LINES // len(ATLAS_SEVEN.languages),
    exposure=tuple((language, 1.0) for language in ATLAS_SEVEN.languages),
)
BASE = replace(
    OPTICAL_ATLAS,
    teacher=replace(ATLAS_TEACHER, collection=ATLAS_SEVEN),
    rung=next(rung for rung, _ in ATLAS.rungs if rung.name == RUNG),
    bitext=BITEXT,
    schedule=SCHEDULE,
)
PAIRS = tuple(zip(ATLAS_SEVEN.languages, (*ATLAS_SEVEN.languages[1:], ATLAS_SEVEN.languages[0]), strict=True))
"""Each language asks for passages in the next."""


def matched(label: str, *where: tuple[str, str], bitext: Bitext = BITEXT) -> Tie:
    """The schedule that gives an objective the FLOPs of OT, and the learning rate that it was found to want."""
    steps = COMPUTE.steps(replace(BASE, objective=TRANSPORT_AND_POOLED[label], bitext=bitext), as_much_as=BASE)
    return Tie(
        where=(("objective", label), *where),
        assign=(
            ("schedule", Schedule(steps=steps, warmup_steps=steps // 10)),
            ("optimiser.learning_rate", ATLAS_RATES[label]),
        ),
    )


STUDY = Study(
    name="unseen_pairs",
    version="2026.11.26",
    question="How much accuracy is lost on a language that distillation never saw, and is transport's loss the larger?",
    base=BASE,
    axes=cross(
        ATLAS.axis(RUNG),
        vary("objective", "objective", TRANSPORT_AND_POOLED),
        withheld(ATLAS_SEVEN.languages, lines=LINES, direct=PAIRS),
        seeds(1),
    ),
    ties=(
        *(matched(label) for label in TRANSPORT_AND_POOLED),
        *(
            matched(label, ("rotation", "direct"), bitext=replace(BITEXT, direct=PAIRS))
            for label in TRANSPORT_AND_POOLED
        ),
    ),
    measures=(nDCG @ 10, AP, Success @ 1),
    estimand=UnseenDegradation(
        measure=nDCG @ 10, reference="ot", against="pooled-mse", trained="all", direct="direct", compute=COMPUTE
    ),
    rivals=(Role.COPY_THROUGH, Role.TRANSLATED),
    pairs=PAIRS,
    translator=replace(
        ATLAS_TRANSLATOR, bitext=BITEXT, schedule=SCHEDULE, optimiser=Optimiser(learning_rate=ATLAS_TRANSLATOR_RATE)
    ),
    execution=Execution(workers=1, micro_batch=256, at_once=2),
)
