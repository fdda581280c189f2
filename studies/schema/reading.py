"""How a collection is read: in which of MIRACL's readings, by whose encoder, and by which translator not at all."""

from enum import StrEnum

from studies.schema.collection import Collection, Pair, TranslatedTopics
from studies.schema.topic_makers import Translator


class Reading(StrEnum):
    """The three ways in which a monolingual collection such as MIRACL is read; a figure always names its reading."""

    AS_PUBLISHED = "x -> x"
    TRANSLATED_ENGLISH = "English topics in x -> English passages"
    CROSS_PAIR = "topics of y in x -> y"


def reading(collection: Collection) -> Reading:
    """How a collection is read."""
    if not isinstance(collection, TranslatedTopics):
        return Reading.AS_PUBLISHED
    return Reading.TRANSLATED_ENGLISH if collection.pair.document == "en" else Reading.CROSS_PAIR


class Reader(StrEnum):
    """Which encoder reads the passages: part of an evaluation's identity."""

    TEACHER = "teacher"
    STUDENT = "student"
    ITSELF = "retriever itself"


def passage_reader(pair: Pair, teacher_language: str = "en") -> Reader:
    """The teacher reads passages in its own language, the student those in any other."""
    return Reader.TEACHER if pair.document == teacher_language else Reader.STUDENT


def refuse_rival(collection: Collection, model: str) -> None:
    """Raise ValueError when the translator proposed as a rival made the collection's own topics.

    Its errors would be in the queries already, and undone or doubled by translating back.
    """
    if isinstance(collection, TranslatedTopics) and isinstance(collection.by, Translator):
        maker = collection.by.model
        if maker.strip("/").casefold() == model.strip("/").casefold():
            raise ValueError(
                f"{model} translated the topics of {collection.name}, so it cannot be the rival on them; "
                "choose another translator for the rival, or topics translated by people"
            )
