"""Rivals without training: the query as it stands, and a dictionary learned from a bitext's lines alone."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from harness.data.bitext import Line

# Characters that set names apart in lists and are no part of a word, in the scripts that CLDR's lists use.
SEPARATORS = ",;،、፣()"

# Rounds of reading new phrases off lines whose other phrases are known; a third finds next to nothing.
PEELING_ROUNDS = 2

Words = tuple[str, ...]


def copy_through(text: str, language: str) -> str:
    """The query as it stands: right for every name that is spelled as in English."""
    del language
    return text


@dataclass(frozen=True)
class DictionaryLookUp:
    """Phrase and word translations into English, read off the given lines and nothing else.

    A phrase is a whole line, or what is left of a line when phrases already known are taken off both sides. A
    word's translation is the English word that shares its lines most exclusively (Dice coefficient). A query
    is read from the left, longest phrase first, then word by word; a word never seen is copied.
    """

    lines: Iterable[Line]
    _phrases: dict[str, dict[Words, Words]] = field(init=False, repr=False, default_factory=dict)
    _words: dict[str, dict[str, str]] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        pairs: dict[str, list[tuple[Words, Words]]] = defaultdict(list)
        for line in self.lines:
            pairs[line.language].append((_words(line.text), _words(line.english)))
        for language, sides in pairs.items():
            self._phrases[language] = _learn_phrases(sides)
            self._words[language] = _learn_words(sides)

    def __call__(self, text: str, language: str) -> str:
        """The query in English, as far as its words are known; a language without lines is copied."""
        phrases, words = self._phrases.get(language, {}), self._words.get(language, {})
        translation: list[str] = []
        for piece, known in _segments(_words(text), phrases):
            if known:
                translation += phrases[piece]
            else:
                translation += [words.get(word, word) for word in piece]
        return " ".join(translation)


def _words(text: str) -> Words:
    stripped = (word.strip(SEPARATORS) for word in text.split())
    return tuple(word for word in stripped if word)


def _learn_phrases(sides: Sequence[tuple[Words, Words]]) -> dict[Words, Words]:
    phrases: dict[Words, Words] = {}
    for source, english in sides:
        phrases.setdefault(source, english)
    for _ in range(PEELING_ROUNDS):
        found: dict[Words, Words] = {}
        for source, english in sides:
            pair = _peel(source, english, phrases)
            if pair is not None and pair[0] not in phrases:
                found.setdefault(*pair)
        phrases |= found
    return phrases


def _peel(source: Words, english: Words, phrases: dict[Words, Words]) -> tuple[Words, Words] | None:
    """The one unknown run of a line with its English, when all other words belong to known phrases."""
    pieces = list(_segments(source, phrases, shorter_than=len(source)))
    unknown = [piece for piece, known in pieces if not known]
    if len(unknown) != 1 or len(pieces) == 1:
        return None
    rest: list[str | None] = list(english)
    for piece, known in pieces:
        if known:
            place = _find(phrases[piece], rest)
            if place is None:
                return None
            rest[place : place + len(phrases[piece])] = [None]
    left = " ".join(word or "\n" for word in rest).split("\n")
    runs = [run.split() for run in left if run.strip()]
    return (unknown[0], tuple(runs[0])) if len(runs) == 1 else None


def _segments(
    words: Words, phrases: dict[Words, Words], shorter_than: int | None = None
) -> Iterable[tuple[Words, bool]]:
    """Cut into known phrases, longest first from the left, and runs of the words between them."""
    longest = len(words) if shorter_than is None else shorter_than - 1
    start = unread = 0
    while start < len(words):
        size = next(
            (n for n in range(min(longest, len(words) - start), 0, -1) if words[start : start + n] in phrases),
            0,
        )
        if not size:
            start += 1
            continue
        if unread < start:
            yield words[unread:start], False
        yield words[start : start + size], True
        start = unread = start + size
    if unread < len(words):
        yield words[unread:], False


def _find(phrase: Words, words: Sequence[str | None]) -> int | None:
    places = range(len(words) - len(phrase) + 1)
    return next((place for place in places if tuple(words[place : place + len(phrase)]) == phrase), None)


def _learn_words(sides: Sequence[tuple[Words, Words]]) -> dict[str, str]:
    source_counts: Counter[str] = Counter()
    english_counts: Counter[str] = Counter()
    together: dict[str, Counter[str]] = defaultdict(Counter)
    for source, english in sides:
        english_set = sorted(set(english))
        english_counts.update(english_set)
        for word in set(source):
            source_counts[word] += 1
            together[word].update(english_set)

    def dice(word: str, other: str) -> float:
        return 2 * together[word][other] / (source_counts[word] + english_counts[other])

    return {word: min(others, key=lambda other: (-dice(word, other), other)) for word, others in together.items()}
