"""What Hugging Face calls the shape of an encoder, family by family, and which class reads its weights."""

from typing import Any, assert_never

from transformers import AutoConfig, AutoModel, AutoModelForTextEncoding, PretrainedConfig

from studies.schema.rung import Architecture, ModelType

BEGIN, PADDING, END = 0, 1, 2
"""Ids of the special tokens in XLM-R and in the embedded collection's tokenizer, for encoders with random weights;
pretrained ones keep the ids of their own configuration."""


def shape(architecture: Architecture) -> dict[str, Any]:
    """Fields of the family's configuration that fix which weights there are and how wide they are."""
    common = {
        "hidden_size": architecture.hidden_size,
        "num_hidden_layers": architecture.num_layers,
        "num_attention_heads": architecture.num_heads,
        "intermediate_size": architecture.intermediate_size,
        "vocab_size": architecture.vocabulary_size,
        "max_position_embeddings": architecture.max_positions,
    }
    match architecture.model_type:
        case ModelType.ELECTRA:
            types = {"type_vocab_size": architecture.type_vocabulary_size}
            return common | types | {"embedding_size": architecture.embedding_size}
        case ModelType.BERT | ModelType.XLM_ROBERTA | ModelType.XLM_ROBERTA_XL:
            return common | {"type_vocab_size": architecture.type_vocabulary_size}
        case ModelType.MODERNBERT:
            return common
        case ModelType.EUROBERT:
            return common | {"num_key_value_heads": architecture.kv_heads, "head_dim": architecture.head_width}
        case ModelType.MT5 | ModelType.UMT5:
            return {
                "d_model": architecture.hidden_size,
                "num_layers": architecture.num_layers,
                "num_heads": architecture.num_heads,
                "d_kv": architecture.head_width,
                "d_ff": architecture.intermediate_size,
                "vocab_size": architecture.vocabulary_size,
                "feed_forward_proj": "gated-gelu",
            }
        case unknown:
            assert_never(unknown)


def dropouts(model_type: ModelType, probability: float) -> dict[str, float]:
    """Fields of the family's configuration that hold a probability of dropout, all set alike."""
    names: tuple[str, ...]
    match model_type:
        case ModelType.ELECTRA | ModelType.BERT | ModelType.XLM_ROBERTA | ModelType.XLM_ROBERTA_XL:
            names = ("hidden_dropout_prob", "attention_probs_dropout_prob")
        case ModelType.MODERNBERT:
            names = ("embedding_dropout", "attention_dropout", "mlp_dropout")
        case ModelType.EUROBERT:
            names = ("attention_dropout",)
        case ModelType.MT5 | ModelType.UMT5:
            names = ("dropout_rate",)
        case unknown:
            assert_never(unknown)
    return dict.fromkeys(names, probability)


def configuration(architecture: Architecture, *, dropout: float) -> PretrainedConfig:
    """The Hugging Face configuration of an architecture."""
    special = {"bos_token_id": BEGIN, "pad_token_id": PADDING, "eos_token_id": END}
    fields = shape(architecture) | special | dropouts(architecture.model_type, dropout)
    return AutoConfig.for_model(architecture.model_type.value, **fields)


def reader(config: PretrainedConfig) -> Any:
    """The class that reads or builds an encoder of a configuration: of an encoder-decoder, its encoder alone."""
    return AutoModelForTextEncoding if config.model_type in (ModelType.MT5, ModelType.UMT5) else AutoModel


def without_pooler(config: PretrainedConfig) -> dict[str, bool]:
    """Leave out the head over the first token where there is one: no loss here would ever give it a gradient."""
    has_pooler = config.model_type in (ModelType.BERT, ModelType.XLM_ROBERTA, ModelType.XLM_ROBERTA_XL)
    return {"add_pooling_layer": False} if has_pooler else {}
