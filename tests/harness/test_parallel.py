"""Parallel text: layouts as published, what is dropped and counted, and a draw that depends on the seed alone."""

import gzip
import json
import lzma
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import huggingface_hub
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.data.guard import Guard
from harness.data.line_filters import Reason, kept
from harness.data.parallel import Prepared, open_prepared, prepare
from harness.data.parallel_files import read_lines
from harness.data.records import revision_of_files
from studies.parallel_texts import ccaligned_documents, flores, nllb, on_hub, opus, tatoeba, wikimatrix
from studies.schema.parallel import Corpus, Filters, Moses, ParallelText, Parquet, Tsv
from tests.harness.published_layouts import write

NO_REVISION = "0" * 12


def with_revision(folder: Path, corpus: Corpus) -> Corpus:
    return replace(corpus, revision=revision_of_files(folder, corpus.paths))


def moses(folder: Path, source: Sequence[str], target: Sequence[str], pair: tuple[str, str] = ("sw", "en")) -> Corpus:
    for language, lines in zip(pair, (source, target), strict=True):
        write(folder / f"b.{language}", "".join(line + "\n" for line in lines))
    files = Moses(source=f"b.{pair[0]}", target=f"b.{pair[1]}")
    corpus = Corpus(name="b", source=pair[0], target=pair[1], files=files, licence=None, revision=NO_REVISION)
    return with_revision(folder, corpus)


def declare(*corpora: Corpus, lines: int = 1000, **changed: object) -> ParallelText:
    declared = ParallelText(corpora=corpora, filters=Filters(), lines=lines, exponent=0.3, seed=0)
    return replace(declared, **changed)  # type: ignore[arg-type]


def by_characters(texts: Sequence[str]) -> list[list[int]]:
    """A tokenizer whose ids are code points, so that texts can be read back."""
    return [[ord(letter) for letter in text] for text in texts]


def made(folder: Path, declaration: ParallelText, place: str = "out", guard: Guard | None = None) -> Prepared:
    return prepare(folder, declaration, tokenize=by_characters, guard=guard or Guard(), place=folder / place)


def sources(prepared: Prepared) -> list[str]:
    return ["".join(map(chr, prepared.ids[a:b])) for a, b in pairwise(prepared.offsets.tolist())]


def targets(prepared: Prepared) -> list[str]:
    return [prepared.text[a:b].tobytes().decode() for a, b in pairwise(prepared.text_offsets.tolist())]


def test_every_published_layout_gives_source_and_target(tmp_path: Path) -> None:
    """English is the target whichever column or member it is published in."""
    with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
        archive.writestr("README", "about")
        archive.writestr("TED2020.en-sw.en", "Hello there\n")
        archive.writestr("TED2020.en-sw.sw", "Habari yako\n")
    (tmp_path / "TED2020").mkdir()
    (tmp_path / "zip").rename(tmp_path / "TED2020" / "en-sw.txt.zip")
    write(tmp_path / "WikiMatrix" / "WikiMatrix.en-sw.tsv.gz", "1.2\tHello there\tHabari yako\n1.03\tlow\tchini\n")
    extra = "\t0.9\t0.8\tsource\thttp://a\tsource\t_"
    write(tmp_path / "nllb" / "eng_Latn-swh_Latn.gz", f"Hello there\tHabari yako\t1.1{extra}\n")
    (tmp_path / "ccaligned").mkdir()
    (tmp_path / "ccaligned" / "en_XX-sw_KE.tsv.xz").write_bytes(lzma.compress(b"d\tu\tHello there\tv\tHabari yako\n"))
    for name in ("tatoeba/v1/tatoeba.swh-eng.", "flores200_dataset/devtest/"):
        last = ("swh", "eng") if name.startswith("tatoeba") else ("swh_Latn.devtest", "eng_Latn.devtest")
        write(tmp_path / f"{name}{last[0]}", "Habari yako\n")
        write(tmp_path / f"{name}{last[1]}", "Hello there\n")
    flores_names = ("swh_Latn", "eng_Latn")
    corpora = [
        opus("TED2020", "en", "sw", revision=NO_REVISION),
        wikimatrix("en", "sw", revision=NO_REVISION),
        nllb("en", "sw", names=("eng_Latn", "swh_Latn"), revision=NO_REVISION),
        ccaligned_documents("sw", name="en_XX-sw_KE", revision=NO_REVISION),
        tatoeba("sw", name="swh", revision=NO_REVISION),
        flores("sw", "en", names=flores_names, split="devtest", revision=NO_REVISION),
    ]
    for corpus in corpora:
        counts: Counter[Reason] = Counter()
        found = list(read_lines(tmp_path, with_revision(tmp_path, corpus), counts))
        assert [tuple(side.strip() for side in line) for line in found] == [("Habari yako", "Hello there")], corpus.name
        assert counts == ({Reason.LOW_SCORE: 1} if corpus.name.startswith("wikimatrix") else {})


def parquet(path: Path, rows: Sequence[tuple[str | None, str | None, float | None]]) -> None:
    """Rows as the hub has data sets of translations: one struct of languages, and a column of scores beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    translation = [{"en": target, "sw": source} for source, target, _ in rows]
    pq.write_table(pa.table({"translation": translation, "score": [score for *_, score in rows]}), path)


HUB_ROWS = ("Habari yako", "Hello there", 1.1), ("chini", "low", 0.9), ("hakuna", "nothing", None), (None, "one", 1.2)


def test_parquet_is_read_in_order_of_its_files_with_scores_and_empty_cells_counted(tmp_path: Path) -> None:
    parquet(tmp_path / "rows" / "0001.parquet", [("ya pili", "second", 2.0)] * 200)
    parquet(tmp_path / "rows" / "0000.parquet", HUB_ROWS)
    files = Parquet(paths=("rows/*.parquet",), source="translation.sw", target="translation.en", score="score")
    declared = Corpus(
        name="b", source="sw", target="en", files=files, licence=None, revision=NO_REVISION, least_score=1.0
    )
    corpus = with_revision(tmp_path, declared)
    counts: Counter[Reason] = Counter()
    found = list(kept(read_lines(tmp_path, corpus, counts), Filters(), Guard(), counts))
    assert found == [("Habari yako", "Hello there"), *[("ya pili", "second")] * 200]
    assert counts == {Reason.LOW_SCORE: 1, Reason.NO_SCORE: 1, Reason.EMPTY: 1}
    unscored = replace(corpus, files=replace(files, score=None), least_score=None)
    assert list(read_lines(tmp_path, unscored, Counter()))[:2] == [("Habari yako", "Hello there"), ("chini", "low")]
    for wrong, message in (
        (replace(files, source="translation.te"), "0000.parquet has no column 'translation.te'; it has translation.en"),
        (replace(files, source="score"), "column 'score' holds double, not texts; name another"),
        (replace(files, score="translation.en"), "column 'translation.en' holds string, not numbers; name another"),
        (replace(files, score=None), "has a least score, but its files have no column of scores"),
    ):
        with pytest.raises(ValueError, match=message):
            list(read_lines(tmp_path, replace(corpus, files=wrong), Counter()))
    cut = tmp_path / "rows" / "0001.parquet"
    cut.write_bytes(cut.read_bytes()[:-8])
    with pytest.raises(ValueError, match=r"0001\.parquet is no whole Parquet file"):
        list(read_lines(tmp_path, with_revision(tmp_path, corpus), Counter()))


def test_data_set_of_the_hub_is_read_at_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's folder as it lies on a machine that has fetched it; without a network nothing else can be had."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    corpus = on_hub("group/opus", "en", "sw", config="en-sw", revision="a" * 40)
    with pytest.raises(ValueError, match=r"data set group/opus at aaaaaaaaaaaa cannot be had .* check the network"):
        list(read_lines(tmp_path, corpus, Counter()))
    snapshot = tmp_path / "hub" / "datasets--group--opus" / "snapshots" / corpus.revision
    parquet(snapshot / "en-sw" / "train" / "0000.parquet", HUB_ROWS[:2])
    prepared = made(tmp_path, declare(corpus))
    assert (sources(prepared), targets(prepared)) == (["Habari yako", "chini"], ["Hello there", "low"])
    with pytest.raises(FileNotFoundError, match="has no file en-sw/test/"):
        list(
            read_lines(
                tmp_path, on_hub("group/opus", "en", "sw", config="en-sw", revision="a" * 40, split="test"), Counter()
            )
        )
    with pytest.raises(ValueError, match="a name that moves identifies nothing: write a commit of 40 digits"):
        replace(corpus, revision="main")
    with pytest.raises(ValueError, match="by a pattern, which cannot tell a part of them from all; name each file"):
        replace(corpus, files=Parquet(paths=("en-sw/train/*.parquet",), source="a", target="b"))
    two = on_hub("group/opus", "en", "sw", config="en-sw", revision="a" * 40, files=2)
    with pytest.raises(FileNotFoundError, match=r"has no file en-sw/train/0001\.parquet"):
        list(read_lines(tmp_path, two, Counter()))


def test_packed_moses_files_and_pairs_without_english_are_read(tmp_path: Path) -> None:
    (tmp_path / "b.de.gz").write_bytes(gzip.compress(b"Guten Tag\n"))
    write(tmp_path / "b.sw", "Habari ya leo\n")
    corpus = Corpus(
        name="b",
        source="sw",
        target="de",
        files=Moses(source="b.sw", target="b.de.gz"),
        licence=None,
        revision=revision_of_files(tmp_path, ("b.sw", "b.de.gz")),
    )
    prepared = made(tmp_path, declare(corpus))
    assert (sources(prepared), targets(prepared), prepared.pairs) == (["Habari ya leo"], ["Guten Tag"], ("sw-de",))


def test_every_dropped_line_is_counted_under_its_reason() -> None:
    lines = [
        ("a line", ""),
        ("ab", "a line"),
        ("a" * 1001, "a line"),
        ("a line", "a line that is far too long beside it"),
        ("the same", " the  same "),
        ("what is it", "ni nini hiki"),
        ("mstari", "a line"),
    ]
    counts: Counter[Reason] = Counter()
    passed = list(kept(lines, Filters(), Guard(["What is it?"]), counts))
    assert passed == [("mstari", "a line")]
    reasons = [Reason.EMPTY, Reason.SHORT, Reason.LONG, Reason.RATIO, Reason.IDENTICAL, Reason.TESTED_ON]
    assert counts == dict.fromkeys(reasons, 1)


def test_record_accounts_for_every_line(tmp_path: Path) -> None:
    source = [f"mstari wa {number % 40}" for number in range(100)] + ["", "same line"]
    target = [f"line number {number % 40}" for number in range(100)] + ["empty", "same line"]
    prepared = made(tmp_path, declare(moses(tmp_path, source, target), lines=20, caps=(("sw-en", 30),)))
    corpus, pair = prepared.record["corpora"]["b"], prepared.record["pairs"]["sw-en"]
    assert corpus == {"read": 102, "empty side": 1, "identical sides": 1, "passed": 100}
    assert pair["duplicate"] == 60
    assert pair["over the pair's cap"] == 10
    assert pair["not drawn"] == 10
    assert pair["lines"] == 20 == len(prepared.pair_of) == len(sources(prepared))
    assert pair["source tokens"] == len(prepared.ids)
    assert sorted(json.loads((tmp_path / "out" / "record.json").read_text())) == ["corpora", "pairs"]


def test_same_seed_gives_the_same_lines_and_another_seed_others(tmp_path: Path) -> None:
    numbers = range(300)
    corpus = moses(tmp_path, [f"mstari wa {n}" for n in numbers], [f"line number {n}" for n in numbers])
    first, again = made(tmp_path, declare(corpus, lines=50), "a"), made(tmp_path, declare(corpus, lines=50), "b")
    other = made(tmp_path, declare(corpus, lines=50, seed=1), "c")
    more = made(tmp_path, declare(corpus, lines=120), "d")
    assert sources(first) == sources(again) != sources(other)
    assert set(sources(first)) < set(sources(more))
    assert [text.split()[-1] for text in sources(first)] == [text.split()[-1] for text in targets(first)]


def test_exponent_gives_small_pairs_more_than_their_share(tmp_path: Path) -> None:
    (tmp_path / "big").mkdir()
    big = moses(
        tmp_path, [f"zeile nummer {n}" for n in range(900)], [f"line number {n}" for n in range(900)], ("de", "en")
    )
    write(tmp_path / "s.sw", "".join(f"mstari wa {n}\n" for n in range(100)))
    write(tmp_path / "s.en", "".join(f"a line {n}\n" for n in range(100)))
    small = Corpus(
        name="s",
        source="sw",
        target="en",
        files=Moses(source="s.sw", target="s.en"),
        licence=None,
        revision=NO_REVISION,
    )
    declared = declare(big, with_revision(tmp_path, small), lines=100)
    alike = made(tmp_path, replace(declared, exponent=0.0), "a").record["pairs"]
    as_is = made(tmp_path, replace(declared, exponent=1.0), "b").record["pairs"]
    assert (alike["de-en"]["lines"], alike["sw-en"]["lines"]) == (50, 50)
    assert (as_is["de-en"]["lines"], as_is["sw-en"]["lines"]) == (90, 10)


@pytest.mark.parametrize(("left", "right"), [(3, 5), (5, 3)])
def test_sides_of_unlike_length_are_refused_with_both_counts(tmp_path: Path, left: int, right: int) -> None:
    corpus = moses(tmp_path, ["mstari"] * left, ["a line"] * right)
    with pytest.raises(ValueError, match=rf"b.sw has {left} lines, b.en has {right}; .* cut short or shifted"):
        made(tmp_path, declare(corpus))
    assert not (tmp_path / "out").exists()


def test_few_broken_lines_are_counted_and_many_refused(tmp_path: Path) -> None:
    good = [f"{1.1}\tmstari wa {n}\tline number {n}".encode() for n in range(400)]
    broken = [b"1.1\tmstari \xff\tline", b"1.1\tone column", b"high\tmstari wa\tline number"]
    files = Tsv(path="t.tsv", columns=3, score=0, source=1, target=2)
    corpus = Corpus(
        name="t", source="sw", target="en", files=files, licence=None, revision=NO_REVISION, least_score=1.0
    )
    (tmp_path / "t.tsv").write_bytes(b"\n".join([*broken, *good]) + b"\n")
    record = made(tmp_path, declare(with_revision(tmp_path, corpus))).record["corpora"]["t"]
    assert record["passed"] == 400
    assert [record[reason] for reason in ("broken UTF-8", "wrong number of columns", "no score")] == [1, 1, 1]
    (tmp_path / "t.tsv").write_bytes(b"\n".join([*broken, *good[:50]]) + b"\n")
    with pytest.raises(ValueError, match=r"t.tsv, line 1: broken UTF-8; 3 of 53 lines of corpus t are broken"):
        made(tmp_path, declare(with_revision(tmp_path, corpus)), "again")


def test_archive_without_the_member_or_cut_short_is_refused(tmp_path: Path) -> None:
    (tmp_path / "QED").mkdir()
    path = tmp_path / "QED" / "en-sw.txt.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("QED.en-sw.en", "x\n")
    corpus = opus("QED", "en", "sw", revision=NO_REVISION)
    with pytest.raises(ValueError, match=r"en-sw.txt.zip has no member 'QED.en-sw.sw'; it has QED.en-sw.en"):
        list(read_lines(tmp_path, with_revision(tmp_path, corpus), Counter()))
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ValueError, match=r"no whole zip archive"):
        list(read_lines(tmp_path, with_revision(tmp_path, corpus), Counter()))


def test_changed_corpus_empty_file_and_nothing_left_are_refused(tmp_path: Path) -> None:
    corpus = moses(tmp_path, ["mstari wa"], ["a line"])
    write(tmp_path / "b.sw", "another\n")
    with pytest.raises(ValueError, match=r"corpus b is declared with revision"):
        made(tmp_path, declare(corpus))
    with pytest.raises(ValueError, match=r"b.sw has no lines"):
        made(tmp_path, declare(moses(tmp_path, [], [])))
    with pytest.raises(ValueError, match=r"no line of pair sw-en passed the filters; .*: b"):
        made(tmp_path, declare(moses(tmp_path, ["x"], ["y"])))
    with pytest.raises(FileNotFoundError, match=r"no prepared parallel text"):
        open_prepared(tmp_path / "out")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"exponent": 1.5}, "exponent lies between 0 and 1"),
        ({"caps": (("de-en", 5),)}, "give each of sw-en at most one"),
        ({"corpora": ()}, "name each corpus once"),
    ],
)
def test_declaration_that_cannot_be_meant_is_refused(tmp_path: Path, changed: dict[str, object], message: str) -> None:
    declared = declare(moses(tmp_path, ["a"], ["b"]))
    with pytest.raises(ValueError, match=message):
        replace(declared, **changed)  # type: ignore[arg-type]


def test_corpora_kept_for_measurement_are_never_trained_on() -> None:
    for corpus in (
        flores("sw", "de", names=("swh_Latn", "deu_Latn"), split="dev", revision=NO_REVISION),
        tatoeba("sw", name="swh", revision=NO_REVISION),
    ):
        with pytest.raises(ValueError, match=r"is kept for .*; training on it would void"):
            declare(corpus)


def test_offsets_and_ids_are_mapped_and_agree(tmp_path: Path) -> None:
    prepared = made(tmp_path, declare(moses(tmp_path, ["mstari wa kwanza", "wa pili"], ["the first line", "second"])))
    assert isinstance(prepared.ids, np.memmap)
    assert isinstance(prepared.text, np.memmap)
    assert (len(prepared.ids), len(prepared.text)) == (prepared.offsets[-1], prepared.text_offsets[-1])


def test_watched_lines_are_the_same_under_every_exposure_and_never_trained_on(tmp_path: Path) -> None:
    """A smaller exposure is part of a larger one, so that only the number of lines changes with it."""
    read, other = ([f"{word} {number} {word}" for number in range(300)] for word in ("mstari", "line"))
    corpus = moses(tmp_path, read, other)
    found = {}
    for share in (1.0, 0.1):
        declared = declare(corpus, exposure=(("sw", share),))
        prepared = prepare(
            tmp_path,
            declared,
            tokenize=by_characters,
            guard=Guard(),
            place=tmp_path / f"out-{share}",
            watched=40,
        )
        lines = sources(prepared)
        found[share] = (lines[: prepared.watched], lines[prepared.watched :])
        assert prepared.record["pairs"]["sw-en"]["lines"] == round(share * 260) == len(found[share][1])
    assert found[1.0][0] == found[0.1][0]
    assert set(found[0.1][1]) < set(found[1.0][1])
    assert not set(found[1.0][0]) & set(found[1.0][1])
