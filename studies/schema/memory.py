"""Memory of a rank while it trains, part by part, from shapes alone.

Counted in tensors as PyTorch and DeepSpeed hold them: what each layer keeps for its gradients is the list of tensors
that its operations save, which tests compare with what autograd really saves. In the arithmetic ``h`` is the hidden
size, ``f`` the feed-forward's, ``e`` the embedding's.
"""

from dataclasses import dataclass
from typing import assert_never

from studies.schema.cost import gathered_weights, layer_weights, lexicon, parameters_of, trained_weights
from studies.schema.execution import Execution
from studies.schema.run import Pretraining, Run, Student, Supervised, System, Teacher, Translator
from studies.schema.rung import Architecture, ModelType, Precision

FP32 = 4
BUCKET_ELEMENTS = 50_000_000
"""Weights that are communicated at once. DeepSpeed allocates a whole bucket in every step, also for a model that fills
a thousandth of its default of 500 million, so a bucket is never larger than the model."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes of one rank at the fullest moment of a step.

    ``optimiser`` is the moments and the float32 copy that they move; ``buffers`` what communication and ZeRO 3's
    gathering take; ``activations`` what gradients need of the forward pass, and those on their way.
    """

    weights: float
    gradients: float
    optimiser: float
    buffers: float
    activations: float

    @property
    def peak(self) -> float:
        """All of it."""
        return self.weights + self.gradients + self.optimiser + self.buffers + self.activations


def saved_per_token(architecture: Architecture, tokens: int) -> float:
    """Numbers that one layer saves of each token for its gradients, in texts of so many tokens."""
    h, f = architecture.hidden_size, architecture.intermediate_size
    heads = architecture.num_heads
    queries, keys = heads * architecture.head_width, architecture.kv_heads * architecture.head_width
    match architecture.model_type:
        case ModelType.BERT | ModelType.ELECTRA | ModelType.XLM_ROBERTA | ModelType.XLM_ROBERTA_XL:
            # Inputs of two norms and of three products, queries, keys and values; the feed-forward before and after
            # its activation; normalisers of attention and norms.
            return 8 * h + 2 * f + heads + 4
        case ModelType.MODERNBERT:
            # Rotated queries and keys beside the product that holds all three; a gated feed-forward saves four.
            return 10 * h + 4 * f + heads + 4
        case ModelType.EUROBERT:
            return 6 * h + 2 * queries + 2 * keys + 4 * f + heads + 2
        case ModelType.MT5 | ModelType.UMT5:
            # Its GELU is written out, and its attention as a whole matrix.
            return 6 * h + 4 * queries + 7 * f + heads * tokens + 2
        case unknown:
            assert_never(unknown)


def saved_outside_layers(architecture: Architecture) -> float:
    """Numbers saved of each token by the embedding, the last norm and the projection, its vectors left out."""
    h, e = architecture.hidden_size, architecture.embedding_size
    match architecture.model_type:
        case ModelType.ELECTRA:
            return 2 * e + (h if e != h else 0) + 8
        case ModelType.BERT | ModelType.XLM_ROBERTA | ModelType.XLM_ROBERTA_XL | ModelType.MODERNBERT:
            return 2 * h + 8
        case ModelType.EUROBERT | ModelType.MT5 | ModelType.UMT5:
            return 3 * h + 8
        case unknown:
            assert_never(unknown)


LEXICON_ROWS = 3
"""Rows over the lexicon of each masked token when gradients set out: logits, log-probabilities, and their gradient."""

TOKEN_VECTORS = 7
"""Tensors of token vectors when gradients set out from the objective: what scaling to unit length saves, the vectors
themselves, and gradients on their way. Whatever the objective made of them is gone by then."""


def activation_bytes(
    run: Teacher | Supervised | Student | Pretraining, execution: Execution, *, tokens: int
) -> tuple[float, float]:
    """Bytes of what a forward call left when gradients set out from the objective, and within the last layer.

    With gradient checkpointing that is what enters each layer, and one layer's own while it is computed again.
    """
    architecture, size = run.rung.architecture, 2 if run.precision is Precision.BF16 else FP32
    layer, entering = saved_per_token(architecture, tokens), architecture.hidden_size
    layers = architecture.num_layers
    outside = saved_outside_layers(architecture)
    waiting = entering * layers if execution.gradient_checkpointing else layer * layers
    within = layer + entering * (layers - 1) if execution.gradient_checkpointing else layer * layers
    gradients = architecture.intermediate_size - architecture.hidden_size
    per_token = (
        size * (outside + waiting) + FP32 * _numbers_of_the_objective(run),
        size * (outside + within + gradients),
    )
    texts = min(execution.micro_batch, run.global_batch // execution.workers)
    return texts * tokens * per_token[0], texts * tokens * per_token[1]


def _numbers_of_the_objective(run: Teacher | Supervised | Student | Pretraining) -> float:
    """Numbers a token, in float32, beyond the encoder's own when gradients set out."""
    match run:
        case Teacher(token_size=token_size) | Supervised(token_size=token_size):
            return TOKEN_VECTORS * token_size
        case Student(teacher=teacher):
            return TOKEN_VECTORS * teacher.token_size
        case Pretraining(rung=rung, mask_rate=mask_rate):
            architecture = rung.architecture
            head = 4 * architecture.embedding_size + architecture.hidden_size
            return mask_rate * (LEXICON_ROWS * architecture.vocabulary_size + head)
        case unknown:
            assert_never(unknown)


def memory_per_rank(run: Run, execution: Execution, *, tokens: int) -> Memory:
    """What a rank holds when it holds most, in steps over texts of so many tokens.

    Three moments can be the fullest: when gradients set out, within the last layer, where communication has its
    bucket, and at the end, when the lexicon's gradient is made. Gradients of earlier calls of the same step lie there
    all along. Not counted are the similarities of objectives over candidate groups, which are gone by the first moment.
    """
    if isinstance(run, System):
        return Memory(weights=0.0, gradients=0.0, optimiser=0.0, buffers=0.0, activations=0.0)
    size = 2 if run.precision is Precision.BF16 else FP32
    whole, moved = parameters_of(run).total, trained_weights(run)
    if isinstance(run, Translator):
        return _state(execution, size, whole)
    stage, share = execution.zero_stage, 1 / execution.workers
    bucket = float(size * min(BUCKET_ELEMENTS, moved) if stage else size * moved * (execution.workers > 1))
    gradients = size * moved * (share if stage >= 2 else 1)
    table = float(size * lexicon(run.rung.architecture))
    last = table if moved == whole else 0.0
    is_accumulating = run.global_batch > execution.workers * execution.micro_batch
    before = gradients if is_accumulating or stage == 3 else 0.0
    out, within = activation_bytes(run, execution, tokens=tokens)
    # ZeRO 3 has its bucket all the time, what it gathered while it computes, and sometimes still the lexicon.
    gathered = size * min(whole, gathered_weights(run.rung.architecture).at_once) if stage == 3 else 0.0
    moments = (
        (before, bucket + table if stage == 3 else 0.0, out),
        (before, (bucket if stage else 0.0) + min(gathered, size * layer_weights(run.rung.architecture)), within),
        (gradients, bucket + gathered, last),
    )
    at_most = max(moments, key=sum)
    return Memory(
        weights=size * whole * (share if stage == 3 else 1),
        gradients=at_most[0],
        optimiser=FP32 * moved * (share if stage else 1) * (3 if stage or size != FP32 else 2),
        buffers=at_most[1],
        activations=at_most[2],
    )


def _state(execution: Execution, size: int, whole: int) -> Memory:
    """Of a translator what does not depend on its texts; its activations are not counted."""
    stage, share = execution.zero_stage, 1 / execution.workers
    return Memory(
        weights=size * whole * (share if stage == 3 else 1),
        gradients=size * whole * (share if stage >= 2 else 1),
        optimiser=FP32 * whole * (share if stage else 1) * (3 if stage or size != FP32 else 2),
        buffers=0.0,
        activations=0.0,
    )
