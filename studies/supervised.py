"""Text for supervised retrieval in the layouts that it is published in, and what is trained on it: a teacher, rivals.

Hashes are those of ``ir_datasets`` 0.6.3; revisions of local files are the user's. Judgments of MS MARCO come from
people who read its passages for its queries; those of WikiCLIR were made by rule from links between articles.
"""

from studies.collections import BINARY, LINKED, marco, wikiclir
from studies.schema.collection import TRAIN, Collection, LocalCollection, LocalSplit, Pair
from studies.schema.files import Documents, Layout, Topics
from studies.schema.objective import Ranking
from studies.schema.optimiser import Optimiser, Schedule
from studies.schema.run import Supervised
from studies.schema.rung import Precision, Rung
from studies.schema.triples import (
    MARCO,
    IdTriples,
    IrTriples,
    JudgedText,
    RandomOthers,
    RetrievalTriples,
    TextTriples,
    TripleSource,
)

MARCO_TERMS = "MS MARCO terms: research that is not commercial"

SMALL_TRIPLES = IrTriples(name="mmarco/v2/de/train", revision="afe801d021")
"""Ids of MS MARCO's 39,780,811 small triples, as mMARCO publishes them once for all its languages."""

OWN_PASSAGES = Ranking(group_size=1, temperature=1 / 32)
"""ColBERT's own loss: a query's relevant passage against the other one of its triple."""

WITH_IN_BATCH = Ranking(group_size=8, temperature=1 / 32)
"""The same over the sixteen passages of eight triples."""

_MMARCO = {"ar": "arabic", "de": "german", "en": "english", "es": "spanish", "fr": "french", "hi": "hindi"}
_MMARCO |= {"id": "indonesian", "it": "italian", "ja": "japanese", "nl": "dutch", "pt": "portuguese", "ru": "russian"}
_MMARCO |= {"vi": "vietnamese", "zh": "chinese"}

_WIKICLIR = {"ar": "arabic", "ca": "catalan", "cs": "czech", "de": "german", "es": "spanish", "fi": "finnish"}
_WIKICLIR |= {"fr": "french", "it": "italian", "ja": "japanese", "ko": "korean", "nl": "dutch", "pl": "polish"}
_WIKICLIR |= {"pt": "portuguese", "ro": "romanian", "ru": "russian", "sv": "swedish", "sw": "swahili", "tl": "tagalog"}
_WIKICLIR |= {"tr": "turkish", "uk": "ukrainian", "vi": "vietnamese", "zh": "chinese"}


def marco_triples(query: str, document: str) -> JudgedText:
    """MS MARCO's small triples with queries and passages in any of its languages, through ``ir_datasets``.

    English queries and passages are MS MARCO's own (arXiv 1611.09268), others mMARCO's translations (arXiv 2108.13897).
    """
    return JudgedText(collection=marco(query, document), others=SMALL_TRIPLES)


def wikiclir_judgments(document: str, *, relevant_from: int = 1, others: int = 1) -> JudgedText:
    """WikiCLIR (Sasaki et al., NAACL 2018) through ``ir_datasets``: English first sentences against articles.

    From grade 2 on the article on the same subject alone is relevant, from 1 on those it is mutually linked with too.
    """
    return JudgedText(
        collection=wikiclir(document), others=RandomOthers(relevant_from=relevant_from, number=others), split="all"
    )


def marco_text_triples(*, revision: str, path: str = "triples.train.small.tsv") -> TextTriples:
    """MS MARCO's small triples as texts, from a local file."""
    return TextTriples(
        name="msmarco-triples-small",
        pair=Pair(query="en", document="en"),
        path=path,
        ids_of=MARCO,
        licence=MARCO_TERMS,
        revision=revision,
    )


def mmarco_files(query: str, document: str, *, revision: str, triples: IdTriples, engine: str = "google") -> JudgedText:
    """mMARCO in local files as its data repository has them below ``data``; version 2 is google's translations."""
    for language in (query, document):
        if language not in _MMARCO:
            raise ValueError(f"mMARCO has no language {language!r}; it has {', '.join(_MMARCO)}")
    collection = LocalCollection(
        name=f"mmarco-{query}-{document}",
        pair=Pair(query=query, document=document),
        documents=Documents(
            layout=Layout.TSV,
            paths=(f"{engine}/collections/{_MMARCO[document]}_collection.tsv",),
            id_field="id",
            text_fields=("text",),
            columns=("id", "text"),
        ),
        splits=(
            LocalSplit(
                name=TRAIN,
                topics=Topics(
                    layout=Layout.TSV,
                    paths=(f"{engine}/queries/train/{_MMARCO[query]}_queries.train.tsv",),
                    id_field="id",
                    text_fields=("text",),
                    columns=("id", "text"),
                ),
            ),
        ),
        relevance=BINARY,
        licence=MARCO_TERMS,
        revision=revision,
    )
    return JudgedText(collection=collection, others=triples)


def wikiclir_files(document: str, *, revision: str, relevant_from: int = 1, others: int = 1) -> JudgedText:
    """WikiCLIR in local files as its archive ``wiki-clir.tar.gz`` unpacks."""
    if document not in _WIKICLIR:
        raise ValueError(f"WikiCLIR has no language {document!r}; it has {', '.join(_WIKICLIR)}")
    folder = f"wiki-clir/{_WIKICLIR[document]}"
    collection = LocalCollection(
        name=f"wikiclir-{document}",
        pair=Pair(query="en", document=document),
        documents=Documents(
            layout=Layout.TSV,
            paths=(f"{folder}/wiki_{document}.documents",),
            id_field="id",
            text_fields=("title", "text"),
            columns=("id", "title", "text"),
        ),
        splits=(
            LocalSplit(
                name="all",
                topics=Topics(
                    layout=Layout.TSV,
                    paths=("wiki-clir/english/wiki_en.queries",),
                    id_field="id",
                    text_fields=("first_sentence",),
                    columns=("id", "title", "first_sentence"),
                ),
                qrels=(f"{folder}/en2{document}.rel",),
            ),
        ),
        relevance=LINKED,
        licence=None,
        revision=revision,
    )
    return JudgedText(
        collection=collection, others=RandomOthers(relevant_from=relevant_from, number=others), split="all"
    )


def late_interaction(
    rung: Rung,
    learning_rate: float,
    sources: tuple[TripleSource, ...],
    *,
    triples: int,
    steps: int,
    kept_out: tuple[Collection, ...],
    objective: Ranking = WITH_IN_BATCH,
) -> Supervised:
    """A retriever with vectors of ColBERT's width (arXiv 2004.12832), trained on the triples of the sources.

    On MS MARCO in English it is a teacher; on mMARCO's translations of queries and passages the translate-train rival
    (arXiv 2201.08471), on WikiCLIR the rival with synthetic judgments.
    """
    return Supervised(
        text=RetrievalTriples(sources=sources, triples=triples, kept_out=kept_out),
        rung=rung,
        token_size=128,
        objective=objective,
        optimiser=Optimiser(learning_rate=learning_rate),
        schedule=Schedule(steps=steps, warmup_steps=steps // 10),
        global_batch=256,
        precision=Precision.BF16,
        dropout=0.0,
        seed=0,
    )
