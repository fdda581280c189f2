"""The closed union of things that are trained and cached, and every choice that identifies one.

What is written here is identity: change any field and the run gets another key. Where and how a run is executed
(workers, micro-batch, ZeRO stage, storage) is :mod:`studies.schema.execution` and never enters a key.
"""

from dataclasses import dataclass, field
from typing import assert_never

from studies.schema.added import ADDED
from studies.schema.atlas import ENGLISH, Atlas, Bitext
from studies.schema.checks import at_least
from studies.schema.objective import Contrastive, Objective, Ranking, group_size_of, uses_idf
from studies.schema.optimiser import Optimiser, Schedule
from studies.schema.parallel import ParallelText
from studies.schema.published_teacher import PublishedTeacher
from studies.schema.rung import Precision, Rung
from studies.schema.translation import GREEDY, Decoding, PublishedTranslator, Seq2Seq, check_room
from studies.schema.triples import RetrievalTriples

SHARES_TOLERANCE = 1e-2
"""By how much shares of pretraining text may miss a sum of 1, so that they can be written with few digits."""

HELD_OUT_QUERIES = 192
HELD_OUT_LINES = 960
"""Examples whose loss is watched during training, of what is trained on queries and of what is trained on lines or
texts: from the validation split, or taken away from the training text, spread evenly over languages."""


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """An English late-interaction retriever trained on the collection's own training queries, then frozen."""

    collection: Atlas
    rung: Rung
    token_size: int
    objective: Contrastive
    optimiser: Optimiser
    schedule: Schedule
    global_batch: int
    precision: Precision
    dropout: float
    seed: int

    def __post_init__(self) -> None:
        _check_training(self, self.collection)


@dataclass(frozen=True, kw_only=True)
class Supervised:
    """A late-interaction retriever trained on queries with relevant and other passages; it reads both sides itself.

    Trained on English it can be a teacher; on translations or synthetic judgments it is a rival of students.
    """

    text: RetrievalTriples
    rung: Rung
    token_size: int
    objective: Ranking
    optimiser: Optimiser
    schedule: Schedule
    global_batch: int
    precision: Precision
    dropout: float
    seed: int

    def __post_init__(self) -> None:
        at_least(self, 1, "token_size")
        _check_training(self, None)
        if self.rung.weights is None:
            raise ValueError(
                f"rung {self.rung.name} has random weights and no tokenizer of its own to read published text with; "
                "name a rung with pretrained weights"
            )


@dataclass(frozen=True, kw_only=True)
class PretrainingText:
    """Text of single languages, English among them, drawn from a collection: names, lists of names, passages.

    A language with share ``s`` gets ``round(s * texts)`` texts. Shares are probabilities of a text's language, as
    XLM-R's (arXiv 1911.02116, section 3.1); they are apart from the exposure of a bitext.
    """

    collection: Atlas
    texts: int
    shares: tuple[tuple[str, float], ...]

    def __post_init__(self) -> None:
        at_least(self, 1, "texts")
        named = [language for language, _ in self.shares]
        if sorted(named) != sorted((ENGLISH, *self.collection.languages)):
            raise ValueError(
                f"PretrainingText.shares names {sorted(named)}, the collection has {sorted(self.collection.languages)} "
                "beside English; give each language exactly one share (0 for none)"
            )
        for language, share in self.shares:
            if not 0.0 <= share <= 1.0:
                raise ValueError(f"the share of {language} is {share}; it is a probability")
        if abs(sum(share for _, share in self.shares) - 1.0) > SHARES_TOLERANCE:
            raise ValueError(f"shares sum to {sum(share for _, share in self.shares):g}; they are probabilities")


@dataclass(frozen=True, kw_only=True)
class Pretraining:
    """A rung's encoder trained from random weights to fill in masked tokens (BERT, arXiv 1810.04805, section 3.1).

    ``mask_rate`` is the share of a text's tokens that are guessed, one of each text at least.
    """

    text: PretrainingText
    rung: Rung
    mask_rate: float
    optimiser: Optimiser
    schedule: Schedule
    global_batch: int
    precision: Precision
    dropout: float
    seed: int

    def __post_init__(self) -> None:
        if not 0.0 < self.mask_rate < 1.0:
            raise ValueError(f"Pretraining.mask_rate is {self.mask_rate}; it is a share between 0 and 1")
        if self.rung.weights is not None:
            raise ValueError(
                f"rung {self.rung.name} has the weights {self.rung.weights}, and pretraining starts from random ones; "
                "leave one of the two out"
            )
        _check_training(self, self.text.collection)


@dataclass(frozen=True, kw_only=True)
class Student:
    """A multilingual encoder distilled from a teacher on bitext; it reads the queries, the teacher the passages.

    A teacher of the embedded collection goes with lines of that, any other with parallel text. With
    ``frozen_embeddings`` the vectors of its token lexicon stay what they were; everything else is trained. Its
    encoder starts from the weights that ``pretraining`` leaves, where there is one.
    """

    teacher: Teacher | PublishedTeacher | Supervised
    rung: Rung
    bitext: Bitext | ParallelText
    objective: Objective
    optimiser: Optimiser
    schedule: Schedule
    global_batch: int
    precision: Precision
    dropout: float
    seed: int
    frozen_embeddings: bool = field(default=False, metadata=ADDED)
    pretraining: Pretraining | None = field(default=None, metadata=ADDED)

    def __post_init__(self) -> None:
        match self.teacher, self.bitext:
            case Teacher() as teacher, Bitext() as bitext:
                _check_training(self, teacher.collection)
                _check_bitext(teacher, bitext)
                if bitext.direct and uses_idf(self.objective):
                    raise ValueError(
                        "marginals idf weigh the tokens of English sides, and direct lines have none; use uniform "
                        "marginals"
                    )
                if self.pretraining is not None:
                    _check_pretraining(self, self.pretraining, teacher.collection)
            case PublishedTeacher() | Supervised() as reader, ParallelText() as lines:
                check_english(reader)
                _check_training(self, None)
                _check_parallel(self, lines)
            case _:
                raise ValueError(
                    f"a student of a {type(self.teacher).__name__} is given {type(self.bitext).__name__}; a Teacher "
                    "goes with the Bitext of its collection, a PublishedTeacher or a Supervised one with ParallelText"
                )


@dataclass(frozen=True, kw_only=True)
class LookUp:
    """A rival without training: queries translated word by word into the teacher.

    With a bitext, a dictionary is learned from its lines; without one the query is passed through as it is.
    """

    teacher: Teacher | PublishedTeacher | Supervised
    bitext: Bitext | None

    def __post_init__(self) -> None:
        if self.bitext is None:
            return
        if not isinstance(self.teacher, Teacher):
            raise ValueError("a dictionary is learned from the embedded collection's lines alone; leave the bitext out")
        _check_bitext(self.teacher, self.bitext)


@dataclass(frozen=True, kw_only=True)
class Translator:
    """One model from every language of a bitext into English, trained on its lines; random weights from the seed."""

    bitext: Bitext
    architecture: Seq2Seq
    optimiser: Optimiser
    schedule: Schedule
    global_batch: int
    precision: Precision
    dropout: float
    seed: int

    def __post_init__(self) -> None:
        _check_training(self, self.bitext.collection)


@dataclass(frozen=True, kw_only=True)
class TranslateQuery:
    """A rival without training of its own: queries are translated into English and read by the teacher."""

    teacher: Teacher | PublishedTeacher | Supervised
    translator: Translator | PublishedTranslator
    decoding: Decoding = GREEDY

    def __post_init__(self) -> None:
        match self.translator:
            case Translator(bitext=bitext, architecture=architecture):
                if not isinstance(self.teacher, Teacher):
                    raise ValueError(
                        "a translator is trained here on the embedded collection's lines alone; with a teacher of "
                        "published text name a PublishedTranslator"
                    )
                _check_bitext(self.teacher, bitext)
                check_room(self.decoding, architecture)
            case PublishedTranslator():
                if isinstance(self.teacher, Teacher):
                    self.translator.check_codes(self.teacher.collection.languages)
            case unknown:
                assert_never(unknown)

    @property
    def bitext(self) -> Bitext | None:
        """The lines that the translator was trained on, None where they are not ours."""
        return self.translator.bitext if isinstance(self.translator, Translator) else None


Trained = Pretraining | Teacher | Supervised | Student | Translator
"""Runs with steps, checkpoints and weights."""

Preparatory = Pretraining | Translator
"""Trained runs that answer no query by themselves, so that no evaluation is owed of them."""

System = LookUp | TranslateQuery | PublishedTeacher
"""Runs without training of their own: rival systems, of whose queries the teacher reads what they make, and a teacher
that somebody else trained."""

Retriever = Teacher | Supervised | Student | System
"""Runs that answer queries, so that an evaluation is owed of them."""

Run = Trained | System

AnyTeacher = Teacher | PublishedTeacher | Supervised
"""Runs that read passages without a teacher, and can be one."""


def teacher_of(run: Retriever) -> AnyTeacher:
    """The teacher a run depends on; what reads passages without one depends on itself."""
    return run if isinstance(run, AnyTeacher) else run.teacher


def check_english(teacher: AnyTeacher) -> None:
    """Raise ValueError for a teacher that was not trained on English alone."""
    if isinstance(teacher, Supervised) and not teacher.text.is_english:
        raise ValueError(
            f"the teacher was trained on {', '.join(teacher.text.pairs)}, and the teacher reads English; train it on "
            "English queries and passages alone"
        )


def _check_training(run: Trained, collection: Atlas | None) -> None:
    what = type(run).__name__
    at_least(run, 1, "global_batch")
    at_least(run, 0, "seed")
    if not 0 <= run.dropout < 1:
        raise ValueError(f"{what}.dropout is {run.dropout}; it is a probability from 0 to below 1")
    group_size = 1 if isinstance(run, Preparatory) else group_size_of(run.objective)
    if run.global_batch % group_size:
        raise ValueError(
            f"global batch {run.global_batch} does not divide into candidate groups of {group_size}; make it a multiple"
        )
    if isinstance(run, Translator):
        name, known = "the architecture", run.architecture.vocabulary_size
    else:
        name, known = f"rung {run.rung.name}", run.rung.architecture.vocabulary_size
    if collection is not None and known < collection.vocabulary_size:
        raise ValueError(
            f"{name} of the {what.lower()} knows {known} tokens, the collection uses "
            f"{collection.vocabulary_size}; give it at least as many"
        )


def _check_bitext(teacher: Teacher, bitext: Bitext) -> None:
    if bitext.collection != teacher.collection:
        raise ValueError(
            f"the bitext is drawn from atlas {bitext.collection.revision}, the teacher reads atlas "
            f"{teacher.collection.revision}; declare both with the same collection"
        )


def _check_parallel(student: Student, lines: ParallelText) -> None:
    if student.rung.weights is None:
        raise ValueError(
            f"rung {student.rung.name} has random weights and no tokenizer of its own to read parallel text with; name "
            "a rung with pretrained weights"
        )
    if student.pretraining is not None:
        raise ValueError(
            "pretraining reads the embedded collection, and the student parallel text; start from the rung's weights"
        )
    if uses_idf(student.objective):
        raise ValueError(
            "marginals idf need the tokens of the teacher's own lines, which a published checkpoint keeps to itself; "
            "use uniform marginals"
        )
    for source, target in lines.direct:
        with_english = [corpus.source for corpus in lines.corpora if corpus.target == ENGLISH]
        if not {source, target} <= set(with_english) or not (lines.exposure_of(source) and lines.exposure_of(target)):
            raise ValueError(
                f"a corpus is of {source}-{target}, and the teacher reads English; give both lines with English, so "
                "that the student's own vectors of one can be a target for the other"
            )


def _check_pretraining(student: Student, pretraining: Pretraining, collection: Atlas) -> None:
    if pretraining.text.collection != collection:
        raise ValueError(
            f"pretraining reads atlas {pretraining.text.collection.revision}, the teacher atlas "
            f"{collection.revision}; declare both with the same collection"
        )
    for name in ("rung", "precision"):
        if getattr(pretraining, name) != getattr(student, name):
            raise ValueError(
                f"the student's {name} is {_short(getattr(student, name))}, that of its pretraining "
                f"{_short(getattr(pretraining, name))}; the student goes on from its weights, declare both alike"
            )


def _short(value: Rung | Precision) -> str:
    return value.name if isinstance(value, Rung) else str(value)
