"""Parameters, FLOPs and memory of a run under an execution: arithmetic only, no model is built.

The size axis of every curve is :attr:`Parameters.non_embedding`: the weights of the encoder's layers alone. Token,
position and type embeddings, their factor projection and the projection into the teacher's space are in ``total``.
"""

from dataclasses import dataclass
from typing import assert_never

from studies.schema.execution import Execution
from studies.schema.run import Architecture, LookUp, ModelType, Precision, Run, Student, Teacher, teacher_of


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """Counts of trainable weights."""

    non_embedding: int
    total: int


def parameters(architecture: Architecture, token_size: int) -> Parameters:
    """Count the weights of an encoder and its projection to token vectors of width ``token_size``."""
    h, f, e = architecture.hidden_size, architecture.intermediate_size, architecture.embedding_size
    attention = 4 * (h * h + h)
    feed_forward = h * f + f + f * h + h
    layer = attention + feed_forward + 2 * (2 * h)
    tables = (architecture.vocabulary_size + architecture.max_positions + 1) * e
    match architecture.model_type:
        case ModelType.ELECTRA:
            embedding = tables + 2 * e + (e * h + h if e != h else 0)
        case ModelType.XLM_ROBERTA:
            embedding = tables + 2 * e
        case ModelType.XLM_ROBERTA_XL:
            embedding = tables + 2 * h
        case unknown:
            assert_never(unknown)
    layers = architecture.num_layers * layer
    return Parameters(non_embedding=layers, total=layers + embedding + h * token_size)


def parameters_of(run: Run) -> Parameters:
    """Parameters of what a run trains; a look-up trains nothing and is counted as its teacher."""
    match run:
        case Teacher():
            return parameters(run.rung.architecture, run.token_size)
        case Student():
            return parameters(run.rung.architecture, run.teacher.token_size)
        case LookUp():
            return parameters_of(run.teacher)
        case unknown:
            assert_never(unknown)


def training_flops(run: Run, *, tokens_per_example: float) -> float:
    """FLOPs of training: 6 per non-embedding weight and token (arXiv 2001.08361), plus attention over the sequence.

    ``tokens_per_example`` counts every token that the trained encoder reads for one example. The solver's own work
    is not in here; it is measured in the journal.
    """
    if isinstance(run, LookUp):
        return 0.0
    architecture = run.rung.architecture
    attention = 12 * architecture.num_layers * architecture.hidden_size * tokens_per_example
    per_token = 6 * parameters_of(run).non_embedding + attention
    return per_token * tokens_per_example * run.global_batch * run.schedule.steps


def state_bytes_per_rank(run: Run, execution: Execution) -> float:
    """Bytes of weights, gradients and Adam moments on one rank (ZeRO, arXiv 1910.02054, section 3); no activations."""
    if isinstance(run, LookUp):
        return 0.0
    count = parameters_of(run).total
    mixed = run.precision is Precision.BF16
    weights, gradients, optimiser = (2, 2, 12) if mixed else (4, 4, 8)
    share = 1 / execution.workers
    return count * (
        weights * (share if execution.zero_stage >= 3 else 1)
        + gradients * (share if execution.zero_stage >= 2 else 1)
        + optimiser * (share if execution.zero_stage >= 1 else 1)
    )


def teacher_cache_bytes(run: Run, *, lines: int, tokens_per_line: float) -> float:
    """Bytes of the teacher's cached float32 token vectors for ``lines`` English lines."""
    return 4.0 * teacher_of(run).token_size * lines * tokens_per_line
