"""The tokenizer that a pretrained encoder was trained with, from where its weights lie."""

from functools import lru_cache
from typing import TYPE_CHECKING

from studies.schema.rung import Rung

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SPECIAL_POSITIONS = 2
"""Positions that XLM-R's learned table keeps for padding, so that texts are that much shorter than the table."""


@lru_cache(maxsize=2)
def own_tokenizer(rung: Rung) -> "PreTrainedTokenizerFast":
    """The tokenizer beside a rung's weights; texts are cut where the rung's positions end.

    Raises ValueError where there is none, or one that does not fit the model: more tokens than the lexicon has
    vectors, or another id for padding.
    """
    from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerFast

    assert rung.weights is not None
    where = f"the tokenizer of {rung.weights}"
    try:
        tokenizer = AutoTokenizer.from_pretrained(rung.weights, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{where} cannot be read ({error}); put tokenizer.json and tokenizer_config.json beside the weights"
        ) from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise ValueError(f"{where} is a {type(tokenizer).__name__} without a tokenizer.json; save it as a fast one")
    known = rung.architecture.vocabulary_size
    if len(tokenizer) > known:
        raise ValueError(f"{where} has {len(tokenizer)} tokens, the model vectors for {known}; name the model's own")
    padding = AutoConfig.from_pretrained(rung.weights, trust_remote_code=False).pad_token_id
    if tokenizer.pad_token_id != padding:
        raise ValueError(
            f"{where} pads with token {tokenizer.pad_token_id}, the model's configuration with {padding}; "
            "name the model's own, or correct pad_token_id in config.json"
        )
    longest = rung.architecture.max_positions - SPECIAL_POSITIONS
    tokenizer.model_max_length = min(tokenizer.model_max_length, longest)
    return tokenizer
