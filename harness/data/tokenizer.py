"""A byte-level BPE tokenizer for the embedded collection, the same at any thread count.

Words are split off by letters, combining marks and joiners together: the usual byte-level expression has no
marks (Unicode M) in its words and cuts Bangla, Hindi, Telugu and Thai inside a syllable. Every word gets the
leading space byte, so that a name has the same tokens wherever it stands.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from harness.data.cldr import ENGLISH
from harness.data.names import Entity
from harness.data.passages import Passage
from harness.environment import variable

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

# XLM-R's special tokens in XLM-R's order, so that ids 0 to 3 mean the same in both.
SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")

# A run of letters, marks, digits and the two joiners; any other visible character is a word of its own.
WORD = r"[\p{L}\p{M}\p{N}\x{200C}\x{200D}]+|[^\s\p{L}\p{M}\p{N}\x{200C}\x{200D}]"

# Times an English name counts in training; another language's count as often as its names are longer in
# bytes, so that scripts of three bytes a letter earn their merges (without it a Telugu name has 2.8 times the
# tokens of an English one).
UPSAMPLED_NAMES = 2

# Longest text in tokens that the saved tokenizer keeps, its two special tokens included.
MAX_TOKENS = 256

Tokenize = Callable[[Sequence[str]], Sequence[Sequence[int]]]
"""Token ids of each text, special tokens included, cut to what the model reads of it."""


def train_tokenizer(
    entities: Sequence[Entity], passages: Sequence[Passage], languages: Sequence[str], vocabulary_size: int
) -> Tokenizer:
    """Learn merges on the passages and all names, names upsampled, up to exactly the stated vocabulary."""
    tokenizer = Tokenizer(models.BPE(unk_token=None))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORD), "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_mixture(entities, passages, languages), trainer)
    if tokenizer.get_vocab_size() != vocabulary_size:
        raise ValueError(
            f"Atlas.vocabulary_size is {vocabulary_size}, the text of {len(languages)} languages "
            f"gives {tokenizer.get_vocab_size()} tokens; declare {256 + len(SPECIAL_TOKENS)} or more, up to that"
        )
    bos, eos = "<s>", "</s>"
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A {eos}",
        pair=f"{bos} $A {eos} {eos} $B {eos}",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in (bos, eos)],
    )
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write the directory that ``AutoTokenizer`` and :func:`load_tokenizer` read."""
    from transformers import PreTrainedTokenizerFast

    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        cls_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
        model_max_length=MAX_TOKENS,
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
    ).save_pretrained(str(folder))


def load_tokenizer(folder: Path) -> "PreTrainedTokenizerFast":
    """The tokenizer as transformers knows it, from a directory on this machine."""
    from transformers import PreTrainedTokenizerFast

    tokenizer: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(str(folder), local_files_only=True)
    return tokenizer


def encode(tokenizer: "PreTrainedTokenizerFast", texts: Sequence[str]) -> list[list[int]]:
    """Token ids of each text with its special tokens, cut to the tokenizer's longest; nothing is padded."""
    backend = tokenizer.backend_tokenizer
    backend.enable_truncation(tokenizer.model_max_length)
    # The tokenizer's own call takes four times as long: it builds masks and a mapping that nobody reads.
    return [encoding.ids for encoding in backend.encode_batch_fast(list(texts))]


def on_all_cores() -> AbstractContextManager[None]:
    """Tokenizers use every core meanwhile. Elsewhere they are kept to one, since they warn of every fork after that."""
    return variable("TOKENIZERS_PARALLELISM", "true")


def encode_cut(tokenizer: "PreTrainedTokenizerFast", longest: int, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of each text, at most ``longest``, the closing one among them."""
    return [ids if len(ids) <= longest else [*ids[: longest - 1], ids[-1]] for ids in encode(tokenizer, texts)]


def fertility(tokenizer: Tokenizer, entities: Sequence[Entity], languages: Sequence[str]) -> Mapping[str, float]:
    """Mean tokens per name by language, English first; special tokens do not count."""
    means: dict[str, float] = {}
    for language in (ENGLISH, *languages):
        names = [entity.names[language] for entity in entities]
        encodings = tokenizer.encode_batch(names, add_special_tokens=False)
        means[language] = sum(len(encoding.ids) for encoding in encodings) / len(names)
    return means


def _mixture(entities: Sequence[Entity], passages: Iterable[Passage], languages: Iterable[str]) -> Iterator[str]:
    sizes = {
        language: sum(len(entity.names[language].encode()) for entity in entities) for language in (ENGLISH, *languages)
    }
    for passage in passages:
        yield passage.text
    for language, size in sizes.items():
        times = max(1, round(UPSAMPLED_NAMES * size / sizes[ENGLISH]))
        for entity in entities:
            yield from [entity.names[language]] * times
