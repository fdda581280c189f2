"""Bitext of the embedded collection: its two knobs are exact, and nothing that is tested on leaks into it."""

from collections import defaultdict
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.atlas import AtlasData, declare, open_atlas
from harness.data.bitext import Line, covered_entities
from harness.data.cldr import ENGLISH
from harness.data.compositions import composition_id
from harness.data.look_up import SEPARATORS, DictionaryLookUp, copy_through
from studies.schema.atlas import Bitext
from studies.schema.storage import Storage

LANGUAGES = ("bn", "de", "fi", "sw", "th")
LINES = 6000


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> AtlasData:
    storage = Storage.at(tmp_path_factory.mktemp("storage").resolve())
    return open_atlas(storage, declare(LANGUAGES, 2500))


def declared(atlas: AtlasData, lines: int = LINES, coverage: float = 1.0, **exposure: float) -> Bitext:
    return Bitext(
        collection=atlas.declaration,
        lines=lines,
        exposure=tuple((language, exposure.get(language, 1.0)) for language in LANGUAGES),
        lexical_coverage=coverage,
    )


def by_language(lines: tuple[Line, ...]) -> dict[str, list[Line]]:
    grouped: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        grouped[line.language].append(line)
    return grouped


def test_bitext_has_exactly_the_declared_lines_and_smaller_exposures_are_prefixes(atlas: AtlasData) -> None:
    full = by_language(atlas.bitext(declared(atlas)))
    some = by_language(atlas.bitext(declared(atlas, de=0.1, sw=0.123, th=0.0)))
    assert {language: len(lines) for language, lines in full.items()} == dict.fromkeys(LANGUAGES, LINES)
    assert len(some["de"]) == 600
    assert len(some["sw"]) == round(0.123 * LINES)
    assert "th" not in some
    for language, lines in some.items():
        assert full[language][: len(lines)] == lines


def test_bitext_lines_are_distinct_and_say_the_same_in_both_languages(atlas: AtlasData) -> None:
    names = atlas.content.name_of
    for lines in by_language(atlas.bitext(declared(atlas))).values():
        assert len({line.id for line in lines}) == len(lines)
        for line in lines:
            assert all(names[name][line.language] in line.text for name in line.names)
            assert all(names[name][ENGLISH] in line.english for name in line.names)
            assert line.id == f"{line.language}-{composition_id(line.names)}"


def test_direct_lines_are_every_second_line_of_their_language_and_the_others_keep_english(atlas: AtlasData) -> None:
    plain = declared(atlas, 100, th=0.5)
    paired = replace(plain, direct=(("de", "sw"), ("th", "bn")))
    assert atlas.direct(plain) == ()
    kept, direct, full = atlas.bitext(paired), atlas.direct(paired), by_language(atlas.bitext(plain))
    assert len(kept) + len(direct) == paired.total_lines == plain.total_lines
    assert len(direct) == paired.direct_lines == 50 + 25
    assert by_language(kept)["de"] == full["de"][::2]
    assert by_language(kept)["sw"] == full["sw"]
    assert [line.id for line in direct if line.language == "th"] == [line.id for line in full["th"][1::2]]
    for line in direct:
        assert (line.language, line.into) in paired.direct
        for code, text in ((line.language, line.text), (line.into, line.other)):
            assert all(atlas.content.name_of[name][code] in text for name in line.names)
    assert atlas.names_in(paired) == atlas.names_in(plain)


def test_bitext_of_two_languages_shares_its_english_side(atlas: AtlasData) -> None:
    lines = by_language(atlas.bitext(declared(atlas)))
    assert [line.english for line in lines["de"]] == [line.english for line in lines["th"]]


def test_bitext_covers_every_name_early(atlas: AtlasData) -> None:
    quarter = atlas.names_in(declared(atlas, de=0.25))["de"]
    assert quarter == {entity.id for entity in atlas.content.entities}


@pytest.mark.parametrize("coverage", [1.0, 0.5, 0.1])
def test_bitext_has_no_test_or_validation_composition_in_any_order(atlas: AtlasData, coverage: float) -> None:
    unseen = [query for split in ("test", "validation") for query in atlas.queries[split]]
    compositions = {frozenset(query.names) for query in unseen}
    texts = {text.casefold() for query in unseen for text in query.texts.values()}
    for line in atlas.bitext(declared(atlas, coverage=coverage)):
        assert frozenset(line.names) not in compositions
        assert line.text.casefold() not in texts
        assert line.english.casefold() not in texts


@pytest.mark.parametrize("coverage", [0.9, 0.5, 0.2])
def test_lexical_coverage_is_exact_and_uncovered_names_never_occur(atlas: AtlasData, coverage: float) -> None:
    entities = atlas.content.entities
    covered = covered_entities(entities, coverage)
    named = atlas.names_in(declared(atlas, coverage=coverage))
    assert len(covered) == round(coverage * len(entities))
    assert all(named[language] == covered for language in LANGUAGES)
    lines = by_language(atlas.bitext(declared(atlas, coverage=coverage)))
    for language in LANGUAGES:
        texts = {line.text.casefold() for line in lines[language]}
        hidden = [entity.names[language] for entity in entities if entity.id not in covered]
        assert texts.isdisjoint(name.casefold() for name in hidden)


@given(st.integers(min_value=1, max_value=1000))
def test_lexical_coverage_counts_exactly_at_any_share(atlas: AtlasData, thousandths: int) -> None:
    entities = atlas.content.entities
    assert len(covered_entities(entities, thousandths / 1000)) == round(thousandths / 1000 * len(entities))


def test_names_shared_between_entities_are_covered_together(atlas: AtlasData) -> None:
    bearers: dict[tuple[str, str], set[str]] = defaultdict(set)
    for entity in atlas.content.entities:
        for language, name in entity.names.items():
            bearers[language, name.casefold()].add(entity.id)
    shared = [ids for ids in bearers.values() if len(ids) > 1]
    assert len(shared) > 30
    covered = covered_entities(atlas.content.entities, 0.5)
    assert all(ids <= covered or ids.isdisjoint(covered) for ids in shared)


def test_bitext_too_long_for_its_names_is_refused(atlas: AtlasData) -> None:
    with pytest.raises(ValueError, match=r"give only .* different ones; ask for fewer lines"):
        atlas.bitext(declared(atlas, lines=5000, coverage=0.02))


def test_bitext_of_another_collection_is_refused(atlas: AtlasData) -> None:
    other = Bitext(collection=declare(("sw",), 1900), lines=10, exposure=(("sw", 1.0),))
    with pytest.raises(ValueError, match="declare both with the same collection"):
        atlas.bitext(other)


def test_line_carries_no_passage_text_and_no_grade(atlas: AtlasData) -> None:
    assert {field.name for field in fields(Line)} == {"id", "language", "text", "english", "names"}
    passages = {passage.text for passage in atlas.passages}
    assert all(line.english not in passages for line in atlas.bitext(declared(atlas)))


def test_dictionary_translates_every_training_name_at_full_coverage(atlas: AtlasData) -> None:
    translate = DictionaryLookUp(atlas.bitext(declared(atlas)))
    right = [
        translate(entity.names["sw"], "sw") == " ".join(entity.names[ENGLISH].split())
        for entity in atlas.content.entities
        if "(" not in entity.names[ENGLISH]
    ]
    assert sum(right) / len(right) > 0.98


def test_dictionary_knows_only_its_lines(atlas: AtlasData) -> None:
    lines = tuple(line for line in atlas.bitext(declared(atlas, coverage=0.5)) if line.language == "sw")
    covered = covered_entities(atlas.content.entities, 0.5)
    seen_words = {word.strip(SEPARATORS) for line in lines for word in line.text.split()}
    translate = DictionaryLookUp(lines)
    strangers = [
        entity.names["sw"]
        for entity in atlas.content.entities
        if entity.id not in covered and seen_words.isdisjoint(entity.names["sw"].split())
    ]
    assert len(strangers) > 100
    assert all(translate(name, "sw") == name for name in strangers)
    assert translate("Ujerumani", "de") == copy_through("Ujerumani", "de") == "Ujerumani"


def test_dictionary_reads_a_phrase_off_a_line_whose_other_phrase_is_known() -> None:
    lines = [
        Line(id="1", language="de", text="Kenia", english="Kenya", names=()),
        Line(id="2", language="de", text="Suaheli Kenia", english="Kenya Swahili", names=()),
    ]
    translate = DictionaryLookUp(lines)
    assert translate("Suaheli", "de") == "Swahili"
    assert translate("Suaheli Uganda Kenia", "de") == "Swahili Uganda Kenya"
