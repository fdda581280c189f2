"""Triples for supervised retrieval: published layouts, what is dropped and counted, draws, what is kept for tests."""

import json
import random
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import ir_datasets
import numpy as np
import pytest
from numpy.typing import NDArray

from harness.data import selection
from harness.data import triples as triples_module
from harness.data.records import revision_of_files
from harness.data.triple_files import KeptForTests, check_source
from harness.data.triples import PreparedTriples, open_triples, prepare_triples
from harness.supervised_examples import kept_for_tests
from studies.collections import clirmatrix, hc4, marco, miracl, neuclir, neumarco, wikiclir
from studies.schema.collection import TRAIN, Collection, IrDataset, LocalCollection, Pair
from studies.schema.storage import Storage
from studies.schema.triples import IdTriples, JudgedText, RandomOthers, RetrievalTriples, TextTriples
from studies.supervised import (
    SMALL_TRIPLES,
    marco_text_triples,
    marco_triples,
    mmarco_files,
    wikiclir_files,
    wikiclir_judgments,
)
from tests.harness.published_layouts import HOME, publish_split, tsv, write

NO_REVISION = "0" * 12

Rows = Sequence[tuple[object, ...]]


def codes(texts: Sequence[str]) -> list[list[int]]:
    """A tokenizer whose ids are code points, so that texts can be read back."""
    return [[ord(letter) for letter in text] for text in texts]


def text_file(folder: Path, rows: Rows | bytes, path: str = "triples.train.small.tsv") -> TextTriples:
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(rows) if isinstance(rows, bytes) else write(target, tsv(rows))
    return marco_text_triples(revision=revision_of_files(folder, (path,)), path=path)


def id_files(
    folder: Path,
    queries: Rows,
    passages: Rows,
    triples: Rows,
    *,
    pair: tuple[str, str] = ("de", "de"),
) -> JudgedText:
    """mMARCO as its data repository lays it out."""
    path = f"triples.{'-'.join(pair)}.tsv"
    declared = mmarco_files(*pair, revision=NO_REVISION, triples=IdTriples(path=path, revision=NO_REVISION))
    assert isinstance(declared.collection, LocalCollection)
    (topics,) = declared.collection.splits[0].topics.paths
    (documents,) = declared.collection.documents.paths
    for name, rows in ((topics, queries), (documents, passages), (path, triples)):
        write(folder / name, tsv(rows))
    collection = replace(declared.collection, revision=revision_of_files(folder, (topics, documents)))
    return JudgedText(collection=collection, others=IdTriples(path=path, revision=revision_of_files(folder, (path,))))


def declare(*sources: TextTriples | JudgedText, triples: int = 1000, **changed: object) -> RetrievalTriples:
    declared = RetrievalTriples(sources=sources, triples=triples)
    return replace(declared, **changed)  # type: ignore[arg-type]


def made(
    folder: Path,
    declaration: RetrievalTriples,
    place: str = "out",
    kept: KeptForTests | None = None,
    watched: int = 0,
) -> PreparedTriples:
    return prepare_triples(
        folder,
        declaration,
        query=codes,
        passage=codes,
        kept=kept or KeptForTests(),
        place=folder / place,
        watched=watched,
    )


def texts(side: tuple[NDArray[np.int32], NDArray[np.int64]]) -> list[str]:
    ids, offsets = side
    return ["".join(map(chr, ids[a:b])) for a, b in pairwise(offsets.tolist())]


def read_back(prepared: PreparedTriples) -> list[tuple[str, ...]]:
    """Query, relevant and other passages of every triple, as texts."""
    queries, passages = texts(prepared.queries), texts(prepared.passages)
    return [(queries[row[0]], *(passages[i] for i in row[1:])) for row in prepared.triples_TK.tolist()]


def marco_like(number: int, per_query: int = 2) -> tuple[Rows, Rows, Rows]:
    """Queries, passages and triples: query i is answered by passage i, the others are later ones."""
    queries = [(1000 + i, f"frage {i}") for i in range(number)]
    passages = [(i, f"stelle {i}") for i in range(number + per_query)]
    triples = [(1000 + i, i, (i + 1 + k) % (number + per_query)) for i in range(number) for k in range(per_query)]
    return queries, passages, triples


def test_text_triples_are_read_as_they_were_published(tmp_path: Path) -> None:
    rows = [("what is a  cat", "a cat is", "a dog is"), ("who", "he", "she")]
    found = made(tmp_path, declare(text_file(tmp_path, rows)))
    assert read_back(found) == [("what is a cat", "a cat is", "a dog is"), ("who", "he", "she")]
    packed = text_file(tmp_path / "packed", rows, "triples.train.small.tsv.gz")
    assert read_back(made(tmp_path / "packed", declare(packed))) == read_back(found)


def test_id_triples_get_the_texts_of_their_ids_in_the_languages_that_are_asked(tmp_path: Path) -> None:
    queries, passages, triples = marco_like(5)
    source = id_files(tmp_path, queries, passages, triples, pair=("de", "en"))
    assert source.pair == Pair(query="de", document="en")
    found = made(tmp_path, declare(source))
    by_query, by_passage = dict(queries), dict(passages)  # type: ignore[arg-type, var-annotated]
    assert read_back(found) == [(by_query[q], by_passage[p], by_passage[n]) for q, p, n in triples]
    assert len(texts(found.queries)) == 5, "a text that several triples name is there once"


def test_published_ids_and_judgments_are_read_through_ir_datasets(tmp_path: Path) -> None:
    queries, passages, triples = marco_like(4)
    for name, kind, rows in (
        ("mmarco/v2/fr/train", "queries", queries),
        ("mmarco/v2/fr", "docs", passages),
        ("mmarco/v2/de/train", "docpairs", triples),
    ):
        write(Path(getattr(ir_datasets.registry[name], f"{kind}_handler")()._path(False)), tsv(rows))
    source = marco_triples("fr", "fr")
    check_source(tmp_path, source)
    assert len(read_back(made(tmp_path, declare(source)))) == len(triples)


def wikiclir_in_files(folder: Path, judged: Rows, documents: int = 12, **chosen: int) -> JudgedText:
    declared = wikiclir_files("sw", revision=NO_REVISION, **chosen)
    collection = declared.collection
    assert isinstance(collection, LocalCollection)
    (split,) = collection.splits
    names = (*collection.documents.paths, *split.topics.paths, *split.qrels)
    queries = [(f"{i}", f"Title {i}", f"Sentence {i}") for i in range(6)]
    tables = ([(f"d{i}", f"Kichwa {i}", f"Maandishi {i}") for i in range(documents)], queries, judged)
    for name, rows in zip(names, tables, strict=True):
        write(folder / name, tsv(rows))
    return replace(declared, collection=replace(collection, revision=revision_of_files(folder, names)))


JUDGED = [(f"{q}", f"d{q + step}", 2 - min(step, 1)) for q in range(6) for step in range(3)]
"""Each query's mate has grade 2, the two articles behind it grade 1; three columns, as published."""


def test_synthetic_judgments_are_relevant_from_the_declared_grade_and_others_are_never_judged(tmp_path: Path) -> None:
    check_source(tmp_path, source := wikiclir_in_files(tmp_path, JUDGED, others=4))
    every = read_back(made(tmp_path, declare(source)))
    assert len(every) == len(JUDGED)
    of_grade_2 = replace(source, others=RandomOthers(relevant_from=2, number=4))
    mates = made(tmp_path, declare(of_grade_2), "mates")
    assert [row[:2] for row in read_back(mates)] == [(f"Sentence {q}", f"Kichwa {q} Maandishi {q}") for q in range(6)]
    assert mates.record["sources"][source.name]["judged as not relevant"] == 12
    for query, *passages in (*every, *read_back(mates)):
        number = int(query.split()[1])
        judged = {f"Kichwa {number + step} Maandishi {number + step}" for step in range(3)}
        assert len(set(passages)) == 5, "the relevant passage and four different ones"
        assert judged.isdisjoint(passages[1:])


def test_query_with_nearly_every_passage_judged_is_refused(tmp_path: Path) -> None:
    judged = [("0", f"d{i}", 1) for i in range(12)]
    source = wikiclir_in_files(tmp_path, judged)
    with pytest.raises(ValueError, match="nearly all of its 12 passages are judged for one query"):
        made(tmp_path, declare(source))


def test_others_are_drawn_evenly(tmp_path: Path) -> None:
    """Over 600 draws an article judged for none is expected 75 times, one judged for one query 56; deviation 8."""
    judged = [(f"{q}", f"d{q}", 2) for q in range(4)]
    counts: dict[str, int] = {}
    for seed in range(150):
        source = wikiclir_in_files(tmp_path, judged, documents=9)
        for _, _, other in read_back(made(tmp_path, declare(source, seed=seed), f"out-{seed}")):
            counts[other] = counts.get(other, 0) + 1
    assert sum(counts.values()) == 600
    assert all(35 < count < 115 for count in counts.values())
    assert len(counts) == 9


def test_repetitions_are_dropped_and_a_larger_draw_holds_the_smaller(tmp_path: Path) -> None:
    queries, passages, triples = marco_like(200)
    source = id_files(tmp_path, queries, passages, [*triples, *triples[:50]])
    whole = made(tmp_path, declare(source))
    assert len(read_back(whole)) == len(triples)
    assert whole.record["pairs"]["de-de"]["duplicate"] == 50
    draws = [
        set(read_back(made(tmp_path, declare(source, triples=number), f"out-{number}"))) for number in (30, 90, 270)
    ]
    assert [len(draw) for draw in draws] == [30, 90, 270]
    assert draws[0] < draws[1] < draws[2]
    other = set(read_back(made(tmp_path, declare(source, triples=30, seed=1), "seed")))
    assert other != draws[0]


def test_languages_that_share_ids_draw_the_same_triples(tmp_path: Path) -> None:
    """Translations of one text: of every language the same lines are drawn, in the same order."""
    queries, passages, triples = marco_like(60)
    sources = [
        id_files(tmp_path, [(i, f"{language} {t}") for i, t in queries], passages, triples, pair=(language, language))
        for language in ("de", "hi")
    ]
    found = made(tmp_path, declare(*sources, triples=40))
    rows = [(query.split(" ", 1)[1], *rest) for query, *rest in read_back(found)]
    assert rows[:20] == rows[20:]
    assert {query[:2] for query, *_ in read_back(found)} == {"de", "hi"}


def test_cap_of_a_pair_leaves_the_rest_to_the_others(tmp_path: Path) -> None:
    queries, passages, triples = marco_like(60)
    sources = [id_files(tmp_path, queries, passages, triples, pair=(language, "en")) for language in ("de", "hi")]
    found = made(tmp_path, declare(*sources, triples=100, exponent=0.0, caps=(("hi-en", 10),)))
    assert {pair: counts["triples"] for pair, counts in found.record["pairs"].items()} == {"de-en": 90, "hi-en": 10}
    assert found.record["pairs"]["hi-en"]["over the pair's cap"] == 110
    for counts in found.record["sources"].values():
        assert counts["read"] == 120


def test_watched_queries_are_trained_on_in_no_language(tmp_path: Path) -> None:
    queries, passages, triples = marco_like(80, per_query=3)
    sources = [id_files(tmp_path, queries, passages, triples, pair=(language, "en")) for language in ("de", "hi")]
    found = made(tmp_path, declare(*sources), watched=20)
    rows = read_back(found)
    watched, trained = rows[: found.watched], rows[found.watched :]
    assert len({query for query, *_ in watched}) == len(watched) == 20
    assert {query for query, *_ in watched}.isdisjoint(query for query, *_ in trained)
    assert {query for query, *_ in trained} | {query for query, *_ in watched} == {text for _, text in queries}
    total = sum(
        sum(counts[k] for k in ("triples", "watched", "query is watched")) for counts in found.record["pairs"].values()
    )
    assert total == 2 * len(triples)


def test_other_passage_that_is_relevant_to_the_query_is_dropped(tmp_path: Path) -> None:
    queries, passages, _ = marco_like(3)
    source = id_files(tmp_path, queries, passages, [(1000, 0, 2), (1000, 1, 3), (1000, 1, 0), (1001, 1, 0)])
    found = made(tmp_path, declare(source))
    assert [row[1:] for row in read_back(found)] == [
        ("stelle 0", "stelle 2"),
        ("stelle 1", "stelle 3"),
        ("stelle 1", "stelle 0"),
    ]
    assert found.record["sources"][source.name]["other passage is relevant"] == 1


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (b"only two\tcolumns\n", r"triples\.train\.small\.tsv, line 1: wrong number of columns; 60 of 160"),
        (b"q\xff\tp\tn\n", r"triples\.train\.small\.tsv, line 1: broken UTF-8; 60 of 160"),
    ],
)
def test_file_that_is_not_what_was_declared_is_refused_with_its_first_broken_line(
    tmp_path: Path, broken: bytes, message: str
) -> None:
    good = b"".join(f"q {i}\tp {i}\tn {i}\n".encode() for i in range(100))
    with pytest.raises(ValueError, match=message):
        made(tmp_path, declare(text_file(tmp_path, 60 * broken + good)))


def test_single_broken_lines_are_counted_and_the_others_read(tmp_path: Path) -> None:
    good = b"".join(f"q {i}\tp {i}\tn {i}\n".encode() for i in range(300))
    source = text_file(tmp_path, b"a\tb\n" + good + b"q\xff\tp\tn\n" + b"\tp\tn\n")
    found = made(tmp_path, declare(source))
    counts = found.record["sources"][source.name]
    assert counts == {"read": 303, "broken UTF-8": 1, "wrong number of columns": 1, "empty query or passage": 1}
    assert len(read_back(found)) == 300


def test_id_without_a_text_names_file_line_and_remedy(tmp_path: Path) -> None:
    queries, passages, triples = marco_like(4)
    source = id_files(tmp_path, queries, passages, [*triples, (1001, 99, 2)])
    with pytest.raises(
        ValueError, match=r"triples\.de-de\.tsv, line 9: .*german_collection\.tsv has no '99'.*1 of the 9"
    ):
        made(tmp_path, declare(source))
    source = id_files(tmp_path, queries, passages, [(77, 1, 2), *triples])
    with pytest.raises(ValueError, match=r"line 1: .*german_queries\.train\.tsv has no '77'.*fetch the file again"):
        made(tmp_path, declare(source))


def test_id_that_occurs_twice_names_the_line(tmp_path: Path) -> None:
    queries, passages, triples = marco_like(4)
    source = id_files(tmp_path, queries, [*passages, (1, "once more")], triples)
    with pytest.raises(ValueError, match=r"has '1' twice .*german_collection\.tsv, line 7"):
        made(tmp_path, declare(source))


def test_passage_without_text_takes_its_triples_with_it(tmp_path: Path) -> None:
    queries, passages, triples = marco_like(4)
    source = id_files(tmp_path, queries, [(i, "" if i == 2 else text) for i, text in passages], triples)
    found = made(tmp_path, declare(source))
    assert len(read_back(found)) == sum(2 not in row[1:] for row in triples)
    assert found.record["sources"][source.name]["empty query or passage"] == sum(2 in row[1:] for row in triples)


def test_changed_file_is_not_what_was_declared(tmp_path: Path) -> None:
    queries, passages, triples = marco_like(4)
    source = id_files(tmp_path, queries, passages, triples)
    check_source(tmp_path, source)
    write(tmp_path / "triples.de-de.tsv", tsv(triples[1:]))
    for use in (lambda: check_source(tmp_path, source), lambda: made(tmp_path, declare(source))):
        with pytest.raises(ValueError, match=r"triples triples\.de-de\.tsv is declared with revision"):
            use()
    (tmp_path / "google/collections/german_collection.tsv").unlink()
    with pytest.raises(FileNotFoundError, match=r"has no file google/collections/german_collection\.tsv; put it"):
        check_source(tmp_path, source)


def test_triples_that_ir_datasets_has_otherwise_are_refused(tmp_path: Path) -> None:
    source = marco_triples("de", "de")
    with pytest.raises(ValueError, match=r"declared with revision '0000000000'; ir_datasets .* reads 'afe801d021'"):
        check_source(tmp_path, replace(source, others=replace(SMALL_TRIPLES, revision="0" * 10)))
    with pytest.raises(ValueError, match="has no triples 'miracl/sw/dev'; name an id that has them"):
        check_source(tmp_path, replace(source, others=replace(SMALL_TRIPLES, name="miracl/sw/dev")))


def test_prepared_triples_are_mapped_again_without_their_files(tmp_path: Path) -> None:
    queries, passages, triples = marco_like(30)
    first = made(tmp_path, declare(id_files(tmp_path, queries, passages, triples)), watched=4)
    again = open_triples(tmp_path / "out")
    assert read_back(again) == read_back(first)
    assert again.watched == 4
    assert json.loads((tmp_path / "out" / "record.json").read_text())["watched"] == 4
    with pytest.raises(FileNotFoundError, match="holds no prepared triples"):
        open_triples(tmp_path / "elsewhere")


def kept_out_of(collection: Collection, folder: Path) -> KeptForTests:
    return kept_for_tests(Storage.at(folder / "storage"), (collection,))


SPOKEN = {"1": "capital of kenya", "2": "price of tea", "3": "tallest tree"}
TESTED_PASSAGES = ("7", "8")


@pytest.mark.parametrize(
    "collection",
    [
        *(miracl(language) for language in ("sw", "ko", "te", "ar", "bn", "th", "hi", "en")),
        marco("en", "en"),
        marco("it", "it"),
        marco("hi", "en"),
        neumarco("fa"),
        wikiclir("fi"),
        clirmatrix("de", "fr", "multi8"),
        neuclir("fa"),
        hc4("ru"),
    ],
    ids=lambda declared: f"{declared.name} {declared.pair.query}",
)
def test_no_topic_and_no_judged_passage_of_a_collection_that_is_asked_reaches_training(
    collection: IrDataset, tmp_path: Path
) -> None:
    """Planted: every test topic by its text under another id, by its id under another text, and its passages."""
    for split in collection.splits:
        topics = {name: f"{text} {split.name}" for name, text in SPOKEN.items()}
        if split.name == TRAIN:
            topics = {f"9{name}": text for name, text in topics.items()}
        publish_split(
            collection, split, topics, [(name, TESTED_PASSAGES[0], 1) for name in topics] if split.judged else []
        )
    kept = kept_out_of(collection, tmp_path)
    tested = [f"{text} {split.name}" for split in collection.splits if split.name != TRAIN for text in SPOKEN.values()]
    queries = [
        *((500 + i, text.upper() + " ?") for i, text in enumerate(tested)),
        *((int(name), f"translation of {name}") for name in SPOKEN),
        (900, "something else"),
        (901, "and another"),
    ]
    passages = [(i, f"passage {i}") for i in range(12)]
    pairs = [(query, 10, 11) for query, _ in queries] + [(901, 7, 9), (901, 9, 7), (900, 9, 11)]
    source = id_files(tmp_path, queries, passages, pairs, pair=("de", "en"))
    found = made(tmp_path, declare(source), kept=kept)
    rows, counts = read_back(found), found.record["sources"][source.name]
    asked = {text.casefold() for text in tested}
    assert not [query for query, *_ in rows if query.casefold().removesuffix(" ?") in asked]
    is_marco = collection.name.startswith(("msmarco", "mmarco", "neumarco"))
    by_id = len(SPOKEN) if is_marco else 0
    assert counts["query kept for tests"] == len(tested) + by_id
    assert counts.get("passage kept for tests", 0) == (2 if is_marco else 0)
    if is_marco:
        assert not any("passage 7" in row for row in rows), "judged for a query of a test, in whatever language"
        assert not any(query.startswith("translation of") for query, *_ in rows)
    texts_only = text_file(tmp_path, [(text, "a", "b") for _, text in queries])
    if not is_marco:
        spoken = read_back(made(tmp_path, declare(texts_only), "texts", kept))
        assert {query for query, *_ in spoken} == {text for _, text in queries[len(tested) :]}


def test_own_test_passages_are_never_drawn_as_others(tmp_path: Path) -> None:
    judged = [(f"{q}", f"d{q}", 2) for q in range(4)]
    source = wikiclir_in_files(tmp_path, judged)
    kept = KeptForTests(passage_ids={source.ids_of: frozenset(f"d{i}" for i in (4, 5, 6, 7, 8))})
    rows = [
        row for seed in range(40) for row in read_back(made(tmp_path, declare(source, seed=seed), f"o{seed}", kept))
    ]
    others = {row[2] for row in rows}
    assert others == {f"Kichwa {i} Maandishi {i}" for i in (0, 1, 2, 3, 9, 10, 11)}


def test_memory_does_not_grow_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five times the lines, the same draw: what Python holds at most stays, once hashes are taken in small chunks."""
    monkeypatch.setattr(selection, "CHUNK", 2048)
    monkeypatch.setattr(triples_module, "mark_first", partial(selection.mark_first, partition=2048))
    draw = random.Random(0)
    peaks = []
    for number in (20_000, 100_000):
        folder = tmp_path / str(number)
        queries = [(i, f"q {i}") for i in range(500)]
        passages = [(i, f"p {i}") for i in range(number)]
        triples = [(draw.randrange(500), draw.randrange(number), draw.randrange(number)) for _ in range(number)]
        source = id_files(folder, queries, passages, triples)
        tracemalloc.start()
        made(folder, declare(source, triples=500))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.25 * peaks[0], f"{peaks} bytes"


def test_published_wikiclir_is_declared_with_its_judgments() -> None:
    source = wikiclir_judgments("sw")
    assert source.collection == wikiclir("sw")
    assert source.split == "all"
    assert HOME.name
