"""Local collections in the layouts of CLEF, MIRACL and CIRAL, and what is said of files that are not as declared."""

import gzip
from dataclasses import replace
from pathlib import Path

import pytest

from harness.data.collections import load, open_collection
from harness.data.local_files import read_documents, read_qrels, read_topics
from harness.data.records import revision_of_files
from harness.data.retrieval import inspect
from studies.local_collections import BINARY, ciral, clef_english
from studies.schema.collection import LocalCollection, LocalSplit, Pair, TranslatedTopics
from studies.schema.files import Documents, Layout, Topics
from studies.schema.storage import Storage
from studies.schema.topic_makers import People
from tests.harness.published_layouts import write

LA_TIMES = """<DOC>
<DOCNO> LA010194-0001 </DOCNO>
<DOCID> 1 </DOCID>
<HEADLINE><P>Caf\xe9 in Bogot\xe1 &amp; beyond</P></HEADLINE>
<TEXT>
<P>First paragraph.</P>
<P>Second.</P>
</TEXT>
</DOC>
<DOC><DOCNO>LA010194-0002</DOCNO><TEXT>One line.</TEXT></DOC>
"""
HERALD = "<DOC>\n<DOCNO>GH950102-000000</DOCNO>\n<TEXT>\nScots news.\n</TEXT>\n</DOC>\n"
CLEF_TOPICS = """<top>
<num> C041 </num>
<SW-title> Dawa za kuulia wadudu </SW-title>
<SW-desc> Tafuta hati kuhusu dawa. </SW-desc>
</top>
<top>
<num> C042 </num>
<SW-title> Uvamizi wa Haiti </SW-title>
</top>
"""
TREC_TOPICS = """<top>
<num> Number: 301
<title> International Organized Crime

<desc> Description:
Identify organizations.
</top>
"""
CLEF = Topics(
    layout=Layout.SGML, paths=("topics.txt",), id_field="num", text_fields=("SW-title",), id_pattern="C0*([0-9]+)"
)
TSV = Topics(layout=Layout.TSV, paths=("t.tsv",), id_field="id", text_fields=("text",), columns=("id", "text"))
JSONL = Documents(layout=Layout.JSONL, paths=("docs-*.jsonl.gz",), id_field="docid", text_fields=("title", "text"))


def clef(folder: Path) -> LocalCollection:
    path = folder / "latimes94" / "la010194.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(LA_TIMES.encode("latin-1")))
    write(folder / "gh95" / "gh950102.sgml", HERALD)
    write(folder / "topics.txt", CLEF_TOPICS)
    write(folder / "qrels.txt", "41 0 LA010194-0001 1\n41 0 GH950102-000000 0\n42 0 LA010194-0002 1\n")
    return with_revision(folder, clef_english("sw", topics=CLEF, qrels=("qrels.txt",), revision="0" * 12))


def with_revision(folder: Path, declaration: LocalCollection) -> LocalCollection:
    splits = [path for split in declaration.splits for path in (*split.topics.paths, *split.qrels)]
    return replace(declaration, revision=revision_of_files(folder, (*declaration.documents.paths, *splits)))


def small(
    folder: Path, *, topics: str = "1\tswali\n", qrels: str = "1 0 39#0 1\n", docs: str | None = None
) -> LocalCollection:
    """One passage, one query, one judgment, unless told otherwise."""
    write(folder / "t.tsv", topics)
    write(folder / "q.txt", qrels)
    write(folder / "docs-0.jsonl.gz", docs or '{"docid": "39#0", "title": "A", "text": "b"}\n')
    return with_revision(
        folder,
        LocalCollection(
            name="small",
            pair=Pair(query="sw", document="en"),
            documents=JSONL,
            splits=(LocalSplit(name="test", topics=TSV, qrels=("q.txt",)),),
            relevance=BINARY,
            licence=None,
            revision="0" * 12,
        ),
    )


def test_clef_reads_sgml_in_latin_1_packed_or_not(tmp_path: Path) -> None:
    collection, report = open_collection(Storage.at(tmp_path / "s"), clef(tmp_path), tmp_path)
    passages = {passage.id: passage.text for block in collection.blocks(10) for passage in block}
    assert passages == {
        "LA010194-0001": "Café in Bogotá & beyond First paragraph. Second.",
        "LA010194-0002": "One line.",
        "GH950102-000000": "Scots news.",
    }
    assert collection.topics("test", "sw") == {"41": "Dawa za kuulia wadudu", "42": "Uvamizi wa Haiti"}
    assert collection.qrels("test")["41"] == {"LA010194-0001": 1, "GH950102-000000": 0}
    assert (report.passages, report.empty, report.judgments) == (3, 0, {"test": 3})


def test_ciral_reads_its_files_as_published(tmp_path: Path) -> None:
    write(
        tmp_path / "passages-v1.0" / "yoruba_passages.jsonl",
        '{"docid":"DOCID#0#0","title":"Ọ̀rọ̀","text":"Èkó","url":"u"}\n',
    )
    for split in ("dev", "test-a", "test-b"):
        write(tmp_path / f"ciral-yoruba/topics/topics.ciral-v1.0-yo-{split}.tsv", f"{split}\tWho ate?\n")
        write(tmp_path / f"ciral-yoruba/qrels/qrels.ciral-v1.0-yo-{split}.tsv", f"{split}\tQ0\tDOCID#0#0\t1\n")
    collection = load(with_revision(tmp_path, ciral("yo", revision="0" * 12)), tmp_path)
    assert inspect(collection).passages == 1
    assert collection.qrels("test-a") == {"test-a": {"DOCID#0#0": 1}}
    assert next(collection.blocks(1))[0].text == "Ọ̀rọ̀ Èkó"


def test_trec_topics_without_closing_tags_are_read(tmp_path: Path) -> None:
    write(tmp_path / "topics.txt", TREC_TOPICS)
    fields = replace(CLEF, text_fields=("title", "desc"), id_pattern=None)
    assert read_topics(tmp_path, fields) == {"301": "International Organized Crime Identify organizations."}


def test_unsegmented_and_right_to_left_texts_are_kept_as_written(tmp_path: Path) -> None:
    texts = {"1": "ما هي عاصمة السودان؟", "2": "日本の首都はどこですか", "3": "เมืองหลวงของไทย", "4": "భారతదేశం\u200cలో"}
    write(tmp_path / "t.tsv", "".join(f"{number}\t{text}\r\n" for number, text in texts.items()))
    assert read_topics(tmp_path, TSV) == texts


def test_three_and_four_columns_give_the_same_judgments(tmp_path: Path) -> None:
    write(tmp_path / "three", "1\t39#0\t2\n1\t39#1\t0\n")
    write(tmp_path / "four", "1 Q0 39#0 2\n1 Q0 39#1 0\n1 Q0 39#1 0\n")
    assert read_qrels(tmp_path, ("three",)) == read_qrels(tmp_path, ("four",)) == {"1": {"39#0": 2, "39#1": 0}}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("1 0 39#0 1\n1 39#1 1\n", r"q, line 2: 3 columns; judgments have four"),
        ("1 0 39#0 x\n", r"q, line 1: grade 'x' is not a whole number"),
        ("1 0 39#0 1\n1 0 39#0 0\n", r"q, line 2: .* had 1 before; keep one"),
    ],
)
def test_malformed_judgments_name_the_line(tmp_path: Path, lines: str, message: str) -> None:
    write(tmp_path / "q", lines)
    with pytest.raises(ValueError, match=message):
        read_qrels(tmp_path, ("q",))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("1\ta\n2\tb\tc\n", r"t.tsv, line 2: 3 columns where 2 are declared"),
        ("1\ta\n1\tb\n", r"t.tsv, line 2: query '1' occurs a second time"),
        ("1\ta\n2\t \n", r"t.tsv, line 2: query '2' is empty"),
        ("", r"t.tsv holds no line"),
    ],
)
def test_malformed_topics_name_the_line(tmp_path: Path, lines: str, message: str) -> None:
    write(tmp_path / "t.tsv", lines)
    with pytest.raises(ValueError, match=message):
        read_topics(tmp_path, TSV)


def test_bytes_of_another_encoding_name_line_and_remedy(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_bytes("1\tgut\n2\tschön\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"t.tsv, line 2: byte 6 is not utf-8 .* declare its encoding"):
        read_topics(tmp_path, TSV)
    assert read_topics(tmp_path, replace(TSV, encoding="latin-1"))["2"] == "schön"


def test_shard_that_breaks_off_is_an_error_not_a_shorter_collection(tmp_path: Path) -> None:
    whole = gzip.compress(b'{"docid": "1", "title": "a", "text": "b"}\n' * 100)
    (tmp_path / "docs-0.jsonl.gz").write_bytes(whole[:-8])
    with pytest.raises(ValueError, match=r"docs-0.jsonl.gz is damaged or breaks off"):
        list(read_documents(tmp_path, JSONL))
    write(tmp_path / "topics.txt", CLEF_TOPICS[:-20])
    with pytest.raises(ValueError, match=r"topics.txt, line 6: <top> is never closed"):
        read_topics(tmp_path, CLEF)


@pytest.mark.parametrize(
    ("docs", "message"),
    [
        ('{"docid": "39#0", "title": "a"}\n', r"docs-0.jsonl.gz, line 1: no text in field 'text'"),
        ('{"docid": "39#0"\n', r"docs-0.jsonl.gz, line 1: not JSON"),
        ('{"docid": "39#0", "title": "", "text": "a"}\n' * 2, r"two passages with id '39#0' \(.*line 1\) \(.*line 2\)"),
        (
            '{"docid": "39#1", "title": "", "text": "a"}\n',
            r"q.txt, line 1: .* judges 1 passages that the collection lacks",
        ),
        ('{"docid": "39#0", "title": "", "text": " "}\n', r"q.txt, line 1: passage '39#0' is relevant .* no text"),
    ],
)
def test_malformed_passages_name_the_place_and_nothing_is_stored(tmp_path: Path, docs: str, message: str) -> None:
    declaration = small(tmp_path, docs=docs)
    with pytest.raises(ValueError, match=message):
        open_collection(Storage.at(tmp_path / "s"), declaration, tmp_path)
    assert not list((tmp_path / "s").rglob("manifest.json"))


@pytest.mark.parametrize(
    ("qrels", "message"),
    [
        ("1 0 39#0 3\n", r"q.txt, line 1: grade 3 .* not on the declared scale \(0, 1\)"),
        ("1 0 39#0 1\n2 0 39#0 1\n", r"judgments for 1 of 2 queries that do not exist, the first is '2'"),
    ],
)
def test_judgments_that_do_not_fit_the_declaration_are_refused(tmp_path: Path, qrels: str, message: str) -> None:
    collection = load(small(tmp_path, qrels=qrels), tmp_path)
    with pytest.raises(ValueError, match=message):
        inspect(collection)


def test_passages_without_text_are_counted_and_left_out(tmp_path: Path) -> None:
    docs = '{"docid": "39#0", "title": "a", "text": ""}\n{"docid": "39#1", "title": " ", "text": ""}\n'
    collection = load(small(tmp_path, docs=docs), tmp_path)
    assert (inspect(collection).passages, inspect(collection).empty) == (2, 1)
    assert [passage.id for block in collection.blocks(5) for passage in block] == ["39#0"]


def test_changed_or_missing_file_is_told_with_its_revision(tmp_path: Path) -> None:
    declaration = small(tmp_path)
    write(tmp_path / "t.tsv", "1\tanother\n")
    with pytest.raises(ValueError, match=rf"declared with revision '{declaration.revision}'; the files in .* have"):
        load(declaration, tmp_path)
    (tmp_path / "t.tsv").unlink()
    with pytest.raises(FileNotFoundError, match=r"has no file t.tsv; put it there"):
        load(declaration, tmp_path)
    with pytest.raises(ValueError, match="read from files; name the folder"):
        load(declaration)


def test_translated_topics_replace_the_queries_and_nothing_else(tmp_path: Path) -> None:
    original = small(tmp_path)
    write(tmp_path / "so.tsv", "1\tsu'aal\n")
    declared = TranslatedTopics(
        original=original,
        language="so",
        split="test",
        path="so.tsv",
        by=People(source="this test"),
        revision=revision_of_files(tmp_path, ("so.tsv",)),
    )
    collection, _ = open_collection(Storage.at(tmp_path / "s"), declared, tmp_path)
    assert collection.pair == Pair(query="so", document="en")
    assert collection.topics("test", "so") == {"1": "su'aal"}
    assert collection.qrels("test") == load(original, tmp_path).qrels("test")
    write(tmp_path / "so.tsv", "2\tsu'aal\n")
    other = replace(declared, revision=revision_of_files(tmp_path, ("so.tsv",)))
    with pytest.raises(ValueError, match=r"so.tsv: 1 queries .* are missing \(1\), 1 do not belong to it \(2\)"):
        load(other, tmp_path)
