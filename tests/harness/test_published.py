"""Collections through ir_datasets, from small files in the published layouts."""

import http.server
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import ir_datasets
import pytest
from ir_datasets.util import Download, LocalDownload, RequestsDownload

from harness.data.collections import load, open_collection
from harness.data.guard import guard_of
from harness.data.parallel import prepare
from harness.data.published import Unavailable, explained, load_published, published_revision
from harness.data.records import revision_of_files
from harness.data.retrieval import inspect
from studies.collections import clirmatrix, hc4, miracl, neuclir, published, wikiclir
from studies.schema.collection import TRAIN, IrDataset, Split
from studies.schema.parallel import Corpus, Filters, Moses, ParallelText
from studies.schema.storage import Storage
from tests.harness.published_layouts import HOME, publish_miracl_passages, publish_split, write


def tiny_miracl(language: str, **changed: object) -> IrDataset:
    """MIRACL of a language with two shards at most, two queries a split, and passages named as published."""
    declaration = replace(miracl(language), count=3)
    for split in declaration.splits:
        topics = {f"{split.name}#0": f"swali la {split.name}", f"{split.name}#1": "ما هي عاصمة السودان؟"}
        judged = [(f"{split.name}#0", "39#0", 1), (f"{split.name}#0", "39#1", 0), (f"{split.name}#1", "7#12", 1)]
        publish_split(declaration, split, topics, judged)
    passages = [
        {"docid": "39#0", "title": "Afrika", "text": "Bara  la\u2028Afrika"},
        {"docid": "39#1", "title": "กรุงเทพ", "text": "ประเทศไทย"},
        {"docid": "7#12", "title": "السودان", "text": "الخرطوم"},
    ]
    publish_miracl_passages(language, [passages] if language in ("sw", "yo", "bn") else [passages[:2], passages[2:]])
    return replace(declaration, **changed)  # type: ignore[arg-type]


def test_miracl_reads_topics_judgments_and_shards_as_published() -> None:
    collection = load_published(tiny_miracl("te"))
    assert collection.topics("dev", "te") == {"dev#0": "swali la dev", "dev#1": "ما هي عاصمة السودان؟"}
    assert collection.qrels(TRAIN) == {"train#0": {"39#0": 1, "39#1": 0}, "train#1": {"7#12": 1}}
    blocks = list(collection.blocks(2))
    assert [[passage.id for passage in block] for block in blocks] == [["39#0", "39#1"], ["7#12"]]
    assert blocks[0][0].text == "Afrika Bara la Afrika"
    assert inspect(collection).judgments == {TRAIN: 3, "dev": 3}


def test_topics_without_judgments_are_read_and_cannot_be_scored() -> None:
    collection = load_published(tiny_miracl("bn"))
    assert set(collection.topics("test-b", "bn")) == {"test-b#0", "test-b#1"}
    with pytest.raises(ValueError, match="no judgments for split 'test-b'; it has them for train, dev"):
        collection.qrels("test-b")


def test_missing_split_names_those_that_exist() -> None:
    collection = load_published(tiny_miracl("yo"))
    with pytest.raises(ValueError, match="miracl/yo has no queries for split 'train'; it has them for dev, test-b"):
        collection.topics(TRAIN, "yo")
    declared = replace(miracl("de"), splits=(Split(name=TRAIN, source="miracl/de/train"),))
    with pytest.raises(ValueError, match=r"no 'miracl/de/train'; near it are miracl/"):
        load(declared)


@pytest.mark.parametrize("declaration", published(), ids=lambda declaration: f"{declaration.name}-{declaration.pair}")
def test_catalogue_names_ids_fields_and_revisions_of_the_installed_ir_datasets(declaration: IrDataset) -> None:
    assert published_revision(declaration) == declaration.revision
    if not declaration.name.startswith("clirmatrix"):
        assert set(declaration.passage_fields) <= set(ir_datasets.registry[declaration.passages].docs_cls()._fields)
        for split in declaration.splits:
            found = ir_datasets.registry[split.source]
            assert set(declaration.query_fields) <= set(found.queries_cls()._fields)
            assert found.has_qrels() is split.judged


def test_other_revision_is_refused_before_anything_is_read() -> None:
    other = replace(miracl("sw"), revision="0000000000.3e842d9bae")
    with pytest.raises(ValueError, match=r"declared with revision '0000000000.3e842d9bae'; ir_datasets .* reads"):
        load(other)


def test_shorter_collection_is_refused(tmp_path: Path) -> None:
    declaration = tiny_miracl("sw", count=4)
    with pytest.raises(ValueError, match="declared with 4 passages, 3 were read"):
        open_collection(Storage.at(tmp_path), declaration)
    assert not list(tmp_path.rglob("manifest.json"))


def test_second_opening_relies_on_the_first(tmp_path: Path) -> None:
    declaration = tiny_miracl("sw")
    storage = Storage.at(tmp_path)
    _, first = open_collection(storage, declaration)
    (HOME / "miracl" / "v1.0" / "sw" / "docs" / "docs-0.jsonl.gz").unlink()
    _, second = open_collection(storage, declaration)
    assert first == second


def test_truncated_shard_and_broken_line_name_the_file() -> None:
    declaration = tiny_miracl("th")
    path = HOME / "miracl" / "v1.0" / "th" / "docs" / "docs-1.jsonl.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    with pytest.raises((ValueError, OSError), match="its passages breaks off"):
        inspect(load_published(declaration))
    write(path, '{"docid": "7#12", "title": \n')
    with pytest.raises(ValueError, match=r"passage 3 of .*docs-0.jsonl.gz: JSONDecodeError"):
        inspect(load_published(declaration))


@pytest.fixture
def refusing_host() -> Iterator[str]:
    """A host on loopback that answers 401 to everything, as a gated hub does."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(401 if self.path != "/403" else 403)
            self.end_headers()
            self.wfile.write(b"log in")

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("path", ["/401", "/403"])
def test_gated_host_says_what_to_do(refusing_host: str, tmp_path: Path, path: str) -> None:
    wanted = Download([RequestsDownload(refusing_host + path)], tmp_path / "file", expected_md5="0" * 32)
    with pytest.raises(Unavailable, match=r"gated|login"), explained("miracl/xx", "its passages"):
        wanted.path()


def test_no_network_says_what_to_do(tmp_path: Path) -> None:
    wanted = Download([RequestsDownload("http://127.0.0.1:9/topics.tsv")], tmp_path / "file")
    expected = pytest.raises(Unavailable, match=r"without a network, copy .* from a machine that has them")
    with expected, explained("miracl/xx", "its queries"):
        wanted.path()


def test_documents_under_licence_are_named(tmp_path: Path) -> None:
    wanted = Download([LocalDownload(tmp_path / "hc4_docs.jsonl", "fetch by script")], tmp_path / "file")
    with pytest.raises(Unavailable, match=r"fetched by hand.*hc4_docs.jsonl"), explained("hc4/fa", "its passages"):
        wanted.path()


def test_grades_of_links_and_scores_are_read_as_declared() -> None:
    linked, binned = wikiclir("sw"), clirmatrix("en", "sw")
    topics = {"kilimanjaro": "Kilimanjaro"}
    judged = {query: {"5": 2, "6": 1} for query in topics}
    publish_split(
        linked, linked.splits[0], topics, [(query, "5", 2) for query in topics] + [(query, "6", 1) for query in topics]
    )
    collection = load_published(linked)
    assert collection.qrels("all") == judged
    assert collection.topics("all", "en") == topics
    for split in binned.splits:
        publish_split(binned, split, {"9": "Kenya"}, [("9", "5", 6), ("9", "6", 0)])
    assert load_published(binned).qrels("test1") == {"9": {"5": 6, "6": 0}}


def _planted_name(split: Split) -> str:
    """A word for a split's only query; collections that share a file of queries share it."""
    family, *rest = split.source.split("/")
    shared = {"neumarco": "msmarcopassage", "msmarco-passage": "msmarcopassage", "neuclir": "neuclir", "hc4": "hc4"}
    return shared[family] + split.name if family in shared else "".join([family, *rest]).replace("-", "")


def test_nothing_that_is_tested_on_reaches_distillation_on_any_collection(tmp_path: Path) -> None:
    """Every query outside training splits, planted on either side of a bitext with its judged passage, is dropped."""
    declarations = published()
    judged_text = "a passage that was judged"
    planted = []
    for declaration in declarations:
        for split in declaration.splits:
            name = _planted_name(split)
            # WikiCLIR keeps the queries of all languages in one file, mMARCO the judgments.
            number = name if split.source.startswith("wikiclir") else "1"
            publish_split(declaration, split, {number: f"What is, {name}?"}, [(number, "2", 1)])
            if split.name != TRAIN:
                planted += [(f"WHAT is {name}", judged_text), (f"{judged_text} {name}", f"what  is: {name}")]
    harmless = [(f"mstari wa {number}", f"line number {number}") for number in range(5)]
    texts = [*planted, *harmless]
    write(tmp_path / "b.sw", "".join(source + "\n" for source, _ in texts))
    write(tmp_path / "b.en", "".join(target + "\n" for _, target in texts))
    corpus = Corpus(
        name="planted",
        source="sw",
        target="en",
        files=Moses(source="b.sw", target="b.en"),
        licence=None,
        revision=revision_of_files(tmp_path, ("b.sw", "b.en")),
    )
    declared = ParallelText(corpora=(corpus,), filters=Filters(), lines=10_000, exponent=1.0, seed=0)
    guard = guard_of(load_published(declaration) for declaration in declarations)
    sources: list[str] = []

    def tokenize(batch: Sequence[str]) -> list[list[int]]:
        sources.extend(batch)
        return [[1] for _ in batch]

    prepared = prepare(tmp_path, declared, tokenize=tokenize, guard=guard, place=tmp_path / "out")
    assert sorted(sources) == sorted(source for source, _ in harmless)
    assert sorted(prepared.text.tobytes()) == sorted("".join(target for _, target in harmless).encode())
    assert len(planted) == 2 * sum(split.name != TRAIN for each in declarations for split in each.splits)
    assert prepared.record["corpora"]["planted"]["kept for tests"] == len(planted)


def test_split_without_queries_is_refused_not_scored_as_empty() -> None:
    """As ir_datasets 0.6.3 reads NeuCLIR 2023: it keeps only topics that were judged in 2022."""
    declaration = neuclir("zh")
    publish_split(declaration, declaration.splits[0], {"1": "What is it?"}, [("1", "2", 3)])
    write(
        HOME / "neuclir" / "trec-2023" / "topics.jsonl", (HOME / "neuclir" / "trec-2022" / "topics.jsonl").read_text()
    )
    write(HOME / "neuclir" / "trec-2022" / "qrels", "9\tzho\t2\t3\n")
    later = replace(declaration, splits=(Split(name="trec-2023", source="neuclir/1/zh/trec-2023"),))
    with pytest.raises(ValueError, match=r"finds no queries in neuclir/1/zh/trec-2023, a known defect"):
        load(replace(later, revision=published_revision(later)))


def test_home_of_ir_datasets_is_the_tests_own() -> None:
    assert ir_datasets.util.home_path() == Path(os.environ["IR_DATASETS_HOME"])
    assert hc4("fa").revision.endswith("unpinned")
