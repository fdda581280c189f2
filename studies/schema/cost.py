"""Parameters, FLOPs and memory of a run under an execution: arithmetic only, no model is built.

The size axis of every curve is :attr:`Parameters.non_embedding`: the weights of the encoder's layers alone, a
translator's decoder included. Token, position and type embeddings, their factor projection and the projection into the
teacher's space are in ``total``.
"""

from dataclasses import dataclass
from typing import assert_never

from studies.schema.execution import Execution
from studies.schema.run import (
    Architecture,
    LookUp,
    ModelType,
    Precision,
    Retriever,
    Run,
    Student,
    System,
    Teacher,
    TranslateQuery,
    Translator,
    teacher_of,
)
from studies.schema.translation import Seq2Seq


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


def translator_parameters(architecture: Seq2Seq) -> Parameters:
    """Count the weights of a translator: its layers, and in total its one lexicon and the two tables of positions."""
    encoder, decoder = _sides(architecture)
    tables = (architecture.vocabulary_size + 2 * architecture.max_positions) * architecture.hidden_size
    return Parameters(non_embedding=encoder + decoder, total=encoder + decoder + tables)


def _sides(architecture: Seq2Seq) -> tuple[int, int]:
    """Weights of a translator's encoder layers and of its decoder layers, which read the encoder as well."""
    h, f = architecture.hidden_size, architecture.intermediate_size
    attention = 4 * (h * h + h) + 2 * h
    feed_forward = h * f + f + f * h + h + 2 * h
    return (
        architecture.encoder_layers * (attention + feed_forward),
        architecture.decoder_layers * (2 * attention + feed_forward),
    )


def parameters_of(run: Run) -> Parameters:
    """Parameters of what a run trains; a system without training is counted as its teacher, which reads for it."""
    match run:
        case Teacher():
            return parameters(run.rung.architecture, run.token_size)
        case Student():
            return parameters(run.rung.architecture, run.teacher.token_size)
        case Translator():
            return translator_parameters(run.architecture)
        case LookUp() | TranslateQuery():
            return parameters_of(run.teacher)
        case unknown:
            assert_never(unknown)


def training_flops(run: Run, *, tokens_per_example: float) -> float:
    """FLOPs of training: 6 per non-embedding weight and token (arXiv 2001.08361), plus attention over the sequence.

    ``tokens_per_example`` counts every token that the trained encoder reads for one example; of a translator, those of
    one side, its sides taken to be equally long. A translator's output layer is counted as well: it reads the whole
    lexicon for every token. The solver's own work is not in here; it is measured in the journal.
    """
    match run:
        case LookUp() | TranslateQuery():
            return 0.0
        case Teacher() | Student():
            architecture = run.rung.architecture
            attentions, width, read = architecture.num_layers, architecture.hidden_size, 0
        case Translator(architecture=shape):
            attentions, width = shape.encoder_layers + 2 * shape.decoder_layers, shape.hidden_size
            read = shape.vocabulary_size * shape.hidden_size
        case unknown:
            assert_never(unknown)
    per_token = 6 * (parameters_of(run).non_embedding + read) + 12 * attentions * width * tokens_per_example
    return per_token * tokens_per_example * run.global_batch * run.schedule.steps


def state_bytes_per_rank(run: Run, execution: Execution) -> float:
    """Bytes of weights, gradients and Adam moments on one rank (ZeRO, arXiv 1910.02054, section 3); no activations."""
    if isinstance(run, System):
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


def teacher_cache_bytes(run: Retriever, *, lines: int, tokens_per_line: float) -> float:
    """Bytes of the teacher's cached float32 token vectors for ``lines`` English lines."""
    return 4.0 * teacher_of(run).token_size * lines * tokens_per_line
