"""Small files in the layouts that collections are published in, where ``ir_datasets`` keeps what it fetched."""

import gzip
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import ir_datasets

from studies.collections import MULTI8_LANGUAGES
from studies.schema.collection import IrDataset, Split

HOME = Path(os.environ["IR_DATASETS_HOME"])

Texts = Mapping[str, str]
Judged = Sequence[tuple[str, str, int]]

NOWHERE = "http://127.0.0.1:9/"

THREE_LETTERS = {"fa": "fas", "ru": "rus", "zh": "zho"}


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")


def tsv(rows: Sequence[Sequence[object]]) -> str:
    return "".join("\t".join(map(str, row)) + "\n" for row in rows)


def four_columns(judged: Judged, iteration: str = "Q0") -> str:
    return tsv([(query, iteration, passage, grade) for query, passage, grade in judged])


def publish_split(declaration: IrDataset, split: Split, topics: Texts, judged: Judged) -> None:
    """Write one split as its publisher does."""
    _write_split(declaration, split, topics, judged)
    _forget_judged(split)


def _write_split(declaration: IrDataset, split: Split, topics: Texts, judged: Judged) -> None:
    family = split.source.split("/")[0]
    queries = tsv(list(topics.items()))
    match family:
        case "miracl":
            folder = HOME / "miracl" / "v1.0" / declaration.pair.document / split.name
            write(folder / "topics.tsv", queries)
            write(folder / "qrels.tsv", four_columns(judged))
        case "msmarco-passage" | "neumarco" | "mmarco":
            _publish_marco(split, queries, four_columns(judged, "0"))
        case "wikiclir":
            (HOME / "wikiclir" / "source").mkdir(parents=True, exist_ok=True)
            known = HOME / "wikiclir" / "source" / "wiki-clir" / "english" / "wiki_en.queries"
            before = known.read_text(encoding="utf-8") if known.exists() else ""
            rows = [row for query, text in topics.items() if (row := tsv([(query, "Title", text)])) not in before]
            write(known, before + "".join(rows))
            write(Path(ir_datasets.registry[split.source].qrels_handler().qrels_path()), tsv(judged))
        case "clirmatrix":
            _publish_clirmatrix(split, topics, judged)
        case "neuclir":
            write(HOME / "neuclir" / "trec-2022" / "topics.jsonl", _topics_of_news(topics))
            lines = "".join(four_columns(judged, three) for three in THREE_LETTERS.values())
            write(HOME / "neuclir" / "trec-2022" / "qrels", lines)
        case "hc4":
            folder = HOME / "hc4"
            write(folder / f"{split.name}.topics.v1-0.jsonl", _topics_of_news(topics))
            three = THREE_LETTERS[declaration.pair.document]
            write(folder / three / f"{split.name}.qrels.v1-0.txt", four_columns(judged, "0"))
        case _:
            raise AssertionError(f"no layout for {family}")


def _forget_judged(split: Split) -> None:
    """``ir_datasets`` keeps the ids of judged queries once it has read them, and other tests publish other ones."""
    judged = getattr(ir_datasets.registry[split.source].queries_handler(), "_lazy_qids", None)
    if judged is not None:
        judged._loaded, judged._result = False, None


def publish_miracl_passages(language: str, shards: Sequence[Sequence[Mapping[str, str]]]) -> None:
    for number, shard in enumerate(shards):
        path = HOME / "miracl" / "v1.0" / language / "docs" / f"docs-{number}.jsonl.gz"
        write(path, "".join(json.dumps(passage, ensure_ascii=False) + "\n" for passage in shard))


def _publish_marco(split: Split, queries: str, qrels: str) -> None:
    english = HOME / "msmarco-passage" / ("train" if split.name == "train" else "dev/small")
    write(english / "qrels", qrels)
    if split.source.startswith("mmarco"):
        name = split.source.split("/")[2]
        handler = ir_datasets.registry[
            f"mmarco/v2/{name}/{'train' if split.name == 'train' else 'dev'}"
        ].queries_handler()
        write(Path(handler._path(False)), queries)
        if split.name != "train":
            write(HOME / "mmarco" / "qrels.dev.small.tsv", qrels)
    else:
        write(english / "queries.tsv", queries)


def _publish_clirmatrix(split: Split, topics: Texts, judged: Judged) -> None:
    document, subset, query, name = split.source.split("/")[1:]
    # It is read once in a process, so it lists every pair that a test may ask for.
    write(HOME / "clirmatrix" / "clirmatrix_downloads.json.gz", json.dumps(_clirmatrix_listing()))
    path = f"{subset}/{query}_{document}.{name}.jl.gz"
    lines = [
        {
            "src_id": number,
            "src_query": text,
            "tgt_results": [[passage, grade] for query_id, passage, grade in judged if query_id == number],
        }
        for number, text in topics.items()
    ]
    write(HOME / "clirmatrix" / path, "".join(json.dumps(line) + "\n" for line in lines))


def _clirmatrix_listing() -> dict[str, dict[str, dict[str, str]]]:
    pairs = [("multi8", query, document) for query in MULTI8_LANGUAGES for document in MULTI8_LANGUAGES]
    listing: dict[str, dict[str, dict[str, str]]] = {"clirmatrix_docs": {}}
    for subset, query, document in (*pairs, ("bi139-base", "en", "sw")):
        files = listing.setdefault(f"clirmatrix_{subset.replace('-', '_')}", {})
        for name in ("train", "dev", "test1", "test2"):
            path = f"{subset}/{query}_{document}.{name}.jl.gz"
            files[f"queries/{query}_{document}/{name}"] = {"url": NOWHERE, "expected_md5": "0", "cache_path": path}
        listing["clirmatrix_docs"][f"docs/{document}"] = {"url": NOWHERE, "cache_path": f"{document}.tsv.gz"}
    return listing


def _topics_of_news(topics: Texts) -> str:
    lines = []
    for number, text in topics.items():
        written = {"topic_title": text, "topic_description": "d", "topic_narrative": "n"}
        translated = [
            {"lang": three, "source": source, **written}
            for three in THREE_LETTERS.values()
            for source in ("human translation", "machine translation")
        ]
        line = {
            "topic_id": number,
            "languages_with_qrels": list(THREE_LETTERS.values()),
            "topics": [{"lang": "eng", "source": "original", **written}, *translated],
            "narratives": {three: {} for three in THREE_LETTERS.values()},
            "report": {"text": "", "url": "", "date": ""},
        }
        lines.append(json.dumps(line) + "\n")
    return "".join(lines)
