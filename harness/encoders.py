"""Teacher and student: a Hugging Face encoder followed by a projection to token vectors of unit length.

Legend: B texts, N tokens, H width of a token vector.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel

from studies.schema.cost import parameters
from studies.schema.run import Architecture, ModelType, Rung

DECLARED = (
    "model_type",
    "num_hidden_layers",
    "hidden_size",
    "num_attention_heads",
    "intermediate_size",
    "vocab_size",
    "max_position_embeddings",
    "type_vocab_size",
)
"""Fields in which pretrained weights must agree with the rung; a difference would be another model or another count."""

BEGIN, PADDING, END = 0, 1, 2
"""Ids of the special tokens in XLM-R and in the embedded collection's tokenizer."""


class TokenEncoder(nn.Module):
    """Maps token ids to one unit vector per token; whatever the arithmetic inside, vectors leave in float32."""

    def __init__(self, backbone: PreTrainedModel, token_size: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.projection = nn.Linear(backbone.config.hidden_size, token_size, bias=False)

    def forward(self, ids_BN: Tensor, mask_BN: Tensor) -> Tensor:
        """Token vectors, shape (B, N, H); positions outside ``mask_BN`` hold arbitrary unit vectors."""
        hidden_BNH = self.backbone(input_ids=ids_BN, attention_mask=mask_BN.long()).last_hidden_state
        vectors_BNH: Tensor = self.projection(hidden_BNH).float()
        return nn.functional.normalize(vectors_BNH, dim=-1)

    def save(self, directory: Path) -> None:
        """Write configuration and weights: the backbone as Hugging Face stores it, the projection beside it."""
        self.backbone.save_pretrained(directory / "backbone")
        save_file({"weight": self.projection.weight.detach().contiguous()}, directory / "projection.safetensors")

    @staticmethod
    def load(directory: Path) -> "TokenEncoder":
        """Read what :meth:`save` wrote, in float32 and evaluation mode."""
        weight_HD = load_file(directory / "projection.safetensors")["weight"]
        # Layers are made with random weights before they are filled; what is drawn for that is nobody's.
        with torch.random.fork_rng(devices=[]):
            encoder = TokenEncoder(_read(directory / "backbone"), weight_HD.shape[0])
        encoder.projection.weight.data.copy_(weight_HD)
        return encoder.eval()


def configuration(architecture: Architecture, *, dropout: float) -> PretrainedConfig:
    """The Hugging Face configuration of an architecture."""
    shape = {
        "num_hidden_layers": architecture.num_layers,
        "hidden_size": architecture.hidden_size,
        "num_attention_heads": architecture.num_heads,
        "intermediate_size": architecture.intermediate_size,
        "vocab_size": architecture.vocabulary_size,
        "max_position_embeddings": architecture.max_positions,
        "type_vocab_size": 1,
        "bos_token_id": BEGIN,
        "pad_token_id": PADDING,
        "eos_token_id": END,
        "hidden_dropout_prob": dropout,
        "attention_probs_dropout_prob": dropout,
    }
    if architecture.model_type is ModelType.ELECTRA:
        shape["embedding_size"] = architecture.embedding_size
    return AutoConfig.for_model(architecture.model_type.value, **shape)


def build(rung: Rung, token_size: int, *, dropout: float, seed: int) -> TokenEncoder:
    """A new encoder: pretrained weights where the rung names them, else random ones drawn from ``seed`` alone.

    Raises ValueError when pretrained weights have another shape than the rung declares: the declared shape is what
    the parameter axis of every curve is computed from.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        if rung.weights is None:
            config = configuration(rung.architecture, dropout=dropout)
            backbone = AutoModel.from_config(config, **_without_pooler(config))
        else:
            backbone = _pretrained(rung, rung.weights, dropout)
        encoder = TokenEncoder(backbone, token_size)
    counted = parameters(rung.architecture, token_size)
    if parameter_counts(encoder) != (counted.non_embedding, counted.total):
        raise ValueError(
            f"rung {rung.name} is counted as {counted}, but the encoder has {parameter_counts(encoder)} weights; "
            "correct studies.schema.cost for this architecture before any curve is drawn over it"
        )
    return encoder


def _pretrained(rung: Rung, weights: str, dropout: float) -> PreTrainedModel:
    found = AutoConfig.from_pretrained(weights)
    declared = configuration(rung.architecture, dropout=dropout)
    for name in (*DECLARED, *(("embedding_size",) if rung.architecture.model_type is ModelType.ELECTRA else ())):
        if getattr(found, name) != getattr(declared, name):
            raise ValueError(
                f"rung {rung.name} declares {name} {getattr(declared, name)}, but {weights} has "
                f"{getattr(found, name)}; correct the ladder or name other weights"
            )
    found.hidden_dropout_prob = found.attention_probs_dropout_prob = dropout
    return _read(weights, found)


def _read(weights: str | Path, config: PretrainedConfig | None = None) -> PreTrainedModel:
    """A backbone from safetensors, in float32. Raises ValueError where the files lack a weight: none is made up."""
    config = config or AutoConfig.from_pretrained(weights)
    model: PreTrainedModel
    model, report = AutoModel.from_pretrained(
        weights,
        config=config,
        dtype=torch.float32,
        use_safetensors=True,
        output_loading_info=True,
        **_without_pooler(config),
    )
    if report["missing_keys"]:
        missing = ", ".join(sorted(report["missing_keys"])[:4])
        raise ValueError(
            f"{weights} lacks {len(report['missing_keys'])} of the encoder's weights ({missing}, ...); "
            f"name weights of a whole {config.model_type} encoder"
        )
    return model


def _without_pooler(config: PretrainedConfig) -> dict[str, bool]:
    """Leave out the head over the first token where there is one: no loss here would ever give it a gradient."""
    return {} if config.model_type == ModelType.ELECTRA else {"add_pooling_layer": False}


def parameter_counts(encoder: TokenEncoder) -> tuple[int, int]:
    """Weights of the encoder's layers alone, and of everything."""
    total = sum(weight.numel() for weight in encoder.parameters())
    layers = sum(weight.numel() for name, weight in encoder.named_parameters() if ".encoder.layer" in name)
    return layers, total
