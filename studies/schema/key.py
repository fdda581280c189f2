"""Names for runs and evaluations: a hash of the canonical bytes of what was written.

A value without one stable spelling raises, instead of being turned into some string.
"""

import hashlib
import json
import math
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from ir_measures.measures import Measure

from studies.schema.added import is_added
from studies.schema.evaluation import Evaluation
from studies.schema.run import Run, Student, Translator
from studies.schema.translation import PublishedTranslator

KEY_LENGTH = 16
"""Hexadecimal digits of a key: 64 bits, so a collision among a million runs has probability 3e-8."""

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None


def canonical(value: Any) -> Json:
    """Spell a schema value in JSON; raises TypeError for a value whose spelling would not be stable.

    A field that was added later is left out while it has its default (:mod:`studies.schema.added`).
    """
    if isinstance(value, Enum):
        return canonical(value.value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise TypeError(f"{value!r} has no canonical spelling; only finite numbers identify a run")
        return value
    if isinstance(value, tuple):
        return [canonical(item) for item in value]
    if isinstance(value, Measure):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type) and _is_frozen(value):
        described: dict[str, Json] = {"type": type(value).__name__}
        for field in fields(value):
            spelled = canonical(getattr(value, field.name))
            if not (is_added(field) and _same(spelled, canonical(field.default))):
                described[field.name] = spelled
        return described
    raise TypeError(
        f"{value!r} of type {type(value).__name__} has no stable bytes; "
        "use numbers, strings, tuples, enumerations or frozen dataclasses"
    )


def digest(kind: str, value: Json) -> str:
    """Hash a canonical value under the name of its kind."""
    text = json.dumps([kind, value], sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]


def run_key(run: Run) -> str:
    """The key of a run: the same wherever and however it is executed."""
    return described_key(canonical(run))


def described_key(described: Json) -> str:
    """The key of a run from its canonical description, as the run's directory holds it."""
    return digest("run/1", described)


def translator_key(translator: Translator | PublishedTranslator) -> str:
    """The key under which what a translator wrote is kept: that of its run, where it is one."""
    return run_key(translator) if isinstance(translator, Translator) else digest("translator/1", canonical(translator))


def evaluation_key(
    run: Run, evaluation: Evaluation, *, collection_revision: str, version: int, alignment_version: int | None = None
) -> str:
    """The key of an evaluation; another collection or measure evaluates again and trains nothing.

    ``version`` is that of the evaluating code, ``alignment_version`` that of the code that measures alignment, None
    where it is not measured of this run. Which encoder reads which side follows from the run's type: a student reads
    queries, its teacher reads English passages, and where pairs are asked of it the student reads theirs.
    """
    described: dict[str, Json] = {
        "run": run_key(run),
        "collection": collection_revision,
        "split": str(evaluation.split),
        "measures": [str(measure) for measure in evaluation.measures],
        "depth": evaluation.depth,
        "version": version,
    }
    if alignment_version is not None:
        described["alignment"] = {"asked": canonical(evaluation.alignment), "version": alignment_version}
    if evaluation.pairs and isinstance(run, Student):
        described["pairs"] = [{"queries": x, "passages": y, "passages_read_by": "student"} for x, y in evaluation.pairs]
    return digest("evaluation/1", described)


def _same(left: Json, right: Json) -> bool:
    """Equal as text: Python calls 1, 1.0 and True equal."""
    return json.dumps(left) == json.dumps(right)


def _is_frozen(value: Any) -> bool:
    return bool(value.__dataclass_params__.frozen)
