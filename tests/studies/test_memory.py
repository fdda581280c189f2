"""Predicted memory against what autograd keeps, and the laws that any prediction has to obey."""

import pytest
import torch
from torch import Tensor

from harness.encoders import build
from studies.schema.memory import saved_outside_layers, saved_per_token
from studies.schema.rung import Architecture, ModelType, Rung
from tests.harness.test_encoders import shape

TOKEN_SIZE = 24
TEXTS, TOKENS = 6, 14


def saved_bytes(architecture: Architecture) -> int:
    """Bytes of every storage that autograd keeps of a forward pass, weights left out, each once."""
    encoder = build(Rung(name="any", architecture=architecture), TOKEN_SIZE, dropout=0.0, seed=0).train()
    weights = {weight.untyped_storage().data_ptr() for weight in encoder.parameters()}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage().data_ptr() not in weights:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    ids_BN = torch.full((TEXTS, TOKENS), 7)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        encoder(ids_BN, torch.ones_like(ids_BN))
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


@pytest.mark.parametrize("model_type", list(ModelType))
@pytest.mark.parametrize("layers", [1, 4])
def test_activations_are_those_that_autograd_keeps(model_type: ModelType, layers: int) -> None:
    changes = {"num_layers": layers, "hidden_size": 64, "num_heads": 4, "intermediate_size": 160}
    embedding = 40 if model_type is ModelType.ELECTRA else 64
    architecture = shape(model_type, **changes, embedding_size=embedding)
    layer = saved_per_token(architecture, TOKENS)
    predicted = 4 * TEXTS * TOKENS * (layers * layer + saved_outside_layers(architecture) + TOKEN_SIZE)
    assert predicted == pytest.approx(saved_bytes(architecture), rel=0.02)
