"""Which form of transport is best: how small an epsilon, how firm the marginals, whose mass?

Question
    In ``objectives_compared`` OT at epsilon 0.03 lost to exact transport and, by more, to exact assignment. A smaller
    epsilon sharpens the plan; unbalanced marginals let surplus tokens go, as an assignment does; idf marginals give
    function words less to carry. Which of these is best on validation queries?
Budget
    Twelve forms, each at OT's own learning rate, trained to the end of half of its schedule there, at ``atlas-28k``, in
    rotation 0 of the exposures, one seed.
What the answer decides
    Which forms ``transport_improved`` reads on test queries.
Status
    Written on 2026-11-26, before any of its trials, and run that day: idf marginals score 0.69, every form with uniform
    ones 0.58 or less, and the looser the marginals the worse.
"""

from collections.abc import Mapping
from dataclasses import replace

from ir_measures import nDCG

from studies.bases import ATLAS_BITEXT, ATLAS_LANGUAGES, ATLAS_RATES, OPTICAL_ATLAS
from studies.ladders import ATLAS
from studies.schema.axes import exposure_of
from studies.schema.execution import Execution
from studies.schema.objective import Form, Marginals, Solver, Transport
from studies.schema.optimiser import Optimiser, Schedule
from studies.schema.search import Search
from studies.schema.space import Choice, Parameter

RUNG = "atlas-28k"

FORMS: Mapping[str, Transport] = {
    "0.03": Transport(epsilon=0.03),
    "0.01": Transport(epsilon=0.01),
    "0.005": Transport(epsilon=0.005),
    "0.002": Transport(epsilon=0.002),
    "exact": Transport(epsilon=0.0, solver=Solver.EXACT),
    "0.03 divergence": Transport(epsilon=0.03, form=Form.DIVERGENCE),
    "0.005 idf": Transport(epsilon=0.005, marginals=Marginals.IDF),
    "0.03 unbalanced 0.3": Transport(epsilon=0.03, unbalanced=0.3),
    "0.005 unbalanced 1": Transport(epsilon=0.005, unbalanced=1.0),
    "0.005 unbalanced 0.3": Transport(epsilon=0.005, unbalanced=0.3),
    "0.005 unbalanced 0.1": Transport(epsilon=0.005, unbalanced=0.1),
    "0.005 unbalanced 0.03": Transport(epsilon=0.005, unbalanced=0.03),
}

SEARCH = Search(
    name="search_transport",
    version="2026.11.26",
    question="Which form of transport is best: how small an epsilon, how firm the marginals, whose mass?",
    base=replace(
        OPTICAL_ATLAS,
        rung=next(rung for rung, _ in ATLAS.rungs if rung.name == RUNG),
        bitext=replace(ATLAS_BITEXT, exposure=exposure_of(0, 2, ATLAS_LANGUAGES, low=0.1)),
        optimiser=Optimiser(learning_rate=ATLAS_RATES["ot"]),
        schedule=Schedule(steps=300, warmup_steps=30),
    ),
    space=(Parameter(name="form", path="objective", domain=Choice(values=tuple(FORMS.items()))),),
    measure=nDCG @ 10,
    trials=len(FORMS),
    seed=0,
    first=tuple({"form": label} for label in FORMS),
    execution=Execution(workers=1, micro_batch=256, checkpoint_every=300),
)
