"""What a study may ask of published and local collections; checked when it is declared."""

from collections.abc import Iterator, Mapping, Sequence

from studies.schema.atlas import ENGLISH
from studies.schema.estimand import Scale
from studies.schema.evaluation import Searched
from studies.schema.parallel import ParallelText
from studies.schema.reading import Reader, refuse_rival
from studies.schema.record import SUPERVISED, Role
from studies.schema.run import Run, Student, Supervised, Translator
from studies.schema.translation import PublishedTranslator
from studies.schema.triples import RetrievalTriples


def is_english(searched: Searched) -> bool:
    """Whether a published teacher can be asked the queries, which it reads in English alone."""
    return searched.language == ENGLISH and searched.reader is Reader.TEACHER


def reader_of(run: Run, searched: Searched) -> Reader:
    """Who reads the passages that a run is asked for: what was trained to retrieve reads all of them."""
    return Reader.ITSELF if isinstance(run, Supervised) else searched.reader


def check_retrieval(
    study: str,
    retrieval: Sequence[Searched],
    students: Sequence[Student],
    *,
    rivals: Sequence[Role],
    translator: Translator | PublishedTranslator | None,
    supervised: Mapping[Role, Supervised],
    scale: Scale,
) -> None:
    """Raise ValueError unless students read what the study asks, nobody is helped by it, and nobody has seen it."""
    for student in students:
        if isinstance(student.bitext, ParallelText) is not bool(retrieval):
            raise ValueError(
                f"study {study} trains on {type(student.bitext).__name__} and asks {len(retrieval)} collections; "
                "students of a teacher of published text are asked at least one, others the embedded collection: give "
                "or leave out retrieval"
            )
    if not retrieval:
        return
    _check_read(study, retrieval, rivals, scale)
    _check_supervised(study, retrieval, students, supervised)
    for searched in retrieval:
        if isinstance(translator, PublishedTranslator):
            refuse_rival(searched.collection, translator.weights)
            translator.check_codes([] if searched.language == ENGLISH else [searched.language])
        for what, text in _read_in_training(students, supervised):
            if searched.collection not in text.kept_out:
                raise ValueError(
                    f"study {study} asks {searched.collection.name}, whose queries may be {what}; name the "
                    f"collection in {type(text).__name__}.kept_out"
                )


def _read_in_training(
    students: Sequence[Student], supervised: Mapping[Role, Supervised]
) -> Iterator[tuple[str, ParallelText | RetrievalTriples]]:
    """Published text that anything of a study is trained on, and what it is called."""
    for student in students:
        if isinstance(student.bitext, ParallelText):
            yield "lines of its parallel text", student.bitext
        if isinstance(student.teacher, Supervised):
            yield "in its teacher's triples", student.teacher.text
    for role, recipe in supervised.items():
        yield f"in the triples of {role}", recipe.text


def _check_supervised(
    study: str, retrieval: Sequence[Searched], students: Sequence[Student], supervised: Mapping[Role, Supervised]
) -> None:
    """What was trained to retrieve in English is asked in English, else in other languages; each has to be asked."""
    is_trained = any(isinstance(student.teacher, Supervised) for student in students)
    if is_trained and not any(is_english(searched) for searched in retrieval):
        raise ValueError(
            f"study {study} trains its teacher and asks it nothing; add a collection with English queries and passages "
            "to retrieval, which says what the teacher is worth"
        )
    for role, recipe in supervised.items():
        if recipe.text.is_english:
            raise ValueError(
                f"study {study} trains {role} on English alone, which is what a teacher is; give it queries or "
                "passages in other languages"
            )


def _check_read(study: str, retrieval: Sequence[Searched], rivals: Sequence[Role], scale: Scale) -> None:
    """Somebody has to be able to read every query and every passage."""
    asked = [searched for searched in retrieval if searched.language != ENGLISH]
    if not asked:
        raise ValueError(f"study {study} asks collections in English alone, which no student reads; name another")
    if scale is Scale.LOGIT_OF_TEACHER_SHARE and not any(is_english(searched) for searched in retrieval):
        raise ValueError(
            f"study {study} compares shares of the teacher's score and asks the teacher nothing; add a collection with "
            f"English queries and passages to retrieval, or declare scale {Scale.RAW}"
        )
    foreign = [searched.collection.name for searched in asked if searched.reader is Reader.STUDENT]
    reading = [role for role in rivals if role not in (Role.UNTRAINED, *SUPERVISED)]
    if foreign and reading:
        raise ValueError(
            f"study {study} has rivals {', '.join(reading)}, for which the teacher reads the passages, and it cannot "
            f"read those of {', '.join(foreign)}; leave the rivals out, or ask collections of English passages"
        )
