"""Translators: their loss against loops, their texts the same however they are batched, models of other makers."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import (
    M2M100Config,
    M2M100ForConditionalGeneration,
    MarianConfig,
    MarianMTModel,
    MarianTokenizer,
    PreTrainedTokenizerFast,
)

from harness.assemble import materials, model_of, save
from harness.data.atlas import AtlasData
from harness.examples import Sequences, TranslationExamples
from harness.families import PADDING
from harness.translations import translate
from harness.translator import QueryTranslator, TranslationModel
from studies.bases import ATLAS_TRANSLATOR
from studies.schema.evaluation import Split
from studies.schema.execution import Execution
from studies.schema.key import run_key, translator_key
from studies.schema.run import HELD_OUT_LINES
from studies.schema.storage import Storage
from studies.schema.translation import Decoding, PublishedTranslator

CPU = torch.device("cpu")
SHORT = Decoding(max_tokens=12)
NARROW = replace(
    ATLAS_TRANSLATOR,
    architecture=replace(ATLAS_TRANSLATOR.architecture, hidden_size=16, num_heads=2, intermediate_size=24),
    seed=3,
)
LOSS_TOLERANCE = 1e-5
"""Logits are of order one and the lexicon has 8,000 tokens: a thousand times float32's rounding."""


def examples(source: Sequence[Sequence[int]], english: Sequence[Sequence[int]]) -> TranslationExamples:
    return TranslationExamples(
        source=Sequences.of(source, PADDING),
        english=Sequences.of(english, PADDING),
        english_of=np.arange(len(source)),
    )


def next_logits(model: TranslationModel, source: Sequence[int], before: Sequence[int]) -> Tensor:
    """Logits of the token that follows ``before``, shape (V,)."""
    ids, english = torch.tensor([source]), torch.tensor([before])
    everywhere = (torch.ones_like(ids, dtype=torch.bool), torch.ones_like(english, dtype=torch.bool))
    logits_TV: Tensor = model(ids, everywhere[0], english, everywhere[1])
    return logits_TV[-1]


def loss_by_loops(model: TranslationModel, source: Sequence[int], english: Sequence[int]) -> float:
    """Mean over a line's tokens of minus the log of the share that softmax gives the token, one at a time."""
    total = 0.0
    for place in range(1, len(english)):
        logits_V = next_logits(model, source, english[:place]).double()
        total -= float(torch.log(torch.exp(logits_V)[english[place]] / torch.exp(logits_V).sum()))
    return total / (len(english) - 1)


sides = st.lists(st.integers(5, 7999), min_size=1, max_size=6).map(lambda ids: [0, *ids, 2])


@pytest.fixture(scope="module")
def model(atlas_storage: Storage) -> TranslationModel:
    built = model_of(atlas_storage, NARROW)
    assert isinstance(built, TranslationModel)
    return built.eval()


@settings(max_examples=25)
@given(st.lists(st.tuples(sides, sides), min_size=1, max_size=4))
def test_loss_equals_loops_whatever_is_padded_and_however_a_batch_is_cut(
    model: TranslationModel, lines: list[tuple[list[int], list[int]]]
) -> None:
    source, english = [line[0] for line in lines], [line[1] for line in lines]
    with torch.no_grad():
        expected = [loss_by_loops(model, *line) for line in lines]
        whole, _ = examples(source, english).loss(model, np.arange(len(lines)), CPU)
        alone = [examples(source, english).loss(model, np.array([place]), CPU)[0] for place in range(len(lines))]
    assert float(whole) == pytest.approx(np.mean(expected), abs=LOSS_TOLERANCE)
    assert [float(loss) for loss in alone] == pytest.approx(expected, abs=LOSS_TOLERANCE)


def test_model_before_its_first_step_knows_nothing_and_is_drawn_from_its_seed(
    atlas_storage: Storage, model: TranslationModel
) -> None:
    again, other = model_of(atlas_storage, NARROW), model_of(atlas_storage, replace(NARROW, seed=4))
    same = [torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True)]
    assert all(same)
    assert any(not torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
    lines = examples([[0, 5, 6, 2]] * 50, [[0, token, 2] for token in range(100, 150)])
    with torch.no_grad():
        loss, _ = lines.loss(model, np.arange(50), CPU)
    assert float(loss) == pytest.approx(np.log(8000), abs=1.0)


def test_translator_learns_from_the_lines_of_its_bitext_and_is_watched_on_validation_lines(
    atlas_storage: Storage, atlas: AtlasData
) -> None:
    short = replace(ATLAS_TRANSLATOR, bitext=replace(ATLAS_TRANSLATOR.bitext, lines=400))
    made = materials(atlas_storage, short, Execution(), CPU)
    lines = atlas.bitext(short.bitext)
    assert isinstance(made.train, TranslationExamples)
    assert len(made.train.lengths) == len(lines) == sum(made.facts["lines"].values())
    assert len(made.held_out.lengths) == HELD_OUT_LINES
    tokenizer = atlas.tokenizer()
    for place in (0, 777, len(lines) - 1):
        english, _ = made.train.english.padded(made.train.english_of[[place]])
        assert str(tokenizer.decode(english[0], skip_special_tokens=True)).split() == lines[place].english.split()
    trained_on = {(line.text, line.english) for line in lines}
    for query in atlas.queries[Split.TEST]:
        assert not trained_on & {(atlas.text(query, language), atlas.text(query, "en")) for language in ("de", "th")}


@pytest.fixture(scope="module")
def trained(atlas_storage: Storage, model: TranslationModel) -> Storage:
    """A storage in which the narrow translator counts as trained."""
    with atlas_storage.publish(atlas_storage.final(run_key(NARROW))) as folder:
        save(atlas_storage, NARROW, model, folder)
    return atlas_storage


def texts_of(atlas: AtlasData, language: str, count: int = 9) -> list[str]:
    return [atlas.text(query, language) for query in atlas.queries[Split.VALIDATION][:count]]


@pytest.mark.parametrize("beams", [1, 3])
def test_translations_depend_neither_on_their_company_nor_on_when_they_are_asked_for(
    trained: Storage, atlas: AtlasData, beams: int
) -> None:
    opened = QueryTranslator.load(PublishedTranslator(weights=str(trained.final(run_key(NARROW)))))
    texts, how = [*texts_of(atlas, "de"), *texts_of(atlas, "th")], replace(SHORT, beams=beams)
    together = opened.translate(texts, "de", how)
    assert len(set(together)) > 1
    assert opened.translate(texts, "de", how) == together
    assert opened.translate(texts[::-1], "de", how) == together[::-1]
    assert [opened.translate([text], "de", how)[0] for text in texts] == together


def test_greedy_translation_is_the_likeliest_token_one_after_another(
    trained: Storage, atlas: AtlasData, model: TranslationModel
) -> None:
    tokenizer = atlas.tokenizer()
    opened = QueryTranslator.load(PublishedTranslator(weights=str(trained.final(run_key(NARROW)))))
    for text in texts_of(atlas, "de", 3):
        source, written = tokenizer(text)["input_ids"], [0]
        while len(written) < SHORT.max_tokens and written[-1] != 2:
            with torch.no_grad():
                written.append(int(next_logits(model, source, written).argmax()))
        expected = str(tokenizer.decode(written, skip_special_tokens=True)).strip()
        assert opened.translate([text], "de", SHORT) == [expected]


def test_translations_are_kept_and_another_list_or_decoding_is_translated_anew(
    trained: Storage, atlas: AtlasData, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, calls = texts_of(atlas, "sw", 3), []
    honest = QueryTranslator.translate

    def counted(self: QueryTranslator, *asked: Any) -> list[str]:
        calls.append(asked)
        return honest(self, *asked)

    monkeypatch.setattr(QueryTranslator, "translate", counted)
    first = translate(trained, NARROW, SHORT, texts, "sw")
    assert translate(trained, NARROW, SHORT, texts, "sw") == first
    assert len(calls) == 1
    for changed in ((SHORT, texts[:2], "sw"), (replace(SHORT, beams=2), texts, "sw"), (SHORT, texts, "de")):
        translate(trained, NARROW, *changed)
    assert len(calls) == 4
    assert len(list((trained.root / "translations" / translator_key(NARROW)).iterdir())) == 4


def test_translator_that_was_not_trained_is_named(atlas_storage: Storage) -> None:
    absent = replace(NARROW, seed=99)
    with pytest.raises(ValueError, match=f"{run_key(absent)} has no trained model"):
        translate(atlas_storage, absent, SHORT, ["a"], "de")


class Told(PreTrainedTokenizerFast):
    """A tokenizer that begins a text with the code of its language, as those of NLLB and M2M100 do."""

    src_lang = ""

    def __call__(self, text: Any, **how: Any) -> Any:
        return super().__call__([f"{self.src_lang} {one}" for one in text], **how)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, atlas: AtlasData) -> Path:
    """A tiny M2M100 with random weights and a token for each of two languages, as its makers would publish one."""
    folder = tmp_path_factory.mktemp("published")
    tokenizer = atlas.tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["deu_Latn", "eng_Latn"]})
    tokenizer.save_pretrained(str(folder))
    torch.manual_seed(0)
    shape: dict[str, Any] = {
        f"{side}_{what}": 2 for side in ("encoder", "decoder") for what in ("layers", "attention_heads")
    }
    config = M2M100Config(
        vocab_size=len(tokenizer),
        d_model=16,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        max_position_embeddings=64,
        init_std=0.3,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=2,
        **shape,
    )
    M2M100ForConditionalGeneration(config).save_pretrained(folder)
    return folder


def test_published_model_writes_the_declared_language_and_is_told_the_source(
    published: Path, atlas: AtlasData, storage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared = PublishedTranslator(weights=str(published), target="eng_Latn")
    opened = QueryTranslator.load(declared)
    texts = texts_of(atlas, "de", 3)
    begun: list[Tensor] = []
    generate = opened.model.generate

    def watched(**asked: Any) -> Tensor:
        begun.append(generate(**asked))
        return begun[-1]

    monkeypatch.setattr(opened.model, "generate", watched)
    assert all(opened.translate(texts, "de", SHORT))
    assert {int(ids[1]) for ids in begun[0]} == {opened.target}
    assert translate(Storage.at(storage), declared, SHORT, texts, "de") == opened.translate(texts, "de", SHORT)
    told = Told.from_pretrained(str(published), local_files_only=True)
    speaking = replace(opened, tokenizer=told, codes={"de": "deu_Latn"})
    assert speaking._encode(texts, "de")[0][1] == told.convert_tokens_to_ids("deu_Latn")


def test_marian_model_with_its_sentencepiece_files_is_loaded_and_translates(atlas: AtlasData, tmp_path: Path) -> None:
    german, english = texts_of(atlas, "de", 200), texts_of(atlas, "en", 200)
    for name, texts in (("source", german), ("target", english)):
        (tmp_path / f"{name}.txt").write_text("\n".join(texts), encoding="utf-8")
        sentencepiece.SentencePieceTrainer.train(
            input=str(tmp_path / f"{name}.txt"), model_prefix=str(tmp_path / name), vocab_size=250, minloglevel=2
        )
    pieces = {"</s>": 0, "<unk>": 1}
    for name in ("source", "target"):
        model = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / f"{name}.model"))
        for place in range(3, model.get_piece_size()):
            pieces.setdefault(model.id_to_piece(place), len(pieces))
    pieces["<pad>"] = len(pieces)
    (tmp_path / "vocab.json").write_text(json.dumps(pieces), encoding="utf-8")
    tokenizer = MarianTokenizer(
        source_spm=str(tmp_path / "source.model"),
        target_spm=str(tmp_path / "target.model"),
        vocab=str(tmp_path / "vocab.json"),
    )
    folder = tmp_path / "opus"
    tokenizer.save_pretrained(folder)
    shape: dict[str, Any] = {
        f"{side}_{what}": 2 for side in ("encoder", "decoder") for what in ("layers", "attention_heads")
    }
    padding = pieces["<pad>"]
    torch.manual_seed(0)
    MarianMTModel(
        MarianConfig(
            vocab_size=len(pieces),
            d_model=16,
            encoder_ffn_dim=16,
            decoder_ffn_dim=16,
            init_std=0.3,
            pad_token_id=padding,
            eos_token_id=0,
            forced_eos_token_id=0,
            decoder_start_token_id=padding,
            **shape,
        )
    ).save_pretrained(folder)
    opened = QueryTranslator.load(PublishedTranslator(weights=str(folder)))
    ids = opened._encode(german[:1], "de")[0]
    assert str(opened.tokenizer.decode(ids, skip_special_tokens=True)).split() == german[0].split()
    assert any(opened.translate(german[:3], "de", SHORT))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": "fra_Latn"}, "has no token 'fra_Latn'"),
        ({"languages": (("de", "deu_Latn"),)}, "is told no source language"),
    ],
)
def test_published_model_that_cannot_do_what_is_declared_is_refused(
    published: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        QueryTranslator.load(replace(PublishedTranslator(weights=str(published)), **changes))
