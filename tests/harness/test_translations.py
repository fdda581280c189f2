"""How good translations are: chrF and BLEU against people's, empty ones counted."""

import pytest

from harness.data.translations import measure_chrf, quality, signatures


def test_chrf_is_full_for_the_reference_itself_and_names_its_settings() -> None:
    texts = {"1": "mji mkuu wa Kenya", "2": "السودان"}
    found = measure_chrf(texts, texts, "people")
    assert (found.score, found.references) == (100.0, "people")
    assert "nc:6" in found.signature
    assert 0 < measure_chrf({**texts, "1": "mji wa Kenya"}, texts, "people").score < 100


def test_topics_without_reference_are_refused() -> None:
    with pytest.raises(ValueError, match="do not have the same ids, among others 2"):
        measure_chrf({"1": "a", "2": "b"}, {"1": "a"}, "people")


def test_quality_is_full_for_the_references_and_falls_with_every_word_that_is_wrong_or_absent() -> None:
    english = ["Kenya and the Swiss franc", "a river of Peru and Chile", "Zulu"]
    whole = quality(english, english)
    assert (whole.chrf, whole.bleu, whole.empty) == (100.0, 100.0, 0)
    wrong = quality(["Kenya and the Swedish franc", *english[1:]], english)
    absent = quality(["", "  ", english[2]], english)
    assert 0 < absent.chrf < wrong.chrf < whole.chrf
    assert 0 <= absent.bleu < wrong.bleu < whole.bleu
    assert (wrong.empty, absent.empty) == (0, 2)
    assert quality(["", "", ""], english).chrf == 0
    assert all("version" in signature for signature in signatures().values())


def test_translations_without_a_reference_each_are_refused() -> None:
    for translations in ([], ["a"], ["a", "b", "c"]):
        with pytest.raises(ValueError, match="2 references"):
            quality(translations, ["a", "b"])
