"""The collection's tokenizer: deterministic, fair to te and bn, and whole syllables in every script."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from harness.data.content import Content, write_content
from harness.data.tokenizer import (
    SPECIAL_TOKENS,
    encode,
    fertility,
    load_tokenizer,
    on_all_cores,
    save_tokenizer,
    train_tokenizer,
)

LANGUAGES = ("ar", "bn", "de", "fi", "fr", "hi", "ko", "ru", "so", "sw", "te", "th")
SIZE = 8000


@pytest.fixture(scope="module")
def content() -> Content:
    return write_content(LANGUAGES)


@pytest.fixture(scope="module")
def tokenizer(content: Content) -> Tokenizer:
    return train_tokenizer(content.entities, content.passages, LANGUAGES, SIZE)


def test_fertility_of_telugu_and_bangla_is_at_most_twice_englishs(content: Content, tokenizer: Tokenizer) -> None:
    tokens_per_name = fertility(tokenizer, content.entities, LANGUAGES)
    assert list(tokens_per_name) == ["en", *LANGUAGES]
    assert tokens_per_name["te"] <= 2 * tokens_per_name["en"]
    assert tokens_per_name["bn"] <= 2 * tokens_per_name["en"]


def test_training_is_the_same_at_any_thread_count() -> None:
    program = (
        "from harness.data.content import write_content\n"
        "from harness.data.tokenizer import train_tokenizer\n"
        "content = write_content(('de', 'te'))\n"
        "print(train_tokenizer(content.entities, content.passages, ('de', 'te'), 3000).to_str())"
    )
    trained = [
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ
            | {"RAYON_NUM_THREADS": threads, "TOKENIZERS_PARALLELISM": parallel, "PYTHONHASHSEED": threads},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for threads, parallel in (("1", "false"), ("4", "true"))
    ]
    assert len(json.loads(trained[0])["model"]["vocab"]) == 3000
    assert trained[0] == trained[1]


def test_special_tokens_have_the_ids_of_xlm_r_and_frame_a_text(tokenizer: Tokenizer) -> None:
    assert [tokenizer.token_to_id(token) for token in SPECIAL_TOKENS] == [0, 1, 2, 3, 4]
    ids = tokenizer.encode("Kenya").ids
    assert ids[0] == 0
    assert ids[-1] == 2


def test_words_are_not_cut_at_combining_marks(tokenizer: Tokenizer) -> None:
    pre_tokenizer = tokenizer.pre_tokenizer
    assert pre_tokenizer is not None
    for text in ("తెలుగు", "বাংলাদেশ", "हिन्दी", "ภาษาไทย", "کُردی", "మెక్\u200cముర్డో"):
        assert [span for _, span in pre_tokenizer.pre_tokenize_str(text)] == [(0, len(text))]


def test_a_name_has_the_same_tokens_wherever_it_stands(content: Content, tokenizer: Tokenizer) -> None:
    for entity in content.entities[::40]:
        for language in ("en", *LANGUAGES):
            name = entity.names[language]
            alone = tokenizer.encode(name, add_special_tokens=False).ids
            for text in (f"({name})", f"x {name}", f"{name}, x"):
                ids = tokenizer.encode(text, add_special_tokens=False).ids
                assert any(ids[start : start + len(alone)] == alone for start in range(len(ids)))


def test_every_name_survives_encoding_up_to_spaces(content: Content, tokenizer: Tokenizer) -> None:
    for entity in content.entities[::10]:
        for name in entity.names.values():
            decoded = tokenizer.decode(tokenizer.encode(name).ids)
            assert "".join(decoded.split()) == "".join(name.split())


def test_saved_tokenizer_gives_the_same_ids(content: Content, tokenizer: Tokenizer, tmp_path: Path) -> None:
    save_tokenizer(tokenizer, tmp_path)
    loaded = load_tokenizer(tmp_path)
    texts = [passage.text for passage in content.passages[:50]]
    assert encode(loaded, texts) == [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    assert len(loaded) == SIZE
    assert (loaded.bos_token_id, loaded.pad_token_id, loaded.eos_token_id) == (0, 1, 2)
    assert max(map(len, encode(loaded, ["Kenya " * 1000]))) == loaded.model_max_length


def test_all_cores_give_the_same_ids_and_are_left_again(content: Content, tokenizer: Tokenizer, tmp_path: Path) -> None:
    save_tokenizer(tokenizer, tmp_path)
    loaded = load_tokenizer(tmp_path)
    texts = [passage.text for passage in content.passages]
    alone = encode(loaded, texts)
    with on_all_cores():
        assert os.environ["TOKENIZERS_PARALLELISM"] == "true"
        assert encode(loaded, texts) == alone
    assert os.environ["TOKENIZERS_PARALLELISM"] == "false"


def test_vocabulary_beyond_the_text_is_refused(content: Content) -> None:
    with pytest.raises(ValueError, match="vocabulary_size is 900000"):
        train_tokenizer(content.entities[:20], content.passages[:20], ("sw",), 900_000)
