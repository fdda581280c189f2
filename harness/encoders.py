"""Teacher and student: a Hugging Face encoder followed by a projection to token vectors of unit length.

Legend: B texts, N tokens, H width of a token vector.
"""

import re
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoConfig, PretrainedConfig, PreTrainedModel

from harness.families import configuration, dropouts, reader, shape, without_pooler
from studies.schema.cost import parameters
from studies.schema.rung import Rung

IN_LAYER = re.compile(r"\.(layer|layers|block)\.\d+\.(?!.*relative_attention_bias)")
"""Names of the weights of the encoder's layers; what stands for a position is an embedding, wherever it lies."""


class TokenEncoder(nn.Module):
    """Maps token ids to one unit vector per token; whatever the arithmetic inside, vectors leave in float32."""

    def __init__(self, backbone: PreTrainedModel, token_size: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.projection = nn.Linear(backbone.config.hidden_size, token_size, bias=False)

    def forward(self, ids_BN: Tensor, mask_BN: Tensor) -> Tensor:
        """Token vectors, shape (B, N, H); positions outside ``mask_BN`` hold arbitrary unit vectors."""
        vectors_BNH: Tensor = self.projection(read_tokens(self.backbone, ids_BN, mask_BN)).float()
        return nn.functional.normalize(vectors_BNH, dim=-1)

    def freeze_embeddings(self) -> None:
        """Keep the vectors of the token lexicon as they are; positions, layers and projection go on learning."""
        self.backbone.get_input_embeddings().requires_grad_(False)

    def checkpoint_gradients(self) -> None:
        """Keep only what enters each layer and compute the rest again when gradients are taken.

        Not reentrant: a layer then has gradients also where nothing before it is trained, as with frozen embeddings.
        """
        self.backbone.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})

    def start_from(self, directory: Path) -> None:
        """Take over the weights of the backbone that lies in a directory, all of them; the projection stays."""
        with torch.random.fork_rng(devices=[]):
            found = _read(backbone_of(directory))
        self.backbone.load_state_dict(found.state_dict())

    def save(self, directory: Path) -> None:
        """Write configuration and weights: the backbone as Hugging Face stores it, the projection beside it."""
        self.backbone.save_pretrained(backbone_of(directory))
        save_file({"weight": self.projection.weight.detach().contiguous()}, directory / "projection.safetensors")

    @staticmethod
    def load(directory: Path) -> "TokenEncoder":
        """Read what :meth:`save` wrote, in float32 and evaluation mode."""
        weight_HD = load_file(directory / "projection.safetensors")["weight"]
        # Layers are made with random weights before they are filled; what is drawn for that is nobody's.
        with torch.random.fork_rng(devices=[]):
            encoder = TokenEncoder(_read(backbone_of(directory)), weight_HD.shape[0])
        encoder.projection.weight.data.copy_(weight_HD)
        return encoder.eval()


def read_tokens(backbone: PreTrainedModel, ids_BN: Tensor, mask_BN: Tensor) -> Tensor:
    """The backbone's last hidden layer, (B, N, its width); arbitrary outside ``mask_BN``.

    What stands there does not matter: XLM-R counts positions over ids that are not its own padding.
    """
    ids_BN = ids_BN.masked_fill(~mask_BN.bool(), backbone.config.pad_token_id)
    hidden_BNW: Tensor = backbone(input_ids=ids_BN, attention_mask=mask_BN.long()).last_hidden_state
    return hidden_BNW


class LastLayer(nn.Module):
    """The backbone of an encoder without its projection, in float32; vectors are of any length."""

    def __init__(self, encoder: TokenEncoder) -> None:
        super().__init__()
        self.backbone = encoder.backbone

    def forward(self, ids_BN: Tensor, mask_BN: Tensor) -> Tensor:
        """Token vectors, (B, N, width of the backbone); arbitrary outside ``mask_BN``."""
        return read_tokens(self.backbone, ids_BN, mask_BN).float()


def backbone_of(directory: Path) -> Path:
    """Where a directory of weights has those of the backbone."""
    return directory / "backbone"


def build(rung: Rung, token_size: int, *, dropout: float, seed: int) -> TokenEncoder:
    """A new encoder: pretrained weights where the rung names them, else random ones drawn from ``seed`` alone.

    Raises ValueError when pretrained weights have another shape than the rung declares: the declared shape is what
    the parameter axis of every curve is computed from.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        if rung.weights is None:
            config = configuration(rung.architecture, dropout=dropout)
            backbone = reader(config).from_config(config, **without_pooler(config))
        else:
            backbone = _pretrained(rung, rung.weights, dropout)
            # Reading draws as much as the library likes; the projection is the seed's alone.
            torch.default_generator.manual_seed(seed)
        encoder = TokenEncoder(backbone, token_size)
    counted = parameters(rung.architecture, token_size)
    if parameter_counts(encoder) != (counted.non_embedding, counted.total):
        raise ValueError(
            f"rung {rung.name} is counted as {counted}, but the encoder has {parameter_counts(encoder)} weights; "
            "correct studies.schema.cost for this architecture before any curve is drawn over it"
        )
    return encoder


def _pretrained(rung: Rung, weights: str, dropout: float) -> PreTrainedModel:
    found = AutoConfig.from_pretrained(weights, trust_remote_code=False)
    declared = {"model_type": rung.architecture.model_type.value} | shape(rung.architecture)
    for name, value in declared.items():
        if getattr(found, name, None) != value:
            raise ValueError(
                f"rung {rung.name} declares {name} {value}, but {weights} has {getattr(found, name, None)}; "
                "correct the ladder or name other weights"
            )
    if found.pad_token_id is None:
        raise ValueError(f"the configuration of {weights} names no pad_token_id; add the tokenizer's to config.json")
    for name, value in dropouts(rung.architecture.model_type, dropout).items():
        setattr(found, name, value)
    return _read(weights, found)


def _read(weights: str | Path, config: PretrainedConfig | None = None) -> PreTrainedModel:
    """A backbone from safetensors, in float32. Raises ValueError where the files lack a weight: none is made up."""
    config = config or AutoConfig.from_pretrained(weights, trust_remote_code=False)
    model: PreTrainedModel
    model, report = reader(config).from_pretrained(
        weights,
        config=config,
        dtype=torch.float32,
        use_safetensors=True,
        output_loading_info=True,
        **without_pooler(config),
    )
    if report["missing_keys"]:
        missing = ", ".join(sorted(report["missing_keys"])[:4])
        raise ValueError(
            f"{weights} lacks {len(report['missing_keys'])} of the encoder's weights ({missing}, ...); "
            f"name weights of a whole {config.model_type} encoder"
        )
    return model


def parameter_counts(encoder: TokenEncoder) -> tuple[int, int]:
    """Weights of the encoder's layers alone, and of everything, however they are cut up."""
    # DeepSpeed leaves one number in place of a weight that is cut into shares, and says its size beside it.
    sizes = {name: int(getattr(weight, "ds_numel", weight.numel())) for name, weight in encoder.named_parameters()}
    return sum(size for name, size in sizes.items() if IN_LAYER.search(name)), sum(sizes.values())
