"""Translators into English: the Marian model that is trained here, and any model that transformers can translate with.

Legend: B texts, N source tokens, M English tokens of the longest text, T those of all texts, V tokens of the lexicon.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import (
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    GenerationConfig,
    MarianConfig,
    MarianMTModel,
    PreTrainedTokenizerBase,
)

from harness.families import BEGIN, END, PADDING
from studies.schema.cost import translator_parameters
from studies.schema.translation import Decoding, PublishedTranslator, Seq2Seq

TRANSLATE_BATCH = 64
"""Texts of like length that are translated together."""


class TranslationModel(nn.Module):
    """Maps source tokens and the English tokens before each place to logits over the lexicon, in float32."""

    def __init__(self, marian: MarianMTModel) -> None:
        super().__init__()
        self.marian = marian

    def forward(self, ids_BN: Tensor, mask_BN: Tensor, previous_BM: Tensor, present_BM: Tensor) -> Tensor:
        """Logits (T, V) of the token at each English place that is present, text after text.

        Padding is dropped before the lexicon is read, which is most of the work.
        """
        hidden_BMH = self.marian.model(
            input_ids=ids_BN, attention_mask=mask_BN.long(), decoder_input_ids=previous_BM, use_cache=False
        ).last_hidden_state
        logits_TV: Tensor = self.marian.lm_head(hidden_BMH[present_BM]) + self.marian.final_logits_bias
        return logits_TV.float()

    def save(self, directory: Path) -> None:
        """Write configuration and weights as Hugging Face stores them; the tokenizer is not the model's to write."""
        self.marian.save_pretrained(directory)


def configuration(architecture: Seq2Seq, *, dropout: float) -> MarianConfig:
    """The Hugging Face configuration of a shape; embeddings start at unit scale, as their lookup multiplies them."""
    heads, intermediate = architecture.num_heads, architecture.intermediate_size
    return MarianConfig(
        vocab_size=architecture.vocabulary_size,
        max_position_embeddings=architecture.max_positions,
        d_model=architecture.hidden_size,
        encoder_layers=architecture.encoder_layers,
        decoder_layers=architecture.decoder_layers,
        encoder_attention_heads=heads,
        decoder_attention_heads=heads,
        encoder_ffn_dim=intermediate,
        decoder_ffn_dim=intermediate,
        activation_function="swish",
        scale_embedding=True,
        init_std=architecture.hidden_size**-0.5,
        dropout=dropout,
        attention_dropout=dropout,
        bos_token_id=BEGIN,
        pad_token_id=PADDING,
        eos_token_id=END,
        forced_eos_token_id=None,
        decoder_start_token_id=BEGIN,
    )


def build_translator(architecture: Seq2Seq, *, dropout: float, seed: int) -> TranslationModel:
    """A new translator with random weights, drawn from ``seed`` alone.

    Raises ValueError when the model has another number of weights than its shape is counted as.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = TranslationModel(MarianMTModel(configuration(architecture, dropout=dropout)))
    counted, found = translator_parameters(architecture).total, sum(weight.numel() for weight in model.parameters())
    if counted != found:
        raise ValueError(
            f"a translator of {architecture} is counted as {counted} weights, the model has {found}; correct "
            "studies.schema.cost"
        )
    return model


@dataclass(frozen=True, kw_only=True, eq=False)
class QueryTranslator:
    """A transformers model with ``generate`` and its tokenizer, ready to translate.

    ``codes`` are the model's own names of the source languages, ``target`` is the id of the token that begins English.
    """

    model: Any
    tokenizer: PreTrainedTokenizerBase
    codes: dict[str, str]
    target: int | None

    @staticmethod
    def load(declared: PublishedTranslator) -> "QueryTranslator":
        """Read a model from safetensors, in float32; ValueError where it cannot do what the declaration says."""
        place: dict[str, Any] = {"revision": declared.revision} if declared.revision else {"local_files_only": True}
        tokenizer = AutoTokenizer.from_pretrained(declared.weights, trust_remote_code=False, **place)
        with torch.random.fork_rng(devices=[]):
            model, report = AutoModelForSeq2SeqLM.from_pretrained(
                declared.weights,
                dtype=torch.float32,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                **place,
            )
        if report["missing_keys"]:
            raise ValueError(
                f"{declared.weights} lacks weights of its model ({', '.join(sorted(report['missing_keys'])[:4])}); "
                "name a whole one"
            )
        target = _target(tokenizer, declared)
        return QueryTranslator(model=model.eval(), tokenizer=tokenizer, codes=dict(declared.languages), target=target)

    @torch.no_grad()
    def translate(self, texts: Sequence[str], language: str, decoding: Decoding) -> list[str]:
        """English of every text in order, possibly empty; texts of like length are translated together."""
        ids = self._encode(texts, language)
        how = self._generation(decoding)
        order = np.argsort([len(text) for text in ids], kind="stable")
        found = [""] * len(ids)
        for start in range(0, len(order), TRANSLATE_BATCH):
            chunk = order[start : start + TRANSLATE_BATCH]
            batch = self.tokenizer.pad({"input_ids": [ids[place] for place in chunk]}, return_tensors="pt")
            generated = self.model.generate(
                input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], generation_config=how
            )
            written = self.tokenizer.batch_decode(generated, skip_special_tokens=True)
            for place, text in zip(chunk, written, strict=True):
                found[place] = text.strip()
        return found

    def _encode(self, texts: Sequence[str], language: str) -> list[list[int]]:
        if self.codes:
            self.tokenizer.src_lang = self.codes[language]
        longest = getattr(self.model.config, "max_position_embeddings", self.tokenizer.model_max_length)
        room = min(longest, self.tokenizer.model_max_length)
        ids: list[list[int]] = self.tokenizer(list(texts), truncation=True, max_length=room)["input_ids"]
        return ids

    def _generation(self, decoding: Decoding) -> GenerationConfig:
        """The checkpoint's own rules, such as tokens it never writes, under the declared search."""
        how: GenerationConfig = deepcopy(self.model.generation_config)
        how.update(
            do_sample=False,
            num_beams=decoding.beams,
            early_stopping=decoding.beams > 1,
            max_length=decoding.max_tokens,
            max_new_tokens=None,
        )
        if self.target is not None:
            how.forced_bos_token_id = self.target
        return how


def _target(tokenizer: PreTrainedTokenizerBase, declared: PublishedTranslator) -> int | None:
    """The id of the declared target; ValueError for a language or a target that the tokenizer does not know."""
    if declared.languages and not hasattr(tokenizer, "src_lang"):
        raise ValueError(
            f"the tokenizer of {declared.weights} is told no source language, but PublishedTranslator.languages gives "
            "codes; leave them out"
        )

    def id_of(*spellings: str) -> int:
        for token in spellings:
            found = tokenizer.convert_tokens_to_ids(token)
            if isinstance(found, int) and found != tokenizer.unk_token_id:
                return found
        raise ValueError(f"the tokenizer of {declared.weights} has no token {spellings[0]!r}; correct the declaration")

    for _, code in declared.languages:
        # M2M100 spells the token of a language __de__ and its code de.
        id_of(code, f"__{code}__")
    return None if declared.target is None else id_of(declared.target)
