"""Training examples as padded batches, and the loss of a batch under a run's objective.

Legend: B examples, N query, student or source tokens, M passage, teacher or English tokens, H width, G candidate group,
T English tokens of all examples, V lexicon.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.objectives.groups import contrastive_loss, ranking_loss
from harness.objectives.pairs import Criterion, Loss, Pairs
from studies.schema.objective import Contrastive, Ranking

Encode = Callable[[Tensor, Tensor], Tensor]
"""Token ids and mask, both (B, N), to unit vectors (B, N, H)."""


@dataclass(frozen=True, kw_only=True)
class Sequences:
    """Ragged token ids, stored flat: text ``i`` is ``ids[offsets[i]:offsets[i + 1]]``."""

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]
    padding: int

    @staticmethod
    def of(lists: Sequence[Sequence[int]], padding: int) -> "Sequences":
        lengths = np.fromiter((len(ids) for ids in lists), dtype=np.int64, count=len(lists))
        if len(lists) == 0 or lengths.min() == 0:
            raise ValueError("a text without tokens cannot be trained on or scored; remove empty texts")
        flat = np.concatenate([np.asarray(ids, dtype=np.int32) for ids in lists])
        return Sequences(ids=flat, offsets=np.concatenate([[0], np.cumsum(lengths)]), padding=padding)

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.offsets)

    def followed_by(self, other: "Sequences") -> "Sequences":
        """These texts, then those of another, read by the same tokenizer."""
        offsets = np.concatenate([self.offsets, self.offsets[-1] + other.offsets[1:]])
        return Sequences(ids=np.concatenate([self.ids, other.ids]), offsets=offsets, padding=self.padding)

    def padded(self, indices: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Token ids and mask of the chosen texts, both (B, N) with N the longest of them."""
        lengths = self.lengths[indices]
        columns = np.arange(int(lengths.max()))
        mask_BN = columns < lengths[:, None]
        places_BN = np.where(mask_BN, self.offsets[indices][:, None] + columns, 0)
        ids_BN = np.where(mask_BN, self.ids[places_BN], self.padding)
        return torch.from_numpy(ids_BN.astype(np.int64)), torch.from_numpy(mask_BN)


class TeacherVectors(Protocol):
    """The frozen teacher's token vectors of English lines, cached or computed in step."""

    def take(self, lines: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Vectors (B, M, H) in float32 and mask (B, M) of the lines."""
        ...


class Examples(Protocol):
    """What the training loop needs of its data."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each example, for bucketing, shape (number of examples,)."""
        ...

    def loss(self, model: Callable[..., Tensor], indices: NDArray[np.int64], device: torch.device, /) -> Loss:
        """The mean loss of the chosen examples, read by the model of a run."""
        ...


@dataclass(frozen=True, kw_only=True)
class TokenWeights:
    """What each token id weighs in a sentence, on either side, and the English sentences as token ids."""

    source_V: NDArray[np.float32]
    english_V: NDArray[np.float32]
    english: Sequences

    def of(self, ids_BN: Tensor, english: NDArray[np.int64], device: torch.device) -> tuple[Tensor, Tensor]:
        """Weights of a batch's source tokens (B, N) and of the tokens of its English sides (B, M)."""
        english_ids_BM, _ = self.english.padded(english)
        source_BN = torch.from_numpy(self.source_V)[ids_BN.cpu()]
        return source_BN.to(device), torch.from_numpy(self.english_V)[english_ids_BM].to(device)


@dataclass(frozen=True, kw_only=True)
class BitextExamples:
    """Lines of a language beside the teacher's vectors of their English side.

    ``weights`` is None for an objective in which the tokens of a sentence weigh alike. ``direct`` are the other sides
    of the last lines, which have no English: their targets are the student's own vectors of them, held constant.
    """

    source: Sequences
    english_of: NDArray[np.int64]
    teacher: TeacherVectors
    criterion: Criterion
    weights: TokenWeights | None = None
    direct: Sequences | None = None

    @property
    def lengths(self) -> NDArray[np.int64]:
        return self.source.lengths

    def loss(self, encode: Encode, indices: NDArray[np.int64], device: torch.device) -> Loss:
        ids_BN, mask_BN = (tensor.to(device) for tensor in self.source.padded(indices))
        english = self.english_of[indices]
        if self.direct is None:
            teacher_BMH, teacher_mask_BM = (tensor.to(device) for tensor in self.teacher.take(english))
        else:
            teacher_BMH, teacher_mask_BM = self._targets(self.direct, encode, indices, device)
        weights = (None, None) if self.weights is None else self.weights.of(ids_BN, english, device)
        return self.criterion(
            Pairs(
                student_BNH=encode(ids_BN, mask_BN),
                teacher_BMH=teacher_BMH,
                student_mask_BN=mask_BN,
                teacher_mask_BM=teacher_mask_BM,
                english_B=torch.from_numpy(english).to(device),
                student_weight_BN=weights[0],
                teacher_weight_BM=weights[1],
            )
        )

    def _targets(
        self, direct: Sequences, encode: Encode, indices: NDArray[np.int64], device: torch.device
    ) -> tuple[Tensor, Tensor]:
        """What the lines are drawn to, (B, M, H) and mask (B, M): the teacher's vectors, or the student's own."""
        first = len(self.source.lengths) - len(direct.lengths)
        is_direct_B = torch.from_numpy(indices >= first).to(device)
        own = indices[indices >= first] - first
        # A call without a direct line reads one too: under ZeRO 3 all ranks have to call the model equally often.
        ids_DN, mask_DN = (tensor.to(device) for tensor in direct.padded(own if own.size else np.zeros(1, np.int64)))
        with torch.no_grad():
            own_DNH = encode(ids_DN, mask_DN).float()
        sides = [(is_direct_B, own_DNH, mask_DN)] if own.size else []
        if own.size < len(indices):
            english_EMH, mask_EM = self.teacher.take(self.english_of[indices[indices < first]])
            sides.append((~is_direct_B, english_EMH.to(device), mask_EM.to(device)))
        longest = max(mask.shape[1] for _, _, mask in sides)
        targets_BMH = own_DNH.new_zeros((len(indices), longest, own_DNH.shape[-1]))
        targets_mask_BM = mask_DN.new_zeros((len(indices), longest))
        for chosen_B, vectors, mask in sides:
            targets_BMH[chosen_B, : mask.shape[1]] = vectors
            targets_mask_BM[chosen_B, : mask.shape[1]] = mask
        return targets_BMH, targets_mask_BM


@dataclass(frozen=True, kw_only=True)
class RankingExamples:
    """English queries beside a passage about one of their names; every other example of the group is a negative.

    ``relevant[i]`` holds the passages that answer query ``i``: within a group they are no negatives.
    """

    queries: Sequences
    passages: Sequences
    pairs: NDArray[np.int64]
    relevant: Sequence[frozenset[int]]
    objective: Contrastive

    @property
    def lengths(self) -> NDArray[np.int64]:
        return self.passages.lengths[self.pairs[:, 1]]

    def loss(self, encode: Encode, indices: NDArray[np.int64], device: torch.device) -> Loss:
        query, passage = self.pairs[indices].T
        query_ids_BN, query_mask_BN = (tensor.to(device) for tensor in self.queries.padded(query))
        passage_ids_BM, passage_mask_BM = (tensor.to(device) for tensor in self.passages.padded(passage))
        return contrastive_loss(
            encode(query_ids_BN, query_mask_BN),
            encode(passage_ids_BM, passage_mask_BM),
            query_mask_BN,
            passage_mask_BM,
            group_size=self.objective.group_size,
            temperature=self.objective.temperature,
            relevant_BG=self._relevant(query, passage).to(device),
        )

    def _relevant(self, query: NDArray[np.int64], passage: NDArray[np.int64]) -> Tensor:
        """Whether candidate g of an example's group answers its query, shape (B, G)."""
        size = self.objective.group_size
        rows = [
            [int(candidate) in self.relevant[q] for candidate in passage[i // size * size : (i // size + 1) * size]]
            for i, q in enumerate(query)
        ]
        return torch.tensor(rows)


@dataclass(frozen=True, kw_only=True)
class TripleExamples:
    """Queries beside a relevant passage and others, all read by the model that is trained.

    ``triples_TK`` has numbers of texts, a query, its relevant passage and others in each row. ``relevant`` holds, in
    ascending order, ``query * number of passages + passage`` of every pair known to be relevant: within a group such a
    passage is no negative.
    """

    queries: Sequences
    passages: Sequences
    triples_TK: NDArray[np.int64]
    relevant: NDArray[np.int64]
    objective: Ranking

    @property
    def lengths(self) -> NDArray[np.int64]:
        query_T, passages_TK = self.triples_TK[:, 0], self.triples_TK[:, 1:]
        total: NDArray[np.int64] = self.queries.lengths[query_T] + self.passages.lengths[passages_TK].sum(axis=1)
        return total

    def loss(self, encode: Encode, indices: NDArray[np.int64], device: torch.device) -> Loss:
        query_B, passages_BK = self.triples_TK[indices, 0], self.triples_TK[indices, 1:]
        query_ids_BN, query_mask_BN = (tensor.to(device) for tensor in self.queries.padded(query_B))
        passage_ids_PM, passage_mask_PM = (tensor.to(device) for tensor in self.passages.padded(passages_BK.ravel()))
        return ranking_loss(
            encode(query_ids_BN, query_mask_BN),
            encode(passage_ids_PM, passage_mask_PM),
            query_mask_BN,
            passage_mask_PM,
            group_size=self.objective.group_size,
            temperature=self.objective.temperature,
            barred_BC=torch.from_numpy(self._relevant(query_B, passages_BK)).to(device),
        )

    def _relevant(self, query_B: NDArray[np.int64], passages_BK: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether candidate c of an example's group is known to be relevant to its query, shape (B, C)."""
        size = self.objective.group_size
        candidates_BC = np.repeat(passages_BK.reshape(len(query_B) // size, -1), size, axis=0)
        codes_BC = query_B[:, None] * (len(self.passages.offsets) - 1) + candidates_BC
        places_BC = np.minimum(np.searchsorted(self.relevant, codes_BC), len(self.relevant) - 1)
        found: NDArray[np.bool_] = self.relevant[places_BC] == codes_BC
        return found


@dataclass(frozen=True, kw_only=True)
class TranslationExamples:
    """Lines of a language beside their English: line ``i`` is translated into ``english[english_of[i]]``.

    The loss of a line is the mean over its English tokens, the closing one included, of the cross-entropy in nats;
    that of a batch the mean over lines, so that it does not depend on how a batch is cut into calls.
    """

    source: Sequences
    english: Sequences
    english_of: NDArray[np.int64]

    @property
    def lengths(self) -> NDArray[np.int64]:
        return self.source.lengths + self.english.lengths[self.english_of]

    def loss(self, model: Callable[..., Tensor], indices: NDArray[np.int64], device: torch.device) -> Loss:
        """``model`` maps source ids and mask (B, N), preceding English ids and mask (B, M) to logits (T, V)."""
        ids_BN, mask_BN = (tensor.to(device) for tensor in self.source.padded(indices))
        english_BM, present_BM = (tensor.to(device) for tensor in self.english.padded(self.english_of[indices]))
        written_BM = present_BM[:, 1:]
        logits_TV = model(ids_BN, mask_BN, english_BM[:, :-1], written_BM)
        nats_T = torch.nn.functional.cross_entropy(logits_TV, english_BM[:, 1:][written_BM], reduction="none")
        share_BM = written_BM / written_BM.sum(dim=1, keepdim=True) / len(indices)
        return (nats_T * share_BM[written_BM]).sum(), {}
