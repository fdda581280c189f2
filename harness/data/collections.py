"""Open a declared collection: read it, check all of it once, and remember that it was checked."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import assert_never

from harness.data import captions, local_files
from harness.data.atlas import AtlasData
from harness.data.captions import load_captions, load_seen_captions
from harness.data.local_files import load_local, read_topics
from harness.data.names import ENGLISH
from harness.data.published import load_published
from harness.data.records import check_files, expand
from harness.data.retrieval import Document, Loaded, Qrels, Report, inspect
from studies.schema.collection import (
    Collection,
    EntityCaptions,
    IrDataset,
    Judge,
    LocalCollection,
    Pair,
    Relevance,
    SeenCaptions,
    TranslatedTopics,
)
from studies.schema.files import Layout, Topics
from studies.schema.key import Json, canonical, digest
from studies.schema.storage import Storage, publish, read_manifest


def open_collection(storage: Storage, declaration: Collection, folder: Path | None = None) -> tuple[Loaded, Report]:
    """The collection and what was found in it. ``folder`` has the files of a local collection or of translated topics.

    The first opening reads all passages; a later one relies on its report as long as the files' sizes and times are the
    same. ValueError or OSError, naming file and line, before anything is stored.
    """
    collection = load(declaration, folder)
    identity = digest("checked/1", [canonical(declaration), _state(declaration, folder)])
    target = storage.collection(f"checked-{identity}")
    manifest = read_manifest(target)
    if manifest is not None:
        return collection, Report(**manifest.facts["report"])
    report = inspect(collection)
    with publish(target, facts={"name": declaration.name, "report": asdict(report)}):
        pass
    return collection, report


def load(declaration: Collection, folder: Path | None = None) -> Loaded:
    """Read queries and judgments; passages are read when asked for, and not yet checked."""
    match declaration:
        case IrDataset():
            return load_published(declaration)
        case LocalCollection():
            return load_local(_needed(folder, declaration), declaration)
        case EntityCaptions():
            return load_captions(_needed(folder, declaration), declaration)
        case SeenCaptions():
            return load_seen_captions(_needed(folder, declaration), declaration)
        case TranslatedTopics():
            return _translated(_needed(folder, declaration), declaration)
        case unknown:
            assert_never(unknown)


@dataclass(frozen=True, kw_only=True)
class AtlasRetrieval:
    """The embedded collection seen as any other: one collection of English passages with queries in many languages."""

    atlas: AtlasData

    @property
    def name(self) -> str:
        return "atlas"

    @property
    def revision(self) -> str:
        return self.atlas.declaration.revision

    @property
    def licence(self) -> str | None:
        return "Unicode-3.0"

    @property
    def relevance(self) -> Relevance:
        return Relevance(grades=(1, 2), relevant_from=1, judge=Judge.LINKS)

    @property
    def pairs(self) -> tuple[Pair, ...]:
        languages = (ENGLISH, *self.atlas.declaration.languages)
        return tuple(Pair(query=language, document=ENGLISH) for language in languages)

    def topics(self, split: str, language: str) -> Mapping[str, str]:
        """Texts of the split's queries by id."""
        return {query.id: self.atlas.text(query, language) for query in self.atlas.queries[split]}

    def qrels(self, split: str) -> Qrels:
        """Grades by query and passage."""
        return self.atlas.qrels(split)

    def blocks(self, size: int) -> Iterator[Sequence[Document]]:
        """The passages in their order."""
        passages = [Document(passage.id, passage.text) for passage in self.atlas.passages]
        yield from (passages[first : first + size] for first in range(0, len(passages), size))


def _translated(folder: Path, declaration: TranslatedTopics) -> Loaded:
    check_files(f"topics {declaration.path}", folder, (declaration.path,), declaration.revision)
    original = load(declaration.original, folder)
    split = declaration.split
    file = Topics(
        layout=Layout.TSV, paths=(declaration.path,), id_field="id", text_fields=("text",), columns=("id", "text")
    )
    texts = read_topics(folder, file)
    judgments = {name: qrels for name, qrels in original.judgments.items() if name == split}
    wanted = set(judgments.get(split) or original.texts[split])
    missing, foreign = sorted(wanted - texts.keys()), sorted(texts.keys() - original.texts[split].keys())
    if missing or foreign:
        raise ValueError(
            f"{folder / declaration.path}: {len(missing)} queries of split {split!r} of {original.name} are missing "
            f"({' '.join(missing[:3])}), {len(foreign)} do not belong to it ({' '.join(foreign[:3])}); translate the "
            "split's own topics, and all of them"
        )
    return Loaded(
        name=declaration.name,
        revision=f"{original.revision}.{declaration.revision}",
        licence=original.licence,
        relevance=original.relevance,
        pair=declaration.pair,
        texts={split: texts},
        judgments=judgments,
        source=original.source,
        locate=original.locate,
        count=original.count,
    )


def _needed(folder: Path | None, declaration: Collection) -> Path:
    if folder is None:
        raise ValueError(f"{declaration.name} is read from files; name the folder that has them")
    return folder


def _state(declaration: Collection, folder: Path | None) -> Json:
    """Sizes and times of the user's own files; ``ir_datasets`` looks after its own."""
    match declaration:
        case IrDataset():
            return {}
        case LocalCollection():
            names = local_files.patterns(declaration)
        case EntityCaptions() | SeenCaptions():
            names = captions.patterns(declaration)
        case TranslatedTopics():
            topics = _stamp(_needed(folder, declaration) / declaration.path)
            return [topics, _state(declaration.original, folder)]
        case unknown:
            assert_never(unknown)
    root = _needed(folder, declaration)
    return {path.relative_to(root).as_posix(): _stamp(path) for path in expand(root, names)}


def _stamp(path: Path) -> Json:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]
