"""What is minimised: the closed union of objectives over a teacher's token vectors, and what identifies each.

An objective is part of a run's identity. What an objective does not use is refused, so that no two declarations of one
training differ.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from math import isfinite, lcm
from typing import assert_never

from studies.schema.added import ADDED
from studies.schema.checks import above_zero, at_least

MAX_ITERATIONS = 2000
"""Iterations after which a solver gives up unless told otherwise."""


class Solver(StrEnum):
    """How a plan is found: with entropy, by proximal points (IPOT, arXiv 1802.04307), by the network simplex."""

    SINKHORN = "sinkhorn"
    PROXIMAL = "proximal"
    EXACT = "exact"


class Marginals(StrEnum):
    """How a sentence's mass is shared by its tokens: evenly, or by inverse document frequency in the bitext."""

    UNIFORM = "uniform"
    IDF = "idf"


class Gradient(StrEnum):
    """What is differentiated.

    ``detached``: <P, C> with P held constant. ``envelope``: the whole regularised objective, whose exact gradient is
    the same (envelope theorem), so that training is the same and the loss is a function that it descends.
    ``unrolled``: <P, C> with the dependence of P on C, through a fixed number of iterations at the solution.
    """

    DETACHED = "detached"
    ENVELOPE = "envelope"
    UNROLLED = "unrolled"


class Form(StrEnum):
    """The cost of the plan, or that less half of what each side costs against itself (arXiv 1706.00292)."""

    COST = "cost"
    DIVERGENCE = "divergence"


@dataclass(frozen=True, kw_only=True)
class Transport:
    """Optimal transport distillation (OPTICAL, arXiv 2301.12566): the inner product of plan and cost.

    ``epsilon`` is the weight of the entropy in units of the cost 1 - cos, and 0 for the solvers without any. A problem
    counts as solved when the L1 error of its marginals is at most ``tolerance``, the same at every epsilon; the
    proximal solver has besides to bring the cost within ``tolerance`` of the optimum. ``proximal_weight`` is that of
    its steps: a knob of speed, and no epsilon. ``unrolled_iterations`` are those through which is differentiated.
    ``unbalanced`` is the weight, in units of the cost, of the Kullback-Leibler divergence between the plan's
    marginals and the tokens' masses; None holds the marginals fixed.
    """

    epsilon: float
    tolerance: float = 1e-4
    max_iterations: int = MAX_ITERATIONS
    solver: Solver = field(default=Solver.SINKHORN, metadata=ADDED)
    marginals: Marginals = field(default=Marginals.UNIFORM, metadata=ADDED)
    gradient: Gradient = field(default=Gradient.DETACHED, metadata=ADDED)
    form: Form = field(default=Form.COST, metadata=ADDED)
    unbalanced: float | None = field(default=None, metadata=ADDED)
    proximal_weight: float | None = field(default=None, metadata=ADDED)
    unrolled_iterations: int | None = field(default=None, metadata=ADDED)

    def __post_init__(self) -> None:
        if not 0 < self.tolerance < 1:
            raise ValueError(f"Transport.tolerance is {self.tolerance}; it is a marginal error between 0 and 1")
        at_least(self, 1, "max_iterations")
        if self.solver is Solver.SINKHORN:
            if not (self.epsilon > 0 and isfinite(self.epsilon)):
                raise ValueError(
                    f"Transport.epsilon is {self.epsilon}; it must be above 0 and finite (without entropy use solver "
                    "exact or proximal, for endless entropy UniformPlan)"
                )
        else:
            self._check_unregularised()
        self._check_knob("proximal_weight", self.solver is Solver.PROXIMAL, "solver proximal")
        self._check_knob("unrolled_iterations", self.gradient is Gradient.UNROLLED, "gradient unrolled")
        if self.unbalanced is not None:
            if not (self.unbalanced > 0 and isfinite(self.unbalanced)):
                raise ValueError(f"Transport.unbalanced is {self.unbalanced}; it must be above 0 and finite, or None")
            if self.gradient is Gradient.UNROLLED:
                raise ValueError(
                    f"Transport.unbalanced is {self.unbalanced} with gradient unrolled, which needs fixed marginals; "
                    "use the detached or envelope gradient"
                )
            if self.form is Form.DIVERGENCE:
                raise ValueError(
                    f"Transport.unbalanced is {self.unbalanced} in a debiased divergence, which is defined here for "
                    "fixed marginals; leave out one of the two"
                )

    def _check_unregularised(self) -> None:
        """Refuse what needs an entropy beside a solver that has none."""
        if self.epsilon != 0:
            raise ValueError(
                f"Transport.epsilon is {self.epsilon}, and solver {self.solver} has no entropy; write 0.0, or use "
                "solver sinkhorn"
            )
        if self.gradient is not Gradient.DETACHED:
            raise ValueError(
                f"Transport.gradient is {self.gradient}, which solver {self.solver} does not offer: without entropy "
                "the detached gradient is the exact one; leave the gradient out, or use solver sinkhorn"
            )
        for name, found in (("form", self.form is Form.DIVERGENCE), ("unbalanced", self.unbalanced is not None)):
            if found:
                raise ValueError(
                    f"Transport.{name} is {getattr(self, name)}, which needs an entropy, and solver {self.solver} has "
                    f"none; leave {name} out, or use solver sinkhorn"
                )
        if self.solver is Solver.EXACT and self.max_iterations != MAX_ITERATIONS:
            raise ValueError(
                f"Transport.max_iterations is {self.max_iterations}; the exact solver runs to its end: leave it out"
            )

    def _check_knob(self, name: str, used: bool, by: str) -> None:
        """A knob is given exactly where it is used."""
        found = getattr(self, name)
        if used and (found is None or not found > 0 or not isfinite(found)):
            raise ValueError(f"Transport.{name} is {found}; {by} needs it, above 0")
        if not used and found is not None:
            raise ValueError(f"Transport.{name} is {found}, which is used by {by} alone; leave it out")


@dataclass(frozen=True, kw_only=True)
class UniformPlan:
    """Every student token to every teacher token alike: transport at an epsilon without end, the lower control."""


@dataclass(frozen=True, kw_only=True)
class GreedyAlignment:
    """The cheapest pair of tokens, then the cheapest of the rest, and so on (Dr.DECR, arXiv 2112.08185).

    The mean cost of the pairs, as many as the shorter sentence has tokens.
    """


@dataclass(frozen=True, kw_only=True)
class ExactAssignment:
    """The cheapest one-to-one assignment of tokens, as many pairs as the shorter sentence has tokens; their mean."""


@dataclass(frozen=True, kw_only=True)
class PooledMSE:
    """Squared error between the means of the two sides' unit token vectors (arXiv 2004.09813), per dimension."""


@dataclass(frozen=True, kw_only=True)
class Contrastive:
    """Cross-entropy over candidate groups of consecutive examples, scored by MaxSim (ColBERT, arXiv 2004.12832).

    ``group_size`` examples serve as one another's negatives, so it is part of identity. A teacher's candidates are
    passages, a student's are the English sides of the group's lines as the teacher reads them.
    """

    group_size: int
    temperature: float

    def __post_init__(self) -> None:
        at_least(self, 2, "group_size")
        above_zero(self, "temperature")


@dataclass(frozen=True, kw_only=True)
class ScoreKL:
    """Divergence of the student's distribution over a candidate group from the teacher's own, both by MaxSim.

    KL(teacher || student) of the softmax of scores over ``temperature``. The candidates are the English sides of
    ``group_size`` consecutive lines; the teacher asks with the line's English side, the student with the other.
    """

    group_size: int
    temperature: float

    def __post_init__(self) -> None:
        at_least(self, 2, "group_size")
        above_zero(self, "temperature")


@dataclass(frozen=True, kw_only=True)
class WeightedSum:
    """Objectives of different kinds added up, each times its weight."""

    terms: tuple["Single", ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        kinds = [type(term).__name__ for term in self.terms]
        if len(kinds) < 2 or len(set(kinds)) != len(kinds) or "WeightedSum" in kinds:
            raise ValueError(
                f"WeightedSum.terms are {kinds}; give at least two objectives, each of another kind and none a sum, so "
                "that the journal can tell them apart"
            )
        if len(self.weights) != len(kinds):
            raise ValueError(f"WeightedSum.weights are {self.weights} for {len(kinds)} terms; give one for each")
        for weight in self.weights:
            if not (weight > 0 and isfinite(weight)):
                raise ValueError(f"WeightedSum.weights holds {weight}; a weight is above 0 and finite")


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Cross-entropy of a query's relevant passage among candidates, by MaxSim (ColBERT, arXiv 2004.12832, 3.3).

    Candidates are the passages of ``group_size`` consecutive triples, relevant ones and others, but for those known to
    be relevant to the query too. At 1 they are the triple's own, as in the paper; from 2 on those of the batch count as
    well. A score is the mean over query tokens, so a ``temperature`` of 1 / 32 stands for the paper's sum over 32.
    Both sides are trained, so this is no objective over a frozen teacher's vectors.
    """

    group_size: int
    temperature: float

    def __post_init__(self) -> None:
        at_least(self, 1, "group_size")
        above_zero(self, "temperature")


Single = Transport | UniformPlan | GreedyAlignment | ExactAssignment | PooledMSE | Contrastive | ScoreKL
"""Objectives that are no sums."""

Objective = Single | WeightedSum


def group_size_of(objective: Objective | Ranking) -> int:
    """Consecutive examples that a forward call must hold together; 1 where each example stands alone."""
    match objective:
        case Contrastive() | ScoreKL() | Ranking():
            return objective.group_size
        case WeightedSum():
            return lcm(*(group_size_of(term) for term in objective.terms))
        case Transport() | UniformPlan() | GreedyAlignment() | ExactAssignment() | PooledMSE():
            return 1
        case unknown:
            assert_never(unknown)


def uses_idf(objective: Objective) -> bool:
    """Whether an objective weighs tokens by their document frequencies in the bitext."""
    match objective:
        case Transport():
            return objective.marginals is Marginals.IDF
        case WeightedSum():
            return any(uses_idf(term) for term in objective.terms)
        case UniformPlan() | GreedyAlignment() | ExactAssignment() | PooledMSE() | Contrastive() | ScoreKL():
            return False
        case unknown:
            assert_never(unknown)
