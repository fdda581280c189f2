"""The embedded collection: one matched set, parallel queries, judgements that follow from the texts, one revision."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from babel import localedata
from babel.core import Locale

from harness.data.atlas import AtlasData, declare, open_atlas
from harness.data.cldr import ENGLISH, own_tables
from harness.data.compositions import ABOUT, MENTIONS, composition_id
from harness.data.content import write_content
from harness.data.names import TABLES, ListPattern, list_pattern, matched_entities
from studies.schema.atlas import Atlas
from studies.schema.storage import Damaged, Storage

LANGUAGES = ("bn", "de", "fi", "ru", "sw", "te", "th")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Storage:
    return Storage.at(tmp_path_factory.mktemp("storage").resolve())


@pytest.fixture(scope="module")
def atlas(root: Storage) -> AtlasData:
    return open_atlas(root, declare(LANGUAGES, 3000))


def test_matched_set_is_large_and_every_name_is_the_locales_own() -> None:
    entities = matched_entities(LANGUAGES)
    assert len(entities) >= 900
    for entity in entities:
        kind, _, code = entity.id.partition(":")
        for language, name in entity.names.items():
            assert name == own_tables(language)[TABLES[kind]][code]
            assert name != code


def test_matched_set_holds_no_english_stand_in_whatever_babel_was_asked_before() -> None:
    """Asked for Hindi in Latin letters, Babel answers with hundreds of names of Indian English."""
    assert len(Locale.parse("hi_Latn").languages) > 500
    assert len(localedata.load("en_IN")["languages"]) > 500
    assert len(matched_entities(["hi_Latn"])) < 60


def test_matched_set_of_a_regional_locale_has_the_names_of_its_parents() -> None:
    assert len(matched_entities(["es_MX"])) > 900
    assert {entity.names["zh_Hant"] for entity in matched_entities(["zh_Hant"])} >= {"德國", "冰島"}
    assert matched_entities(["zh_Hans"])[0].names["zh_Hans"] == matched_entities(["zh"])[0].names["zh"]


def test_matched_set_has_no_two_entities_of_one_english_name() -> None:
    english = [entity.names[ENGLISH].casefold() for entity in matched_entities(LANGUAGES)]
    assert len(english) == len(set(english))


def test_entity_is_cognate_only_where_spelled_as_in_english(atlas: AtlasData) -> None:
    togo = next(entity for entity in atlas.content.entities if entity.id == "territory:TG")
    assert togo.is_cognate("de")
    assert not togo.is_cognate("te")
    germany = next(entity for entity in atlas.content.entities if entity.id == "territory:DE")
    assert not germany.is_cognate("de")


def test_query_is_cognate_when_copying_its_names_gives_the_english_ones(atlas: AtlasData) -> None:
    for query in atlas.queries["test"]:
        same_words = sorted(query.texts["de"].split()) == sorted(query.texts[ENGLISH].split())
        assert atlas.is_cognate(query, "de") == same_words
        assert not atlas.is_cognate(query, "te")


def test_tagalog_reads_the_filipino_locale_and_an_unknown_language_is_refused() -> None:
    assert len(matched_entities(["tl"])) > 900
    with pytest.raises(ValueError, match="no locale data for language 'xx'"):
        matched_entities(["xx"])


def test_list_pattern_joins_as_the_language_does() -> None:
    assert list_pattern("de").join(["Togo", "Mali", "Peru"]) == "Togo, Mali und Peru"
    assert list_pattern("en").join(["Togo", "Mali"]) == "Togo and Mali"
    assert list_pattern("sw").join(["Togo"]) == "Togo"
    spelled = ListPattern(pair="{0}={1}", start="{0}<{1}", middle="{0}-{1}", end="{0}>{1}")
    assert spelled.join(["a", "b", "c", "d"]) == "a<b-c>d"


def test_passage_names_its_entity_and_every_mention(atlas: AtlasData) -> None:
    english = {entity.id: entity.names[ENGLISH] for entity in atlas.content.entities}
    assert [passage.id for passage in atlas.passages] == list(english)
    for passage in atlas.passages:
        assert passage.id not in passage.mentions
        for name in (passage.id, *passage.mentions):
            assert english[name] in passage.text


def test_passages_held_out_are_a_tenth(atlas: AtlasData) -> None:
    held_out = sum(passage.held_out for passage in atlas.passages) / len(atlas.passages)
    assert 0.08 < held_out < 0.12


def test_queries_are_parallel_and_name_the_same_things_in_every_language(atlas: AtlasData) -> None:
    for query in atlas.content.queries:
        assert set(query.texts) == {ENGLISH, *LANGUAGES}
        assert query.subject in query.names
        assert query.id == composition_id(reversed(query.names))
        for language, text in query.texts.items():
            names = [atlas.content.name_of[name][language] for name in query.names]
            assert sorted(" ".join(names).split()) == sorted(text.split())


def test_queries_put_names_in_an_order_of_each_languages_own(atlas: AtlasData) -> None:
    def order(text: str, language: str, names: tuple[str, ...]) -> list[str]:
        return sorted(names, key=lambda name: text.find(atlas.content.name_of[name][language]))

    differing = [
        order(query.texts["de"], "de", query.names) != order(query.texts["ru"], "ru", query.names)
        for query in atlas.queries["test"]
    ]
    assert 0.4 < sum(differing) / len(differing) < 0.9


def test_splits_share_no_composition_and_no_reading_in_any_order(atlas: AtlasData) -> None:
    assert len(atlas.queries["test"]) >= 400
    assert len(atlas.queries["validation"]) >= 150
    assert len(atlas.queries["train"]) >= 3000
    for language in (ENGLISH, *LANGUAGES):
        readings = {
            split: {
                frozenset(atlas.content.name_of[name][language].casefold() for name in query.names) for query in queries
            }
            for split, queries in atlas.queries.items()
        }
        assert readings["test"].isdisjoint(readings["train"] | readings["validation"])
        assert readings["validation"].isdisjoint(readings["train"])


def test_qrels_equal_a_reading_of_the_passages(atlas: AtlasData) -> None:
    mentions = {passage.id: set(passage.mentions) for passage in atlas.passages}
    qrels = atlas.qrels("test")
    assert list(qrels) == [query.id for query in atlas.queries["test"]]
    for query in atlas.queries["test"]:
        expected = {
            passage: ABOUT if passage in query.names else MENTIONS
            for passage, named in mentions.items()
            if passage in query.names or len(named.intersection(query.names)) >= 2
        }
        assert qrels[query.id] == expected


def test_teacher_pairs_hold_no_held_out_passage_and_no_unseen_split(atlas: AtlasData) -> None:
    held_out = {passage.id for passage in atlas.passages if passage.held_out}
    training = {query.id: query for query in atlas.queries["train"]}
    unseen = {query.texts[ENGLISH] for split in ("test", "validation") for query in atlas.queries[split]}
    pairs = atlas.teacher_pairs()
    assert len(pairs) > 0.95 * len(training)
    for pair in pairs:
        assert pair.positives
        assert held_out.isdisjoint(pair.positives)
        assert set(pair.positives) == set(training[pair.query].names) - held_out
        assert pair.text not in unseen


def test_name_lists_make_passages_of_another_language(atlas: AtlasData) -> None:
    lists = atlas.name_lists("sw")
    assert list(lists) == [passage.id for passage in atlas.passages]
    assert "Ujerumani" in lists["territory:DE"]
    assert "Kijerumani" in lists["territory:DE"]


def test_revision_is_the_same_in_fresh_processes_whatever_the_hash_seed() -> None:
    program = "from harness.data.atlas import declare; print(declare(('sw', 'te'), 2000).revision)"
    revisions = [
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed, "RAYON_NUM_THREADS": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert revisions[0] == revisions[1]


def test_revision_depends_on_languages_their_order_and_the_vocabulary() -> None:
    declarations = ((("sw", "te"), 1900), (("te", "sw"), 1900), (("sw",), 1900), (("sw",), 1800))
    assert len({declare(languages, size).revision for languages, size in declarations}) == 4


def test_open_atlas_refuses_another_revision_before_it_writes_anything(tmp_path: Path) -> None:
    """What another version of Babel would give: content that does not hash to the declared literal."""
    declared = Atlas(languages=("sw",), vocabulary_size=1900, revision="000000000000")
    with pytest.raises(ValueError, match=r"what babel [\d.]+ and tokenizers [\d.]+ give.*Install babel==2\.18\.0"):
        open_atlas(Storage.at(tmp_path), declared)
    assert list(tmp_path.iterdir()) == []


def test_open_atlas_refuses_another_declaration_of_a_stored_revision(root: Storage, atlas: AtlasData) -> None:
    with pytest.raises(ValueError, match=r"with 2900 tokens; stored in .* with 3000 tokens"):
        open_atlas(root, replace(atlas.declaration, vocabulary_size=2900))


def test_open_atlas_reads_what_was_built(root: Storage, atlas: AtlasData) -> None:
    again = open_atlas(root, atlas.declaration)
    assert again.content == atlas.content == write_content(LANGUAGES)
    assert again.fertility == atlas.fertility
    assert len(again.tokenizer()) == atlas.declaration.vocabulary_size


def test_open_atlas_refuses_a_changed_file(root: Storage, atlas: AtlasData, tmp_path: Path) -> None:
    copied = Storage.at(shutil.copytree(root.root, tmp_path / "copy"))
    content = next((tmp_path / "copy").rglob("content.json"))
    content.write_text(content.read_text(encoding="utf-8").replace("Ujerumani", "Germania"), encoding="utf-8")
    with pytest.raises(Damaged, match=r"content\.json"):
        open_atlas(copied, atlas.declaration)
