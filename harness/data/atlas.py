"""The embedded collection `atlas`: built on first use from Babel's CLDR data, then read from storage.

Its revision is a literal of the declaration. What is built, and what is read, must hash to it, or nothing
starts.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from harness.data.bitext import DirectLine, Line, bitext_lines, direct_lines
from harness.data.cldr import ENGLISH
from harness.data.compositions import Query, judge
from harness.data.content import Content, content_from_json, content_to_json, write_content
from harness.data.passages import Passage
from harness.data.pretraining import Text, pretraining_texts
from harness.data.revision import revision_of
from harness.data.tokenizer import fertility, load_tokenizer, save_tokenizer, train_tokenizer
from studies.schema.atlas import Atlas, Bitext
from studies.schema.evaluation import Split
from studies.schema.run import PretrainingText
from studies.schema.storage import Storage, publish, read_manifest

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

# Versions that the declared revisions were computed with; the project's dependencies pin the same.
PINNED = {"babel": "2.18.0", "tokenizers": "0.23.3"}

CONTENT = "content.json"
TOKENIZER = "tokenizer"


@dataclass(frozen=True, kw_only=True)
class TeacherPair:
    """A training query in English, and the passages about its names, those held out left aside."""

    query: str
    text: str
    positives: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class AtlasData:
    """The collection in memory. ``fertility`` is mean tokens per name by language, English among them."""

    declaration: Atlas
    content: Content
    fertility: Mapping[str, float]
    folder: Path

    @property
    def passages(self) -> tuple[Passage, ...]:
        """The English passages, one per entity, in a fixed order; a passage's id is its entity's."""
        return self.content.passages

    @cached_property
    def queries(self) -> Mapping[str, tuple[Query, ...]]:
        """Queries by split, in order of id, the same in every language."""
        return {split: tuple(query for query in self.content.queries if query.split is split) for split in Split}

    @property
    def tokenizer_folder(self) -> Path:
        """The directory that ``AutoTokenizer`` loads."""
        return self.folder / TOKENIZER

    def tokenizer(self) -> "PreTrainedTokenizerFast":
        """The collection's tokenizer, with exactly the declared vocabulary."""
        return load_tokenizer(self.tokenizer_folder)

    def text(self, query: Query, language: str) -> str:
        """The query as it is put in a language; English included."""
        return query.texts[language]

    def is_cognate(self, query: Query, language: str) -> bool:
        """Whether the language spells every name of the query as English does, in whatever order."""
        name_of = self.content.name_of
        return all(name_of[name][language] == name_of[name][ENGLISH] for name in query.names)

    def qrels(self, split: str) -> dict[str, dict[str, int]]:
        """Grades by query id and passage id: 2 about a named entity, 1 mentions two of the names."""
        return judge(self.queries[split], self.passages)

    def teacher_pairs(self) -> tuple[TeacherPair, ...]:
        """English training queries with their positives, no held-out passage among them."""
        held_out = {passage.id for passage in self.passages if passage.held_out}
        pairs = (
            TeacherPair(
                query=query.id,
                text=query.texts[ENGLISH],
                positives=tuple(name for name in query.names if name not in held_out),
            )
            for query in self.queries[Split.TRAIN]
        )
        return tuple(pair for pair in pairs if pair.positives)

    def bitext(self, declaration: Bitext) -> tuple[Line, ...]:
        """The declared lines with English, language after language, each from one sequence of compositions."""
        return bitext_lines(self.content, *self._drawn(declaration), declaration.direct)

    def direct(self, declaration: Bitext) -> tuple[DirectLine, ...]:
        """The declared lines without English, pair after pair; none where no pair is declared."""
        if not declaration.direct:
            return ()
        return direct_lines(self.content, *self._drawn(declaration), declaration.direct)

    def _drawn(self, declaration: Bitext) -> tuple[int, tuple[tuple[str, float], ...], float]:
        """Lines, exposure and coverage of a bitext; ValueError where it is drawn from another collection."""
        if declaration.collection != self.declaration:
            raise ValueError(
                f"the bitext is drawn from atlas {declaration.collection.revision}, this is atlas "
                f"{self.declaration.revision}; declare both with the same collection"
            )
        return declaration.lines, declaration.exposure, declaration.lexical_coverage

    def pretraining(self, declaration: PretrainingText) -> tuple[Text, ...]:
        """The declared texts, language after language, each a prefix of one sequence of texts."""
        if declaration.collection != self.declaration:
            raise ValueError(
                f"the text is drawn from atlas {declaration.collection.revision}, this is atlas "
                f"{self.declaration.revision}; declare both with the same collection"
            )
        return pretraining_texts(self.content, declaration.texts, declaration.shares)

    def names_in(self, declaration: Bitext) -> dict[str, frozenset[str]]:
        """By language, ids of the entities that the declared bitext names at least once."""
        lines: tuple[Line | DirectLine, ...] = (*self.bitext(declaration), *self.direct(declaration))
        return {
            language: frozenset(name for line in lines if line.language == language for name in line.names)
            for language in self.declaration.languages
        }

    def name_lists(self, language: str) -> dict[str, str]:
        """A language's passages by id: an entity's name and the names that its English passage mentions."""
        return {
            passage.id: self.content.patterns[language].join(
                [self.content.name_of[name][language] for name in (passage.id, *passage.mentions)]
            )
            for passage in self.passages
        }


def declare(languages: Sequence[str], vocabulary_size: int) -> Atlas:
    """The declaration of a new collection, its revision computed with what is installed; a few seconds."""
    content = write_content(languages)
    tokenizer = train_tokenizer(content.entities, content.passages, languages, vocabulary_size)
    return _describe(content, tokenizer.to_str())


def open_atlas(storage: Storage, declaration: Atlas) -> AtlasData:
    """Read the declared collection, building and publishing it first where it is missing.

    ValueError when what is built, or was once stored, is not what is declared; Damaged when a file changed.
    """
    folder = storage.collection(f"atlas-{declaration.revision}")
    if read_manifest(folder) is None:
        _build(folder, declaration)
    manifest = read_manifest(folder)
    if manifest is None:
        raise ValueError(f"{folder} was removed while it was built; keep the storage root and start again")
    content = content_from_json((folder / CONTENT).read_text(encoding="utf-8"))
    tokenizer_json = (folder / TOKENIZER / "tokenizer.json").read_text(encoding="utf-8")
    _check(declaration, _describe(content, tokenizer_json), f"stored in {folder}")
    return AtlasData(declaration=declaration, content=content, fertility=manifest.facts["fertility"], folder=folder)


def _build(folder: Path, declaration: Atlas) -> None:
    content = write_content(declaration.languages)
    tokenizer = train_tokenizer(content.entities, content.passages, declaration.languages, declaration.vocabulary_size)
    installed = {package: version(package) for package in PINNED}
    gives = " and ".join(f"{package} {number}" for package, number in installed.items())
    _check(declaration, _describe(content, tokenizer.to_str()), f"what {gives} give")
    facts = {**installed, "fertility": fertility(tokenizer, content.entities, content.languages)}
    with publish(folder, facts=facts) as partial:
        (partial / CONTENT).write_text(content_to_json(content), encoding="utf-8")
        save_tokenizer(tokenizer, partial / TOKENIZER)


def _describe(content: Content, tokenizer_json: str) -> Atlas:
    return Atlas(
        languages=content.languages,
        vocabulary_size=len(json.loads(tokenizer_json)["model"]["vocab"]),
        revision=revision_of(content, tokenizer_json),
    )


def _check(declared: Atlas, found: Atlas, source: str) -> None:
    if found != declared:
        pinned = " ".join(f"{package}=={number}" for package, number in PINNED.items())
        raise ValueError(
            f"declared is {_spell(declared)}; {source} is {_spell(found)}. Install {pinned}; if the "
            f"collection was changed on purpose, declare revision {found.revision!r}"
        )


def _spell(atlas: Atlas) -> str:
    return f"atlas {atlas.revision!r} of {' '.join(atlas.languages)} with {atlas.vocabulary_size} tokens"
