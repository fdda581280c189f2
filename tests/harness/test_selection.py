"""Choosing lines by hash in pieces is the same as doing it at once."""

import unicodedata

import numpy as np
import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from harness.data import selection
from harness.data.guard import Guard
from harness.data.selection import draw_marked, mark_first, shares


def hashes(number: int, kinds: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    generator = np.random.Generator(np.random.PCG64(number))
    return generator.integers(0, 2**64, kinds, dtype=np.uint64)[generator.integers(0, kinds, number)]


@pytest.mark.parametrize("partition", [7, 100, 10_000])
def test_first_of_equal_lines_is_kept_whatever_the_partition(monkeypatch: pytest.MonkeyPatch, partition: int) -> None:
    monkeypatch.setattr(selection, "CHUNK", 64)
    lines = hashes(1000, 300)
    marks = np.zeros(1000, dtype=np.uint8)
    number = mark_first(lines, marks, partition)
    seen: set[int] = set()
    expected = [value not in seen and not seen.add(value) for value in lines.tolist()]  # type: ignore[func-returns-value]
    assert marks.astype(bool).tolist() == expected
    assert number == len(seen)


@pytest.mark.parametrize("wanted", [1, 137, 299])
def test_draw_keeps_exactly_the_wanted_number_in_pieces_or_at_once(
    monkeypatch: pytest.MonkeyPatch, wanted: int
) -> None:
    lines = hashes(400, 10_000)
    drawn = []
    for chunk in (32, 1 << 20):
        monkeypatch.setattr(selection, "CHUNK", chunk)
        marks = np.ones(400, dtype=np.uint8)
        draw_marked(lines, marks, wanted, seed=3)
        drawn.append(np.flatnonzero(marks).tolist())
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == wanted


def test_draw_among_equal_hashes_is_exact_too() -> None:
    marks = np.ones(50, dtype=np.uint8)
    draw_marked(np.full(50, 7, dtype=np.uint64), marks, 20, seed=0)
    assert marks.sum() == 20


@pytest.mark.parametrize("exponent", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("lines", [1, 10, 77, 1110, 5000])
def test_shares_add_up_and_never_exceed_what_there_is(exponent: float, lines: int) -> None:
    available = {"sw-en": 10, "te-en": 100, "de-en": 1000, "so-en": 0}
    given = shares(available, lines, exponent)
    assert sum(given.values()) == min(lines, 1110)
    assert all(given[pair] <= number for pair, number in available.items())


def test_small_pair_gives_what_it_cannot_fill_to_the_others() -> None:
    assert shares({"sw-en": 10, "de-en": 1000, "fr-en": 1000}, 310, 0.0) == {"sw-en": 10, "de-en": 150, "fr-en": 150}


def test_guard_knows_a_text_by_its_words_alone() -> None:
    guard = Guard(["What is  the capital?", "राजधानी कहाँ है", "１２", "?!"])
    for text in ("what is the capital", "WHAT is, the “capital”!", "राजधानी  कहाँ है?", "12."):
        assert guard.holds(text)
    for text in ("what is the capitals", "what is", "राजधान कहाँ है", "", "?!", "१२ a"):
        assert not guard.holds(text)
    assert len(guard) == 3
    assert (guard | Guard(["more"])).holds("More")


TRICKY = st.text(st.sampled_from("aAb1 \u00a0?-\u0301\u0307İßﬁ①½ﷺ\u1100\u1161राक\u200d"), max_size=8)
"""Marks that compose, letters that fold to several, and characters that hold spaces."""


@given(st.lists(TRICKY, max_size=3), st.lists(TRICKY, max_size=6).map(" ".join))
def test_guard_holds_what_has_the_same_words_and_nothing_else(queries: list[str], line: str) -> None:
    def words(text: str) -> list[str]:
        return list(regex.findall(r"[\p{L}\p{M}\p{N}]+", unicodedata.normalize("NFKC", text).casefold()))

    wanted = [found for query in queries if (found := words(query))]
    assert Guard(queries).holds(line) == (words(line) in wanted)
    assert Guard([*queries, f"- {line} ?"]).holds(line) == bool(words(line))
