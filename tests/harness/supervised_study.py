"""A study in small whose teacher and rivals are trained to retrieve, each on files in the layout that is published."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ir_measures import AP, R

from harness.data.records import revision_of_files
from studies.gap_by_size_miracl import TRANSLATE_TRAIN
from studies.schema.collection import Collection, LocalCollection
from studies.schema.evaluation import Searched
from studies.schema.optimiser import Optimiser, Schedule
from studies.schema.record import Role
from studies.schema.run import Supervised
from studies.schema.study import ResourceEffect, Study
from studies.schema.triples import IdTriples, JudgedText, RetrievalTriples, TextTriples, TripleSource
from studies.supervised import marco_text_triples, mmarco_files, wikiclir_files
from tests.harness.published_layouts import tsv, write
from tests.harness.published_study import (
    PAIR,
    QUERIES,
    TOKEN_SIZE,
    WIDTHS,
    local_english,
    rung_of,
    sentences,
    small_study,
    small_text,
    topics_of,
    translated_topics,
    write_world,
)

NO_REVISION = "0" * 12

TRAINED_QUERIES, TRAINED_PASSAGES = 300, 400
"""Of each source; 192 queries are watched, so that at least 108 are trained on."""

LANGUAGES = ("ar", "hi")
"""Those of the declared rival."""


SHORT = Schedule(steps=10, warmup_steps=1)


def write_supervised_world(folder: Path, data: Path) -> None:
    """What :func:`write_world` writes, and triples as texts, as ids in two languages, and judgments from links.

    Every source has the test topics of all collections among its queries.
    """
    write_world(folder, data)
    passages = {
        language: sentences(seed, TRAINED_PASSAGES, words=9) for seed, language in enumerate(("en", *LANGUAGES), 70)
    }
    rows = [
        (query, passages["en"][place], passages["en"][place + 1])
        for place, query in enumerate(_queries(passages["en"]))
    ]
    write(data / "triples.train.small.tsv", tsv(rows))
    for language, name in zip(LANGUAGES, ("arabic", "hindi"), strict=True):
        write(data / f"google/collections/{name}_collection.tsv", tsv(list(enumerate(passages[language]))))
        numbered = [(1000 + place, query) for place, query in enumerate(_queries(passages[language]))]
        write(data / f"google/queries/train/{name}_queries.train.tsv", tsv(numbered))
    number = len(_queries(passages["en"]))
    write(
        data / "triples.train.ids.small.tsv",
        tsv([(1000 + place, place, (place + step) % TRAINED_PASSAGES) for place in range(number) for step in (1, 2)]),
    )
    articles = sentences(90, TRAINED_PASSAGES, words=9)
    write(
        data / "wiki-clir/english/wiki_en.queries",
        tsv([(i, f"t{i}", text) for i, text in enumerate(_queries(articles))]),
    )
    write(
        data / "wiki-clir/swahili/wiki_sw.documents",
        tsv([(place, f"kichwa {place}", text) for place, text in enumerate(articles)]),
    )
    judged = [
        (place, (place + step) % TRAINED_PASSAGES, 2 if step == 0 else 1) for place in range(number) for step in (0, 5)
    ]
    write(data / "wiki-clir/swahili/en2sw.rel", tsv(judged))


def planted() -> list[str]:
    """Test topics, which no source may train on."""
    return [text for language in ("en", *PAIR) for text in topics_of(language, "dev").values()]


def _queries(passages: Sequence[str]) -> list[str]:
    """Words of the passage that answers each, and the planted ones."""
    return [" ".join(text.split()[2:5]) for text in passages[:TRAINED_QUERIES]] + planted()


def english_source(data: Path) -> TextTriples:
    path = "triples.train.small.tsv"
    return marco_text_triples(revision=revision_of_files(data, (path,)), path=path)


def translated_sources(data: Path) -> tuple[JudgedText, ...]:
    path = "triples.train.ids.small.tsv"
    triples = IdTriples(path=path, revision=revision_of_files(data, (path,)))
    return tuple(_with_revision(data, mmarco_files(x, x, revision=NO_REVISION, triples=triples)) for x in LANGUAGES)


def linked_source(data: Path) -> JudgedText:
    return _with_revision(data, wikiclir_files("sw", revision=NO_REVISION))


def _with_revision(data: Path, source: JudgedText) -> JudgedText:
    collection = source.collection
    assert isinstance(collection, LocalCollection)
    (split,) = collection.splits
    names = (*collection.documents.paths, *split.topics.paths, *split.qrels)
    return replace(source, collection=replace(collection, revision=revision_of_files(data, names)))


def small_retriever(folder: Path, sources: tuple[TripleSource, ...], kept_out: tuple[Collection, ...]) -> Supervised:
    """The study's rival in small, on the sources."""
    return replace(
        TRANSLATE_TRAIN,
        text=RetrievalTriples(sources=sources, triples=1000, kept_out=kept_out),
        rung=rung_of(folder, WIDTHS[0]),
        token_size=TOKEN_SIZE,
        optimiser=Optimiser(learning_rate=0.01),
        schedule=SHORT,
        global_batch=32,
    )


def supervised_study(folder: Path, data: Path) -> Study:
    """Students of a teacher trained on English triples, beside both rivals; all passages are English.

    All passages are ranked, so average precision is above 0 in every resample of ten queries: shares of the teacher's
    score exist.
    """
    asked: tuple[Collection, ...] = (local_english(data), *(translated_topics(data, language) for language in PAIR))
    study = small_study(folder, data, name="small_supervised", is_one_objective=True)
    assert isinstance(study.estimand, ResourceEffect)
    base = replace(
        study.base,
        teacher=small_retriever(folder, (english_source(data),), asked),
        bitext=small_text(data, asked),
        schedule=SHORT,
    )
    recipes = {
        Role.TRANSLATE_TRAIN: small_retriever(folder, translated_sources(data), asked),
        Role.SYNTHETIC_TRAIN: small_retriever(folder, (linked_source(data),), asked),
    }
    return replace(
        study,
        base=base,
        measures=(AP, R @ 100),
        estimand=replace(study.estimand, measure=AP),
        retrieval=tuple(Searched(collection=collection) for collection in asked),
        rivals=(Role.UNTRAINED, *recipes),
        supervised=tuple(recipes.items()),
    )


assert QUERIES * (1 + len(PAIR)) == len(planted())
