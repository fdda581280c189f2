"""What an evaluation of translated queries records beside its scores: their quality, their texts, their defects."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.data.atlas import AtlasData
from harness.data.compositions import Query
from harness.data.names import ENGLISH
from harness.data.translations import is_empty, quality, signatures
from studies.schema.key import run_key
from studies.schema.record import Flag
from studies.schema.run import System, TranslateQuery, Translator
from studies.schema.state import read_state
from studies.schema.storage import Storage

Asked = Mapping[str, Sequence[str]]
"""What was asked for each query, by language."""


def translation_summary(atlas: AtlasData, queries: Sequence[Query], asked: Asked) -> dict[str, Any]:
    """chrF, BLEU and the number of empty translations by language, against the English texts of the queries."""
    english = [atlas.text(query, ENGLISH) for query in queries]
    by_language = {language: asdict(quality(texts, english)) for language, texts in asked.items()}
    return {
        **{
            name: {language: found[name] for language, found in by_language.items()}
            for name in ("chrf", "bleu", "empty")
        },
        "signatures": signatures(),
    }


def write_translations(path: Path, atlas: AtlasData, queries: Sequence[Query], asked: Asked) -> None:
    """A table to read: every query in its language, in English, and as it was translated."""
    lines = ["language\tquery\ttext\tenglish\ttranslation\n"]
    for language, texts in asked.items():
        for query, text in zip(queries, texts, strict=True):
            row = (language, query.id, atlas.text(query, language), atlas.text(query, ENGLISH), text)
            lines.append("\t".join(" ".join(cell.split()) for cell in row) + "\n")
    path.write_text("".join(lines), encoding="utf-8")


def flags_of(storage: Storage, run: System, asked: Asked) -> list[str]:
    """Stated defects of a system: its translator's own, empty translations, and those that it had already."""
    if not isinstance(run, TranslateQuery):
        return []
    found = set(read_state(storage, run_key(run)).flags)
    if isinstance(run.translator, Translator):
        found.update(read_state(storage, run_key(run.translator)).flags)
    if any(is_empty(text) for texts in asked.values() for text in texts):
        found.add(Flag.EMPTY_TRANSLATION)
    return sorted(found)
