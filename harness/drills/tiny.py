"""A study small enough to be trained many times over: two languages, one layer, seconds of training."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ir_measures import AP, Measure, nDCG

from studies.bases import ATLAS_TEACHER, ATLAS_TRANSLATOR, OPTICAL_ATLAS
from studies.ladders import atlas_rung
from studies.schema.atlas import Atlas, Bitext
from studies.schema.axes import Axis, Setting, rotations
from studies.schema.execution import Execution
from studies.schema.lineage import embedded
from studies.schema.objective import Contrastive
from studies.schema.optimiser import Schedule
from studies.schema.run import Student, Translator
from studies.schema.rung import Rung
from studies.schema.search import Halving, Search
from studies.schema.space import Choice, LogUniform, Parameter
from studies.schema.study import Law, ResourceEffect, Study, expand

LANGUAGES = ("de", "sw")
VOCABULARY = 1000
MEASURES: tuple[Measure, ...] = (nDCG @ 10, AP)
NAMES = """
from dataclasses import replace
from ir_measures import Success
from studies.schema.axes import vary
from studies.schema.execution import Execution
from harness.drills.tiny import EXECUTION, MEASURES, point_of_tiny, search_around, tiny_search, tiny_study
"""
"""What a written study may use."""

STEPS = 120
"""Enough for three checkpoints and for a kill to come in between."""

EXECUTION = Execution(micro_batch=16, log_every=5, checkpoint_every=20, keep_checkpoints=2)


def tiny_rung(width: int) -> Rung:
    """One layer over the small vocabulary."""
    rung = atlas_rung(f"tiny-{width}", layers=1, width=width)
    return replace(rung, architecture=replace(rung.architecture, vocabulary_size=VOCABULARY))


def tiny_student(revision: str, *, steps: int) -> Student:
    """The student that a tiny study varies; ``revision`` is that of the collection."""
    collection = Atlas(languages=LANGUAGES, vocabulary_size=VOCABULARY, revision=revision)
    schedule = Schedule(steps=steps, warmup_steps=steps // 10)
    teacher = replace(
        ATLAS_TEACHER,
        collection=collection,
        rung=tiny_rung(32),
        objective=Contrastive(group_size=16, temperature=0.05),
        schedule=schedule,
        global_batch=32,
    )
    bitext = Bitext(collection=collection, lines=600, exposure=(("de", 1.0), ("sw", 1.0)))
    return replace(
        OPTICAL_ATLAS, teacher=teacher, rung=tiny_rung(16), bitext=bitext, schedule=schedule, global_batch=32
    )


def tiny_translator(revision: str, *, steps: int) -> Translator:
    """A translator of the tiny student's lines."""
    student = tiny_student(revision, steps=steps)
    shape = replace(
        ATLAS_TRANSLATOR.architecture,
        hidden_size=16,
        num_heads=2,
        intermediate_size=32,
        vocabulary_size=VOCABULARY,
    )
    return replace(
        ATLAS_TRANSLATOR,
        bitext=embedded(student)[1],
        architecture=shape,
        schedule=student.schedule,
        global_batch=student.global_batch,
    )


def tiny_study(
    revision: str,
    *,
    name: str = "tiny",
    version: str = "1",
    steps: int = 40,
    rates: Sequence[tuple[int, float]] = ((16, 6e-3),),
    measures: tuple[Measure, ...] = MEASURES,
    execution: Execution = EXECUTION,
) -> Study:
    """Two rotations of every width in ``rates``, each with its learning rate, beside the teacher and the rivals."""
    settings = tuple(
        Setting(label=f"tiny-{width}", assign=(("rung", tiny_rung(width)), ("optimiser.learning_rate", rate)))
        for width, rate in rates
    )
    return Study(
        name=name,
        version=version,
        question="Does the harness bring a study home whatever happens to it?",
        base=tiny_student(revision, steps=steps),
        axes=(Axis(name="rung", settings=settings), rotations(2, LANGUAGES, low=0.25)),
        measures=measures,
        estimand=ResourceEffect(measure=nDCG @ 10),
        law=Law.CONSTANT,
        hold_out=settings[-1].label,
        execution=execution,
    )


def tiny_search(revision: str, *, trials: int = 4, steps: int = 60) -> Search:
    """Epsilon and learning rate of the tiny student, and a clipping that is one time in two no run at all."""
    return Search(
        name="search_tiny",
        version="1",
        question="Does a search go on where it was killed?",
        base=tiny_student(revision, steps=steps),
        space=(
            Parameter(name="epsilon", path="objective.epsilon", domain=LogUniform(low=0.01, high=1.0)),
            Parameter(name="learning_rate", path="optimiser.learning_rate", domain=LogUniform(low=0.001, high=0.05)),
            Parameter(name="clip", path="optimiser.clip_norm", domain=Choice(values=(("at 1", 1.0), ("at 0", 0.0)))),
        ),
        measure=nDCG @ 10,
        trials=trials,
        seed=0,
        halving=Halving(first=steps // 4, factor=2),
        first=({"epsilon": 0.03, "learning_rate": 0.006, "clip": "at 1"},),
        execution=replace(EXECUTION, workers=1),
    )


def point_of_tiny(revision: str, key: str) -> Student:
    """A student of the tiny study by its key."""
    return next(
        point.run
        for point in expand(tiny_study(revision, steps=STEPS))
        if point.key == key and isinstance(point.run, Student)
    )


def search_around(base: Student) -> Search:
    """Two trials, the first of which is the run ``base`` itself; a worker group that dies is not started again."""
    rate = base.optimiser.learning_rate
    steps = base.schedule.steps
    return Search(
        name="search_around",
        version="1",
        question="Does a search survive a trial that breaks off?",
        base=base,
        space=(
            Parameter(name="learning_rate", path="optimiser.learning_rate", domain=LogUniform(low=1e-4, high=0.05)),
        ),
        measure=nDCG @ 10,
        trials=2,
        seed=0,
        halving=Halving(first=steps // 2, factor=2),
        first=({"learning_rate": rate}, {"learning_rate": rate / 10}),
        execution=replace(EXECUTION, max_failures=0),
    )


def write_study(folder: Path, call: str, *, name: str = "tiny") -> None:
    """A module that declares a study, or a search, by ``call``, an expression over ``NAMES``."""
    text = f"{NAMES}\n{'SEARCH' if name.startswith('search_') else 'STUDY'} = {call}\n"
    (folder / f"{name}.py").write_text(text)
