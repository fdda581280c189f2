"""A language and how much text of it there is."""

import re
from dataclasses import dataclass
from enum import StrEnum

GIB = 2**30  # bytes

# Compressed size of a language's CC-100 file from which it counts as high, and as mid, resource. Of
# MIRACL's languages this makes Hindi and Bangla mid, Telugu and Swahili low. An analysis by class is
# always given with the continuous covariate beside it.
HIGH_FROM_BYTES = 5 * GIB
MID_FROM_BYTES = round(0.8 * GIB)


class ResourceClass(StrEnum):
    """How much text XLM-R was pretrained on in a language."""

    HIGH = "high"
    MID = "mid"
    LOW = "low"
    UNSEEN = "unseen"


@dataclass(frozen=True, kw_only=True)
class Language:
    """A language with its resource covariates; what no source states is None, never zero.

    ``code`` is the ISO 639 code CC-100 uses, ``script`` an ISO 15924 code, ``family`` a top-level family.
    ``cc100_bytes`` is the compressed size of the language's file in the public re-creation of CC-100,
    ``cc100_tokens`` the number of tokens XLM-R's authors report; for languages written without spaces the
    latter is no count of words. ``in_xlmr`` says whether XLM-R was pretrained on the language, which a
    file in the re-creation does not imply. ``source`` names where the figures were read.
    """

    code: str
    name: str
    script: str
    family: str
    cc100_bytes: int | None
    cc100_tokens: int | None
    in_xlmr: bool
    source: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z]{2,3}", self.code):
            raise ValueError(
                f"Language.code is {self.code!r}; it must be an ISO 639 code of two or three small letters"
            )
        if not re.fullmatch(r"[A-Z][a-z]{3}", self.script):
            raise ValueError(f"Language.script of {self.code} is {self.script!r}; use an ISO 15924 code such as Latn")
        for field, value in (("cc100_bytes", self.cc100_bytes), ("cc100_tokens", self.cc100_tokens)):
            if value is not None and value <= 0:
                raise ValueError(
                    f"Language.{field} of {self.code} is {value}; give a positive number, or None if unknown"
                )
        if self.in_xlmr and self.cc100_bytes is None:
            raise ValueError(
                f"{self.code} is among XLM-R's languages but has no cc100_bytes; give the size of its file"
            )
        if not self.source:
            raise ValueError(f"Language.source of {self.code} is empty; name where its figures were read")

    @property
    def resource_class(self) -> ResourceClass:
        """High, mid or low by the size of the CC-100 file; unseen if XLM-R was not pretrained on it."""
        if not self.in_xlmr or self.cc100_bytes is None:
            return ResourceClass.UNSEEN
        if self.cc100_bytes >= HIGH_FROM_BYTES:
            return ResourceClass.HIGH
        return ResourceClass.MID if self.cc100_bytes >= MID_FROM_BYTES else ResourceClass.LOW
