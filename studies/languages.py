"""The languages studies speak of, with what is known about how much text each has.

Sizes
    File sizes as listed at https://data.statmt.org/cc-100/, the public re-creation of XLM-R's training data
    (``wenzek2020ccnet``); they are xz-compressed. The listing is in binary units and rounded upwards: the
    files of am, ka and sr, whose exact sizes are published, have 132.4 MiB, 1.02 GiB and 1.47 GiB, and are
    listed as 133M, 1.1G and 1.5G. A figure here is therefore at most 10 % too high.
Tokens
    Table 6 of ``conneau2020xlmr``, in millions. Japanese, Chinese, Thai, Khmer and Burmese are written
    without spaces, so that their counts are not comparable with the others'.
Membership
    The list of XLM-R's hundred languages in fairseq's ``examples/xlmr/README.md``. The re-creation of CC-100
    also has files for languages that XLM-R never saw, Yoruba among them.
Script and name
    CLDR (``cldr``): the likely script of the language and its English display name. Tagalog is CC-100's
    ``tl``, which XLM-R's list calls Filipino.
Family
    Top-level families of ``glottolog``.
"""

from collections.abc import Sequence
from difflib import get_close_matches

from studies.schema.language import GIB, Language

_MIB = 2**20  # bytes
_SOURCE = "data.statmt.org/cc-100 listing; XLM-R table 6 (arXiv 1911.02116); fairseq xlmr language list"


XLM_R_EXPONENT = 0.3
"""Exponent of XLM-R's sampling of languages (arXiv 1911.02116, section 3.1)."""


def _bytes(listed: str) -> int:
    """Return the number of bytes that a size of the listing, such as 5.4G or 860M, stands for."""
    return round(float(listed[:-1]) * {"M": _MIB, "G": GIB}[listed[-1]])


def _seen(code: str, name: str, script: str, family: str, listed: str, million_tokens: int) -> Language:
    return Language(
        code=code,
        name=name,
        script=script,
        family=family,
        cc100_bytes=_bytes(listed),
        cc100_tokens=million_tokens * 10**6,
        in_xlmr=True,
        source=_SOURCE,
    )


def _unseen(code: str, name: str, script: str, family: str, listed: str | None) -> Language:
    return Language(
        code=code,
        name=name,
        script=script,
        family=family,
        cc100_bytes=None if listed is None else _bytes(listed),
        cc100_tokens=None,
        in_xlmr=False,
        source=_SOURCE,
    )


LANGUAGES: tuple[Language, ...] = (
    _seen("af", "Afrikaans", "Latn", "Indo-European", "305M", 242),
    _seen("am", "Amharic", "Ethi", "Afro-Asiatic", "133M", 68),
    _seen("ar", "Arabic", "Arab", "Afro-Asiatic", "5.4G", 2869),
    _seen("bg", "Bulgarian", "Cyrl", "Indo-European", "9.3G", 5487),
    _seen("bn", "Bangla", "Beng", "Indo-European", "860M", 525),
    _seen("cs", "Czech", "Latn", "Indo-European", "4.4G", 2498),
    _seen("de", "German", "Latn", "Indo-European", "18G", 10297),
    _seen("el", "Greek", "Grek", "Indo-European", "7.4G", 4285),
    _seen("en", "English", "Latn", "Indo-European", "82G", 55608),
    _seen("es", "Spanish", "Latn", "Indo-European", "14G", 9374),
    _seen("fa", "Persian", "Arab", "Indo-European", "20G", 13259),
    _seen("fi", "Finnish", "Latn", "Uralic", "15G", 6730),
    _seen("fr", "French", "Latn", "Indo-European", "14G", 9780),
    _seen("gu", "Gujarati", "Gujr", "Indo-European", "242M", 140),
    _seen("he", "Hebrew", "Hebr", "Afro-Asiatic", "6.1G", 3399),
    _seen("hi", "Hindi", "Deva", "Indo-European", "2.5G", 1715),
    _seen("hu", "Hungarian", "Latn", "Uralic", "15G", 7807),
    _seen("hy", "Armenian", "Armn", "Indo-European", "776M", 421),
    _seen("id", "Indonesian", "Latn", "Austronesian", "36G", 22704),
    _seen("is", "Icelandic", "Latn", "Indo-European", "779M", 505),
    _seen("it", "Italian", "Latn", "Indo-European", "7.8G", 4983),
    _seen("ja", "Japanese", "Jpan", "Japonic", "15G", 530),
    _seen("ka", "Georgian", "Geor", "Kartvelian", "1.1G", 469),
    _seen("kk", "Kazakh", "Cyrl", "Turkic", "889M", 476),
    _seen("km", "Khmer", "Khmr", "Austroasiatic", "153M", 36),
    _seen("kn", "Kannada", "Knda", "Dravidian", "360M", 169),
    _seen("ko", "Korean", "Kore", "Koreanic", "14G", 5644),
    _seen("lt", "Lithuanian", "Latn", "Indo-European", "3.4G", 1835),
    _seen("ml", "Malayalam", "Mlym", "Dravidian", "831M", 313),
    _seen("mr", "Marathi", "Deva", "Indo-European", "334M", 175),
    _seen("ne", "Nepali", "Deva", "Indo-European", "393M", 237),
    _seen("nl", "Dutch", "Latn", "Indo-European", "7.9G", 5025),
    _seen("pl", "Polish", "Latn", "Indo-European", "12G", 6490),
    _seen("pt", "Portuguese", "Latn", "Indo-European", "13G", 8405),
    _seen("ro", "Romanian", "Latn", "Indo-European", "16G", 10354),
    _seen("ru", "Russian", "Cyrl", "Indo-European", "46G", 23408),
    _seen("si", "Sinhala", "Sinh", "Indo-European", "452M", 243),
    _seen("so", "Somali", "Latn", "Afro-Asiatic", "78M", 62),
    _seen("sv", "Swedish", "Latn", "Indo-European", "21G", 12950),
    _seen("sw", "Swahili", "Latn", "Atlantic-Congo", "332M", 275),
    _seen("ta", "Tamil", "Taml", "Dravidian", "1.3G", 595),
    _seen("te", "Telugu", "Telu", "Dravidian", "536M", 249),
    _seen("th", "Thai", "Thai", "Tai-Kadai", "8.7G", 1834),
    _seen("tl", "Tagalog", "Latn", "Austronesian", "701M", 556),
    _seen("tr", "Turkish", "Latn", "Turkic", "5.4G", 2736),
    _seen("uk", "Ukrainian", "Cyrl", "Indo-European", "14G", 6960),
    _seen("ur", "Urdu", "Arab", "Indo-European", "884M", 730),
    _seen("vi", "Vietnamese", "Latn", "Austroasiatic", "28G", 24757),
    # The simplified script, CLDR's likely one; the traditional file is a further 5.3G and 176 million tokens.
    _seen("zh", "Chinese", "Hans", "Sino-Tibetan", "14G", 259),
    _unseen("ig", "Igbo", "Latn", "Atlantic-Congo", "6.6M"),
    _unseen("mt", "Maltese", "Latn", "Afro-Asiatic", None),
    _unseen("yo", "Yoruba", "Latn", "Atlantic-Congo", "1.1M"),
    _unseen("zu", "Zulu", "Latn", "Atlantic-Congo", "4.3M"),
)

# The languages of MIRACL (``zhang2023miracl``), de and yo being the two without training topics.
MIRACL: tuple[str, ...] = (
    "ar", "bn", "de", "en", "es", "fa", "fi", "fr", "hi", "id",
    "ja", "ko", "ru", "sw", "te", "th", "yo", "zh",
)  # fmt: skip


def language(code: str) -> Language:
    """Return the language with this code; an unknown code is an error that names the nearest known ones."""
    for candidate in LANGUAGES:
        if candidate.code == code:
            return candidate
    known = [candidate.code for candidate in LANGUAGES]
    nearest = get_close_matches(code, known, cutoff=0.5) or known
    raise ValueError(f"no language has the code {code!r}; studies/languages.py has {', '.join(nearest)}; add it there")


def sampling_shares(codes: Sequence[str], *, exponent: float = XLM_R_EXPONENT) -> tuple[tuple[str, float], ...]:
    """How often each language is sampled in pretraining: its share of CC-100's bytes to a power, scaled to sum to 1.

    To four digits, so that a share is spelled alike everywhere. ValueError for a language without a size.
    """
    found = [language(code) for code in codes]
    for entry in found:
        if entry.cc100_bytes is None:
            raise ValueError(f"{entry.code} has no file in CC-100, so it has no share of it; leave it out")
    weights = [float(entry.cc100_bytes or 0) ** exponent for entry in found]
    return tuple((code, round(weight / sum(weights), 4)) for code, weight in zip(codes, weights, strict=True))
