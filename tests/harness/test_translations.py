"""chrF of translated topics."""

import pytest

from harness.data.translations import measure_chrf


def test_chrf_is_full_for_the_reference_itself_and_names_its_settings() -> None:
    texts = {"1": "mji mkuu wa Kenya", "2": "السودان"}
    found = measure_chrf(texts, texts, "people")
    assert (found.score, found.references) == (100.0, "people")
    assert "nc:6" in found.signature
    assert 0 < measure_chrf({**texts, "1": "mji wa Kenya"}, texts, "people").score < 100


def test_topics_without_reference_are_refused() -> None:
    with pytest.raises(ValueError, match="do not have the same ids, among others 2"):
        measure_chrf({"1": "a", "2": "b"}, {"1": "a"}, "people")
