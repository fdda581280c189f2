"""How fast exact MaxSim search is: python -m tests.benchmarks.bench_late_interaction

Against sentence-transformers' `maxsim` followed by topk on the same ragged texts, and against nothing but the matrix
product of all query tokens with all passage tokens (the faster of one product and products of cache-sized blocks).
Times are medians of interleaved repetitions on one thread, in processor time. The aim is a search at no more than
1.3 times the product.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from sentence_transformers.util import maxsim

from harness.late_interaction import BLOCK_QUERY_TOKENS, Ragged, search

CASES = (  # queries, query tokens, passages, passage tokens, width
    (400, (3, 16), 1_000, (15, 40), 64),
    (400, (3, 16), 1_000, (15, 40), 128),
    (100, (8, 32), 2_000, (20, 180), 128),
    (10, (8, 32), 8_000, (20, 180), 128),
)
RESULTS = 100
REPETITIONS = 3


def main() -> None:
    torch.set_num_threads(1)
    print("queries passages width   ours s   ours / product   maxsim / ours")
    for num_queries, query_range, num_passages, passage_range, width in CASES:
        queries, passages = _texts(num_queries, query_range, width, 0), _texts(num_passages, passage_range, width, 1)
        ours, whole, blocks, theirs = _interleaved(
            partial(search, queries, passages, k=RESULTS),
            partial(torch.matmul, passages.tokens_TH, queries.tokens_TH.T),
            partial(_blocked_product, queries, passages),
            _sentence_transformers(queries, passages),
        )
        ratios = f"{ours / min(whole, blocks):14.2f}   {theirs / ours:13.2f}"
        print(f"{num_queries:7d} {num_passages:8d} {width:5d} {ours:8.3f}   {ratios}", flush=True)


def _texts(num_texts: int, token_range: tuple[int, int], width: int, seed: int) -> Ragged:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(token_range[0], token_range[1] + 1, (num_texts,), generator=generator)
    tokens_TH = torch.randn(int(lengths.sum()), width, generator=generator)
    return Ragged(tokens_TH=torch.nn.functional.normalize(tokens_TH, dim=1), lengths=lengths)


def _blocked_product(queries: Ragged, passages: Ragged) -> None:
    out = torch.empty(BLOCK_QUERY_TOKENS * BLOCK_QUERY_TOKENS)
    for passage_RH in torch.split(passages.tokens_TH, BLOCK_QUERY_TOKENS):
        for query_WH in torch.split(queries.tokens_TH, BLOCK_QUERY_TOKENS):
            rows, columns = len(passage_RH), len(query_WH)
            torch.mm(passage_RH, query_WH.T, out=out[: rows * columns].view(rows, columns))


def _sentence_transformers(queries: Ragged, passages: Ragged) -> Callable[[], object]:
    query_list, passage_list = (
        list(torch.split(texts.tokens_TH, texts.lengths.tolist())) for texts in (queries, passages)
    )
    return lambda: maxsim(query_list, passage_list).topk(RESULTS, dim=1)


def _interleaved(*functions: Callable[[], object]) -> list[float]:
    """Median processor time of each function in seconds; a busy machine changes it less than the clock's."""
    seconds: list[list[float]] = [[] for _ in functions]
    for _ in range(REPETITIONS):
        for function, taken in zip(functions, seconds, strict=True):
            start = time.process_time()
            function()
            taken.append(time.process_time() - start)
    return [statistics.median(taken) for taken in seconds]


if __name__ == "__main__":
    main()
