"""The README of an exported model: what it reads, what it was trained on, what it is worth, and which run it is."""

from collections.abc import Iterable, Mapping, Sequence
from typing import assert_never

from harness.description import flattened
from studies.languages import LANGUAGES
from studies.schema.asked import reader_of
from studies.schema.atlas import Bitext
from studies.schema.cost import parameters_of
from studies.schema.evaluation import Searched
from studies.schema.key import canonical, run_key
from studies.schema.parallel import ParallelText
from studies.schema.published_teacher import PublishedTeacher
from studies.schema.run import AnyTeacher, Student, Supervised, Teacher, teacher_of
from studies.schema.study import Point, Study
from studies.schema.triples import JudgedText, RetrievalTriples

Measured = Mapping[str, Mapping[str, float]]
"""Value by measure and language."""

ENGLISH = "en"

Trained = Teacher | Supervised | Student
"""What was trained to read queries."""


def model_card(study: Study, point: Point, measured: Measured, flags: Sequence[str]) -> str:
    """Markdown under a YAML header, as model hubs read it."""
    run = point.run
    assert isinstance(run, Teacher | Supervised | Student)
    parts = (
        _header(run),
        _what_it_is(run),
        _data(run),
        _worth(study, run, measured, flags),
        _origin(study, point, run),
        _licence(run),
    )
    return "\n".join(line for part in parts for line in (*part, ""))


def _header(run: Trained) -> Iterable[str]:
    yield "---"
    yield "language:"
    yield from (f"- {code}" for code in _languages(run))
    yield from ("library_name: sentence-transformers", "license: other", "license_name: see-licence-below")
    if run.rung.weights is not None:
        yield f"base_model: {run.rung.weights}"
    yield "tags:"
    yield from ("- multi-vector", "- late-interaction", "- cross-lingual-retrieval", "---")


def _languages(run: Trained) -> list[str]:
    """Codes of the languages that a model was trained to read."""
    match run:
        case Teacher():
            return [ENGLISH]
        case Supervised(text=text):
            return list(text.languages)
        case Student():
            lines = run.bitext
            if isinstance(lines, ParallelText):
                return sorted(language for language in lines.languages if lines.exposure_of(language) > 0)
            return sorted(language for language, share in lines.exposure if share > 0)
        case unknown:
            assert_never(unknown)


def _what_it_is(run: Trained) -> Iterable[str]:
    counted = parameters_of(run)
    yield f"# {run.rung.name}: a multi-vector encoder"
    yield ""
    yield (
        f"{counted.non_embedding:,} parameters in its layers, {counted.total:,} in all. It gives one unit vector of "
        f"{teacher_of(run).token_size} numbers a token; a passage's score is MaxSim."
    )
    yield ""
    match run:
        case Teacher():
            yield "It reads English queries and passages."
        case Supervised(text=text):
            pairs = ", ".join(text.pairs)
            yield f"It reads queries and passages in {_spoken(run)}; it was trained on the pairs {pairs}."
        case Student():
            yield (f"It reads queries in {_spoken(run)}; {_passages(run.teacher)}")
        case unknown:
            assert_never(unknown)
    yield ""
    yield from ("```python", "from sentence_transformers import MultiVectorEncoder", "")
    yield from ('reader = MultiVectorEncoder("this directory")', 'vectors = reader.encode_query(["a query"])', "```")


def _passages(teacher: AnyTeacher) -> str:
    """Who reads the passages, in words."""
    if isinstance(teacher, PublishedTeacher):
        return (
            f"English passages are read by its teacher, `{teacher.checkpoint}` at `{teacher.revision}`, passages in "
            "any other language by itself."
        )
    if isinstance(teacher, Supervised):
        return (
            f"English passages are read by its teacher, run `{run_key(teacher)}`, which is exported in the same way, "
            "passages in any other language by itself."
        )
    return f"passages are read by its teacher, run `{run_key(teacher)}`, which is exported in the same way."


def _spoken(run: Trained) -> str:
    known = {language.code: language.name for language in LANGUAGES}
    return ", ".join(known.get(code, code) for code in _languages(run))


def _data(run: Trained) -> Iterable[str]:
    yield "## Trained on"
    yield ""
    choices = dict(flattened(canonical(run.objective), "objective"))
    objective = ", ".join(f"{name.removeprefix('objective.')} {text}" for name, text in choices.items())
    examples = f"{run.schedule.steps:,} steps of {run.global_batch} examples, objective: {objective}"
    match run:
        case Teacher():
            yield f"English queries of the collection `atlas {run.collection.revision}`, CLDR's names; {examples}."
        case Supervised(text=text):
            yield from _triples(text, examples)
        case Student():
            yield from _lines(run.bitext, examples)
        case unknown:
            assert_never(unknown)


def _triples(text: RetrievalTriples, examples: str) -> Iterable[str]:
    """What a retriever was trained on."""
    yield (
        f"At most {text.triples:,} triples of a query, a relevant and {text.given} other passage(s); {examples}. From:"
    )
    yield ""
    for source in text.sources:
        licence = source.licence or "each text has its own, or none is stated"
        pair, judged = source.pair, ""
        if isinstance(source, JudgedText):
            judged = f", judged by {source.collection.relevance.judge}"
        yield (
            f"- {source.name}, queries in {pair.query}, passages in {pair.document}{judged}, revision "
            f"`{source.revision}`, licence: {licence}"
        )


def _lines(lines: Bitext | ParallelText, examples: str) -> Iterable[str]:
    """What a student was distilled on."""
    match lines:
        case ParallelText():
            yield f"At most {lines.lines:,} lines of parallel text with English in all; {examples}. From the corpora:"
            yield ""
            for corpus in lines.corpora:
                licence = corpus.licence or "each text has its own, or none is stated"
                yield f"- {corpus.name}, revision `{corpus.revision}`, licence: {licence}"
            yield ""
            yield from _shares([(language, lines.exposure_of(language)) for language in lines.languages])
        case Bitext():
            yield (
                f"At most {lines.lines:,} lines a language of bitext with English from the collection "
                f"`atlas {lines.collection.revision}`, CLDR's names; {examples}."
            )
            yield ""
            yield from _shares(lines.exposure)
        case unknown:
            assert_never(unknown)


def _shares(exposure: Iterable[tuple[str, float]]) -> Iterable[str]:
    yield "Share of the lines that each language got:"
    yield ""
    yield ", ".join(f"{language} {share:g}" for language, share in exposure)


def _worth(study: Study, run: Trained, measured: Measured, flags: Sequence[str]) -> Iterable[str]:
    names = list(measured)
    yield "## Measured"
    yield ""
    if study.retrieval:
        yield f"The {study.depth} best passages of each query, of:"
        yield ""
        yield from (f"- {_asked(run, searched)}" for searched in study.retrieval)
    else:
        asked = f"On {study.split} queries, the {study.depth} best passages of each"
        yield f"{asked}, against all passages of the collection."
    yield ""
    yield f"| language | {' | '.join(names)} |"
    yield f"|---|{'---:|' * len(names)}"
    for language in measured[names[0]]:
        yield f"| {language} | {' | '.join(f'{measured[name][language]:.4f}' for name in names)} |"
    if flags:
        yield ""
        yield f"The run is flagged: {', '.join(flags)}. Read the figures with that in mind."


def _asked(run: Trained, searched: Searched) -> str:
    pool = searched.pool
    where = "all passages" if pool is None else f"a pool of {pool.size:,} passages for {pool.queries} queries"
    name = searched.collection.name
    return f"{searched.language}: {name}, {searched.split} queries, {where}, read by the {reader_of(run, searched)}"


def _origin(study: Study, point: Point, run: Trained) -> Iterable[str]:
    yield "## Origin"
    yield ""
    yield f"Run `{point.key}` of study `{study.name}`, version {study.version}. Seed {run.seed}, {run.precision}."
    weights = "random weights" if run.rung.weights is None else f"`{run.rung.weights}`"
    if isinstance(run, Student) and run.pretraining is not None:
        weights = f"those of pretraining, run `{run_key(run.pretraining)}`"
    yield f"Training began from {weights}. The study asks: {study.question}"


def _licence(run: Trained) -> Iterable[str]:
    yield "## Licence"
    yield ""
    if isinstance(run, Supervised):
        yield "The licences of the sources above apply to what was trained from them."
    elif isinstance(run, Student) and isinstance(run.bitext, ParallelText):
        yield "The licences of the corpora above, and of the teacher, apply to what was trained from them."
    else:
        yield "The training text is made of Unicode CLDR data, under the Unicode licence (Unicode-3.0)."
    if run.rung.weights is not None:
        yield f"The licence of `{run.rung.weights}` applies to what was trained from it."
    yield "Whoever publishes the model names its licence in the header above."
