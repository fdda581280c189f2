"""Evaluation: known values, nobody left out, the same bytes every time."""

import gzip
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import fmean

import ir_measures
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ir_measures import AP, RR, Measure, P, Qrel, R, ScoredDoc, Success, nDCG

from harness import evaluation_key, translations
from harness.alignment import alignment_scores
from harness.assemble import passage_vectors, sequences
from harness.data.atlas import AtlasData
from harness.data.names import ENGLISH
from harness.encoders import build
from harness.evaluate import SCHEMA, evaluate, languages
from harness.evaluation_key import key_of
from harness.finished import trained
from harness.scoring import Result, means, score, write_trec
from harness.vectors import encode
from studies.bases import ATLAS_BITEXT, ATLAS_TEACHER, ATLAS_TRANSLATOR, OPTICAL_ATLAS
from studies.schema.alignment import COLUMNS, Alignment, AlignmentMeasure, Stage, column_name
from studies.schema.evaluation import Evaluation, Split
from studies.schema.execution import Execution
from studies.schema.key import run_key
from studies.schema.lineage import embedded
from studies.schema.record import Flag, State
from studies.schema.run import LookUp, TranslateQuery
from studies.schema.state import read_state, write_state
from studies.schema.storage import Damaged, Storage
from studies.schema.translation import Decoding
from tests.oracles import loop_maxsim

MEASURES: tuple[Measure, ...] = (nDCG @ 10, AP, R @ 100, P @ 10, Success @ 1)
ASKED = Evaluation(measures=MEASURES)

# Scores on file have six decimals.
TREC_TOLERANCE = 5e-7


def trec_run(text: str) -> list[ScoredDoc]:
    """A TREC run as others read it."""
    return list(ir_measures.read_trec_run(text))


def test_ndcg_of_a_ranking_worked_out_by_hand() -> None:
    """Grades 2, 0, 1 in that order; gains as they are, discounts log2(rank + 1)."""
    qrels = {"q": {"a": 2, "b": 1, "c": 1}}
    ranking = [ScoredDoc("q", "a", 3.0), ScoredDoc("q", "x", 2.0), ScoredDoc("q", "b", 1.0)]
    found = score((nDCG @ 10, nDCG @ 1, AP, P @ 2, RR), qrels, ranking)["q"]
    ideal = 2 + 1 / math.log2(3) + 1 / math.log2(4)
    assert found["nDCG@10"] == pytest.approx((2 + 1 / math.log2(4)) / ideal)
    assert found["nDCG@1"] == 1.0
    assert found["AP"] == pytest.approx((1 / 1 + 2 / 3) / 3)
    assert found["P@2"] == 0.5
    assert found["RR"] == 1.0


passages = st.sampled_from("abcdefgh")
judgements = st.dictionaries(
    st.sampled_from(("q1", "q2", "q3", "q4")), st.dictionaries(passages, st.integers(1, 2), min_size=1), min_size=1
)
rankings = st.dictionaries(st.sampled_from(("q1", "q2", "q3", "q4")), st.lists(passages, unique=True))


@given(judgements, rankings)
def test_scores_are_those_of_ir_measures_and_every_judged_query_has_all(
    qrels: dict[str, dict[str, int]], ranked: dict[str, list[str]]
) -> None:
    ranking = [
        ScoredDoc(query, passage, float(-place))
        for query, found in ranked.items()
        for place, passage in enumerate(found)
    ]
    scores = score(MEASURES, qrels, ranking)
    assert scores.keys() == qrels.keys()
    for query, values in scores.items():
        assert values.keys() == {str(measure) for measure in MEASURES}
        own = [entry for entry in ranking if entry.query_id == query]
        if not own:
            assert set(values.values()) == {0.0}
            continue
        alone = [Qrel(query, passage, grade) for passage, grade in qrels[query].items()]
        for measure, value in ir_measures.calc_aggregate(MEASURES, alone, own).items():
            assert values[str(measure)] == pytest.approx(value)


def test_query_that_found_nothing_is_present_and_zero() -> None:
    qrels = {"answered": {"a": 2}, "silent": {"b": 2}}
    scores = score(MEASURES, qrels, [ScoredDoc("answered", "a", 1.0)])
    assert set(scores["silent"].values()) == {0.0}
    assert scores["answered"]["nDCG@10"] == 1.0
    assert {value for values in score(MEASURES, qrels, []).values() for value in values.values()} == {0.0}


def test_means_are_over_the_queries_of_each_language() -> None:
    rows: list[Mapping[str, str | bool | float]] = [
        {"language": "de", "AP": 1.0, "RR": 0.0},
        {"language": "sw", "AP": 0.25, "RR": 1.0},
        {"language": "de", "AP": 0.5, "RR": 0.5},
    ]
    assert means(rows, (AP, RR)) == {"AP": {"de": 0.75, "sw": 0.25}, "RR": {"de": 0.25, "sw": 1.0}}
    assert means([], (AP,)) == {"AP": {}}


def test_trec_file_is_the_same_byte_for_byte_and_readable_by_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    third = float(torch.tensor(1 / 3))
    results = {
        "sw": Result(
            asked=("a", "b"),
            ranking=[ScoredDoc("q1", "b", third), ScoredDoc("q1", "a", 0.1), ScoredDoc("q2", "a", 0.2)],
            scores={},
        ),
        "de": Result(asked=("c",), ranking=[ScoredDoc("q1", "a", 7.0)], scores={}),
    }
    for name in ("one.trec.gz", "two.gz"):
        write_trec(tmp_path / name, results, "tag")
        monkeypatch.setattr(time, "time", lambda: 2e9)
    assert (tmp_path / "one.trec.gz").read_bytes() == (tmp_path / "two.gz").read_bytes()
    text = gzip.decompress((tmp_path / "one.trec.gz").read_bytes()).decode()
    assert [line.split()[3] for line in text.splitlines()] == ["1", "2", "1", "1"]
    read = trec_run(text)
    assert [(entry.query_id, entry.doc_id) for entry in read] == [
        ("sw.q1", "b"),
        ("sw.q1", "a"),
        ("sw.q2", "a"),
        ("de.q1", "a"),
    ]
    assert [entry.score for entry in read] == pytest.approx([third, 0.1, 0.2, 7.0], abs=TREC_TOLERANCE)


def test_evaluation_key_moves_with_what_is_measured_and_not_with_how_it_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    atlas = ATLAS_TEACHER.collection
    rebuilt = replace(ATLAS_TEACHER, collection=replace(atlas, revision="another"))
    keys = [
        key_of(ATLAS_TEACHER, ASKED),
        key_of(ATLAS_TEACHER, replace(ASKED, measures=MEASURES[:2])),
        key_of(ATLAS_TEACHER, replace(ASKED, depth=200)),
        key_of(ATLAS_TEACHER, replace(ASKED, split=Split.VALIDATION)),
        key_of(rebuilt, ASKED),
        key_of(OPTICAL_ATLAS, ASKED),
    ]
    monkeypatch.setattr(evaluation_key, "VERSION", evaluation_key.VERSION + 1)
    keys.append(key_of(ATLAS_TEACHER, ASKED))
    assert len(set(keys)) == len(keys)
    monkeypatch.undo()
    monkeypatch.setattr(Execution, "__post_init__", lambda self: None)
    assert key_of(ATLAS_TEACHER, ASKED) == keys[0]


def test_alignment_is_another_evaluation_of_students_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    aligned = replace(ASKED, alignment=Alignment(epsilon=0.01))
    assert key_of(ATLAS_TEACHER, aligned) == key_of(ATLAS_TEACHER, ASKED)
    keys = [
        key_of(OPTICAL_ATLAS, ASKED),
        key_of(OPTICAL_ATLAS, aligned),
        key_of(OPTICAL_ATLAS, replace(ASKED, alignment=Alignment(epsilon=0.02))),
    ]
    monkeypatch.setattr(evaluation_key, "ALIGNMENT_VERSION", evaluation_key.ALIGNMENT_VERSION + 1)
    keys.append(key_of(OPTICAL_ATLAS, aligned))
    assert len(set(keys)) == len(keys)
    assert key_of(OPTICAL_ATLAS, ASKED) == keys[0]


def test_teacher_is_asked_in_english_and_all_others_in_every_language() -> None:
    others = ATLAS_TEACHER.collection.languages
    assert languages(ATLAS_TEACHER) == (ENGLISH,)
    assert languages(OPTICAL_ATLAS) == languages(LookUp(teacher=ATLAS_TEACHER, bitext=None)) == others


TEACHER = replace(ATLAS_TEACHER, token_size=6, seed=5)


@pytest.fixture(scope="module")
def storage(atlas_storage: Storage) -> Storage:
    """The collection beside a teacher that was never trained."""
    encoder = build(TEACHER.rung, TEACHER.token_size, dropout=0.0, seed=5)
    with atlas_storage.publish(atlas_storage.final(run_key(TEACHER))) as folder:
        encoder.save(folder)
    return atlas_storage


@pytest.fixture(scope="module")
def evaluated(storage: Storage) -> Path:
    return evaluate(storage, TEACHER, ASKED)


ALIGNED = Evaluation(measures=(AP,), alignment=Alignment(epsilon=0.01))


def test_student_is_aligned_before_and_after(storage: Storage) -> None:
    """Every query has both stages, and what is recorded by language are their means."""
    run = replace(OPTICAL_ATLAS, teacher=TEACHER, seed=3)
    with storage.publish(storage.final(run_key(run))) as folder:
        build(run.rung, TEACHER.token_size, dropout=0.0, seed=4).save(folder)
    folder = evaluate(storage, run, ALIGNED)
    summary = json.loads((folder / "measures.json").read_text())
    assert set(summary["alignment"]) == {column_name(each, stage) for each in AlignmentMeasure for stage in Stage}
    rows = pq.read_table(folder / "per_query.parquet").to_pylist()
    for column in COLUMNS:
        assert max(abs(row[f"{column}.after"] - row[f"{column}.before"]) for row in rows) > 0.01
    for name, by_language in summary["alignment"].items():
        assert set(by_language) == set(embedded(run)[0].collection.languages)
        assert all(-0.2 < value <= 1.0 for value in by_language.values()), name
    german = [row["clca_mexa.after"] for row in rows if row["language"] == "de"]
    assert summary["alignment"]["clca_mexa.after"]["de"] == pytest.approx(fmean(german))


def test_student_that_keeps_the_weights_it_starts_with_improves_by_nothing(storage: Storage) -> None:
    run = replace(OPTICAL_ATLAS, teacher=TEACHER, seed=5)
    kept = build(run.rung, TEACHER.token_size, dropout=0.0, seed=5)
    asked = replace(ALIGNED, split=Split.VALIDATION)
    for rows in alignment_scores(storage, run, kept, asked, Alignment(epsilon=0.01)).values():
        for row in rows.values():
            assert all(row[f"{column}.after"] == pytest.approx(row[f"{column}.before"], abs=1e-5) for column in COLUMNS)


def test_evaluation_has_a_row_for_every_test_query_and_says_what_it_is(evaluated: Path, atlas: AtlasData) -> None:
    rows = pq.read_table(evaluated / "per_query.parquet").to_pylist()
    queries = {query.id: query for query in atlas.queries[Split.TEST]}
    assert [row["query"] for row in rows] == list(queries)
    assert all(row["entity"] == queries[row["query"]].subject for row in rows)
    assert all(row["language"] == ENGLISH and row["seen"] and row["cognate"] for row in rows)
    summary = json.loads((evaluated / "measures.json").read_text())
    assert summary["schema"] == SCHEMA
    assert summary["run"] == run_key(TEACHER)
    assert summary["evaluation"] == evaluated.name == key_of(TEACHER, ASKED)
    assert summary["collection"] == atlas.declaration.revision
    assert summary["split"] == Split.TEST
    assert summary["queries"] == {ENGLISH: len(rows)}
    assert summary["exposure"] == {}
    for measure in MEASURES:
        mean = math.fsum(row[str(measure)] for row in rows) / len(rows)
        assert summary["measures"][str(measure)][ENGLISH] == pytest.approx(mean, abs=1e-12)


def test_ranking_on_file_is_that_of_a_search_by_loops(evaluated: Path, atlas: AtlasData, storage: Storage) -> None:
    text = gzip.decompress((evaluated / "run.trec.gz").read_bytes()).decode()
    query = atlas.queries[Split.TEST][17]
    found = {entry.doc_id: entry.score for entry in trec_run(text) if entry.query_id == f"{ENGLISH}.{query.id}"}
    cpu = torch.device("cpu")
    query_NH = encode(trained(storage, run_key(TEACHER)), sequences(atlas, [atlas.text(query, ENGLISH)]), cpu).tokens_TH
    vectors = passage_vectors(storage, TEACHER, cpu)
    pieces = torch.split(vectors.tokens_TH, vectors.lengths.tolist())
    places = {passage.id: place for place, passage in enumerate(atlas.passages)}
    assert len(found) == 100
    best, last = max(found, key=lambda name: found[name]), min(found, key=lambda name: found[name])
    for name in (best, last):
        assert loop_maxsim(query_NH.double(), pieces[places[name]]) == pytest.approx(found[name], abs=1e-4)
    beyond = [name for name in places if name not in found][::100]
    assert all(loop_maxsim(query_NH.double(), pieces[places[name]]) <= found[last] + 1e-4 for name in beyond)


def test_scores_on_file_follow_from_the_ranking_on_file(evaluated: Path, atlas: AtlasData) -> None:
    text = gzip.decompress((evaluated / "run.trec.gz").read_bytes()).decode()
    ranking = [entry._replace(query_id=entry.query_id.split(".")[1]) for entry in trec_run(text)]
    judged = [
        Qrel(query, passage, grade)
        for query, grades in atlas.qrels(Split.TEST).items()
        for passage, grade in grades.items()
    ]
    summary = json.loads((evaluated / "measures.json").read_text())
    for measure, value in ir_measures.calc_aggregate(MEASURES, judged, ranking).items():
        assert summary["measures"][str(measure)][ENGLISH] == pytest.approx(value, abs=1e-9)


def test_evaluation_is_done_once_and_a_damaged_one_is_refused(evaluated: Path, storage: Storage) -> None:
    before = {path.name: (path.stat().st_ino, path.read_bytes()) for path in evaluated.iterdir()}
    assert evaluate(storage, TEACHER, ASKED) == evaluated
    assert {path.name: (path.stat().st_ino, path.read_bytes()) for path in evaluated.iterdir()} == before
    table = evaluated / "per_query.parquet"
    try:
        table.write_bytes(table.read_bytes()[:-1])
        with pytest.raises(Damaged, match=r"per_query\.parquet"):
            evaluate(storage, TEACHER, ASKED)
    finally:
        table.write_bytes(before[table.name][1])


BRIEFLY = Evaluation(measures=(nDCG @ 10, AP), split=Split.VALIDATION)


class Perfect:
    """Translates the validation queries as they read in English, but leaves every other one of ``silent`` empty.

    By place, not by text: two names may be spelled alike in one language.
    """

    def __init__(self, atlas: AtlasData, silent: str) -> None:
        self.english = [atlas.text(query, ENGLISH) for query in atlas.queries[Split.VALIDATION]]
        self.silent = silent

    def translate(self, texts: Sequence[str], language: str, decoding: Decoding) -> list[str]:
        assert len(texts) == len(self.english)
        return [" \t" if language == self.silent and place % 2 else text for place, text in enumerate(self.english)]


def test_translated_queries_score_as_english_ones_and_empty_translations_are_kept_as_zeros(
    storage: Storage, atlas: AtlasData, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_by = replace(ATLAS_TRANSLATOR, seed=7)
    run = TranslateQuery(teacher=TEACHER, translator=made_by)
    write_state(storage, run_key(made_by), State.FLAGGED, flags=[Flag.STILL_IMPROVING])
    monkeypatch.setattr(translations, "_opened", lambda *_: Perfect(atlas, silent="sw"))
    folder, of_teacher = evaluate(storage, run, BRIEFLY), evaluate(storage, TEACHER, BRIEFLY)
    in_english = {row["query"]: row for row in pq.read_table(of_teacher / "per_query.parquet").to_pylist()}
    rows = pq.read_table(folder / "per_query.parquet").to_pylist()
    languages_of = atlas.declaration.languages
    assert [(row["language"], row["query"]) for row in rows] == list(product(languages_of, in_english))
    for measure in map(str, BRIEFLY.measures):
        expected = [row[measure] for row in in_english.values()]
        found = {code: [row[measure] for row in rows if row["language"] == code] for code in languages_of}
        spoken, silent = found["sw"][::2], found.pop("sw")[1::2]
        assert all(values == pytest.approx(expected, abs=1e-6) for values in found.values())
        assert not any(silent)
        # Read in other company, the vectors of a teacher that was never trained differ by enough to turn near ties.
        assert fmean(spoken) == pytest.approx(fmean(expected[::2]), abs=0.02)
    summary = json.loads((folder / "measures.json").read_text())
    assert summary["exposure"] == dict(made_by.bitext.exposure)
    assert summary["translation"]["empty"] == {code: len(in_english) // 2 * (code == "sw") for code in languages_of}
    for name in ("chrf", "bleu"):
        scores = summary["translation"][name]
        assert scores.pop("sw") < 80
        assert set(scores.values()) == {100.0}
    lines = (folder / "translations.tsv").read_text().splitlines()
    assert len(lines) == 1 + len(rows)
    cells = [line.split("\t") for line in lines[1:]]
    assert all(english == translation for language, _, _, english, translation in cells if language != "sw")
    state = read_state(storage, run_key(run))
    assert (state.state, state.flags) == (State.FLAGGED, (Flag.EMPTY_TRANSLATION, Flag.STILL_IMPROVING))


def test_translator_that_never_says_anything_scores_zero(
    storage: Storage, atlas: AtlasData, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = TranslateQuery(teacher=TEACHER, translator=replace(ATLAS_TRANSLATOR, seed=8))
    monkeypatch.setattr(Perfect, "translate", lambda self, texts, *_: [""] * len(texts))
    monkeypatch.setattr(translations, "_opened", lambda *_: Perfect(atlas, silent="sw"))
    summary = json.loads((evaluate(storage, run, BRIEFLY) / "measures.json").read_text())
    assert {value for found in summary["measures"].values() for value in found.values()} == {0.0}
    assert sum(summary["translation"]["empty"].values()) == sum(summary["queries"].values())


def test_student_reads_the_passages_of_a_pair_and_its_means_stand_apart(
    storage: Storage, atlas: AtlasData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.evaluate.languages", lambda run: ("de",))
    bitext = replace(ATLAS_BITEXT, lines=20)
    student = replace(OPTICAL_ATLAS, teacher=TEACHER, bitext=bitext, seed=11)
    encoder = build(student.rung, TEACHER.token_size, dropout=0.0, seed=11)
    with storage.publish(storage.final(run_key(student))) as folder:
        encoder.save(folder)
    folder = evaluate(storage, student, Evaluation(measures=(AP,), depth=10, pairs=(("de", "sw"),)))
    summary = json.loads((folder / "measures.json").read_text())
    rows = pq.read_table(folder / "per_query.parquet").to_pylist()
    assert set(summary["measures"]["AP"]) == set(summary["queries"]) == {"de"}
    across = [row for row in rows if row["language"] == "de-sw"]
    assert [row["query"] for row in across] == [query.id for query in atlas.queries[Split.TEST]]
    assert summary["pairs"]["AP"] == {"de-sw": pytest.approx(fmean(row["AP"] for row in across))}
    query = atlas.queries[Split.TEST][0]
    found = {
        entry.doc_id: entry.score
        for entry in trec_run(gzip.decompress((folder / "run.trec.gz").read_bytes()).decode())
        if entry.query_id == f"de-sw.{query.id}"
    }
    assert len(found) == 10
    lists = atlas.name_lists("sw")
    texts = [query.texts["de"], *(lists[passage] for passage in found)]
    vectors = encode(encoder, sequences(atlas, texts, student.rung), torch.device("cpu"))
    asked, *read = torch.split(vectors.tokens_TH, vectors.lengths.tolist())
    for passage, own in zip(found, read, strict=True):
        assert found[passage] == pytest.approx(loop_maxsim(asked, own), abs=1e-4)
