"""Translated queries: made once for a translator, a way of decoding and a list of texts, then read from storage."""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import assert_never

from harness.translator import QueryTranslator
from studies.schema.key import canonical, digest, run_key, translator_key
from studies.schema.run import Translator
from studies.schema.storage import Storage, publish, read_manifest
from studies.schema.translation import Decoding, PublishedTranslator

FILE = "translations.json"


def translate(
    storage: Storage,
    translator: Translator | PublishedTranslator,
    decoding: Decoding,
    texts: Sequence[str],
    language: str,
) -> list[str]:
    """English of every text in order; some may be empty, as the model left them.

    Raises ValueError when the translator was not trained yet or cannot be loaded, Damaged for altered files.
    """
    asked = digest("translations/1", [canonical(decoding), language, list(texts)])
    folder = storage.translations(translator_key(translator), f"{language}-{asked}")
    if read_manifest(folder) is None:
        found = _opened(storage, translator).translate(texts, language, decoding)
        with publish(folder, facts={"language": language}) as partial:
            (partial / FILE).write_text(json.dumps(found, ensure_ascii=False, indent=0), encoding="utf-8")
    stored: list[str] = json.loads((folder / FILE).read_text(encoding="utf-8"))
    return stored


@lru_cache(maxsize=1)
def _opened(storage: Storage, translator: Translator | PublishedTranslator) -> QueryTranslator:
    """The model, kept for the next language."""
    match translator:
        case Translator():
            folder = storage.final(run_key(translator))
            if read_manifest(folder) is None:
                raise ValueError(f"run {run_key(translator)} has no trained model in {folder}; train it first")
            return QueryTranslator.load(PublishedTranslator(weights=str(folder)))
        case PublishedTranslator():
            return QueryTranslator.load(translator)
        case unknown:
            assert_never(unknown)
