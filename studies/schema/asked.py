"""What a study may ask of published and local collections; checked when it is declared."""

from collections.abc import Sequence

from studies.schema.collection import Reader, refuse_rival
from studies.schema.estimand import Scale
from studies.schema.evaluation import Searched
from studies.schema.parallel import ParallelText
from studies.schema.record import Role
from studies.schema.run import ENGLISH, Student, Translator
from studies.schema.translation import PublishedTranslator


def is_english(searched: Searched) -> bool:
    """Whether a published teacher can be asked the queries, which it reads in English alone."""
    return searched.language == ENGLISH and searched.reader is Reader.TEACHER


def check_retrieval(
    study: str,
    retrieval: Sequence[Searched],
    students: Sequence[Student],
    *,
    rivals: Sequence[Role],
    translator: Translator | PublishedTranslator | None,
    scale: Scale,
) -> None:
    """Raise ValueError unless students read what the study asks, nobody is helped by it, and nobody has seen it."""
    for student in students:
        if isinstance(student.bitext, ParallelText) is not bool(retrieval):
            raise ValueError(
                f"study {study} trains on {type(student.bitext).__name__} and asks {len(retrieval)} collections; "
                "students of a published teacher are asked at least one, others the embedded collection: give or "
                "leave out retrieval"
            )
    if not retrieval:
        return
    _check_read(study, retrieval, rivals, scale)
    for searched in retrieval:
        if isinstance(translator, PublishedTranslator):
            refuse_rival(searched.collection, translator.weights)
            translator.check_codes([] if searched.language == ENGLISH else [searched.language])
        for student in students:
            if isinstance(student.bitext, ParallelText) and searched.collection not in student.bitext.kept_out:
                raise ValueError(
                    f"study {study} asks {searched.collection.name}, whose queries may be lines of its parallel text; "
                    "name the collection in ParallelText.kept_out"
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
    reading = [role for role in rivals if role is not Role.UNTRAINED]
    if foreign and reading:
        raise ValueError(
            f"study {study} has rivals {', '.join(reading)}, for which the teacher reads the passages, and it cannot "
            f"read those of {', '.join(foreign)}; leave the rivals out, or ask collections of English passages"
        )
