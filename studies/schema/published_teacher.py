"""A teacher that somebody else trained: a multi-vector checkpoint, frozen."""

import re
from dataclasses import dataclass

from studies.schema.checks import at_least
from studies.schema.key import canonical, digest

_COMMIT = re.compile(r"[0-9a-f]{40}\Z")
_CONTENT = re.compile(r"content:[0-9a-f]{16}\Z")


@dataclass(frozen=True, kw_only=True)
class PublishedTeacher:
    """A checkpoint as sentence-transformers' ``MultiVectorEncoder`` loads it.

    ``checkpoint`` is an absolute path or a hub id, ``revision`` the hub's commit, or ``content:`` with the hash of a
    directory's files that :func:`harness.published_teacher.content_revision` computes. ``token_size`` is the width of
    its vectors, which every student of it has to have.
    """

    checkpoint: str
    revision: str
    token_size: int

    def __post_init__(self) -> None:
        at_least(self, 1, "token_size")
        form, what = (_CONTENT, "content: and 16 digits") if self.is_local else (_COMMIT, "a commit of 40 digits")
        if not form.match(self.revision):
            raise ValueError(
                f"the revision of {self.checkpoint} is {self.revision!r}; a name that moves identifies nothing: "
                f"write {what}"
            )

    @property
    def is_local(self) -> bool:
        """Whether the checkpoint is a directory of this machine."""
        return self.checkpoint.startswith("/")

    @property
    def key(self) -> str:
        """Its key: vectors are cached under it."""
        return digest("published-teacher/1", canonical(self))
