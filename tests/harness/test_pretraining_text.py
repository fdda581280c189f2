"""Text for pretraining gives no test and no judgement away, and languages differ in how much of it they get alone."""

from dataclasses import replace
from itertools import permutations

import pytest

from harness.data.content import Content, write_content
from harness.data.pretraining import pretraining_texts
from studies.bases import ATLAS_LANGUAGES, ATLAS_TEXT
from studies.schema.atlas import ENGLISH
from studies.schema.evaluation import Split

ALL = (ENGLISH, *ATLAS_LANGUAGES)
WHOLE = 3000
"""Texts of a language after which all that it has have come at least once."""


@pytest.fixture(scope="module")
def content() -> Content:
    return write_content(ATLAS_LANGUAGES)


@pytest.fixture(scope="module")
def everything(content: Content) -> dict[str, list[str]]:
    """All text there is, by language."""
    texts = pretraining_texts(content, WHOLE, [(language, 1.0) for language in ALL])
    return {language: [text.text for text in texts if text.language == language] for language in ALL}


def test_every_language_gets_its_share_and_a_prefix_of_what_a_larger_one_gets(
    content: Content, everything: dict[str, list[str]]
) -> None:
    texts = pretraining_texts(content, ATLAS_TEXT.texts, ATLAS_TEXT.shares)
    for language, share in ATLAS_TEXT.shares:
        mine = [text.text for text in texts if text.language == language]
        assert len(mine) == round(share * ATLAS_TEXT.texts)
        assert mine[:WHOLE] == everything[language][: len(mine)]


def test_texts_of_all_languages_but_english_are_of_the_same_names_in_the_same_order(
    content: Content, everything: dict[str, list[str]]
) -> None:
    first = {language: everything[language][:400] for language in ATLAS_LANGUAGES}
    names = {
        language: {content.name_of[entity.id][language]: entity.id for entity in content.entities}
        for language in ATLAS_LANGUAGES
    }
    for place in range(400):
        alone = {names[language].get(first[language][place]) is not None for language in ATLAS_LANGUAGES}
        assert len(alone) == 1


def test_text_holds_every_name_and_every_passage_that_is_not_held_out(
    content: Content, everything: dict[str, list[str]]
) -> None:
    for language in ALL:
        assert {entity.names[language] for entity in content.entities} <= set(everything[language])
    for passage in content.passages:
        assert (passage.text in everything[ENGLISH]) is not passage.held_out


def test_no_query_of_validation_or_test_is_in_the_text_in_any_order_or_writing(
    content: Content, everything: dict[str, list[str]]
) -> None:
    for language, texts in everything.items():
        known = {text.casefold() for text in texts}
        for query in content.queries:
            if query.split is Split.TRAIN:
                continue
            names = [content.name_of[name][language] for name in query.names]
            for order in permutations(names):
                written = {" ".join(order), content.patterns[language].join(order)}
                assert known.isdisjoint(text.casefold() for text in written)


def test_no_text_depends_on_a_judgement(content: Content, everything: dict[str, list[str]]) -> None:
    """Every text is a name, a passage or the list of its names; whom a query is about changes none of them."""
    passages = {passage.text for passage in content.passages}
    for language, texts in everything.items():
        names = {entity.names[language] for entity in content.entities}
        lists = {
            content.patterns[language].join(
                [content.name_of[name][language] for name in (passage.id, *passage.mentions)]
            )
            for passage in content.passages
        }
        assert set(texts) <= names | lists | (passages if language == ENGLISH else set())
    unjudged = replace(content, queries=tuple(replace(query, subject="nobody") for query in content.queries))
    again = pretraining_texts(unjudged, ATLAS_TEXT.texts, ATLAS_TEXT.shares)
    assert again == pretraining_texts(content, ATLAS_TEXT.texts, ATLAS_TEXT.shares)
