"""What the rival that translates the query is made of, but for its training: a shape, a published model, decoding.

A translator trained on the study's own bitext is a run like any other: :class:`studies.schema.run.Translator`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from studies.schema.checks import at_least


@dataclass(frozen=True, kw_only=True)
class Seq2Seq:
    """Shape of a Marian encoder-decoder (arXiv 1804.00344), as its Hugging Face configuration states it.

    Layers are post-norm with SiLU, positions sinusoidal, and one table of ``vocabulary_size`` rows embeds both sides
    and reads the output off the decoder.
    """

    encoder_layers: int
    decoder_layers: int
    hidden_size: int
    num_heads: int
    intermediate_size: int
    vocabulary_size: int
    max_positions: int

    def __post_init__(self) -> None:
        at_least(self, 1, "encoder_layers", "decoder_layers", "hidden_size", "num_heads", "intermediate_size")
        at_least(self, 1, "vocabulary_size", "max_positions")
        if self.hidden_size % self.num_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not a multiple of num_heads {self.num_heads}; "
                "choose a number of heads that divides the width"
            )


@dataclass(frozen=True, kw_only=True)
class PublishedTranslator:
    """Any sequence-to-sequence model that transformers loads, such as NLLB (arXiv 2207.04672), M2M100 or Marian.

    ``weights`` is an absolute path or a hub id, a hub id with the ``revision`` (a commit) that is meant. ``languages``
    gives the model's code of each query language (``deu_Latn`` for NLLB, ``de`` for M2M100); a model that needs to be
    told no language, such as Marian's into English, has none. ``target`` is the token that begins English output
    (``eng_Latn``, ``__en__``), None for a model that writes only English.
    """

    weights: str
    revision: str | None = None
    languages: tuple[tuple[str, str], ...] = ()
    target: str | None = None

    def __post_init__(self) -> None:
        if not self.weights:
            raise ValueError("PublishedTranslator.weights is empty; name a hub id or an absolute path")
        if self.weights.startswith("/") != (self.revision is None):
            raise ValueError(
                f"PublishedTranslator has weights {self.weights!r} and revision {self.revision!r}; a hub id needs the "
                "commit that is meant, an absolute path has none"
            )
        named = [language for language, _ in self.languages]
        if len(set(named)) != len(named):
            raise ValueError(f"PublishedTranslator.languages names a language twice: {', '.join(named)}")

    def check_codes(self, languages: Iterable[str]) -> None:
        """Raise ValueError when there are codes, but none for one of the languages."""
        unknown = sorted(set(languages) - {language for language, _ in self.languages})
        if self.languages and unknown:
            raise ValueError(
                f"PublishedTranslator.languages has no code for {', '.join(unknown)}; give one for each query "
                "language, or none at all"
            )


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How translations are searched for: ``beams`` hypotheses, 1 for greedy, of at most ``max_tokens`` tokens."""

    beams: int = 1
    max_tokens: int = 64

    def __post_init__(self) -> None:
        at_least(self, 1, "beams", "max_tokens")


GREEDY = Decoding()


def check_room(decoding: Decoding, architecture: Seq2Seq) -> None:
    """Raise ValueError when translations may become longer than the model has positions."""
    if decoding.max_tokens > architecture.max_positions:
        raise ValueError(
            f"Decoding.max_tokens is {decoding.max_tokens}, the translator has {architecture.max_positions} positions; "
            "lower one or raise the other"
        )
