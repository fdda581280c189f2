"""What a declaration of a collection says, and what it refuses."""

from dataclasses import replace

import pytest

from studies.collections import MIRACL_LANGUAGES, marco, miracl, miracl_across, miracl_in_english, published
from studies.schema.collection import TRAIN, Relevance
from studies.schema.files import Documents, Layout
from studies.schema.key import canonical, digest
from studies.schema.reading import Reader, Reading, passage_reader, reading, refuse_rival
from studies.schema.topic_makers import Chrf, People, Translator

NLLB = Translator(
    model="facebook/nllb-200-3.3B",
    revision="main",
    chrf=Chrf(score=52.1, references="FLORES-200 devtest en-sw", signature="nrefs:1|case:mixed"),
)
PEOPLE = People(source="public translations")


def test_miracl_has_eighteen_languages_and_two_without_training_queries() -> None:
    without = [code for code in MIRACL_LANGUAGES if TRAIN not in [split.name for split in miracl(code).splits]]
    assert (len(MIRACL_LANGUAGES), without) == (18, ["de", "yo"])


def test_three_readings_of_miracl_are_told_apart() -> None:
    english = miracl_in_english("sw", path="sw.tsv", by=PEOPLE, revision="0" * 12)
    across = miracl_across("sw", "de", path="sw.tsv", by=PEOPLE, revision="0" * 12)
    assert reading(miracl("sw")) is Reading.AS_PUBLISHED
    assert reading(english) is Reading.TRANSLATED_ENGLISH
    assert reading(across) is Reading.CROSS_PAIR
    assert (across.pair.query, across.pair.document) == ("sw", "de")
    assert passage_reader(english.pair) is Reader.TEACHER
    assert passage_reader(across.pair) is Reader.STUDENT


def test_translator_of_the_topics_is_refused_as_rival_on_them() -> None:
    made = miracl_in_english("sw", path="sw.tsv", by=NLLB, revision="0" * 12)
    with pytest.raises(ValueError, match="translated the topics of miracl/en with topics in sw"):
        refuse_rival(made, "facebook/NLLB-200-3.3b")
    refuse_rival(made, "google/madlad400-3b-mt")
    refuse_rival(replace(made, by=PEOPLE), NLLB.model)
    refuse_rival(miracl("sw"), NLLB.model)


def test_marco_pairs_languages_on_either_side() -> None:
    crossed = marco("en", "vi")
    assert (crossed.splits[1].source, crossed.passages) == ("msmarco-passage/dev/small", "mmarco/v2/vi")
    assert crossed.revision == marco("en", "en").revision[:10] + marco("vi", "vi").revision[10:]


def test_every_collection_has_a_key_of_its_own() -> None:
    keys = {digest("collection/1", canonical(declaration)) for declaration in published()}
    assert len(keys) == len(published())


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: miracl("swa"), "MIRACL has no language 'swa'; did you mean sw"),
        (lambda: miracl_in_english("en", path="t", by=PEOPLE, revision="0" * 12), "are in 'en' already"),
        (lambda: miracl_in_english("sw", path="/t", by=PEOPLE, revision="0" * 12), "relative to the data folder"),
        (lambda: miracl_in_english("sw", path="t", by=PEOPLE, revision="main"), "12 hexadecimal digits"),
        (lambda: Chrf(score=101, references="r", signature="s"), "between 0 and 100"),
        (lambda: replace(BINARY_, relevant_from=2), "must be one of"),
        (lambda: replace(miracl("sw"), count=None, revision="6b6912a4b0.unpinned"), "state how many passages"),
        (
            lambda: Documents(layout=Layout.TSV, paths=("d",), id_field="id", text_fields=("x",), columns=("id",)),
            "name all its columns",
        ),
    ],
)
def test_declaration_that_cannot_be_meant_is_refused(build: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()  # type: ignore[operator]


BINARY_: Relevance = miracl("sw").relevance
