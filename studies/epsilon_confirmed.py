"""Does what the search over epsilon and learning rate found hold on queries that it never saw?

Question
    ``search_epsilon_lr`` named no optimum: on validation queries the score rises to the smallest epsilon it may try. Is
    its best trial better than the setting that ``first_look`` was written with on test queries too, and is that
    epsilon's doing or the learning rate's?
Design
    The search's student and schedule, three seeds, every language at full exposure. ``small`` changes epsilon alone,
    ``found`` is the best trial, ``exact`` is the limit of a vanishing epsilon.
Primary contrasts
    ``default`` minus each of the others in nDCG@10, corrected by Holm's method.
What the answer decides
    Whether the next version of the base begins with a smaller epsilon.
Status
    Declared on 2026-11-26, after the search and before any score on a test query; run
    that day. A smaller epsilon gains 0.038 [0.030, 0.045]; the rate of the best trial gains nothing.
"""

from dataclasses import replace

from ir_measures import AP, nDCG

from studies.bases import OPTICAL_ATLAS
from studies.ladders import ATLAS
from studies.schema.axes import Axis, Setting, cross, seeds
from studies.schema.estimand import Exposure, SystemComparison
from studies.schema.execution import Execution
from studies.schema.objective import Objective, Solver, Transport
from studies.schema.optimiser import Schedule
from studies.schema.study import Study

RUNG = "atlas-13k"
_RATE = {rung.name: rate for rung, rate in ATLAS.rungs}[RUNG]


def setting(label: str, objective: Objective, rate: float) -> Setting:
    """An objective with the learning rate that belongs to it."""
    return Setting(label=label, assign=(("objective", objective), ("optimiser.learning_rate", rate)))


STUDY = Study(
    name="epsilon_confirmed",
    version="2026.11.26",
    question="Does what the search over epsilon and learning rate found hold on queries that it never saw?",
    base=replace(OPTICAL_ATLAS, schedule=Schedule(steps=400, warmup_steps=40)),
    axes=cross(
        ATLAS.axis(RUNG),
        Axis(
            name="objective",
            settings=(
                setting("default", Transport(epsilon=0.03), _RATE),
                setting("small", Transport(epsilon=0.005356), _RATE),
                setting("found", Transport(epsilon=0.005356), 0.02335),
                setting("exact", Transport(epsilon=0.0, solver=Solver.EXACT), _RATE),
            ),
        ),
        seeds(3),
    ),
    measures=(nDCG @ 10, AP),
    estimand=SystemComparison(measure=nDCG @ 10, reference="default", rung=RUNG, exposure=Exposure.FULL),
    rivals=(),
    execution=Execution(workers=1, micro_batch=256, at_once=2),
)
