"""Parameters, FLOPs and memory of a run under an execution: arithmetic only, no model is built.

The size axis of every curve is :attr:`Parameters.non_embedding`: the weights of the encoder's layers alone, a
translator's decoder included. Token, position and type embeddings, their factor projection and the projection into the
teacher's space are in ``total``.
"""

from dataclasses import dataclass, replace
from typing import assert_never

from studies.schema.execution import Execution
from studies.schema.published_teacher import PublishedTeacher
from studies.schema.run import (
    LookUp,
    Pretraining,
    Retriever,
    Run,
    Student,
    Supervised,
    System,
    Teacher,
    TranslateQuery,
    Translator,
    teacher_of,
)
from studies.schema.rung import Architecture, ModelType, Precision
from studies.schema.translation import Seq2Seq

RELATIVE_POSITIONS = 32
"""Buckets of T5's relative positions, a weight for each and head (arXiv 1910.10683, section 2.1)."""


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """Counts of weights: of the encoder's layers alone, and of everything."""

    non_embedding: int
    total: int


def parameters(architecture: Architecture, token_size: int) -> Parameters:
    """Count the weights of an encoder and its projection to token vectors of width ``token_size``."""
    layers = architecture.num_layers * layer_weights(architecture)
    match architecture.model_type:
        case ModelType.MODERNBERT:
            # Its first layer has no norm before the attention: that of the embedding stands there.
            layers -= architecture.hidden_size
        case _:
            pass
    return Parameters(
        non_embedding=layers, total=layers + _embedding(architecture) + architecture.hidden_size * token_size
    )


def lexicon(architecture: Architecture) -> int:
    """Weights of the token lexicon, which can be frozen."""
    return architecture.vocabulary_size * architecture.embedding_size


def layer_weights(architecture: Architecture) -> int:
    """Weights of one layer: attention, feed-forward and norms."""
    h, f = architecture.hidden_size, architecture.intermediate_size
    queries, keys = (heads * architecture.head_width for heads in (architecture.num_heads, architecture.kv_heads))
    match architecture.model_type:
        case ModelType.BERT | ModelType.ELECTRA | ModelType.XLM_ROBERTA | ModelType.XLM_ROBERTA_XL:
            return 4 * (h * h + h) + h * f + f + f * h + h + 2 * (2 * h)
        case ModelType.MODERNBERT | ModelType.EUROBERT | ModelType.MT5 | ModelType.UMT5:
            return 2 * h * queries + 2 * h * keys + 3 * h * f + 2 * h
        case unknown:
            assert_never(unknown)


def _embedding(architecture: Architecture) -> int:
    """Weights before and after the layers: token, position and type embeddings with their norms, the last norm."""
    h, e = architecture.hidden_size, architecture.embedding_size
    tables = lexicon(architecture) + (architecture.max_positions + architecture.type_vocabulary_size) * e
    match architecture.model_type:
        case ModelType.ELECTRA:
            return tables + 2 * e + (e * h + h if e != h else 0)
        case ModelType.BERT | ModelType.XLM_ROBERTA:
            return tables + 2 * e
        case ModelType.XLM_ROBERTA_XL:
            return tables + 2 * h
        case ModelType.MODERNBERT:
            return lexicon(architecture) + 2 * h
        case ModelType.EUROBERT:
            return lexicon(architecture) + h
        case ModelType.MT5:
            return lexicon(architecture) + RELATIVE_POSITIONS * architecture.num_heads + h
        case ModelType.UMT5:
            return lexicon(architecture) + architecture.num_layers * RELATIVE_POSITIONS * architecture.num_heads + h
        case unknown:
            assert_never(unknown)


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


def head_weights(architecture: Architecture) -> int:
    """Weights of what fills in masked tokens: a projection to the lexicon's width, its norm, a bias for each token."""
    h, e = architecture.hidden_size, architecture.embedding_size
    return h * e + e + 2 * e + architecture.vocabulary_size


def parameters_of(run: Run) -> Parameters:
    """Parameters of what a run trains; a system without training is counted as its teacher, which reads for it.

    Of a published teacher nothing is trained here and no shape is declared: it counts as none.
    """
    match run:
        case Pretraining(rung=rung):
            encoder = parameters(rung.architecture, token_size=0)
            return replace(encoder, total=encoder.total + head_weights(rung.architecture))
        case Teacher() | Supervised():
            return parameters(run.rung.architecture, run.token_size)
        case Student():
            return parameters(run.rung.architecture, run.teacher.token_size)
        case Translator():
            return translator_parameters(run.architecture)
        case LookUp() | TranslateQuery():
            return parameters_of(run.teacher)
        case PublishedTeacher():
            return Parameters(non_embedding=0, total=0)
        case unknown:
            assert_never(unknown)


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """Weights that ZeRO 3 has whole on a rank: most of them at once, those fetched ahead of their layer, and the size
    of a weight below which it is never cut up."""

    at_once: int
    ahead: int
    kept_below: int


KEPT_WHOLE = 100_000
"""Numbers of a weight below which DeepSpeed by itself does not cut it up."""


def gathered_weights(architecture: Architecture) -> Gathered:
    """Room for the lexicon, which cannot be used in part, and for a layer beside the one before it.

    Fetching costs a message whatever the size, so a weight stays whole where it is less than a fortieth of a small
    model, or of a large one has fewer than DeepSpeed's own hundred thousand numbers, as biases and norms have.
    """
    layer, whole = layer_weights(architecture), parameters(architecture, token_size=1).total
    kept_below = max(10 * architecture.hidden_size, min(KEPT_WHOLE, whole // 40))
    return Gathered(at_once=lexicon(architecture) + 2 * layer, ahead=layer, kept_below=kept_below)


def trained_weights(run: Run) -> int:
    """Weights that the optimiser moves: all but a frozen lexicon."""
    total = parameters_of(run).total
    if isinstance(run, Student) and run.frozen_embeddings:
        return total - lexicon(run.rung.architecture)
    return total


def training_flops(run: Run, *, tokens_per_example: float) -> float:
    """FLOPs of training: 6 per non-embedding weight and token (arXiv 2001.08361), plus attention over the sequence.

    ``tokens_per_example`` counts every token that the trained encoder reads for one example; of a translator, those of
    one side, its sides taken to be equally long. Output layers are counted as well: a translator's reads the whole
    lexicon for every token, that of pretraining for every masked one. The other side of a direct line is read by the
    student once more, forward only: a third of the line. The solver's own work is not in here; it is measured in the
    journal.
    """
    read: float
    match run:
        case LookUp() | TranslateQuery() | PublishedTeacher():
            return 0.0
        case Teacher() | Supervised() | Student() | Pretraining():
            architecture = run.rung.architecture
            attentions, read = architecture.num_layers, 0
            width = architecture.num_heads * architecture.head_width
            if isinstance(run, Pretraining):
                read = (
                    run.mask_rate
                    * architecture.embedding_size
                    * (architecture.hidden_size + architecture.vocabulary_size)
                )
        case Translator(architecture=shape):
            attentions, width = shape.encoder_layers + 2 * shape.decoder_layers, shape.hidden_size
            read = shape.vocabulary_size * shape.hidden_size
        case unknown:
            assert_never(unknown)
    per_token = 6 * (parameters_of(run).non_embedding + read) + 12 * attentions * width * tokens_per_example
    again = run.bitext.direct_lines / run.bitext.total_lines / 3 if isinstance(run, Student) else 0.0
    return per_token * tokens_per_example * (1 + again) * run.global_batch * run.schedule.steps


def state_bytes_per_rank(run: Run, execution: Execution) -> float:
    """Bytes of weights, gradients and Adam moments on one rank (ZeRO, arXiv 1910.02054, section 3); no activations."""
    if isinstance(run, System):
        return 0.0
    count, moved = parameters_of(run).total, trained_weights(run)
    mixed = run.precision is Precision.BF16
    weights, gradients, optimiser = (2, 2, 12) if mixed else (4, 4, 8)
    share = 1 / execution.workers
    return count * weights * (share if execution.zero_stage >= 3 else 1) + moved * (
        gradients * (share if execution.zero_stage >= 2 else 1)
        + optimiser * (share if execution.zero_stage >= 1 else 1)
    )


def teacher_cache_bytes(run: Retriever, *, lines: int, tokens_per_line: float) -> float:
    """Bytes of the teacher's cached float32 token vectors for ``lines`` English lines."""
    return 4.0 * teacher_of(run).token_size * lines * tokens_per_line
