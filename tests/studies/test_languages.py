"""Laws of the table of languages, and its names and scripts against CLDR."""

import math
import re

import pytest
from babel import Locale
from babel.core import get_global

from studies.languages import LANGUAGES, MIRACL, language, sampling_shares
from studies.schema.language import HIGH_FROM_BYTES, MID_FROM_BYTES, Language, ResourceClass

CODES = [entry.code for entry in LANGUAGES]
CODES_WITH_BYTES = [entry.code for entry in LANGUAGES if entry.cc100_bytes]


def _with_bytes(cc100_bytes: int | None, *, in_xlmr: bool = True) -> Language:
    return Language(
        code="xx",
        name="Example",
        script="Latn",
        family="None",
        cc100_bytes=cc100_bytes,
        cc100_tokens=None,
        in_xlmr=in_xlmr,
        source="made up for this test",
    )


def test_languages_codes_and_names_are_unique_and_sorted() -> None:
    assert len(set(CODES)) == len(CODES)
    assert len({entry.name for entry in LANGUAGES}) == len(LANGUAGES)
    seen = [entry.code for entry in LANGUAGES if entry.in_xlmr]
    assert seen == sorted(seen)


def test_languages_breadth_suffices_for_counterbalanced_studies() -> None:
    assert len(LANGUAGES) >= 24
    assert len({entry.script for entry in LANGUAGES}) >= 6
    assert len({entry.family for entry in LANGUAGES}) >= 6
    assert {entry.resource_class for entry in LANGUAGES} == set(ResourceClass)


def test_languages_of_miracl_are_all_described() -> None:
    assert len(MIRACL) == 18
    assert set(MIRACL) <= set(CODES)


@pytest.mark.parametrize("code", CODES)
def test_language_name_and_script_agree_with_cldr(code: str) -> None:
    entry = language(code)
    assert entry.name == Locale("en").languages[code]
    assert entry.script == get_global("likely_subtags")[code].split("_")[1]


@pytest.mark.parametrize("entry", LANGUAGES, ids=lambda entry: entry.code)
def test_language_figures_have_a_source_and_plausible_bytes_per_token(entry: Language) -> None:
    assert re.search(r"cc-100", entry.source)
    if entry.cc100_tokens is None or entry.code in ("ja", "zh"):  # counts of unsegmented text are no words
        return
    assert entry.cc100_bytes is not None
    # Compressed bytes per token: a misread unit would be off by a factor of a thousand.
    assert 1.0 < entry.cc100_bytes / entry.cc100_tokens < 6.0


def test_language_tokens_order_agrees_with_bytes_order() -> None:
    spaced = [entry for entry in LANGUAGES if entry.cc100_tokens and entry.code not in ("ja", "zh", "th", "km")]
    log_bytes = [math.log(entry.cc100_bytes or 0) for entry in spaced]
    log_tokens = [math.log(entry.cc100_tokens or 0) for entry in spaced]
    assert _correlation(log_bytes, log_tokens) > 0.97


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("en", ResourceClass.HIGH),
        ("ar", ResourceClass.HIGH),
        ("hi", ResourceClass.MID),
        ("bn", ResourceClass.MID),
        ("te", ResourceClass.LOW),
        ("tl", ResourceClass.LOW),
        ("so", ResourceClass.LOW),
        ("yo", ResourceClass.UNSEEN),
    ],
)
def test_resource_class_of_published_groups_follows_from_bytes(code: str, expected: ResourceClass) -> None:
    assert language(code).resource_class is expected


def test_resource_class_at_each_threshold_belongs_to_the_upper_class() -> None:
    assert _with_bytes(HIGH_FROM_BYTES).resource_class is ResourceClass.HIGH
    assert _with_bytes(HIGH_FROM_BYTES - 1).resource_class is ResourceClass.MID
    assert _with_bytes(MID_FROM_BYTES).resource_class is ResourceClass.MID
    assert _with_bytes(MID_FROM_BYTES - 1).resource_class is ResourceClass.LOW


def test_resource_class_of_a_language_outside_xlmr_is_unseen_however_large() -> None:
    assert _with_bytes(HIGH_FROM_BYTES, in_xlmr=False).resource_class is ResourceClass.UNSEEN
    assert _with_bytes(None, in_xlmr=False).resource_class is ResourceClass.UNSEEN


def test_language_in_xlmr_without_a_size_is_refused() -> None:
    with pytest.raises(ValueError, match="cc100_bytes"):
        _with_bytes(None)


def test_language_of_zero_bytes_is_refused_as_missing_is_not_zero() -> None:
    with pytest.raises(ValueError, match="positive"):
        _with_bytes(0)


def test_language_unknown_code_names_what_exists() -> None:
    with pytest.raises(ValueError, match=r"'swa'.*sw"):
        language("swa")


def test_sampling_shares_are_the_power_of_bytes_that_xlmr_samples_by() -> None:
    shares = dict(sampling_shares(CODES_WITH_BYTES))
    assert sum(shares.values()) == pytest.approx(1, abs=1e-4 * len(shares))
    for code in ("en", "ko", "mr"):
        ratio = (language(code).cc100_bytes or 0) / (language("sw").cc100_bytes or 1)
        assert shares[code] / shares["sw"] == pytest.approx(ratio**0.3, rel=0.03)
    assert len(set(dict(sampling_shares(CODES_WITH_BYTES, exponent=0.0)).values())) == 1
    with pytest.raises(ValueError, match="mt has no file in CC-100"):
        sampling_shares(("en", "mt"))


def _correlation(left: list[float], right: list[float]) -> float:
    mean_left, mean_right = sum(left) / len(left), sum(right) / len(right)
    covariance = sum((a - mean_left) * (b - mean_right) for a, b in zip(left, right, strict=True))
    spread = sum((a - mean_left) ** 2 for a in left) * sum((b - mean_right) ** 2 for b in right)
    return covariance / math.sqrt(spread)
