"""Whether the published and local files that a study's runs read are there: looked at before any device is used.

What a hub or ``ir_datasets`` can fetch is fetched by looking; a user's own files lie below the storage's data folder.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from harness.data.collections import load
from harness.data.own_tokenizer import own_tokenizer
from harness.data.parallel_files import find_corpus
from harness.data.published import Unavailable
from harness.data.triple_files import check_source
from harness.published_files import find_weights, found, look_over
from studies.schema.collection import Collection
from studies.schema.evaluation import Evaluation
from studies.schema.parallel import ParallelText
from studies.schema.published_teacher import PublishedTeacher
from studies.schema.run import Preparatory, Run, Student, Supervised, teacher_of
from studies.schema.rung import Rung
from studies.schema.storage import Storage
from studies.schema.triples import RetrievalTriples


def check_available(storage: Storage, runs: Sequence[Run], evaluation: Evaluation) -> None:
    """Raise one ValueError that names everything that is missing, and where to put it."""
    problems: list[str] = []
    for look in _looks(storage, runs, evaluation):
        try:
            look()
        except (ValueError, OSError) as problem:
            problems.append(str(problem))
    problems += _without(storage, _collections(runs, evaluation))
    if problems:
        found = list(dict.fromkeys(" ".join(problem.split()) for problem in problems))
        listed = "".join(f"\n- {problem}" for problem in found)
        raise ValueError(
            f"{len(found)} things that the study reads are missing or not as declared; files of your own go below "
            f"{storage.data()}:{listed}"
        )


def _looks(storage: Storage, runs: Sequence[Run], evaluation: Evaluation) -> Iterator[Callable[[], object]]:
    """One look for every teacher, rung, source of triples and corpus."""
    teachers = {teacher_of(run): None for run in runs if not isinstance(run, Preparatory)}
    yield from (partial(_teacher, teacher) for teacher in teachers if isinstance(teacher, PublishedTeacher))
    yield from (partial(_rung, run.rung) for run in {run.rung: run for run in _readers_of_text(runs)}.values())
    for source in dict.fromkeys(source for text in _triples(runs) for source in text.sources):
        yield partial(check_source, storage.data(), source)
    asked = () if evaluation.alignment is None else evaluation.alignment.sentences
    read = [corpus for text in _texts(runs) for corpus in (*text.corpora, *text.kept_out_text)]
    for corpus in dict.fromkeys([*read, *asked]):
        yield partial(find_corpus, storage.data(), corpus)


def _without(storage: Storage, collections: Sequence[Collection]) -> Iterator[str]:
    """What is wrong with collections; where a host cannot be reached, the others are only named, as each would wait."""
    for place, declaration in enumerate(collections):
        try:
            load(declaration, storage.data())
        except Unavailable as problem:
            yield str(problem)
            if rest := [later.name for later in collections[place + 1 :]]:
                yield f"not looked for after that: {', '.join(rest)}"
            return
        except (ValueError, OSError) as problem:
            yield str(problem)


def _collections(runs: Sequence[Run], evaluation: Evaluation) -> list[Collection]:
    """What is asked, and what is kept out of training, each once."""
    asked = [searched.collection for searched in evaluation.retrieval]
    texts: list[ParallelText | RetrievalTriples] = [*_texts(runs), *_triples(runs)]
    return list(dict.fromkeys([*asked, *(collection for text in texts for collection in text.kept_out)]))


def _readers_of_text(runs: Sequence[Run]) -> list[Student | Supervised]:
    """What reads published text with a pretrained rung's tokenizer."""
    return [
        run
        for run in runs
        if isinstance(run, Supervised) or (isinstance(run, Student) and isinstance(run.bitext, ParallelText))
    ]


def _triples(runs: Sequence[Run]) -> list[RetrievalTriples]:
    return [run.text for run in runs if isinstance(run, Supervised)]


def _texts(runs: Sequence[Run]) -> list[ParallelText]:
    found = (run.bitext for run in runs if isinstance(run, Student))
    return [text for text in found if isinstance(text, ParallelText)]


def _teacher(declared: PublishedTeacher) -> None:
    look_over(found(declared))


def _rung(rung: Rung) -> None:
    find_weights(rung)
    own_tokenizer(rung)
