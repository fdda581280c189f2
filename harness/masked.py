"""Pretraining: an encoder that fills in masked tokens, and its examples.

Legend: B texts, N tokens, T guessed tokens of all texts, E width of the lexicon, H width of the encoder, V lexicon.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.encoders import TokenEncoder, backbone_of, build
from harness.examples import Examples, Sequences
from harness.objectives.pairs import Loss
from studies.schema.cost import parameters_of
from studies.schema.run import Pretraining

SPECIAL = 5
"""Ids below this are the tokenizer's special tokens, which are neither guessed nor put in another's place."""

MASK = 4
"""The id that stands for a masked token, in XLM-R's order of special tokens."""

MASKED, ANOTHER = 0.8, 0.9
"""Of the guessed tokens 80 % are masked, 10 % are another token, 10 % are left (arXiv 1810.04805, section 3.1)."""

PURPOSE = 2
"""Keeps these draws apart from those of the order of batches, which are keyed alike."""


class MaskedModel(nn.Module):
    """Maps ids, mask and the places to guess to logits over the lexicon; its output layer is the lexicon itself."""

    def __init__(self, encoder: TokenEncoder) -> None:
        super().__init__()
        self.backbone = encoder.backbone
        lexicon = self.backbone.get_input_embeddings()
        assert isinstance(lexicon, nn.Embedding)
        vocabulary, width = lexicon.weight.shape
        self.transform = nn.Linear(self.backbone.config.hidden_size, width)
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, vocabulary)
        self.output.weight = lexicon.weight
        nn.init.zeros_(self.output.bias)

    def forward(self, ids_BN: Tensor, mask_BN: Tensor, guessed_BN: Tensor) -> Tensor:
        """Logits (T, V) in float32 of each token to guess, text after text."""
        hidden_BNH = self.backbone(input_ids=ids_BN, attention_mask=mask_BN.long()).last_hidden_state
        hidden_TE = self.norm(nn.functional.gelu(self.transform(hidden_BNH[guessed_BN])))
        logits_TV: Tensor = self.output(hidden_TE)
        return logits_TV.float()

    def save(self, directory: Path) -> None:
        """Write what students start from: the encoder as Hugging Face stores it, without what fills in tokens."""
        self.backbone.save_pretrained(backbone_of(directory))


def build_masked(run: Pretraining) -> MaskedModel:
    """A new model with random weights drawn from the run's seed alone.

    Raises ValueError when it has another number of weights than its run is counted as.
    """
    encoder = build(run.rung, 1, dropout=run.dropout, seed=run.seed)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(run.seed)
        model = MaskedModel(encoder)
    counted, found = parameters_of(run).total, sum(weight.numel() for weight in model.parameters())
    if counted != found:
        raise ValueError(
            f"pretraining of rung {run.rung.name} is counted as {counted} weights, the model has {found}; correct "
            "studies.schema.cost"
        )
    return model


@dataclass(frozen=True, kw_only=True)
class MaskedExamples:
    """Texts of which some tokens are guessed; which ones is a pure function of ``seed``, ``step`` and the text.

    The loss of a text is the mean over its guessed tokens of the cross-entropy in nats; that of a batch the mean over
    texts, so that it does not depend on how a batch is cut into calls. Step 0 is that of texts that are watched.
    """

    texts: Sequences
    vocabulary: int
    rate: float
    seed: int
    step: int = 0

    @property
    def lengths(self) -> NDArray[np.int64]:
        return self.texts.lengths

    def loss(self, model: Callable[..., Tensor], indices: NDArray[np.int64], device: torch.device) -> Loss:
        """``model`` maps ids, mask and places to guess, all (B, N), to logits (T, V)."""
        ids_BN, mask_BN = self.texts.padded(indices)
        shown_BN, guessed_BN = self.masked(indices, ids_BN)
        logits_TV = model(shown_BN.to(device), mask_BN.to(device), guessed_BN.to(device))
        nats_T = nn.functional.cross_entropy(logits_TV, ids_BN[guessed_BN].to(device), reduction="none")
        share_BN = guessed_BN / guessed_BN.sum(dim=1, keepdim=True) / len(indices)
        return (nats_T * share_BN[guessed_BN].to(device)).sum(), {}

    def masked(self, indices: NDArray[np.int64], ids_BN: Tensor) -> tuple[Tensor, Tensor]:
        """What the encoder is shown of the texts, and which places it guesses, both (B, N)."""
        shown_BN, guessed_BN = ids_BN.numpy().copy(), np.zeros(ids_BN.shape, dtype=bool)
        for row, index in enumerate(indices):
            (places,) = np.nonzero(shown_BN[row] >= SPECIAL)
            order, how, other = self._draws(int(index), len(places))
            chosen = places[np.argsort(order, kind="stable")[: max(1, round(self.rate * len(places)))]]
            guessed_BN[row, chosen] = True
            what, token = how[: len(chosen)], SPECIAL + (other[: len(chosen)] * (self.vocabulary - SPECIAL)).astype(int)
            kept = np.where(what < ANOTHER, token, shown_BN[row, chosen])
            shown_BN[row, chosen] = np.where(what < MASKED, MASK, kept)
        return torch.from_numpy(shown_BN), torch.from_numpy(guessed_BN)

    def _draws(self, text: int, tokens: int) -> NDArray[np.float64]:
        """Three numbers in [0, 1) for each token, shape (3, tokens)."""
        philox = np.random.Philox(key=np.array([self.seed, self.step], dtype=np.uint64), counter=[0, 0, text, PURPOSE])
        raw = philox.random_raw(3 * tokens) >> np.uint64(11)
        return (raw / float(1 << 53)).reshape(3, tokens)


def at_step(examples: Examples, step: int) -> Examples:
    """What a step, counted from 1, is shown of examples whose masks are drawn anew in each."""
    return replace(examples, step=step) if isinstance(examples, MaskedExamples) else examples
