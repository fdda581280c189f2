"""MaxSim, the late-interaction score, and exact search by it.

A query is scored against a passage by the sum, over its tokens, of the largest dot product with any token of the
passage (Khattab and Zaharia, SIGIR 2020). Vectors are taken as they come: normalise them first for cosines.

Shapes: B queries, C passages, N query tokens, M passage tokens, H width. In the search: Q queries, P passages, T tokens
of all texts, k results; in one block W query tokens and c passages, together R = c * M tokens.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

BLOCK_QUERY_TOKENS = 512
BLOCK_SIMILARITIES = 1 << 18
"""One block of similarities, 1 MiB in float32, is reduced while it is still in the cache."""

BLOCK_PASSAGE_TOKENS = 4096
"""Most passage tokens of one block when there are few query tokens; 2 MiB of vectors of width 128."""

HELD_SCORES = 1 << 22
"""Scores held before they are reduced to the best k, 16 MiB in float32 and about six times that on the way."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Ragged:
    """Token vectors of many texts, one after another: tokens_TH, and the number of tokens of each text."""

    tokens_TH: Tensor
    lengths: Tensor

    def __post_init__(self) -> None:
        total = int(self.lengths.sum())
        if self.tokens_TH.ndim != 2 or self.lengths.ndim != 1 or total != len(self.tokens_TH):
            raise ValueError(
                f"lengths must share out the tokens [T, H]; found tokens of shape {tuple(self.tokens_TH.shape)} and "
                f"{tuple(self.lengths.shape)} lengths that sum to {total}"
            )
        if not bool((self.lengths > 0).all()):
            empty = torch.nonzero(self.lengths <= 0).flatten().tolist()
            raise ValueError(f"every text needs at least one token; texts {empty[:8]} have none; drop them first")


def maxsim(query_BNH: Tensor, passage_CMH: Tensor, query_mask_BN: Tensor, passage_mask_CM: Tensor) -> Tensor:
    """Scores of every query against every passage, [B, C], in float32 or wider; differentiable.

    Padding is -inf before the maximum and left out of the sum, so appending it never changes a score, not even when
    every real similarity is negative. Differs from masking with 0, which lets padding win.
    """
    if not bool(passage_mask_CM.any(dim=1).all()):
        raise ValueError("every passage needs at least one token; found one that is fully masked; drop it first")
    query_BNH, passage_CMH = _without_padding(query_BNH, query_mask_BN), _without_padding(passage_CMH, passage_mask_CM)
    with torch.autocast(device_type=query_BNH.device.type, enabled=False):
        similarity_BNCM: Tensor = torch.tensordot(query_BNH, passage_CMH, dims=([2], [2]))
    best_BNC: Tensor = similarity_BNCM.masked_fill(~passage_mask_CM.bool(), -torch.inf).amax(dim=3)
    return (best_BNC * query_mask_BN[:, :, None]).sum(dim=1)


def search(queries: Ragged, passages: Ragged, *, k: int) -> tuple[Tensor, Tensor]:
    """The best k passages of every query by exact MaxSim: scores [Q, k] and indices [Q, k], best first.

    Of equal scores the lower index comes first. With fewer than k passages, all of them are returned. Beside
    the passages themselves, memory is a few blocks whatever the size of the collection.
    """
    if k < 1:
        raise ValueError(f"search returns at least one passage; found k={k}")
    device = passages.tokens_TH.device
    queries = Ragged(tokens_TH=queries.tokens_TH.to(device), lengths=queries.lengths.to(device))
    widest = min(len(queries.tokens_TH), BLOCK_QUERY_TOKENS)
    block_tokens = min(BLOCK_PASSAGE_TOKENS, max(1, BLOCK_SIMILARITIES // max(1, widest)))
    similarities = torch.empty(max(block_tokens, _longest(passages)) * widest, device=device)
    best_Qk = torch.empty(len(queries.lengths), 0, dtype=torch.long, device=device)
    scores: list[Tensor] = []
    indices: list[Tensor] = []
    held = 0
    for index_c, tokens_cMH in _passage_blocks(passages, block_tokens):
        scores.append(_block_scores(queries, tokens_cMH, similarities))
        indices.append(index_c)
        held += scores[-1].numel()
        if held >= HELD_SCORES:
            best_Qk = _best(best_Qk, torch.cat(scores), torch.cat(indices), k)
            scores, indices, held = [], [], 0
    if held:
        best_Qk = _best(best_Qk, torch.cat(scores), torch.cat(indices), k)
    return _unpack(best_Qk)


def _without_padding(vectors_BNH: Tensor, mask_BN: Tensor) -> Tensor:
    dtype = torch.promote_types(vectors_BNH.dtype, torch.float32)
    return torch.where(mask_BN.bool()[:, :, None], vectors_BNH.to(dtype), 0.0)


def _passage_blocks(passages: Ragged, block_tokens: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Passages of similar length, padded by their own first token, which changes no maximum.

    The vectors of a block are overwritten by the next one: fresh memory would cost as much as the product.
    """
    tokens_TH = passages.tokens_TH
    buffer_RH = tokens_TH.new_empty(max(block_tokens, _longest(passages)), tokens_TH.shape[1])
    for index, position_cM in _length_blocks(passages.lengths, block_tokens):
        position_cM = torch.where(position_cM < 0, position_cM[:, :1], position_cM).to(tokens_TH.device)
        block_RH = buffer_RH[: position_cM.numel()]
        torch.index_select(tokens_TH, 0, position_cM.flatten(), out=block_RH)
        yield index.to(tokens_TH.device), block_RH.view(*position_cM.shape, -1)


def _longest(texts: Ragged) -> int:
    return int(texts.lengths.max()) if len(texts.lengths) else 0


def _length_blocks(lengths: Tensor, block_tokens: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Texts in order of length, in blocks of about `block_tokens`: their indices and token positions, -1 beyond."""
    lengths = lengths.to(device="cpu", dtype=torch.long)
    start = torch.cumsum(lengths, dim=0) - lengths
    order = torch.argsort(lengths, stable=True)
    sorted_lengths = lengths[order].tolist()
    first = 0
    while first < len(sorted_lengths):
        # the longest text of the block decides its width, so the count is settled by looking ahead once
        ahead = min(first + max(1, block_tokens // sorted_lengths[first]), len(sorted_lengths)) - 1
        index = order[first : first + max(1, block_tokens // sorted_lengths[ahead])]
        width = torch.arange(sorted_lengths[first + len(index) - 1])
        yield index, torch.where(width < lengths[index][:, None], start[index][:, None] + width, -1)
        first += len(index)


def _block_scores(queries: Ragged, tokens_cMH: Tensor, similarities: Tensor) -> Tensor:
    """Scores of a block of passages for all queries, [c, Q]; `similarities` is room to work in."""
    num_passages, num_tokens, width = tokens_cMH.shape
    best_cT = tokens_cMH.new_empty(num_passages, len(queries.tokens_TH))
    for first in range(0, len(queries.tokens_TH), BLOCK_QUERY_TOKENS):
        query_WH = queries.tokens_TH[first : first + BLOCK_QUERY_TOKENS]
        similarity_RW = similarities[: num_passages * num_tokens * len(query_WH)].view(-1, len(query_WH))
        torch.mm(tokens_cMH.view(-1, width), query_WH.T, out=similarity_RW)
        similarity_cMW = similarity_RW.view(num_passages, num_tokens, -1)
        torch.amax(similarity_cMW, dim=1, out=best_cT[:, first : first + len(query_WH)])
    lengths_cQ = queries.lengths.expand(num_passages, -1).contiguous()
    scores_cQ: Tensor = torch.segment_reduce(best_cT, "sum", lengths=lengths_cQ, axis=1, unsafe=True)
    return scores_cQ


def _best(best_Qk: Tensor, scores_PQ: Tensor, index_P: Tensor, k: int) -> Tensor:
    """The k largest of what was best so far and new scores, as keys that order by score, then by lower index."""
    if not bool(torch.isfinite(scores_PQ).all()):
        raise ValueError("a MaxSim score is NaN or infinite; the queries or passages hold vectors that are not finite")
    keys_QP = torch.cat([best_Qk, _pack(scores_PQ.T, index_P)], dim=1)
    return torch.topk(keys_QP, min(k, keys_QP.shape[1]), dim=1, sorted=True).values


def _pack(scores_QP: Tensor, index_P: Tensor) -> Tensor:
    """Score and index in one int64: bits of a float32 in its order above, the index counted down below."""
    bits_QP = (scores_QP.float() + 0.0).contiguous().view(torch.int32).long()
    return (_mirror(bits_QP) << 32) + (0xFFFFFFFF - index_P)


def _unpack(keys_Qk: Tensor) -> tuple[Tensor, Tensor]:
    bits_Qk = _mirror(keys_Qk >> 32).to(torch.int32)
    return bits_Qk.view(torch.float32), 0xFFFFFFFF - (keys_Qk & 0xFFFFFFFF)


def _mirror(bits: Tensor) -> Tensor:
    """Turns the order of negative floats' bits round; its own inverse."""
    return torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits)
