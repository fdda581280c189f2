"""How alike a student reads held-out sentences in English and in another language, sentence by sentence: CLCA.

Formulas are those of ``studies.schema.alignment.AlignmentMeasure``. Both sides are read by one encoder.

Legend: Q sentences, K pairs of sentences, D depth of a ranking, N and M tokens, W width of the backbone, T tokens
of all sentences.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from harness.assemble import collection, model_of, sequences, tokenizer_of
from harness.data.names import ENGLISH
from harness.encoders import LastLayer, TokenEncoder
from harness.examples import Sequences
from harness.late_interaction import Ragged
from harness.transport.problem import cosine_cost, uniform_problem
from harness.transport.sinkhorn import sinkhorn
from harness.vectors import encode
from studies.schema.alignment import (
    COLUMNS,
    TOKEN_OT_RANDOM,
    TOKEN_OT_RAW,
    Alignment,
    AlignmentMeasure,
    Stage,
    column_name,
    corrected,
)
from studies.schema.evaluation import Evaluation
from studies.schema.lineage import embedded
from studies.schema.run import Student
from studies.schema.storage import Storage

CPU = torch.device("cpu")

PROBLEMS = 512
"""Transport problems solved at once."""

Columns = Mapping[str, NDArray[np.float64]]
"""Values of every sentence, [Q], by column."""

Aligned = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Value by language, query and column."""


def alignment_scores(
    storage: Storage, run: Student, trained: TokenEncoder, evaluation: Evaluation, asked: Alignment
) -> Aligned:
    """Every column before and after distillation, for every language and query of the evaluation's split."""
    atlas = collection(storage, embedded(run)[0].collection)
    queries = atlas.queries[evaluation.split]
    strangers_Q = strangers([frozenset(query.names) for query in queries])
    found: dict[str, dict[str, dict[str, float]]] = {
        language: {query.id: {} for query in queries} for language in atlas.declaration.languages
    }
    texts = {
        language: sequences(atlas, [atlas.text(query, language) for query in queries], run.rung)
        for language in (ENGLISH, *found)
    }
    special = special_ids(tokenizer_of(atlas, run.rung))
    before = model_of(storage, run)
    assert isinstance(before, TokenEncoder)
    for stage, encoder in ((Stage.BEFORE, before), (Stage.AFTER, trained)):
        english = hidden(encoder, texts[ENGLISH], special)
        for language, rows in found.items():
            read = hidden(encoder, texts[language], special)
            for column, values_Q in alignment_columns(english, read, strangers_Q, asked).items():
                for query, value in zip(queries, values_Q.tolist(), strict=True):
                    rows[query.id][column_name(column, stage)] = value
    return found


def alignment_means(aligned: Aligned) -> dict[str, dict[str, float]]:
    """Every measure at both stages by language: ``clca_mexa.before`` and so on."""
    means: dict[str, dict[str, float]] = {}
    for language, rows in aligned.items():
        for stage in Stage:
            mean = {column: fmean(row[column_name(column, stage)] for row in rows.values()) for column in COLUMNS}
            mean[AlignmentMeasure.TOKEN_OT] = corrected(mean[TOKEN_OT_RAW], mean[TOKEN_OT_RANDOM])
            for measure in AlignmentMeasure:
                means.setdefault(column_name(measure, stage), {})[language] = mean[measure]
    return means


def alignment_columns(english: Ragged, texts: Ragged, strangers_Q: NDArray[np.int64], asked: Alignment) -> Columns:
    """What is kept of every sentence; ``strangers_Q`` is, for each, another one that has nothing to do with it."""
    english_QW, texts_QW = pooled(english), pooled(texts)
    same_Q = np.arange(len(english.lengths))
    return {
        TOKEN_OT_RAW: token_similarity(english, texts, same_Q, asked),
        TOKEN_OT_RANDOM: token_similarity(english, texts, strangers_Q, asked),
        AlignmentMeasure.MEXA: mexa_hits(english_QW @ texts_QW.T).double().numpy(),
        AlignmentMeasure.RANKC: rank_consistency(english_QW @ english_QW.T, texts_QW @ texts_QW.T, asked.depth),
    }


def special_ids(tokenizer: PreTrainedTokenizerFast) -> NDArray[np.int64]:
    """Tokens that stand in a text for no part of it; an unknown word is a part."""
    return np.array(sorted(set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}), dtype=np.int64)


def hidden(encoder: TokenEncoder, texts: Sequences, special: NDArray[np.int64], device: torch.device = CPU) -> Ragged:
    """Vectors of the last hidden layer, [T, W], for every token of the texts that is no special one."""
    vectors = encode(LastLayer(encoder), texts, device)
    kept_T = ~np.isin(texts.ids, special)
    lengths_Q = np.add.reduceat(kept_T.astype(np.int64), texts.offsets[:-1])
    return Ragged(tokens_TH=vectors.tokens_TH[torch.from_numpy(kept_T)], lengths=torch.from_numpy(lengths_Q))


def token_similarity(
    english: Ragged, texts: Ragged, partner_K: NDArray[np.int64], asked: Alignment
) -> NDArray[np.float64]:
    """<P, cos> between the tokens of every English sentence and of its partner's text, [K].

    Raises ValueError where a problem is not solved to the declared tolerance.
    """
    order = np.argsort(english.lengths.numpy() + texts.lengths.numpy()[partner_K], kind="stable")
    similarity_K = np.empty(len(partner_K))
    for chunk in np.array_split(order, -(-len(order) // PROBLEMS)):
        english_BNW, english_mask_BN = _padded(english, chunk)
        texts_BMW, texts_mask_BM = _padded(texts, partner_K[chunk])
        cost_BNM = cosine_cost(english_BNW, texts_BMW)
        plan = sinkhorn(
            uniform_problem(cost_BNM, english_mask_BN, texts_mask_BM),
            epsilon=asked.epsilon,
            tolerance=asked.tolerance,
            max_iterations=asked.max_iterations,
        )
        if not bool(plan.converged_B.all()):
            raise ValueError(
                f"{int((~plan.converged_B).sum())} of {len(chunk)} transport problems are not solved at epsilon "
                f"{asked.epsilon} within {asked.max_iterations} iterations; raise Alignment.max_iterations or epsilon"
            )
        similarity_K[chunk] = 1.0 - plan.cost_B.double().numpy()
    return similarity_K


def pooled(texts: Ragged) -> Tensor:
    """The mean of each text's token vectors, at unit length, [Q, W]."""
    sums_QW = torch.segment_reduce(texts.tokens_TH, "mean", lengths=texts.lengths, axis=0)
    return torch.nn.functional.normalize(sums_QW, dim=-1)


def mexa_hits(similarity_QQ: Tensor) -> Tensor:
    """Whether each diagonal entry is above every other in its row and in its column, [Q] of bool; a tie is none."""
    diagonal_Q = similarity_QQ.diagonal()
    others_QQ = similarity_QQ.clone().fill_diagonal_(-torch.inf)
    return (diagonal_Q > others_QQ.amax(dim=1)) & (diagonal_Q > others_QQ.amax(dim=0))


def rank_consistency(one_QQ: Tensor, other_QQ: Tensor, depth: int) -> NDArray[np.float64]:
    """RankC of each sentence, [Q], from the similarities of all sentences within each of two languages.

    A sentence is no entry of its own ranking; of equal similarities the earlier sentence stands first. Rankings of
    fewer than ``depth`` entries are taken whole.
    """
    depth = min(depth, len(one_QQ) - 1)
    if depth < 1:
        raise ValueError(f"{len(one_QQ)} sentence has no other to rank; give at least two")
    one_QD, other_QD = _nearest(one_QQ, depth), _nearest(other_QQ, depth)
    shared_QDD = one_QD[:, :, None] == other_QD[:, None, :]
    weights_D = torch.softmax(torch.arange(depth, 0, -1, dtype=torch.float64), dim=0)
    overlap_QD = torch.stack(
        [shared_QDD[:, :rank, :rank].sum(dim=(1, 2)) / rank for rank in range(1, depth + 1)], dim=1
    )
    return (overlap_QD.double() @ weights_D).numpy()


def strangers(names: Sequence[frozenset[str]]) -> NDArray[np.int64]:
    """For each sentence, by the names in it, the next one in a circle that shares no name with it."""
    number = len(names)
    found = np.empty(number, dtype=np.int64)
    for place, own in enumerate(names):
        after = ((place + step) % number for step in range(1, number))
        partner = next((other for other in after if own.isdisjoint(names[other])), None)
        if partner is None:
            raise ValueError(
                f"every other sentence shares a name with sentence {place}; alignment by chance needs more"
            )
        found[place] = partner
    return found


def _nearest(similarity_QQ: Tensor, depth: int) -> Tensor:
    others_QQ = similarity_QQ.clone().fill_diagonal_(-torch.inf)
    return torch.sort(others_QQ, dim=1, descending=True, stable=True).indices[:, :depth]


def _padded(texts: Ragged, chosen: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """Vectors (B, N, W) and mask (B, N) of the chosen texts; padding repeats the first token of all."""
    lengths_Q = texts.lengths
    starts_Q = torch.cumsum(lengths_Q, dim=0) - lengths_Q
    index_B = torch.from_numpy(chosen)
    column_N = torch.arange(int(lengths_Q[index_B].max()))
    mask_BN = column_N < lengths_Q[index_B][:, None]
    place_BN = torch.where(mask_BN, starts_Q[index_B][:, None] + column_N, 0)
    return texts.tokens_TH[place_BN], mask_BN
