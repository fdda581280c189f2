"""Collections that users have in files of their own: CLEF under its licence, and CIRAL as it is published."""

from studies.schema.collection import Judge, LocalCollection, LocalSplit, Pair, Relevance
from studies.schema.files import Documents, Layout, Topics

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
