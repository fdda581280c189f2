"""Collections through ``ir_datasets``, which fetches their published files and compares their MD5 sums."""

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from functools import partial
from hashlib import sha256
from typing import Any

import requests

from harness.data.retrieval import Document, Loaded, Qrels
from studies.schema.collection import UNPINNED, IrDataset, Split
from studies.schema.triples import IrTriples

DIGITS = 10
"""Hexadecimal digits of each of the two hashes in a revision."""

Component = Any
"""A part of ``ir_datasets``, which has no types."""


class Unavailable(OSError):
    """Published files that could not be had: no network, an unreachable or gated host, documents under licence."""


def load_published(declaration: IrDataset) -> Loaded:
    """Fetch what is missing and read queries and judgments; passages are read when asked for.

    ValueError for an id, split or field that does not exist, or files other than declared; Unavailable for files that
    cannot be had.
    """
    check_published(declaration)
    return Loaded(
        name=declaration.name,
        revision=declaration.revision,
        licence=declaration.licence,
        relevance=declaration.relevance,
        pair=declaration.pair,
        texts={split.name: _topics(split, declaration) for split in declaration.splits},
        judgments={split.name: _qrels(split) for split in declaration.splits if split.judged},
        source=partial(stream_passages, declaration),
        locate=lambda split, query, passage: f"judgments of {declaration.name}, split {split!r}",
        count=declaration.count,
    )


def check_published(declaration: IrDataset) -> None:
    """Raise ValueError where the published files are not those that were declared; needs no network."""
    with explained(declaration.name, "its files"):
        revision = published_revision(declaration)
    if revision != declaration.revision:
        raise ValueError(
            f"{declaration.name} is declared with revision {declaration.revision!r}; ir_datasets "
            f"{_library().__version__} reads {revision!r}. Install the version that the catalogue names, or declare "
            "what this one reads"
        )


def published_revision(declaration: IrDataset) -> str:
    """Hashes over the MD5 sums of the files that hold the splits, and of those that hold the passages.

    They are known without a network. CLIRMatrix, whose list of sums is itself a file, has that file's.
    """
    if declaration.passages.startswith("clirmatrix/"):
        listing = _digest([_library().util.DownloadConfig.context("clirmatrix")["downloads"]])
        return f"{listing}.{listing}"
    parts: list[Component] = []
    for split in declaration.splits:
        found = _dataset(split.source, declaration)
        parts.append(found.queries_handler())
        if split.judged:
            parts.append(found.qrels_handler())
    return f"{_digest(parts)}.{_digest([_dataset(declaration.passages, declaration).docs_handler()])}"


def check_triples(declared: IrTriples) -> None:
    """Raise ValueError where the triples are not the published ones that were declared; needs no network."""
    with explained(declared.name, "its triples"):
        revision = _digest([_triples(declared).docpairs_handler()])
    if revision != declared.revision:
        raise ValueError(
            f"triples {declared.name} are declared with revision {declared.revision!r}; ir_datasets "
            f"{_library().__version__} reads {revision!r}. Declare what this one reads, or install another"
        )


def stream_triples(declared: IrTriples) -> Iterator[tuple[str, str, str]]:
    """Ids of query, relevant and other passage, in the order of their file."""
    with explained(declared.name, "its triples"):
        for triple in _triples(declared).docpairs_iter():
            yield triple.query_id, triple.doc_id_a, triple.doc_id_b


@contextmanager
def explained(name: str, what: str) -> Iterator[None]:
    """Turn what ``ir_datasets`` raises into one sentence with a remedy."""
    from ir_datasets.util import HashVerificationError

    home = os.environ.get("IR_DATASETS_HOME", "~/.ir_datasets")
    try:
        yield
    except Unavailable:
        raise
    except HashVerificationError as error:
        raise Unavailable(
            f"{name}: {what} came, but is not what was published ({error}); the host may ask for a login, or the "
            f"download broke off. Fetch it by hand into {home}, or try again"
        ) from error
    except FileNotFoundError as error:
        raise Unavailable(
            f"{name}: {what} must be fetched by hand, since its licence or host allows no other way; ir_datasets looks "
            f"for {error}, and its page on the collection says how"
        ) from error
    except EOFError as error:
        raise Unavailable(
            f"{name}: {what} breaks off or asks for a password ({error}); fetch it by hand into {home}"
        ) from error
    except requests.RequestException as error:
        raise Unavailable(_unreachable(name, what, error, home)) from error
    except RuntimeError as error:
        causes = error.args[1] if _is_download(error) else []
        network = [cause for _, cause in causes if isinstance(cause, requests.RequestException)]
        if network:
            raise Unavailable(_unreachable(name, what, network[-1], home)) from error
        raise ValueError(
            f"{name}: {what} cannot be read ({error}); delete it below {home} to fetch it again"
        ) from error
    except (UnicodeDecodeError, zlib.error, KeyError, TypeError) as error:
        raise ValueError(
            f"{name}: {what} cannot be read ({error!r}); delete it below {home} to fetch it again"
        ) from error


def _library() -> Any:
    import ir_datasets

    return ir_datasets


def _is_download(error: Exception) -> bool:
    """Whether ``ir_datasets`` lists in it why each source failed."""
    return isinstance(error, RuntimeError) and len(error.args) == 2 and isinstance(error.args[1], list)


def _unreachable(name: str, what: str, error: requests.RequestException, home: str) -> str:
    status = error.response.status_code if error.response is not None else None
    if status in (401, 403):
        return (
            f"{name}: the host of {what} refuses ({status}); it may be gated. Accept its terms and put the files into "
            f"{home}, or read them as a LocalCollection"
        )
    return (
        f"{name}: {what} cannot be fetched ({type(error).__name__}); without a network, copy {home} from a machine "
        "that has them, and set IR_DATASETS_HOME"
    )


def _dataset(name: str, declaration: IrDataset) -> Component:
    try:
        return _library().registry[name]
    except KeyError:
        near = get_close_matches(name, list(_library().registry), n=3)
        raise ValueError(
            f"ir_datasets {_library().__version__} has no {name!r}"
            + (f"; near it are {', '.join(near)}" if near else "")
            + f". {declaration.name} is declared with {', '.join(split.source for split in declaration.splits)}"
        ) from None


def _triples(declared: IrTriples) -> Component:
    found = _library().registry[declared.name] if declared.name in list(_library().registry) else None
    if found is None or not found.has_docpairs():
        raise ValueError(
            f"ir_datasets {_library().__version__} has no triples {declared.name!r}; name an id that has them, such "
            "as msmarco-passage/train/triples-v2 or mmarco/v2/de/train"
        )
    return found


def _digest(parts: list[Component]) -> str:
    from ir_datasets.util import Download

    seen: dict[int, Component] = {}
    for part in parts:
        _collect(part, seen)
    sums = {value.expected_md5 for value in seen.values() if isinstance(value, Download) and value.expected_md5}
    return sha256("\n".join(sorted(sums)).encode()).hexdigest()[:DIGITS] if sums else UNPINNED


def _collect(value: Component, seen: dict[int, Component]) -> None:
    """Note by identity everything that a part of ``ir_datasets`` is built on, its downloads among them."""
    if id(value) in seen:
        return
    if isinstance(value, list | tuple | dict):
        for item in value.values() if isinstance(value, dict) else value:
            _collect(item, seen)
    elif type(value).__module__.startswith("ir_datasets") and hasattr(value, "__dict__"):
        seen[id(value)] = value
        _collect(vars(value), seen)


def _topics(split: Split, declaration: IrDataset) -> dict[str, str]:
    texts: dict[str, str] = {}
    for query in stream_queries(split, declaration):
        if not query.text or query.id in texts:
            state = "is empty" if not query.text else "occurs twice"
            raise ValueError(f"{split.source}: query {query.id!r} {state}; name other fields, or another split")
        texts[query.id] = query.text
    if not texts:
        known = ", a known defect (its issue 292)" if split.source.endswith("trec-2023") else ""
        raise ValueError(
            f"ir_datasets finds no queries in {split.source}{known}; leave the split out, fetch its files again, or "
            "read them as a LocalCollection"
        )
    return texts


def _qrels(split: Split) -> Qrels:
    qrels: dict[str, dict[str, int]] = {}
    for _, query, passage, grade in stream_published_judgments(split):
        if qrels.setdefault(query, {}).setdefault(passage, grade) != grade:
            raise ValueError(f"{split.source} judges {passage!r} twice for query {query!r}, differently")
    return qrels


def stream_queries(split: Split, declaration: IrDataset) -> Iterator[Document]:
    """Queries in the order of their file, none of them kept; one without text has an empty one."""
    with explained(split.source, "its queries"):
        found = _dataset(split.source, declaration)
        _check_fields(split.source, found.queries_cls()._fields, declaration.query_fields)
        for query in found.queries_iter():
            yield Document(query.query_id, _text(query, declaration.query_fields))


def stream_published_judgments(split: Split) -> Iterator[tuple[str, str, str, int]]:
    """Place, query, passage and grade of every judgment, none of them kept."""
    with explained(split.source, "its judgments"):
        for judged in _library().registry[split.source].qrels_iter():
            yield f"judgments of {split.source}", judged.query_id, judged.doc_id, judged.relevance


def stream_passages(declaration: IrDataset) -> Iterator[Document]:
    """Passages in the order of their files; one without text has an empty one."""
    number = 0
    with explained(declaration.name, "its passages"):
        found = _dataset(declaration.passages, declaration)
        _check_fields(declaration.passages, found.docs_cls()._fields, declaration.passage_fields)
        try:
            for passage in found.docs_iter():
                number += 1
                yield Document(passage.doc_id, _text(passage, declaration.passage_fields))
        except (ValueError, KeyError, TypeError, RuntimeError) as error:
            if _is_download(error):
                raise
            raise ValueError(
                f"{declaration.name}, passage {number + 1} of {found.docs_handler().docs_path(False)}: {error!r}; "
                "delete the file to fetch it again"
            ) from error


def _check_fields(name: str, existing: tuple[str, ...], wanted: tuple[str, ...]) -> None:
    if missing := [field for field in wanted if field not in existing]:
        raise ValueError(f"{name} has no field {', '.join(missing)}; its fields are {', '.join(existing)}")


def _text(record: Component, fields: tuple[str, ...]) -> str:
    return " ".join(" ".join(str(getattr(record, field) or "") for field in fields).split())
