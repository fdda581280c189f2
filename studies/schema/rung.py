"""One size of a ladder: an encoder's family, shape and arithmetic."""

from dataclasses import dataclass, field
from enum import StrEnum

from studies.schema.added import ADDED
from studies.schema.checks import at_least


class Precision(StrEnum):
    """Arithmetic of the encoders; costs, scores and transport are float32 in both."""

    FP32 = "fp32"
    BF16 = "bf16"


class ModelType(StrEnum):
    """Encoder families by their Hugging Face ``model_type``."""

    BERT = "bert"
    ELECTRA = "electra"
    EUROBERT = "eurobert"
    MODERNBERT = "modernbert"
    MT5 = "mt5"
    UMT5 = "umt5"
    XLM_ROBERTA = "xlm-roberta"
    XLM_ROBERTA_XL = "xlm-roberta-xl"


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Shape of an encoder, as its Hugging Face configuration states it.

    ``embedding_size`` is the width of the token lexicon; where it differs from ``hidden_size`` the embedding is
    factorised (ELECTRA's ``embeddings_project``), which only the ELECTRA family can do. ``head_size`` is the width of
    an attention head where it is not ``hidden_size / num_heads`` (``d_kv`` of the T5 family), ``key_value_heads`` their
    number where several queries share one (EuroBERT). Of families without learned positions ``max_positions`` is the
    longest text.
    """

    model_type: ModelType
    num_layers: int
    hidden_size: int
    num_heads: int
    intermediate_size: int
    vocabulary_size: int
    embedding_size: int
    max_positions: int
    head_size: int | None = field(default=None, metadata=ADDED)
    key_value_heads: int | None = field(default=None, metadata=ADDED)
    type_vocabulary_size: int = field(default=1, metadata=ADDED)

    def __post_init__(self) -> None:
        at_least(self, 1, "num_layers", "hidden_size", "num_heads", "intermediate_size")
        at_least(self, 1, "vocabulary_size", "embedding_size", "max_positions", "type_vocabulary_size")
        if self.head_size is None and self.hidden_size % self.num_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not a multiple of num_heads {self.num_heads}; "
                "choose a number of heads that divides the width"
            )
        if self.model_type is not ModelType.ELECTRA and self.embedding_size != self.hidden_size:
            raise ValueError(
                f"{self.model_type} has no factorised embedding: embedding_size {self.embedding_size} must equal "
                f"hidden_size {self.hidden_size}, or use model_type electra"
            )
        for name, families in _ONLY_IN.items():
            if self.model_type not in families and getattr(self, name) not in (None, 1):
                raise ValueError(
                    f"{self.model_type} has no {name}; only {', '.join(families)} can have one: leave it out"
                )
        if self.num_heads % self.kv_heads:
            raise ValueError(
                f"num_heads {self.num_heads} is not a multiple of key_value_heads {self.kv_heads}; "
                "equally many heads share a key"
            )

    @property
    def head_width(self) -> int:
        """Width of an attention head."""
        return self.head_size or self.hidden_size // self.num_heads

    @property
    def kv_heads(self) -> int:
        """Number of heads that have keys and values of their own."""
        return self.key_value_heads or self.num_heads


_ONLY_IN = {
    "head_size": (ModelType.MT5, ModelType.UMT5, ModelType.EUROBERT),
    "key_value_heads": (ModelType.EUROBERT,),
    "type_vocabulary_size": (ModelType.BERT, ModelType.ELECTRA, ModelType.XLM_ROBERTA, ModelType.XLM_ROBERTA_XL),
}
"""Fields that only some families have."""


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One size of a ladder. ``weights`` names pretrained weights (local path or hub id); None means random."""

    name: str
    architecture: Architecture
    weights: str | None = None
