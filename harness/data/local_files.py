"""Collections in plain files: TREC, TSV, JSON lines and SGML, packed or not."""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from harness.data.records import Record, check_files, expand, records, text_lines
from harness.data.retrieval import Document, Loaded, Qrels
from studies.schema.collection import LocalCollection
from studies.schema.files import Documents, Topics


def load_local(folder: Path, declaration: LocalCollection) -> Loaded:
    """Read queries and judgments below a folder; passages are read when asked for.

    ValueError or OSError naming file and line for whatever is not as declared, the revision first of all.
    """
    check_local(folder, declaration)
    return Loaded(
        name=declaration.name,
        revision=declaration.revision,
        licence=declaration.licence,
        relevance=declaration.relevance,
        pair=declaration.pair,
        texts={split.name: read_topics(folder, split.topics) for split in declaration.splits},
        judgments={split.name: read_qrels(folder, split.qrels) for split in declaration.splits if split.qrels},
        source=lambda: read_documents(folder, declaration.documents),
        locate=partial(_locate, folder, declaration),
    )


def check_local(folder: Path, declaration: LocalCollection) -> None:
    """Raise ValueError or OSError where the files are not those that were declared."""
    check_files(declaration.name, folder, patterns(declaration), declaration.revision)


def patterns(declaration: LocalCollection) -> tuple[str, ...]:
    """All files of a collection."""
    split_files = (path for split in declaration.splits for path in (*split.topics.paths, *split.qrels))
    return (*declaration.documents.paths, *split_files)


def read_documents(folder: Path, files: Documents) -> Iterator[Document]:
    """Passages in the order of the files; one without text has an empty one."""
    for record in records(folder, files):
        yield Document(_id(record, files.id_field), _text(record, files), record.file, record.line)


def read_topics(folder: Path, files: Topics) -> dict[str, str]:
    """Texts by id; ValueError for an empty query, or an id that occurs twice."""
    texts: dict[str, str] = {}
    for query in stream_topics(folder, files):
        place = f"{query.file}, line {query.line}"
        if not query.text:
            raise ValueError(f"{place}: query {query.id!r} is empty; remove it with its judgments, or write it")
        if query.id in texts:
            raise ValueError(f"{place}: query {query.id!r} occurs a second time; keep one of them")
        texts[query.id] = query.text
    return texts


def stream_topics(folder: Path, files: Topics) -> Iterator[Document]:
    """Queries in the order of the files, none of them kept; one without text has an empty one."""
    for record in records(folder, files):
        name = _id(record, files.id_field)
        if files.id_pattern is not None:
            matched = re.fullmatch(files.id_pattern, name)
            if matched is None:
                raise ValueError(f"{record.place}: id {name!r} is not of the declared form {files.id_pattern!r}")
            name = matched[1]
        yield Document(name, _text(record, files), record.file, record.line)


def read_qrels(folder: Path, paths: tuple[str, ...]) -> Qrels:
    """Judgments in TREC's four columns (query, iteration, passage, grade) or three (without the iteration).

    A line that repeats another is read once; ValueError for one that contradicts it.
    """
    qrels: dict[str, dict[str, int]] = {}
    for place, query, passage, grade in stream_judgments(folder, paths):
        if qrels.setdefault(query, {}).setdefault(passage, grade) != grade:
            raise ValueError(
                f"{place}: passage {passage!r} has grade {grade} for query {query!r} and had "
                f"{qrels[query][passage]} before; keep one"
            )
    return qrels


def stream_judgments(folder: Path, paths: tuple[str, ...]) -> Iterator[tuple[str, str, str, int]]:
    """Place, query, passage and grade of every line, none of them kept."""
    for path in expand(folder, paths):
        columns = 0
        for number, line in text_lines(path):
            cells = line.split()
            if not cells:
                continue
            columns = columns or len(cells)
            if len(cells) != columns or columns not in (3, 4):
                raise ValueError(
                    f"{path}, line {number}: {len(cells)} columns; judgments have four (query, iteration, passage, "
                    "grade) or three (query, passage, grade), the same in the whole file"
                )
            try:
                grade = int(cells[-1])
            except ValueError:
                raise ValueError(f"{path}, line {number}: grade {cells[-1]!r} is not a whole number") from None
            yield f"{path}, line {number}", cells[0], cells[-2], grade


def _locate(folder: Path, declaration: LocalCollection, split: str, query: str, passage: str) -> str:
    paths = next(part.qrels for part in declaration.splits if part.name == split)
    return next(place for place, *ids, _ in stream_judgments(folder, paths) if ids == [query, passage])


def _id(record: Record, field: str) -> str:
    name = record.fields[field].strip()
    if not name or len(name.split()) > 1:
        raise ValueError(f"{record.place}: {name!r} is no id; an id is one word")
    return name


def _text(record: Record, files: Documents | Topics) -> str:
    return " ".join(" ".join(record.fields[field] for field in files.text_fields).split())
