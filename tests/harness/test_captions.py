"""Flickr30k-Entities and XM3600 in their published layouts, asked by captions in other languages."""

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from harness.collections_read import read
from harness.data.collections import load, open_collection
from harness.data.guard import guard_of
from harness.data.records import revision_of_files
from harness.evaluate import evaluate
from harness.parallel_examples import guard_against
from studies.local_collections import flickr30k_entities, multi30k, xm3600
from studies.schema.collection import Collection, EntityCaptions, SeenCaptions, TranslatedTopics
from studies.schema.evaluation import Searched
from studies.schema.published_teacher import PublishedTeacher
from studies.schema.storage import Storage
from studies.schema.study import Study, expand
from studies.schema.topic_makers import People
from tests.harness.published_layouts import tsv, write
from tests.harness.published_study import small_study, small_text, write_world

FIRST, SECOND = "1007129816.jpg", "1009434119.jpg"
SENTENCES = {
    FIRST: """\
[/EN#1/people The man] with [/EN#2/bodyparts/other ears] is wearing [/EN#3/other glasses] and [/EN#4/clothing a hat] .
[/EN#1/people A man] in [/EN#4/clothing an orange hat] starring at [/EN#0/notvisual something] .
[/EN#1/people A man] wears [/EN#4/clothing an orange hat] and [/EN#3/other glasses] .
Somebody looks up , with [/EN#3/other glasses] [ sic ] .
[/EN#1/people A man] sells [/EN#9/other tickets] .
""",
    SECOND: """\
[/EN#5/animals A Boston Terrier] is running on [/EN#6/scene lush green grass] .
[/EN#5/animals A dog] runs on [/EN#6/scene the grass] .
A dog runs on the grass !
""",
}
ASKED = {FIRST: "A man in an orange hat starring at something.", SECOND: "A dog runs on the grass."}
GERMAN = {FIRST: "Ein Mann mit einem orangefarbenen Hut.", SECOND: "Ein Hund läuft über das Gras."}
UNRELATED = "# format: <imageID> <sentence number>\n1007129816 5\n999 1"


def write_captions(
    folder: Path,
    *,
    sentences: Mapping[str, str] = SENTENCES,
    asked: Mapping[str, str] = ASKED,
    unrelated: str = UNRELATED,
) -> EntityCaptions:
    declared = flickr30k_entities(revision="0" * 12)
    for image, text in sentences.items():
        write(folder / declared.captions / f"{image.removesuffix('.jpg')}.txt", text)
    write(folder / declared.unrelated, unrelated)
    write(folder / declared.topics, tsv(list(asked.items())))
    files = (f"{declared.captions}/*.txt", declared.unrelated, declared.topics)
    return replace(declared, revision=revision_of_files(folder, files))


def write_translated(
    folder: Path, original: EntityCaptions, language: str, texts: Mapping[str, str]
) -> TranslatedTopics:
    path = f"multi30k/topics.{language}.tsv"
    write(folder / path, tsv(list(texts.items())))
    return TranslatedTopics(
        original=original,
        language=language,
        split=original.split,
        path=path,
        by=People(source="the test"),
        revision=revision_of_files(folder, (path,)),
    )


def test_a_caption_asks_for_the_other_captions_of_its_image(tmp_path: Path) -> None:
    declared = write_captions(tmp_path)
    collection, report = open_collection(Storage.at(tmp_path / "s"), declared, tmp_path)
    assert {passage.id: passage.text for block in collection.blocks(10) for passage in block} == {
        f"{FIRST}#0": "The man with ears is wearing glasses and a hat .",
        f"{FIRST}#2": "A man wears an orange hat and glasses .",
        f"{FIRST}#3": "Somebody looks up , with glasses [ sic ] .",
        f"{FIRST}#4": "A man sells tickets .",
        f"{SECOND}#0": "A Boston Terrier is running on lush green grass .",
    }
    assert collection.topics(declared.split, "en") == ASKED
    # The man and the hat are named; "something" is nothing that can be seen, and the last caption describes no image.
    assert collection.qrels(declared.split) == {
        FIRST: {f"{FIRST}#0": 2, f"{FIRST}#2": 2, f"{FIRST}#3": 1, f"{FIRST}#4": 0},
        SECOND: {f"{SECOND}#0": 2},
    }
    assert (report.passages, report.empty, report.queries) == (5, 0, {declared.split: 2})


def test_german_captions_are_asked_of_the_same_passages(tmp_path: Path) -> None:
    original = write_captions(tmp_path)
    declared = multi30k("de", original=original, revision="0" * 12)
    write(tmp_path / declared.path, tsv(list(GERMAN.items())))
    german = load(replace(declared, revision=revision_of_files(tmp_path, (declared.path,))), tmp_path)
    assert german.topics(original.split, "de") == GERMAN
    assert german.qrels(original.split) == load(original, tmp_path).qrels(original.split)


def test_no_caption_can_reach_distillation(tmp_path: Path) -> None:
    """Neither one that asks, in any language, nor one that is asked for."""
    place = Storage.at(tmp_path)
    original = write_captions(place.data())
    german = write_translated(place.data(), original, "de", GERMAN)
    guard = guard_against(place, [german])
    captions = [passage.text for block in load(original, place.data()).blocks(10) for passage in block]
    assert len(captions) == 5
    for text in (*captions, *ASKED.values(), *GERMAN.values()):
        assert guard.holds(text), text
    assert not guard.holds("A man in a hat.")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"asked": ASKED | {FIRST: "A dog runs on the grass."}},
            r"en\.tsv: the topic of 1007129816\.jpg is none of the captions in .*1007129816\.txt, .* line \d",
        ),
        (
            {
                "sentences": {
                    SECOND: "[/EN#5/animals A dog runs on the grass .\n[/EN#5/animals A dog] runs on the grass .\n"
                }
            },
            r"1009434119\.txt, line 1: markup that is no \[/EN#number/kind words\]",
        ),
        ({"sentences": {SECOND: "A dog runs on the grass .\n"}}, r"1009434119\.txt has 1 captions; .* at least two"),
        ({"asked": ASKED | {"7.jpg": "A cat."}}, r"Sentences/7\.txt does not exist"),
        ({"unrelated": "1007129816\n"}, r"UNRELATED_CAPTIONS, line 1: '1007129816' where an image and the number"),
    ],
    ids=("another image's", "markup", "one caption", "no such image", "unrelated"),
)
def test_files_that_do_not_belong_together_are_named(
    tmp_path: Path, changed: dict[str, dict[str, str]], message: str
) -> None:
    sentences = SENTENCES | changed.pop("sentences", {})
    declared = write_captions(tmp_path, sentences=sentences, **changed)  # type: ignore[arg-type]
    with pytest.raises((ValueError, OSError), match=message):
        load(declared, tmp_path)


def test_changed_caption_is_another_collection(tmp_path: Path) -> None:
    declared = write_captions(tmp_path)
    write_captions(tmp_path, sentences={FIRST: SENTENCES[FIRST].replace("tickets", "fish")})
    with pytest.raises(ValueError, match=r"flickr30k-entities is declared with revision .*; the files in"):
        load(declared, tmp_path)


def test_split_that_may_be_trained_on_is_refused() -> None:
    with pytest.raises(ValueError, match="the split of flickr30k-entities is 'train', which may be trained on"):
        replace(flickr30k_entities(revision="0" * 12), split="train")
    with pytest.raises(ValueError, match="Multi30K has no language 'sw'; it has cs, de, fr"):
        multi30k("sw", original=flickr30k_entities(revision="0" * 12), revision="0" * 12)


IMAGES = (
    {
        "image/key": "000411001ff7dd4f",
        "image/locale": "sw",
        "en": {"caption": ["A boat on a lake.", "Two men in a  boat", "A lake"], "caption/tokenized": ["a boat"]},
        "sw": {"caption": ["Mashua ziwani", "Watu wawili"]},
    },
    {
        "image/key": "000a045a0715d64d",
        "image/locale": "te",
        "en": {"caption": ["A red car."]},
        "sw": {"caption": ["Gari jekundu"]},
    },
)


def write_seen(folder: Path, language: str, images: Sequence[object] = IMAGES) -> SeenCaptions:
    declared = xm3600(language, revision="0" * 12)
    write(folder / declared.path, "".join(f"{json.dumps(image, ensure_ascii=False)}\n" for image in images))
    return replace(declared, revision=revision_of_files(folder, (declared.path,)))


def test_captions_in_every_language_ask_for_the_same_english_ones(tmp_path: Path) -> None:
    for language, asked in (("sw", ["Mashua ziwani", "Gari jekundu"]), ("en", ["A boat on a lake.", "A red car."])):
        declared = write_seen(tmp_path, language)
        collection, report = open_collection(Storage.at(tmp_path / "s"), declared, tmp_path)
        passages = {passage.id: passage.text for block in collection.blocks(10) for passage in block}
        assert passages == {"000411001ff7dd4f#1": "Two men in a boat", "000411001ff7dd4f#2": "A lake"}
        assert list(collection.topics("test", language).values()) == asked
        assert collection.qrels("test") == {"000411001ff7dd4f": dict.fromkeys(passages, 1)}
        assert (report.queries, report.unjudged) == ({"test": 2}, {"test": 1})
        assert guard_of([collection]).holds("two men in a boat")
        assert guard_of([collection]).holds("WATU WAWILI") is (language == "sw")


def test_passages_and_images_are_known_as_the_same_in_all_languages(tmp_path: Path) -> None:
    place = Storage.at(tmp_path)
    swahili, english = (
        read(place, Searched(collection=write_seen(place.data(), each), split="test")) for each in ("sw", "en")
    )
    assert swahili.identity == english.identity
    assert swahili.cluster == english.cluster
    assert swahili.topics != english.topics


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (
            (IMAGES[0], {"image/key": "b", "en": {"caption": ["A"]}}),
            r"captions\.jsonl, line 2: no image with captions in 'sw'",
        ),
        ((IMAGES[0], IMAGES[0]), r"captions\.jsonl, line 2: image '000411001ff7dd4f' occurs a second time"),
        ((IMAGES[0], {**IMAGES[1], "sw": {"caption": [" "]}}), r"captions\.jsonl, line 2: image .* or an empty one"),
        ((["no object"],), r"captions\.jsonl, line 1: no image with captions"),
    ],
    ids=("language", "twice", "empty", "list"),
)
def test_line_of_captions_that_is_not_as_published_is_named(
    tmp_path: Path, images: Sequence[object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        load(write_seen(tmp_path, "sw", images), tmp_path)


def test_language_that_has_no_captions_is_refused() -> None:
    with pytest.raises(ValueError, match="XM3600 has no language 'so'; it has ar, bn"):
        xm3600("so", revision="0" * 12)


@pytest.fixture(scope="module")
def asked_study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Storage]:
    """The small study over published data, asked captions in English and in two other languages."""
    folder = tmp_path_factory.mktemp("captions").resolve()
    place = Storage.at(folder / "storage")
    write_world(folder, place.data())
    original = write_captions(place.data())
    others = (write_translated(place.data(), original, language, GERMAN) for language in ("sw", "te"))
    captions: tuple[Collection, ...] = (original, *others)
    study = small_study(folder, place.data(), name="small_captions")
    return replace(
        study,
        base=replace(study.base, bitext=small_text(place.data(), captions)),
        retrieval=tuple(Searched(collection=each, split=original.split) for each in captions),
    ), place


def test_caption_that_asks_is_never_found_and_rank_one_is_what_any_other_of_its_image_has(
    asked_study: tuple[Study, Storage],
) -> None:
    study, place = asked_study
    english, teacher = read(place, study.retrieval[0]), expand(study)[0].run
    assert isinstance(teacher, PublishedTeacher)
    assert english.count == 5
    assert not set(ASKED.values()) & {passage.text for block in english.passages(10) for passage in block}
    folder = evaluate(place, teacher, study.evaluation)
    rows = {row["query"]: row for row in pq.read_table(folder / "per_query.parquet").to_pylist()}
    lines = [line.split() for line in gzip.decompress((folder / "run.trec.gz").read_bytes()).decode().splitlines()]
    first = {query.removeprefix("en."): passage for query, _, passage, *_ in reversed(lines)}
    assert sorted(rows) == sorted(first) == [FIRST, SECOND]
    for query, row in rows.items():
        assert row["Success@1"] == float(english.qrels[query].get(first[query], 0) > 0)
