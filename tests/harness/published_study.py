"""The study over published data in small: every file it reads on disk in its published layout, and the study itself."""

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from transformers import AutoTokenizer

from harness.data.published import published_revision
from harness.data.records import revision_of_files
from harness.encoders import build
from harness.export import write_model
from harness.published_files import content_revision
from studies.clca_by_size_miracl import STUDY as ALIGNED
from studies.collections import miracl
from studies.gap_by_size_miracl import STUDY
from studies.parallel_texts import nllb, opus
from studies.published_bases import MIRACL_SEVEN
from studies.schema.axes import Axis, Setting, rotations
from studies.schema.collection import (
    Collection,
    IrDataset,
    Judge,
    LocalCollection,
    LocalSplit,
    Pair,
    Relevance,
    TranslatedTopics,
)
from studies.schema.evaluation import Searched
from studies.schema.execution import Execution
from studies.schema.files import Documents, Layout, Topics
from studies.schema.optimiser import Schedule
from studies.schema.parallel import Corpus, Moses, ParallelText
from studies.schema.pool import Pool
from studies.schema.published_teacher import PublishedTeacher
from studies.schema.record import Role
from studies.schema.run import Student
from studies.schema.rung import Rung
from studies.schema.search import Search
from studies.schema.space import LogUniform, Parameter
from studies.schema.study import AlignmentImprovement, ResourceEffect, Study, expand
from studies.schema.topic_makers import People
from studies.search_epsilon_by_pair_miracl import SEARCH
from tests.harness.published_encoder import ARCHITECTURE, SYLLABLES, write_encoder
from tests.harness.published_layouts import four_columns, publish_miracl_passages, publish_split, tsv, write

PAIR = ("sw", "te")
TOKEN_SIZE = 12
LINES = 700
"""Of each language: 480 are watched, the others trained on."""

PASSAGES, QUERIES = 60, 10
SENTENCES = 40
DIRECT = 400
WIDTHS = (16, 32)

SMALL = Execution(workers=2, micro_batch=16, zero_stage=3, log_every=5, checkpoint_every=20)


def sentences(seed: int, number: int, *, words: int = 4, syllables: int = 2) -> list[str]:
    """Different sentences of made-up words, the same for a seed; words of one syllable recur often."""
    draw = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < number:
        found[" ".join("".join(draw.choices(SYLLABLES, k=syllables)) for _ in range(words))] = None
    return list(found)


def passages_of(language: str) -> list[str]:
    return sentences(["en", *PAIR].index(language), PASSAGES, words=9, syllables=1)


def topics_of(language: str, split: str) -> dict[str, str]:
    """Queries by id, each of words of the passage that answers it; those of a split are only its own."""
    first = {"train": 30, "dev": 0, "test-a": 40, "test-b": 50}[split]
    texts = passages_of(language)[first : first + QUERIES]
    return {str(place): " ".join(text.split()[2:5]) for place, text in enumerate(texts)}


def write_world(folder: Path, data: Path) -> None:
    """Checkpoints below ``folder``, parallel text and a local collection below ``data``, MIRACL where it is kept."""
    for width in WIDTHS:
        write_encoder(folder / f"xlm-r-{width}", replace(ARCHITECTURE, hidden_size=width, embedding_size=width))
    write_teacher(folder)
    for place, language in enumerate(PAIR):
        english, source = sentences(10 + place, LINES), sentences(20 + place, LINES)
        english += [*topics_of("en", "dev").values(), *held_out_sentences("en")]
        source += [*topics_of(language, "dev").values(), *held_out_sentences("sw")]
        write(data / "NLLB" / f"{language}.txt", "".join(f"{line}\n" for line in source))
        write(data / "NLLB" / f"{language}.en.txt", "".join(f"{line}\n" for line in english))
    for language in PAIR:
        _publish_miracl(language)
    for language in ("en", *PAIR):
        write(data / "flores" / f"{language}.devtest", "".join(f"{line}\n" for line in held_out_sentences(language)))
    write(data / "local" / "docs.tsv", tsv([(f"d{place}", text) for place, text in enumerate(passages_of("en"))]))
    write(data / "local" / "topics.tsv", tsv(list(topics_of("en", "dev").items())))
    write(data / "local" / "qrels.txt", four_columns([(str(place), f"d{place}", 1) for place in range(QUERIES)]))
    for language in PAIR:
        write(data / "local" / f"topics.{language}.tsv", tsv(list(topics_of(language, "dev").items())))


def held_out_sentences(language: str) -> list[str]:
    """As many in every language; those in Telugu are the English ones."""
    return sentences(32 if language == "sw" else 31, SENTENCES, words=6)


def small_search(folder: Path, data: Path) -> Search:
    """The declared search with its paths and sizes replaced, over epsilon alone; its first trial is a student of
    ``small_study``."""
    first = next(point.run for point in expand(small_study(folder, data)) if point.role is Role.STUDENT)
    assert isinstance(first, Student)
    return replace(
        SEARCH,
        name="search_small_miracl",
        base=first,
        space=(Parameter(name="epsilon", path="objective.epsilon", domain=LogUniform(low=0.01, high=0.1)),),
        trials=2,
        first=({"epsilon": 0.03}, {"epsilon": 0.1}),
        retrieval=tuple(
            replace(searched, collection=small_miracl(searched.language), pool=Pool(queries=8, size=40))
            for searched in SEARCH.retrieval
            if searched.language in PAIR
        ),
        execution=replace(SMALL, zero_stage=2),
    )


def direct_text(data: Path, text: ParallelText) -> ParallelText:
    """A text with lines of Swahili and Telugu beside its own; both sides are one sentence."""
    declared = nllb("sw", "te", names=("swh_Latn", "tel_Telu"), revision=text.corpora[0].revision)
    files = Moses(source="direct/sw.txt", target="direct/te.txt")
    for path in (files.source, files.target):
        write(data / path, "".join(f"{line}\n" for line in sentences(40, DIRECT)))
    revision = revision_of_files(data, (files.source, files.target))
    corpus = replace(declared, files=files, least_score=None, revision=revision)
    # The corpora's order is not that of the lines.
    return replace(text, corpora=(corpus, *text.corpora), filters=replace(text.filters, keep_identical=True))


def small_sentences(data: Path) -> tuple[Corpus, ...]:
    """Corpora of the alignment that the declared study measures."""
    assert isinstance(ALIGNED.estimand, AlignmentImprovement)
    found = []
    for corpus in ALIGNED.estimand.alignment.sentences:
        if corpus.source in PAIR:
            files = Moses(source=f"flores/{corpus.source}.devtest", target="flores/en.devtest")
            found.append(replace(corpus, files=files, revision=revision_of_files(data, (files.source, files.target))))
    return tuple(sorted(found, key=lambda corpus: PAIR.index(corpus.source)))


def aligned_study(folder: Path, data: Path) -> Study:
    """The declared study of alignment with its paths and sizes replaced, over the students of ``small_study``."""
    study = small_study(folder, data, name="small_aligned")
    assert isinstance(ALIGNED.estimand, AlignmentImprovement)
    alignment = replace(ALIGNED.estimand.alignment, sentences=small_sentences(data))
    estimand = replace(ALIGNED.estimand, alignment=alignment, compute=None)
    return replace(study, estimand=estimand, rivals=ALIGNED.rivals)


def write_teacher(folder: Path) -> None:
    """A multi-vector checkpoint that sentence-transformers loads, with random weights."""
    rung = write_encoder(folder / "teacher-encoder")
    encoder = build(rung, TOKEN_SIZE, dropout=0.0, seed=3).eval()
    write_model(encoder, AutoTokenizer.from_pretrained(str(rung.weights)), folder / "teacher")


def _publish_miracl(language: str) -> None:
    shard = [
        {"docid": f"{place}#0", "title": f"T{place}", "text": text} for place, text in enumerate(passages_of(language))
    ]
    # As published: Swahili in one file, Telugu in two.
    publish_miracl_passages(language, [shard] if language == "sw" else [shard[:40], shard[40:]])
    for split in small_miracl(language).splits:
        first = {"train": 30, "dev": 0}.get(split.name, 0)
        judged = [(str(place), f"{first + place}#0", 1) for place in range(QUERIES)]
        publish_split(small_miracl(language), split, topics_of(language, split.name), judged if split.judged else [])


def small_miracl(language: str) -> IrDataset:
    declared = replace(miracl(language), count=PASSAGES)
    assert published_revision(declared) == declared.revision
    return declared


def small_text(data: Path, kept_out: Sequence[Collection]) -> ParallelText:
    """The study's parallel text over the small corpora: Moses pairs in the place of OPUS's archives."""
    declared = STUDY.base.bitext
    assert isinstance(declared, ParallelText)
    corpora = tuple(_corpus(data, corpus) for corpus in declared.corpora if corpus.source in PAIR)
    caps = tuple((pair, number) for pair, number in declared.caps if pair.partition("-")[0] in PAIR)
    text = small_sentences(data)
    return replace(declared, corpora=corpora, caps=caps, kept_out=tuple(kept_out), kept_out_text=text)


def _corpus(data: Path, corpus: Corpus) -> Corpus:
    assert corpus == opus("NLLB", *sorted((corpus.source, "en")), revision=corpus.revision)
    files = Moses(source=f"NLLB/{corpus.source}.txt", target=f"NLLB/{corpus.source}.en.txt")
    return replace(corpus, files=files, revision=revision_of_files(data, (files.source, files.target)))


def local_english(data: Path) -> LocalCollection:
    paths = ("local/docs.tsv", "local/topics.tsv", "local/qrels.txt")
    columns = {"id_field": "id", "text_fields": ("text",), "columns": ("id", "text")}
    return LocalCollection(
        name="local-english",
        pair=Pair(query="en", document="en"),
        documents=Documents(layout=Layout.TSV, paths=paths[:1], **columns),  # type: ignore[arg-type]
        splits=(
            LocalSplit(
                name="dev",
                topics=Topics(layout=Layout.TSV, paths=paths[1:2], **columns),  # type: ignore[arg-type]
                qrels=paths[2:],
            ),
        ),
        relevance=Relevance(grades=(0, 1), relevant_from=1, judge=Judge.PEOPLE),
        licence=None,
        revision=revision_of_files(data, paths),
    )


def translated_topics(data: Path, language: str) -> TranslatedTopics:
    path = f"local/topics.{language}.tsv"
    return TranslatedTopics(
        original=local_english(data),
        language=language,
        split="dev",
        path=path,
        by=People(source="the test"),
        revision=revision_of_files(data, (path,)),
    )


def small_study(folder: Path, data: Path, *, name: str = "small_miracl", is_one_objective: bool = False) -> Study:
    """The declared study with its paths and sizes replaced, and without the five languages that were not written.

    With one objective it has half of the runs, and no contrast between objectives. The rival that is trained to
    retrieve is in :mod:`tests.harness.supervised_study`.
    """
    assert set(PAIR) < set(MIRACL_SEVEN)
    asked = tuple(small_miracl(language) for language in PAIR)
    assert isinstance(STUDY.estimand, ResourceEffect)
    estimand = replace(STUDY.estimand, compute=None)
    return replace(
        STUDY,
        name=name,
        base=_small_student(folder, data, asked),
        axes=tuple(_small_axis(axis, folder, is_one_objective) for axis in STUDY.axes),
        estimand=replace(estimand, reference=None, against=None) if is_one_objective else estimand,
        hold_out=f"xlm-r-{WIDTHS[-1]}",
        retrieval=tuple(
            replace(searched, collection=collection, pool=Pool(queries=8, size=40))
            for searched in STUDY.retrieval
            for collection in asked
            if searched.language == collection.pair.query
        ),
        rivals=(Role.UNTRAINED,),
        supervised=(),
        execution=SMALL,
        executions=(),
    )


def translated_study(folder: Path, data: Path) -> Study:
    """The same question in the reading in which the teacher reads English passages, whole."""
    asked: tuple[Collection, ...] = (local_english(data), *(translated_topics(data, language) for language in PAIR))
    study = small_study(folder, data, name="small_translated")
    bitext = small_text(data, asked)
    return replace(
        study,
        base=replace(study.base, bitext=bitext),
        retrieval=tuple(Searched(collection=collection) for collection in asked),
    )


@cache
def rung_of(folder: Path, width: int) -> Rung:
    architecture = replace(ARCHITECTURE, hidden_size=width, embedding_size=width)
    return Rung(name=f"xlm-r-{width}", architecture=architecture, weights=str(folder / f"xlm-r-{width}"))


def _small_student(folder: Path, data: Path, kept_out: Sequence[IrDataset]) -> Student:
    teacher = STUDY.base.teacher
    assert isinstance(teacher, PublishedTeacher)
    local = {"checkpoint": str(folder / "teacher"), "revision": content_revision(folder / "teacher")}
    return replace(
        STUDY.base,
        teacher=replace(teacher, **local, token_size=TOKEN_SIZE),  # type: ignore[arg-type]
        rung=rung_of(folder, WIDTHS[0]),
        bitext=small_text(data, kept_out),
        schedule=Schedule(steps=20, warmup_steps=2),
        global_batch=32,
    )


def _small_axis(axis: Axis, folder: Path, is_one_objective: bool) -> Axis:
    match axis.name:
        case "rung":
            settings = (
                Setting(
                    label=f"xlm-r-{width}",
                    assign=(("rung", rung_of(folder, width)), ("optimiser.learning_rate", 0.01)),
                )
                for width in WIDTHS
            )
            return replace(axis, settings=tuple(settings))
        case "objective":
            return replace(axis, settings=axis.settings[:1]) if is_one_objective else axis
        case "rotation":
            return rotations(2, PAIR, low=0.1)
        case _:
            return axis
