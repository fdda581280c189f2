"""What a run costs before it is made: tokens, work, device hours, and what it leaves in storage. Arithmetic only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from studies.schema.atlas import Bitext
from studies.schema.collection import IrDataset, passages_of
from studies.schema.cost import parameters_of, teacher_cache_bytes, trained_weights, training_flops
from studies.schema.evaluation import Searched
from studies.schema.execution import Execution
from studies.schema.key import canonical, run_key
from studies.schema.objective import Contrastive, Objective, Ranking
from studies.schema.objective_cost import objective_flops
from studies.schema.parallel import ParallelText
from studies.schema.published_teacher import PublishedTeacher
from studies.schema.reading import Reader
from studies.schema.run import (
    HELD_OUT_LINES,
    LookUp,
    Preparatory,
    Pretraining,
    Retriever,
    Run,
    Student,
    Supervised,
    System,
    Teacher,
    Trained,
    TranslateQuery,
    Translator,
    teacher_of,
)
from studies.schema.tokens import HELD_OUT_SIDES, PASSAGE, PASSAGES, PUBLISHED_PASSAGE, PUBLISHED_QUERY, tokens_of

ITERATIONS = 55.0
"""The solver's iterations a line, as first_look's students ended with at epsilon 0.03. A plan cannot know its own."""

RECOMPUTED = 4 / 3
"""Work with gradient checkpointing against without: the forward pass is a third of a step and is done twice."""

FP32_BYTES = 4
BLOCK_BYTES = 2
"""A number of a passage's vector in a block, float16."""
MOMENTS_BYTES = 8
"""Of a weight that is trained, a checkpoint has both of Adam's moments beside it, in float32."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """FLOPs of a run: the encoder's as the method counts them, what recomputing adds, and the objective's own."""

    encoder: float
    recomputed: float
    objective: float

    @property
    def total(self) -> float:
        return self.encoder + self.recomputed + self.objective


def examples_of(run: Run) -> int:
    """Examples that training reads, repetitions counted."""
    return 0 if isinstance(run, System) else run.schedule.steps * run.global_batch


def tokens_read(run: Run) -> float:
    """Tokens that the trained encoder reads."""
    return examples_of(run) * tokens_of(run).student


def work_of(run: Run, execution: Execution) -> Work:
    """FLOPs of training a run."""
    if isinstance(run, System):
        return Work(encoder=0.0, recomputed=0.0, objective=0.0)
    tokens = tokens_of(run)
    encoder = training_flops(run, tokens_per_example=tokens.student)
    return Work(
        encoder=encoder,
        recomputed=(RECOMPUTED - 1) * encoder if execution.gradient_checkpointing else 0.0,
        objective=examples_of(run) * _objective_flops(run),
    )


def device_hours(run: Run, execution: Execution) -> float:
    """Hours of the execution's device that training takes, over all workers together."""
    if isinstance(run, System):
        return 0.0
    return execution.kind.seconds(work_of(run, execution).total, run.precision) / 3600


def final_bytes(run: Run) -> float:
    """Bytes that a run leaves for good: its weights, in float32."""
    return 0.0 if isinstance(run, System) else FP32_BYTES * parameters_of(run).total


def checkpoint_bytes(run: Run, execution: Execution) -> float:
    """Bytes of the checkpoints of a run while it is trained; one more than are kept exists for a moment."""
    if isinstance(run, System):
        return 0.0
    weights = FP32_BYTES * parameters_of(run).total
    return (execution.keep_checkpoints + 1) * (weights + MOMENTS_BYTES * trained_weights(run))


def line_vector_bytes(run: Run) -> float:
    """Bytes of the teacher's vectors of a student's English lines; all students of one bitext share them."""
    match run:
        case Student():
            lines = run.bitext.lines + (HELD_OUT_SIDES if isinstance(run.bitext, Bitext) else HELD_OUT_LINES)
            return teacher_cache_bytes(run, lines=lines, tokens_per_line=tokens_of(run).teacher)
        case Pretraining() | Teacher() | Supervised() | Translator() | LookUp() | TranslateQuery() | PublishedTeacher():
            return 0.0
        case unknown:
            assert_never(unknown)


def passage_vector_bytes(run: Retriever) -> float:
    """Bytes of the teacher's vectors of all passages; everything that is searched with a teacher shares them."""
    return FP32_BYTES * teacher_of(run).token_size * PASSAGES * PASSAGE


def searched_vector_bytes(run: Retriever, retrieval: Sequence[Searched]) -> float:
    """Bytes of the vectors of published collections while they are searched: the teacher's, which stay, and of those
    that students read the largest, which is deleted when it was searched. A collection whose size no source states
    counts as none."""
    passages: dict[Reader, dict[str, int]] = {Reader.TEACHER: {}, Reader.STUDENT: {}}
    for searched in retrieval:
        passages[searched.reader][passages_of(searched.collection).name] = _passages(searched)
    count = sum(passages[Reader.TEACHER].values()) + max(passages[Reader.STUDENT].values(), default=0)
    return BLOCK_BYTES * teacher_of(run).token_size * PUBLISHED_PASSAGE * count


def _passages(searched: Searched) -> int:
    if searched.pool is not None:
        return searched.pool.size
    original = passages_of(searched.collection)
    return (original.count or 0) if isinstance(original, IrDataset) else 0


def _lines_of(run: Student) -> str:
    """What tells the lines of two students apart."""
    match run.bitext:
        case Bitext(lines=lines, lexical_coverage=coverage):
            return f"{lines} {coverage}"
        case ParallelText():
            return str(canonical(run.bitext))
        case unknown:
            assert_never(unknown)


def _objective_flops(run: Trained) -> float:
    tokens = tokens_of(run)
    match run:
        case Pretraining() | Translator():
            return 0.0
        case Teacher():
            query, passage = tokens.student / 6, tokens.student * 5 / 6
            return _flops(run.objective, query, passage, run.token_size)
        case Supervised(text=text, objective=objective):
            query = min(PUBLISHED_QUERY, text.query_tokens)
            passage = (tokens.student - query) / (1 + text.given)
            return _flops(_candidates(objective, text.given), query, passage, run.token_size)
        case Student():
            return _flops(run.objective, tokens.student, tokens.teacher, run.teacher.token_size)
        case unknown:
            assert_never(unknown)


def _candidates(objective: Ranking, given: int) -> Contrastive:
    """What costs as much: a group with as many candidates as a query is compared with."""
    return Contrastive(group_size=objective.group_size * (1 + given), temperature=objective.temperature)


def _flops(objective: Objective, student: float, teacher: float, token_size: int) -> float:
    return objective_flops(
        objective, student_tokens=student, teacher_tokens=teacher, token_size=token_size, iterations=ITERATIONS
    )


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Bytes in storage: final weights, the checkpoints of the runs that are trained at once, vectors of lines and of
    passages."""

    final: float
    checkpoints: float
    lines: float
    passages: float

    @property
    def total(self) -> float:
        return self.final + self.checkpoints + self.lines + self.passages


def kept(runs: Sequence[tuple[Run, Execution]], retrieval: Sequence[Searched] = ()) -> Kept:
    """What a study's runs leave at most. Checkpoints are deleted when a run ends; what is shared is counted once.

    Vectors of parallel text are kept up to an execution's budget, and computed in every step beyond it.
    """
    lines: dict[tuple[str, str], float] = {}
    for run, execution in runs:
        if isinstance(run, Student):
            size = line_vector_bytes(run)
            lines[run_key(run.teacher), _lines_of(run)] = size if size <= execution.teacher_cache_bytes else 0.0
    retrieving = [run for run, _ in runs if not isinstance(run, Preparatory)]
    passages = {
        run_key(teacher_of(run)): searched_vector_bytes(run, retrieval) if retrieval else passage_vector_bytes(run)
        for run in retrieving
    }
    return Kept(
        final=sum(final_bytes(run) for run, _ in runs),
        checkpoints=max(execution.at_once * checkpoint_bytes(run, execution) for run, execution in runs),
        lines=sum(lines.values()),
        passages=sum(passages.values()),
    )
