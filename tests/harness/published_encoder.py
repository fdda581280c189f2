"""A pretrained encoder as it is published, but for its size: XLM-R in shape, with a SentencePiece tokenizer."""

from pathlib import Path

import torch
from transformers import AutoModelForMaskedLM, XLMRobertaTokenizer

from harness.families import configuration
from studies.schema.rung import Architecture, ModelType, Rung

LETTERS = "abcdefghijklmnopqrstuvwxyzäöüßéèçñãåíóúABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÜ0123456789.,-'()&’"
SYLLABLES = [first + second for first in "bdfgklmnprstvwz" for second in "aeiou"]
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")

ARCHITECTURE = Architecture(
    model_type=ModelType.XLM_ROBERTA,
    num_layers=2,
    hidden_size=16,
    num_heads=2,
    intermediate_size=64,
    vocabulary_size=1200,
    embedding_size=16,
    max_positions=130,
)


def write_encoder(folder: Path, architecture: Architecture = ARCHITECTURE) -> Rung:
    """Weights with the head and the dropout they were trained with, and the tokenizer, as a rung that names them."""
    pieces = [(piece, 0.0) for piece in SPECIAL]
    pieces += [("▁", -2.0), *((piece, -5.0) for piece in LETTERS)]
    pieces += [(piece, -4.0) for syllable in SYLLABLES for piece in (syllable, f"▁{syllable}")]
    XLMRobertaTokenizer(vocab=[*pieces, ("<mask>", 0.0)], model_max_length=512).save_pretrained(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        model = AutoModelForMaskedLM.from_config(configuration(architecture, dropout=0.1))
    model.save_pretrained(folder)
    return Rung(name="published", architecture=architecture, weights=str(folder))
