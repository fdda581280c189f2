"""Collections in files of one's own: CLEF under its licence, CIRAL and captions of images as they are published."""

from studies.schema.collection import (
    EntityCaptions,
    Judge,
    LocalCollection,
    LocalSplit,
    Pair,
    Relevance,
    SeenCaptions,
    TranslatedTopics,
)
from studies.schema.files import Documents, Layout, Topics
from studies.schema.topic_makers import People

BINARY = Relevance(grades=(0, 1), relevant_from=1, judge=Judge.PEOPLE)

_CIRAL = {"ha": "hausa", "so": "somali", "sw": "swahili", "yo": "yoruba"}
CIRAL_LANGUAGES = tuple(_CIRAL)


def clef_english(query: str, *, topics: Topics, qrels: tuple[str, ...], revision: str) -> LocalCollection:
    """CLEF 2000 to 2003 against LA Times 1994 and Glasgow Herald 1995, licensed as ELRA-E0008, from files.

    Documents lie in the folders ``latimes94`` and ``gh95``; topics are CLEF's own, or the public ones in Swahili and
    Somali.
    """
    return LocalCollection(
        name=f"clef-english-{query}",
        pair=Pair(query=query, document="en"),
        documents=Documents(
            layout=Layout.SGML,
            paths=("latimes94/*", "gh95/*"),
            id_field="DOCNO",
            text_fields=("HEADLINE", "TEXT"),
            encoding="latin-1",
        ),
        splits=(LocalSplit(name="test", topics=topics, qrels=qrels),),
        relevance=BINARY,
        licence="ELRA-E0008",
        revision=revision,
    )


def ciral(document: str, *, revision: str) -> LocalCollection:
    """CIRAL (FIRE 2023): English queries against passages in four African languages, from files as published."""
    if document not in _CIRAL:
        raise ValueError(f"CIRAL has no language {document!r}; it has {', '.join(_CIRAL)}")
    name = _CIRAL[document]
    return LocalCollection(
        name=f"ciral-{name}",
        pair=Pair(query="en", document=document),
        documents=Documents(
            layout=Layout.JSONL,
            paths=(f"passages-v1.0/{name}_passages.jsonl*",),
            id_field="docid",
            text_fields=("title", "text"),
        ),
        splits=tuple(
            LocalSplit(
                name=split,
                topics=Topics(
                    layout=Layout.TSV,
                    paths=(f"ciral-{name}/topics/topics.ciral-v1.0-{document}-{split}.tsv",),
                    id_field="qid",
                    text_fields=("query",),
                    columns=("qid", "query"),
                ),
                qrels=(f"ciral-{name}/qrels/qrels.ciral-v1.0-{document}-{split}.tsv",),
            )
            for split in ("dev", "test-a", "test-b")
        ),
        relevance=BINARY,
        licence="Apache-2.0",
        revision=revision,
    )


XM3600_LANGUAGES = (
    *("ar", "bn", "cs", "da", "de", "el", "en", "es", "fa", "fi", "fil", "fr", "he", "hi", "hr", "hu", "id", "it"),
    *("ja", "ko", "mi", "nl", "no", "pl", "pt", "quz", "ro", "ru", "sv", "sw", "te", "th", "tr", "uk", "vi", "zh"),
)
MULTI30K_LANGUAGES = ("cs", "de", "fr")
_MULTI30K = "test_2016_flickr"


def flickr30k_entities(*, revision: str) -> EntityCaptions:
    """Captions of Flickr30k-Entities (arXiv 1505.04870), asked by those that Multi30K had translated: 1,000 images.

    ``Sentences`` is a folder of its ``annotations.zip``, beside ``UNRELATED_CAPTIONS``. The topics join two files of
    Multi30K (arXiv 1605.00459) line by line: ``paste image_splits/test_2016_flickr.txt raw/test_2016_flickr.en``. Its
    images are not those of Flickr30k-Entities' own test split: most of them are in its training split, which nothing
    here is trained on.
    """
    return EntityCaptions(
        name="flickr30k-entities",
        captions="flickr30k-entities/Sentences",
        unrelated="flickr30k-entities/UNRELATED_CAPTIONS",
        topics=f"multi30k/{_MULTI30K}.en.tsv",
        split=_MULTI30K,
        licence="Flickr's terms of use: research that is not commercial",
        revision=revision,
    )


def multi30k(language: str, *, original: EntityCaptions, revision: str) -> TranslatedTopics:
    """The same captions in Czech, German or French, by people; the file is pasted like the English one.

    Topics in other languages are ``TranslatedTopics`` of one's own.
    """
    if language not in MULTI30K_LANGUAGES:
        raise ValueError(f"Multi30K has no language {language!r}; it has {', '.join(MULTI30K_LANGUAGES)}")
    return TranslatedTopics(
        original=original,
        language=language,
        split=original.split,
        path=f"multi30k/{_MULTI30K}.{language}.tsv",
        by=People(source="Multi30K, task 1"),
        revision=revision,
    )


def xm3600(language: str, *, revision: str) -> SeenCaptions:
    """Crossmodal-3600 (arXiv 2205.12522): 3,600 images from where 36 languages are spoken, with captions in each."""
    if language not in XM3600_LANGUAGES:
        raise ValueError(f"XM3600 has no language {language!r}; it has {', '.join(XM3600_LANGUAGES)}")
    return SeenCaptions(
        name="xm3600", path="xm3600/captions.jsonl", language=language, licence="CC-BY-4.0", revision=revision
    )
