"""A published multi-vector checkpoint as a frozen teacher: loaded, and asked for vectors."""

from collections.abc import Sequence
from functools import lru_cache

import torch

from harness.late_interaction import Ragged
from harness.published_files import found, look_over
from harness.vectors import ENCODE_BATCH
from studies.schema.published_teacher import PublishedTeacher, Side


class PublishedEncoder:
    """The teacher in memory. Raises ValueError where the checkpoint is not what is declared or cannot be trusted."""

    def __init__(self, declared: PublishedTeacher, device: torch.device) -> None:
        from sentence_transformers import MultiVectorEncoder

        folder = found(declared)
        look_over(folder)
        try:
            self._model = MultiVectorEncoder(
                str(folder), device=str(device), trust_remote_code=False, local_files_only=True
            )
        except (ValueError, OSError, KeyError, TypeError) as error:
            raise ValueError(
                f"sentence-transformers cannot load {declared.checkpoint} as a multi-vector encoder: {error}"
            ) from error
        self._model.eval().requires_grad_(False)
        (probe,) = self.encode(["a"], Side.DOCUMENT).tokens_TH[:1]
        if len(probe) != declared.token_size:
            raise ValueError(
                f"{declared.checkpoint} gives vectors of width {len(probe)}, declared is token_size "
                f"{declared.token_size}; declare {len(probe)}, and students of that width"
            )

    @torch.no_grad()
    def encode(self, texts: Sequence[str], side: Side) -> Ragged:
        """Token vectors of every text in order, on the CPU in float32, those alone that count in a score."""
        read = self._model.encode_query if side is Side.QUERY else self._model.encode_document
        vectors = read(list(texts), batch_size=ENCODE_BATCH, show_progress_bar=False)
        lengths = torch.tensor([len(found) for found in vectors])
        return Ragged(tokens_TH=torch.cat(list(vectors)).float().cpu(), lengths=lengths)


@lru_cache(maxsize=1)
def opened(declared: PublishedTeacher, device: torch.device) -> PublishedEncoder:
    """The teacher, kept in memory for whoever asks next."""
    return PublishedEncoder(declared, device)
