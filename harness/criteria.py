"""The loss that a declared objective stands for: the part of assembly that deals in formulas."""

from functools import partial
from typing import assert_never

from torch import Tensor

from harness.objectives.alignment import exact_assignment_loss, greedy_alignment_loss, uniform_plan_loss
from harness.objectives.groups import contrastive_loss, same_sentence, score_kl_loss
from harness.objectives.pairs import Criterion, Loss, Pairs, weighted_sum
from harness.objectives.pooled import pooled_mse_loss
from harness.objectives.transport import (
    BALANCED_PARTS,
    EXACT_PARTS,
    UNBALANCED_PARTS,
    Solve,
    Valuation,
    divergence_loss,
    plan_cost,
    regularised_cost,
    transport_loss,
    unrolled_cost,
)
from harness.transport.exact import exact
from harness.transport.proximal import proximal
from harness.transport.sinkhorn import sinkhorn
from harness.transport.unbalanced import unbalanced
from studies.schema.objective import (
    Contrastive,
    ExactAssignment,
    Form,
    Gradient,
    GreedyAlignment,
    Marginals,
    Objective,
    PooledMSE,
    ScoreKL,
    Single,
    Solver,
    Transport,
    UniformPlan,
    WeightedSum,
)
from studies.schema.record import Metric


def criterion(objective: Objective) -> Criterion:
    """The loss of a student's objective."""
    match objective:
        case Transport():
            return _transport(objective)
        case UniformPlan():
            return lambda pairs: uniform_plan_loss(*pairs.sides)
        case GreedyAlignment():
            return lambda pairs: greedy_alignment_loss(*pairs.sides)
        case ExactAssignment():
            return lambda pairs: exact_assignment_loss(*pairs.sides)
        case PooledMSE():
            return lambda pairs: pooled_mse_loss(*pairs.sides)
        case Contrastive(group_size=size, temperature=temperature):
            return lambda pairs: contrastive_loss(
                *pairs.sides,
                group_size=size,
                temperature=temperature,
                relevant_BG=same_sentence(pairs.english_B, size),
            )
        case ScoreKL(group_size=size, temperature=temperature):
            return lambda pairs: score_kl_loss(*pairs.sides, group_size=size, temperature=temperature)
        case WeightedSum():
            terms = [
                (weight, _name(term), criterion(term))
                for term, weight in zip(objective.terms, objective.weights, strict=True)
            ]
            return partial(weighted_sum, terms)
        case unknown:
            assert_never(unknown)


def _transport(objective: Transport) -> Criterion:
    """A transport loss with its solver, what is differentiated, and the parts it reports."""
    value, parts = _valuation(objective)

    def loss(pairs: Pairs) -> Loss:
        student_BN, teacher_BM = _weights(objective, pairs)
        match objective.form:
            case Form.COST:
                return transport_loss(
                    *pairs.sides, value=value, student_weight_BN=student_BN, teacher_weight_BM=teacher_BM, parts=parts
                )
            case Form.DIVERGENCE:
                return divergence_loss(
                    *pairs.sides, value=value, student_weight_BN=student_BN, teacher_weight_BM=teacher_BM
                )
            case unknown:
                assert_never(unknown)

    return loss


def _weights(objective: Transport, pairs: Pairs) -> tuple[Tensor | None, Tensor | None]:
    """The weights of both sides' tokens, where the objective asks for them."""
    match objective.marginals:
        case Marginals.UNIFORM:
            return None, None
        case Marginals.IDF:
            student_BN, teacher_BM = pairs.student_weight_BN, pairs.teacher_weight_BM
            if student_BN is None or teacher_BM is None:
                raise ValueError("marginals idf need the weight of every token; found pairs without weights")
            return student_BN, teacher_BM
        case unknown:
            assert_never(unknown)


def _valuation(objective: Transport) -> tuple[Valuation, frozenset[Metric]]:
    """What a plan is worth, and the parts that its solver reports."""
    match objective.solver:
        case Solver.SINKHORN:
            return _entropic(objective)
        case Solver.PROXIMAL:
            assert objective.proximal_weight is not None
            solve = partial(
                proximal,
                weight=objective.proximal_weight,
                tolerance=objective.tolerance,
                max_iterations=objective.max_iterations,
            )
            return plan_cost(solve), BALANCED_PARTS
        case Solver.EXACT:
            return plan_cost(partial(exact, tolerance=objective.tolerance)), EXACT_PARTS
        case unknown:
            assert_never(unknown)


def _entropic(objective: Transport) -> tuple[Valuation, frozenset[Metric]]:
    epsilon, tolerance, most = objective.epsilon, objective.tolerance, objective.max_iterations
    strength = objective.unbalanced
    solve: Solve = partial(sinkhorn, epsilon=epsilon, tolerance=tolerance, max_iterations=most)
    if strength is not None:
        solve = partial(unbalanced, epsilon=epsilon, strength=strength, tolerance=tolerance, max_iterations=most)
    parts = BALANCED_PARTS if strength is None else UNBALANCED_PARTS
    match objective.gradient:
        case Gradient.DETACHED:
            return plan_cost(solve), parts
        case Gradient.ENVELOPE:
            return regularised_cost(solve, epsilon, strength), parts
        case Gradient.UNROLLED:
            assert objective.unrolled_iterations is not None
            count = objective.unrolled_iterations
            return unrolled_cost(epsilon=epsilon, tolerance=tolerance, max_iterations=most, iterations=count), parts
        case unknown:
            assert_never(unknown)


def _name(term: Single) -> Metric:
    """What a term of a weighted sum is called in the journal."""
    match term:
        case Transport():
            return Metric.LOSS_TRANSPORT
        case UniformPlan():
            return Metric.LOSS_UNIFORM_PLAN
        case GreedyAlignment():
            return Metric.LOSS_GREEDY_ALIGNMENT
        case ExactAssignment():
            return Metric.LOSS_EXACT_ASSIGNMENT
        case PooledMSE():
            return Metric.LOSS_POOLED_MSE
        case Contrastive():
            return Metric.LOSS_CONTRASTIVE
        case ScoreKL():
            return Metric.LOSS_SCORE_KL
        case unknown:
            assert_never(unknown)
