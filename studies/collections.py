"""The collections that studies may name, each with its pair, scale of relevance, licence and revision.

Counts of passages and the hashes in revisions are those of ``ir_datasets`` 0.6.3. Licences are those of the data sets'
own pages; None where none is stated there. Judgments of the Wikipedia collections WikiCLIR and CLIRMatrix were made
by rule, not by people. TREC 2023's NeuCLIR topics are left out: ``ir_datasets`` finds none of them (its issue 292).
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TypeVar

from studies.schema.collection import (
    TRAIN,
    UNPINNED,
    IrDataset,
    Judge,
    Pair,
    Published,
    Relevance,
    Split,
    TranslatedTopics,
)
from studies.schema.topic_makers import People, Translator

Value = TypeVar("Value")

BINARY = Relevance(grades=(0, 1), relevant_from=1, judge=Judge.PEOPLE)
POSITIVE_ONLY = Relevance(grades=(1,), relevant_from=1, judge=Judge.PEOPLE)
NEWS = Relevance(grades=(0, 1, 3), relevant_from=1, judge=Judge.PEOPLE)
LINKED = Relevance(grades=(1, 2), relevant_from=1, judge=Judge.LINKS)
"""2 is the article on the same subject, 1 one that it links to and is linked from."""
BINNED_SCORES = Relevance(grades=(0, 1, 2, 3, 4, 5, 6), relevant_from=1, judge=Judge.SCORES)

_MIRACL = {  # passages, revision
    "ar": (2_061_414, "725a6c7581.6a81699648"),
    "bn": (297_265, "8773d97ffe.9a61b20cc5"),
    "de": (15_866_222, "b87903e32a.807ff16cf9"),
    "en": (32_893_221, "a9beb6529c.ffe5990635"),
    "es": (10_373_953, "3f3306c422.cb328baace"),
    "fa": (2_207_172, "ed27694161.2f369cc3aa"),
    "fi": (1_883_509, "ace14e4269.7638cfd054"),
    "fr": (14_636_953, "b4b250ce13.2e59754852"),
    "hi": (506_264, "67a5e9ed69.bc4c3e22bf"),
    "id": (1_446_315, "dee64d89d9.377761b620"),
    "ja": (6_953_614, "2f52955db5.458ed7cee6"),
    "ko": (1_486_752, "758b2ced04.f45902a2e2"),
    "ru": (9_543_918, "408a45f4be.21bf032b93"),
    "sw": (131_924, "6b6912a4b0.3e842d9bae"),
    "te": (518_079, "9f46224c7b.da904d8000"),
    "th": (542_166, "eaeb6dac9d.fd390a1f01"),
    "yo": (49_043, "28d3ad1491.f721f60132"),
    "zh": (4_934_368, "0606ffda14.e6b47d68a0"),
}
MIRACL_LANGUAGES = tuple(_MIRACL)
_WITHOUT_TRAIN = ("de", "yo")
_WITH_TEST_A = ("ar", "bn", "en", "fi", "id", "ja", "ko", "ru", "sw", "te", "th")

_MARCO_PASSAGES = 8_841_823
_MARCO = {  # ir_datasets' name, hash of the queries, hash of the passages
    "en": ("msmarco-passage", "99a15b393f", "613360c04a"),
    "ar": ("mmarco/v2/ar", "58a489cbbe", "180d9557de"),
    "de": ("mmarco/v2/de", "21f7ea7452", "36fb545e01"),
    "es": ("mmarco/v2/es", "4b0e57c9c1", "28ef444123"),
    "fr": ("mmarco/v2/fr", "5c45f0fb90", "5bd7c293b1"),
    "hi": ("mmarco/v2/hi", "430fddcdb8", "ed8f041dc3"),
    "id": ("mmarco/v2/id", "24c900e721", "1c6d1c9a7f"),
    "it": ("mmarco/v2/it", "d0d5b3972e", "d714a710bb"),
    "ja": ("mmarco/v2/ja", "d064ea58e9", "f8893d5533"),
    "nl": ("mmarco/v2/dt", "b34d798e55", "bb8338b861"),
    "pt": ("mmarco/v2/pt", "adcf38b1c6", "1455b27669"),
    "ru": ("mmarco/v2/ru", "1c94fd35d3", "af8b080793"),
    "vi": ("mmarco/v2/vi", "a7e96c27a5", "f55c36bf03"),
    "zh": ("mmarco/v2/zh", "2e20f775bb", "a6e0a6afa8"),
}
MARCO_LANGUAGES = tuple(_MARCO)

_WIKICLIR = {  # passages
    **{"ar": 535_118, "ca": 548_722, "cs": 386_906, "de": 2_091_278, "es": 1_302_958, "fi": 418_677},
    **{"fr": 1_894_397, "it": 1_347_011, "ja": 1_071_292, "ko": 394_177, "nl": 1_908_260, "nn": 133_290},
    **{"no": 471_420, "pl": 1_234_316, "pt": 973_057, "ro": 376_655, "ru": 1_413_945, "sv": 3_785_412},
    **{"sw": 37_079, "tl": 79_008, "tr": 295_593, "uk": 704_903, "vi": 1_392_152, "zh": 951_480},
}
WIKICLIR_LANGUAGES = tuple(_WIKICLIR)

_NEWS = {  # passages of NeuCLIR 1 and its hash, passages of HC4 and the hash of its topics
    "fa": (2_232_016, "0e44df6ac5", 486_486, "7b4dad4aca"),
    "ru": (4_627_543, "b4d49f8296", 4_721_064, "9c82fe5ffe"),
    "zh": (3_179_209, "9536298e68", 646_305, "c4493cd014"),
}
NEWS_LANGUAGES = tuple(_NEWS)

MULTI8_LANGUAGES = ("ar", "de", "en", "es", "fr", "ja", "ru", "zh")


def miracl(language: str) -> IrDataset:
    """MIRACL as published (arXiv 2210.09984): queries and passages of one language."""
    count, revision = _look_up("MIRACL", language, _MIRACL)
    return IrDataset(
        pair=Pair(query=language, document=language),
        passages=f"miracl/{language}",
        count=count,
        splits=tuple(
            Split(name=name, source=f"miracl/{language}/{name}", judged=judged)
            for name, judged, exists in (
                (TRAIN, True, language not in _WITHOUT_TRAIN),
                ("dev", True, True),
                ("test-a", False, language in _WITH_TEST_A),
                ("test-b", False, True),
            )
            if exists
        ),
        query_fields=("text",),
        passage_fields=("title", "text"),
        relevance=BINARY,
        licence="Apache-2.0",
        revision=revision,
    )


def miracl_in_english(language: str, *, path: str, by: People | Translator, revision: str) -> TranslatedTopics:
    """English development topics of MIRACL translated into a language, against the English passages."""
    return translated(miracl("en"), language, path=path, by=by, revision=revision)


def miracl_across(
    language: str, document: str, *, path: str, by: People | Translator, revision: str
) -> TranslatedTopics:
    """Development topics of one language's MIRACL translated into another, against the former's own passages."""
    return translated(miracl(document), language, path=path, by=by, revision=revision)


def translated(
    original: Published, language: str, *, path: str, by: People | Translator, revision: str, split: str = "dev"
) -> TranslatedTopics:
    """Topics of any collection translated into a language."""
    return TranslatedTopics(original=original, language=language, split=split, path=path, by=by, revision=revision)


def marco(query: str, document: str) -> IrDataset:
    """MS MARCO passages (arXiv 1611.09268), and mMARCO's machine translations (arXiv 2108.13897) on either side.

    Ids are the same in all languages, so any pair is a pair.
    """
    topics, topics_hash, _ = _look_up("mMARCO", query, _MARCO)
    passages, _, passages_hash = _look_up("mMARCO", document, _MARCO)
    return IrDataset(
        pair=Pair(query=query, document=document),
        passages=passages,
        count=_MARCO_PASSAGES,
        splits=_marco_splits(topics),
        query_fields=("text",),
        passage_fields=("text",),
        relevance=POSITIVE_ONLY,
        licence="MS MARCO terms: research that is not commercial",
        revision=f"{topics_hash}.{passages_hash}",
    )


def neumarco(document: str) -> IrDataset:
    """English MS MARCO queries against its passages in machine translation, as NeuCLIR's baselines train on."""
    _look_up("NeuMARCO", document, _NEWS)
    return IrDataset(
        pair=Pair(query="en", document=document),
        passages=f"neumarco/{document}",
        count=_MARCO_PASSAGES,
        splits=_marco_splits(f"neumarco/{document}"),
        query_fields=("text",),
        passage_fields=("text",),
        relevance=POSITIVE_ONLY,
        licence="MS MARCO terms: research that is not commercial",
        revision="99a15b393f.1a2dabdf83",
    )


def wikiclir(document: str) -> IrDataset:
    """English queries from Wikipedia's first sentences against articles (Sasaki et al., NAACL 2018)."""
    return IrDataset(
        pair=Pair(query="en", document=document),
        passages=f"wikiclir/{document}",
        count=_look_up("WikiCLIR", document, _WIKICLIR),
        splits=(Split(name="all", source=f"wikiclir/{document}"),),
        query_fields=("first_sent",),
        passage_fields=("title", "text"),
        relevance=LINKED,
        licence=None,
        revision="690a3fd2c5.690a3fd2c5",
    )


def clirmatrix(query: str, document: str, subset: str = "bi139-base") -> IrDataset:
    """Wikipedia titles against articles of another language (Sun and Duh, EMNLP 2020): a pair of 139 languages.

    ``subset`` is bi139-base, bi139-full or, among eight languages, multi8. The number of articles is stated in a file
    that ``ir_datasets`` downloads, so that it is not known here.
    """
    if subset not in ("bi139-base", "bi139-full", "multi8"):
        raise ValueError(f"CLIRMatrix has no subset {subset!r}; it has bi139-base, bi139-full and multi8")
    if query == document or (subset == "multi8" and not {query, document} <= set(MULTI8_LANGUAGES)):
        raise ValueError(f"CLIRMatrix {subset} has no pair {query}-{document}; multi8 is {', '.join(MULTI8_LANGUAGES)}")
    return IrDataset(
        pair=Pair(query=query, document=document),
        passages=f"clirmatrix/{document}",
        count=None,
        splits=tuple(
            Split(name=name, source=f"clirmatrix/{document}/{subset}/{query}/{name}")
            for name in (TRAIN, "dev", "test1", "test2")
        ),
        query_fields=("text",),
        passage_fields=("text",),
        relevance=BINNED_SCORES,
        licence=None,
        revision="283f5356cc.283f5356cc",
    )


def neuclir(document: str) -> IrDataset:
    """NeuCLIR 2022 (arXiv 2304.12367): titles of English topics against news in another language."""
    count, passages_hash, _, _ = _look_up("NeuCLIR", document, _NEWS)
    return IrDataset(
        pair=Pair(query="en", document=document),
        passages=f"neuclir/1/{document}",
        count=count,
        splits=(Split(name="trec-2022", source=f"neuclir/1/{document}/trec-2022"),),
        query_fields=("title",),
        passage_fields=("title", "text"),
        relevance=NEWS,
        licence=None,
        revision=f"e5f7ab4abc.{passages_hash}",
    )


def hc4(document: str) -> IrDataset:
    """HC4 (arXiv 2201.09992): titles of English topics against news, which its own script fetches."""
    _, _, count, topics_hash = _look_up("HC4", document, _NEWS)
    return IrDataset(
        pair=Pair(query="en", document=document),
        passages=f"hc4/{document}",
        count=count,
        splits=tuple(Split(name=name, source=f"hc4/{document}/{name}") for name in (TRAIN, "dev", "test")),
        query_fields=("title",),
        passage_fields=("title", "text"),
        relevance=NEWS,
        licence=None,
        revision=f"{topics_hash}.{UNPINNED}",
    )


def published() -> tuple[IrDataset, ...]:
    """Every collection of the catalogue that needs no file of the user's; of CLIRMatrix the MULTI-8 pairs."""
    return (
        *(miracl(language) for language in MIRACL_LANGUAGES),
        *(marco(language, language) for language in MARCO_LANGUAGES),
        *(wikiclir(language) for language in WIKICLIR_LANGUAGES),
        *(clirmatrix(q, d, "multi8") for q in MULTI8_LANGUAGES for d in MULTI8_LANGUAGES if q != d),
        *(build(language) for build in (neuclir, neumarco, hc4) for language in NEWS_LANGUAGES),
    )


def _marco_splits(topics: str) -> tuple[Split, ...]:
    return (Split(name=TRAIN, source=f"{topics}/train"), Split(name="dev", source=f"{topics}/dev/small"))


def _look_up(collection: str, language: str, known: Mapping[str, Value]) -> Value:
    if language not in known:
        close = get_close_matches(language, known, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]}? " if close else ""
        raise ValueError(f"{collection} has no language {language!r}; {hint}it has {', '.join(known)}")
    return known[language]
