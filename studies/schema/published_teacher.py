"""A teacher that somebody else trained: a multi-vector checkpoint, frozen."""

import re
from dataclasses import dataclass
from enum import StrEnum

from studies.schema.checks import at_least
from studies.schema.files import check_commit

_CONTENT = re.compile(r"content:[0-9a-f]{16}\Z")


class Side(StrEnum):
    """What a text is read as: checkpoints may prefix, pad or mask queries and documents in their own ways."""

    QUERY = "query"
    DOCUMENT = "document"


@dataclass(frozen=True, kw_only=True)
class PublishedTeacher:
    """A checkpoint as sentence-transformers' ``MultiVectorEncoder`` loads it.

    ``checkpoint`` is an absolute path or a hub id, ``revision`` the hub's commit, or ``content:`` with the hash of a
    directory's files that :func:`harness.published_files.content_revision` computes. ``token_size`` is the width of
    its vectors, which every student of it has to have. It reads the English side of parallel text as ``lines`` says: as
    queries, since those are what students will read, or as documents.
    """

    checkpoint: str
    revision: str
    token_size: int
    lines: Side = Side.QUERY

    def __post_init__(self) -> None:
        at_least(self, 1, "token_size")
        if not self.is_local:
            check_commit(self.checkpoint, self.revision)
        elif not _CONTENT.match(self.revision):
            raise ValueError(
                f"the revision of {self.checkpoint} is {self.revision!r}; files may change under the name of their "
                "directory: write content: and 16 digits"
            )

    @property
    def is_local(self) -> bool:
        """Whether the checkpoint is a directory of this machine."""
        return self.checkpoint.startswith("/")
