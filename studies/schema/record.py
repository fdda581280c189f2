"""What a run leaves behind: states, roles, and the names of tags and metrics, each spelled once.

MLflow refuses "@" and brackets in a metric's name, so a measure has a second spelling there;
:func:`metric_name` and :func:`measure_of` are the only way between the two.
"""

import re
from collections.abc import Mapping
from enum import StrEnum

import ir_measures
from ir_measures import Measure


class State(StrEnum):
    """How far a run has come. Pruned runs were stopped by a search, may be resumed, and never enter a fit."""

    PLANNED = "planned"
    RUNNING = "running"
    PRUNED = "pruned"
    FINISHED = "finished"
    FLAGGED = "flagged"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens unless somebody asks for it."""
        return self not in (State.PLANNED, State.RUNNING)

    @property
    def has_result(self) -> bool:
        """Whether the run was trained to its end, with or without a stated defect."""
        return self in (State.FINISHED, State.FLAGGED)


class Flag(StrEnum):
    """Stated defects of a run that has a result."""

    STILL_IMPROVING = "still_improving"
    SOLVER_NOT_CONVERGED = "solver_not_converged"
    EMPTY_TRANSLATION = "empty_translation"


class Role(StrEnum):
    """What a run is for in a study."""

    TEACHER = "teacher"
    STUDENT = "student"
    UNTRAINED = "untrained"
    COPY_THROUGH = "copy_through"
    DICTIONARY = "dictionary"
    TRANSLATED = "translated"
    TRANSLATOR = "translator"
    PRETRAINING = "pretraining"
    TRANSLATE_TRAIN = "translate_train"
    SYNTHETIC_TRAIN = "synthetic_train"


SUPERVISED = (Role.TRANSLATE_TRAIN, Role.SYNTHETIC_TRAIN)
"""Rivals that are trained to retrieve: on queries translated from English, on judgments made by rule."""


class Tag(StrEnum):
    """Tags on MLflow runs."""

    KEY = "harness.key"
    KIND = "harness.kind"
    ROLE = "harness.role"
    STUDY = "harness.study"
    VERSION = "harness.version"
    STATE = "harness.state"
    REASON = "harness.reason"
    RUNG = "harness.rung"
    OBJECTIVE = "harness.objective"
    BITEXT = "harness.bitext"
    ROTATION = "harness.rotation"
    SEED = "harness.seed"
    FLAGS = "harness.flags"
    REVISION = "harness.revision"
    STORAGE = "harness.storage"
    EVALUATION = "harness.evaluation"

    VALUE = "harness.value"

    @classmethod
    def label(cls, name: str) -> str:
        """The tag of a label such as ``rung``."""
        return f"harness.{name}"


class Kind(StrEnum):
    """Values of ``Tag.KIND``: a study's parent run, or one run of it."""

    STUDY = "study"
    RUN = "run"


class Metric(StrEnum):
    """Names in a run's journal, the same in MLflow. Losses are means per example, in the objective's unit.

    A part exists where its objective has it: ``transport.*`` beside a transport solver, ``loss.*`` for the terms of a
    weighted sum, before their weights.
    """

    LOSS = "loss"
    LOSS_HELD_OUT = "loss_held_out"
    LEARNING_RATE = "learning_rate"
    GRADIENT_NORM = "gradient_norm"
    TRANSPORT_ITERATIONS = "transport.iterations"
    TRANSPORT_MARGINAL_ERROR = "transport.marginal_error"
    TRANSPORT_ENTROPY = "transport.entropy"
    TRANSPORT_CONVERGED = "transport.converged"
    TRANSPORT_MASS = "transport.mass"
    LOSS_TRANSPORT = "loss.transport"
    LOSS_UNIFORM_PLAN = "loss.uniform_plan"
    LOSS_GREEDY_ALIGNMENT = "loss.greedy_alignment"
    LOSS_EXACT_ASSIGNMENT = "loss.exact_assignment"
    LOSS_POOLED_MSE = "loss.pooled_mse"
    LOSS_CONTRASTIVE = "loss.contrastive"
    LOSS_SCORE_KL = "loss.score_kl"


FULL_EXPOSURE = 1.0
"""Share of the lines; a language below it is at reduced exposure."""


class Side(StrEnum):
    """Suffixes of the primary measure: languages at full and at reduced exposure."""

    HIGH = "high"
    LOW = "low"


# Artifact paths inside a child run.
RUN_ARTIFACT = "run.json"
STUDY_ARTIFACT = "study.json"
EVALUATION_ARTIFACTS = "evaluation"
TRANSLATIONS_FILE = "translations.tsv"
ALIGNMENT_FILE = "alignment.parquet"
EVALUATION_FILES = ("measures.json", "per_query.parquet", "run.trec.gz", TRANSLATIONS_FILE, ALIGNMENT_FILE)
"""Translations are there where queries were translated, alignment where that of published sentences was measured."""

VALIDATION = "validation."
"""Before a measure's name: its mean on validation queries, taken during training."""

# What MLflow takes as a metric's name on every platform (a colon is refused on some).
METRIC_NAME = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.\- /]*\Z")

_AT = "_at_"
# A character MLflow refuses becomes -XX, its code in hex. A measure's name has no hyphen of its own except
# in a negative number, which is escaped too, and "_at_" only ever stands for "@".
_PLAIN = re.compile(r"[A-Za-z0-9_.]")
_ESCAPED = re.compile(r"-([0-9a-f]{2,6})-")


def metric_name(measure: Measure, side: Side | None = None) -> str:
    """How a measure is called in MLflow: ``nDCG@10`` is ``nDCG_at_10``, its high side ``nDCG_at_10.high``."""
    spelling = str(measure)
    if _AT in spelling:
        raise ValueError(f"{spelling!r} contains {_AT!r}, which stands for '@' in MLflow; rename the parameter")
    name = "".join(_spell(character) for character in spelling)
    return f"{name}.{side}" if side else name


def validation_name(measure: Measure) -> str:
    """How a journal calls the mean of a measure on validation queries during training."""
    return f"{VALIDATION}{metric_name(measure)}"


def measure_of(name: str) -> Measure:
    """The measure behind a metric's name; ValueError for a name that is none, such as ``loss``."""
    spelling = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), name.replace(_AT, "@"))
    try:
        measure = ir_measures.parse_measure(spelling)
    except (NameError, ValueError, SyntaxError) as error:
        raise ValueError(f"{name!r} is no measure's metric name ({error})") from error
    if metric_name(measure) != name:
        raise ValueError(f"{name!r} is not how {measure} is spelled in MLflow; expected {metric_name(measure)!r}")
    return measure


def measure_and_side(name: str) -> tuple[Measure, Side | None]:
    """Read a metric's name with or without a side, such as ``nDCG_at_10.low``."""
    for side in Side:
        if name.endswith(f".{side}"):
            return measure_of(name.removesuffix(f".{side}")), side
    return measure_of(name), None


def run_name(role: Role, labels: Mapping[str, str]) -> str:
    """A run's name for people, without empty labels: ``rung-4 · ot · rotation 0 · seed 0``, ``untrained · rung-4``.

    Students go without their role: a table of runs shows some twenty letters, and what tells them apart comes last.
    """
    parts = [f"{name} {value}" if value.isdigit() else value for name, value in labels.items() if value]
    if role is not Role.STUDENT or not parts:
        parts.insert(0, role.replace("_", "-"))
    return " · ".join(parts)


def _spell(character: str) -> str:
    if character == "@":
        return _AT
    return character if _PLAIN.match(character) else f"-{ord(character):02x}-"
