"""Training examples from parallel text: lines as the student's tokenizer reads them, beside the teacher's vectors.

The student's side of a line is kept as token ids. The English side is kept as the bytes of its text, since a teacher
reads text with a tokenizer, or code, of its own.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.criteria import criterion
from harness.data.collections import load
from harness.data.guard import Guard, guard_of
from harness.data.own_tokenizer import own_tokenizer
from harness.data.parallel import Prepared, open_prepared, prepare
from harness.data.parallel_files import read_lines
from harness.data.tokenizer import encode as tokenize
from harness.examples import BitextExamples, Sequences, TeacherVectors
from harness.text_readers import LiveReader, TextTeacher, place_of, reader, side_of_lines, vectors
from harness.vectors import CachedTeacher, stored
from studies.schema.atlas import ENGLISH
from studies.schema.collection import Collection, TranslatedTopics
from studies.schema.key import canonical, digest
from studies.schema.objective import Objective
from studies.schema.parallel import Corpus, ParallelText
from studies.schema.run import HELD_OUT_LINES
from studies.schema.rung import Rung
from studies.schema.storage import Storage, read_manifest

PROBED = 256
"""Lines, evenly spread, from whose vectors the size of all is judged."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ParallelLines:
    """Lines of a parallel text and the teacher's vectors of their English sides, shared by students of all objectives.

    ``english_of`` gives each line's English side, the watched lines first; ``facts`` are counts for the record. The
    last watched and the last trained lines may have no English side: ``direct`` has what is there instead, by the line
    that they end before.
    """

    prepared: Prepared
    padding: int
    english_of: NDArray[np.int64]
    teacher: TeacherVectors
    direct: Mapping[int, Sequences] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def train(self, objective: Objective) -> BitextExamples:
        """The lines that are trained on."""
        return self._examples(objective, self.prepared.watched, len(self.english_of))

    def held_out(self, objective: Objective) -> BitextExamples:
        """The lines whose loss is watched."""
        return self._examples(objective, 0, self.prepared.watched)

    def _examples(self, objective: Objective, first: int, end: int) -> BitextExamples:
        source = Sequences(ids=self.prepared.ids, offsets=self.prepared.offsets[first : end + 1], padding=self.padding)
        return BitextExamples(
            source=source,
            english_of=self.english_of[first:end],
            teacher=self.teacher,
            criterion=criterion(objective),
            direct=self.direct.get(end),
        )


@lru_cache(maxsize=2)
def parallel_lines(
    storage: Storage,
    teacher: TextTeacher,
    declaration: ParallelText,
    rung: Rung,
    cache_bytes: int,
    device: torch.device,
) -> ParallelLines:
    """The declared lines, filtered, drawn and tokenised on first use; kept for the next run of a worker group.

    ValueError or OSError for files other than declared, with place and remedy.
    """
    prepared, padding = _prepared(storage, declaration, rung)
    without = [place for place, pair in enumerate(prepared.pairs) if tuple(pair.split("-")) in declaration.direct]
    is_direct = np.isin(prepared.pair_of, without)
    first, english_of = _same_text(prepared, is_direct)
    counts = prepared.record["pairs"]
    lines = {tuple(pair.split("-")): counts[pair]["lines"] for pair in declaration.pairs}
    trained = {source: number for (source, target), number in lines.items() if target == ENGLISH}
    direct_lines = {source: number for (source, target), number in lines.items() if target != ENGLISH}
    lengths = np.diff(prepared.offsets[prepared.watched :])
    return ParallelLines(
        prepared=prepared,
        padding=padding,
        english_of=english_of,
        teacher=_teacher_vectors(storage, teacher, partial(_text, prepared, first), len(first), cache_bytes, device),
        direct=_direct(prepared, is_direct, rung),
        facts=({"direct_lines": direct_lines} if direct_lines else {})
        | {
            "lines": trained,
            "tokens_per_line": round(float(lengths.mean()), 2),
            "corpora": prepared.record["corpora"],
            "pairs": counts,
        },
    )


def guard_against(storage: Storage, collections: Sequence[Collection], text: Sequence[Corpus] = ()) -> Guard:
    """Keeps the queries of collections and the sentences of corpora out of training; of translated topics the originals
    as well."""
    read = []
    for declaration in collections:
        read.append(load(declaration, storage.data()))
        if isinstance(declaration, TranslatedTopics):
            read.append(load(declaration.original, storage.data()))
    sentences = (side for corpus in text for line in read_lines(storage.data(), corpus, Counter()) for side in line)
    return guard_of(read) | Guard(sentences)


def _prepared(storage: Storage, declaration: ParallelText, rung: Rung) -> tuple[Prepared, int]:
    """The lines and the id that pads them; where they lie follows from what was declared and what tokenises them."""
    tokenizer = own_tokenizer(rung)
    known = blake2b(tokenizer.backend_tokenizer.to_str().encode(), digest_size=8).hexdigest()
    identity = digest("lines/2", [canonical(declaration), known, tokenizer.model_max_length, HELD_OUT_LINES])
    place = storage.collection(f"lines-{identity}")
    padding = tokenizer.pad_token_id
    assert isinstance(padding, int)
    if read_manifest(place, verify=False) is not None:
        return open_prepared(place), padding
    prepared = prepare(
        storage.data(),
        declaration,
        tokenize=partial(tokenize, tokenizer),
        guard=guard_against(storage, declaration.kept_out, declaration.kept_out_text),
        place=place,
        watched=HELD_OUT_LINES,
    )
    return prepared, padding


def _text(prepared: Prepared, lines: NDArray[np.int64], number: int) -> str:
    """The English side of the line that stands for a text."""
    begin, end = prepared.text_offsets[lines[number] : lines[number] + 2]
    return prepared.text[begin:end].tobytes().decode()


def _direct(prepared: Prepared, is_direct: NDArray[np.bool_], rung: Rung) -> dict[int, Sequences]:
    """The other sides of direct lines as a student reads them: of the watched lines and of those that are trained on.

    ValueError where they are not the last ones.
    """
    found = {}
    for begin, end in ((0, prepared.watched), (prepared.watched, len(is_direct))):
        places = begin + np.flatnonzero(is_direct[begin:end])
        if not len(places):
            continue
        if places[0] != end - len(places):
            raise ValueError("lines without English stand between others; prepare the parallel text again")
        tokenizer = own_tokenizer(rung)
        padding = tokenizer.pad_token_id
        assert isinstance(padding, int)
        texts = [_text(prepared, places, number) for number in range(len(places))]
        found[end] = Sequences.of(tokenize(tokenizer, texts), padding)
    return found


def _same_text(prepared: Prepared, is_direct: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first line of each English text, and the text of every line; eight bytes of memory a line and text.

    Other sides of direct lines are numbered after all English ones, and have no first line.
    """
    offsets = prepared.text_offsets
    hashes = np.empty(len(offsets) - 1, dtype=np.uint64)
    for line in range(len(hashes)):
        raw = prepared.text[offsets[line] : offsets[line + 1]].tobytes()
        hashes[line] = int.from_bytes(blake2b(raw, digest_size=8).digest(), "little")
    english = np.flatnonzero(~is_direct)
    _, first, text_of = np.unique(hashes[english], return_index=True, return_inverse=True)
    _, other_of = np.unique(hashes[is_direct], return_inverse=True)
    number_of = np.empty(len(hashes), dtype=np.int64)
    number_of[english], number_of[is_direct] = text_of, len(first) + other_of
    return english[first].astype(np.int64), number_of


def _teacher_vectors(
    storage: Storage,
    teacher: TextTeacher,
    text: partial[str],
    number: int,
    cache_bytes: int,
    device: torch.device,
) -> TeacherVectors:
    """Cached where they fit the budget, judged by some of them, and else computed in every step."""
    texts, side = [text(place) for place in range(number)], side_of_lines(teacher)
    if stored(place_of(storage, teacher, texts, side)) is None:
        encoder = reader(storage, teacher, device)
        places = np.linspace(0, number - 1, min(PROBED, number)).astype(int)
        probed = encoder.encode([texts[place] for place in places.tolist()], side)
        if 4 * teacher.token_size * number * float(probed.lengths.float().mean()) > cache_bytes:
            return LiveReader(encoder, text, side)
    return CachedTeacher(vectors(storage, teacher, texts, side, device))
