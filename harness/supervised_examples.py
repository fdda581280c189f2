"""Training examples of supervised retrieval: triples as the trained encoder's own tokenizer reads them."""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from hashlib import blake2b

from harness.data.collections import load
from harness.data.guard import guard_of
from harness.data.own_tokenizer import own_tokenizer
from harness.data.retrieval import Loaded
from harness.data.tokenizer import encode_cut
from harness.data.triple_files import KeptForTests
from harness.data.triples import PreparedTriples, open_triples, prepare_triples
from harness.examples import Sequences, TripleExamples
from studies.schema.collection import TRAIN, Collection, TranslatedTopics
from studies.schema.key import canonical, digest
from studies.schema.run import HELD_OUT_QUERIES, Supervised
from studies.schema.rung import Rung
from studies.schema.storage import Storage, read_manifest
from studies.schema.triples import RetrievalTriples, ids_of


def triple_examples(storage: Storage, run: Supervised) -> tuple[TripleExamples, TripleExamples, PreparedTriples]:
    """What is trained on, what is watched, and both as they were prepared on first use.

    ValueError or OSError for files other than declared, with place and remedy.
    """
    prepared, padding = _prepared(storage, run.text, run.rung)
    queries, passages = (
        Sequences(ids=ids, offsets=offsets, padding=padding) for ids, offsets in (prepared.queries, prepared.passages)
    )

    def examples(first: int, end: int) -> TripleExamples:
        return TripleExamples(
            queries=queries,
            passages=passages,
            triples_TK=prepared.triples_TK[first:end],
            relevant=prepared.relevant,
            objective=run.objective,
        )

    return examples(prepared.watched, len(prepared.triples_TK)), examples(0, prepared.watched), prepared


def kept_for_tests(storage: Storage, collections: Sequence[Collection]) -> KeptForTests:
    """Queries of all splits but the training ones, and what is judged for them; of translated topics the originals too.

    Ids are kept by whose they are: translations of MS MARCO have its own.
    """
    declared = [*collections, *(each.original for each in collections if isinstance(each, TranslatedTopics))]
    read = [(ids_of(each), load(each, storage.data())) for each in dict.fromkeys(declared)]
    return KeptForTests(
        queries=guard_of(found for _, found in read),
        query_ids=_ids(read, lambda found, split: found.texts[split]),
        passage_ids=_ids(
            read, lambda found, split: [name for row in found.judgments.get(split, {}).values() for name in row]
        ),
    )


def _ids(
    read: Sequence[tuple[str, Loaded]], of_split: Callable[[Loaded, str], Iterable[str]]
) -> dict[str, frozenset[str]]:
    """Ids of the test splits of all collections, by whose they are."""
    found: dict[str, set[str]] = {}
    for name, collection in read:
        for split in collection.texts:
            if split != TRAIN:
                found.setdefault(name, set()).update(of_split(collection, split))
    return {name: frozenset(ids) for name, ids in found.items()}


@lru_cache(maxsize=2)
def _prepared(storage: Storage, declaration: RetrievalTriples, rung: Rung) -> tuple[PreparedTriples, int]:
    """The triples and the id that pads them; where they lie follows from what was declared and what tokenises them."""
    tokenizer = own_tokenizer(rung)
    reader = blake2b(tokenizer.backend_tokenizer.to_str().encode(), digest_size=8).hexdigest()
    identity = digest("triples/1", [canonical(declaration), reader, tokenizer.model_max_length, HELD_OUT_QUERIES])
    place = storage.collection(f"triples-{identity}")
    padding = tokenizer.pad_token_id
    assert isinstance(padding, int)
    if read_manifest(place, verify=False) is not None:
        return open_triples(place), padding
    prepared = prepare_triples(
        storage.data(),
        declaration,
        query=partial(encode_cut, tokenizer, declaration.query_tokens),
        passage=partial(encode_cut, tokenizer, declaration.passage_tokens),
        kept=kept_for_tests(storage, declaration.kept_out),
        place=place,
        watched=HELD_OUT_QUERIES,
    )
    return prepared, padding
