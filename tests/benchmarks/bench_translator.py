"""Which learning rate the atlas' translator wants: python -m tests.benchmarks.bench_translator [RATE ...]

The six rates that ``search_objectives`` tries for every objective, each with the schedule that the translator of
``objectives_compared`` has, trained to the end on the bitext of rotation 0 and judged by chrF over validation queries;
test queries are not read. Runs in this process on one thread, with AdamW and the batches of a real run. The best rate
belongs into ``bases.ATLAS_TRANSLATOR``.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from sacrebleu import corpus_chrf

from harness.assemble import collection
from harness.data.names import ENGLISH
from harness.translator import QueryTranslator, TranslationModel
from studies.bases import ATLAS_LANGUAGES
from studies.objectives_compared import STUDY
from studies.schema.axes import exposure_of
from studies.schema.evaluation import Split
from studies.schema.run import Translator
from studies.schema.storage import Storage
from studies.schema.translation import GREEDY
from studies.search_objectives import RATES
from tests.benchmarks.plain_training import trained

QUERIES = 100
"""Validation queries of each language that are translated."""

EXPOSURE = exposure_of(0, 2, ATLAS_LANGUAGES, low=0.1)


def translator_of(storage: Storage, run: Translator) -> QueryTranslator:
    """A translator after its whole schedule."""
    model = trained(storage, run)
    assert isinstance(model, TranslationModel)
    tokenizer = collection(storage, run.bitext.collection).tokenizer()
    return QueryTranslator(model=model.marian, tokenizer=tokenizer, codes={}, target=None)


def chrf(storage: Storage, run: Translator, translator: QueryTranslator) -> tuple[float, float]:
    """Mean chrF over the languages at full exposure, and over the others."""
    queries = collection(storage, run.bitext.collection).queries[Split.VALIDATION][:QUERIES]
    english = [query.texts[ENGLISH] for query in queries]
    full: list[float] = []
    reduced: list[float] = []
    for language, share in run.bitext.exposure:
        written = translator.translate([query.texts[language] for query in queries], language, GREEDY)
        (full if share == 1.0 else reduced).append(corpus_chrf(written, [english]).score)
    return statistics.mean(full), statistics.mean(reduced)


def main(rates: Sequence[float]) -> None:
    assert isinstance(STUDY.translator, Translator)
    torch.set_num_threads(1)
    print(f"{'rate':>7}  {'chrF full':>9}  {'reduced':>7}  {'s':>5}")
    with tempfile.TemporaryDirectory() as folder:
        storage = Storage.at(Path(folder))
        for rate in rates:
            run = replace(
                STUDY.translator,
                bitext=replace(STUDY.translator.bitext, exposure=EXPOSURE),
                optimiser=replace(STUDY.translator.optimiser, learning_rate=rate),
            )
            began = time.monotonic()
            translator = translator_of(storage, run)
            seconds = time.monotonic() - began
            full, reduced = chrf(storage, run, translator)
            print(f"{rate:7g}  {full:9.1f}  {reduced:7.1f}  {seconds:5.0f}", flush=True)


if __name__ == "__main__":
    main([float(word) for word in sys.argv[1:]] or RATES)
