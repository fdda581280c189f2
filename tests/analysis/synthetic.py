"""A study with planted effects, recorded in a real MLflow store the way the harness records one."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as arrow
import pyarrow.parquet as parquet
from ir_measures import AP, Success, nDCG
from mlflow import MlflowClient
from mlflow.entities import Metric as MlflowMetric
from mlflow.entities import Param, RunTag
from numpy.typing import NDArray
from scipy.stats import norm

from analysis.frame import Labels, RunRecord, query_scores
from studies import ladders
from studies.schema.atlas import Atlas, Bitext
from studies.schema.axes import Tie, cross, rotations, seeds, vary, withheld
from studies.schema.cost import parameters_of
from studies.schema.evaluation import pair_name
from studies.schema.execution import Execution
from studies.schema.key import run_key
from studies.schema.objective import Contrastive, GreedyAlignment, Objective, PooledMSE, Transport
from studies.schema.optimiser import Optimiser, Schedule
from studies.schema.record import Role
from studies.schema.run import LookUp, Preparatory, Student, Teacher, teacher_of
from studies.schema.rung import Precision
from studies.schema.study import (
    DataCurve,
    EpsilonOptimum,
    Law,
    Point,
    ResourceEffect,
    Study,
    SystemComparison,
    UnseenDegradation,
    expand,
)

LANGUAGES = ("de", "fr", "sw", "te", "ru", "bn")
MEASURES = ("nDCG@10", "AP", "Success@1")
TEACHER_SCORE = 0.9

_COLLECTION = Atlas(languages=LANGUAGES, vocabulary_size=8000, revision="synthetic")
_TEACHER = Teacher(
    collection=_COLLECTION,
    rung=ladders.atlas_rung("atlas-29k", layers=1, width=48),
    token_size=32,
    objective=Contrastive(group_size=32, temperature=1.0),
    optimiser=Optimiser(learning_rate=1e-3),
    schedule=Schedule(steps=100, warmup_steps=10),
    global_batch=64,
    precision=Precision.FP32,
    dropout=0.0,
    seed=0,
)
_BASE = Student(
    teacher=_TEACHER,
    rung=ladders.ATLAS.rungs[0][0],
    bitext=Bitext(collection=_COLLECTION, lines=1000, exposure=tuple((code, 1.0) for code in LANGUAGES)),
    objective=Transport(epsilon=0.03),
    optimiser=Optimiser(learning_rate=1e-3),
    schedule=Schedule(steps=1500, warmup_steps=100),
    global_batch=64,
    precision=Precision.FP32,
    dropout=0.0,
    seed=0,
)


def study(*, num_seeds: int = 1, law: Law = Law.LOG_LINEAR) -> Study:
    """Five rungs, two rotations, the largest rung held out."""
    return Study(
        name="planted",
        version="2026.11.20",
        question="Does more bitext help a small student more than a large one?",
        base=_BASE,
        axes=cross(ladders.ATLAS.axis(), rotations(2, LANGUAGES, low=0.1), seeds(num_seeds)),
        measures=(nDCG @ 10, AP, Success @ 1),
        estimand=ResourceEffect(measure=nDCG @ 10),
        law=law,
        hold_out=ladders.ATLAS.largest,
        execution=Execution(workers=1, micro_batch=64),
    )


OBJECTIVES: Mapping[str, Objective] = {"ot": Transport(epsilon=0.03), "mse": PooledMSE(), "greedy": GreedyAlignment()}


def comparison(*, num_seeds: int = 3, rungs: tuple[str, ...] = ("atlas-3k", "atlas-28k")) -> Study:
    """Three objectives on each rung, the second taking fewer steps."""
    short = Schedule(steps=1000, warmup_steps=100)
    return Study(
        name="planted_comparison",
        version="2026.11.25",
        question="Which objective is best?",
        base=_BASE,
        axes=cross(
            ladders.ATLAS.axis(*rungs),
            vary("objective", "objective", OBJECTIVES),
            rotations(2, LANGUAGES, low=0.1),
            seeds(num_seeds),
        ),
        ties=(Tie(where=(("objective", "mse"),), assign=(("schedule", short),)),),
        measures=(nDCG @ 10, AP, Success @ 1),
        estimand=SystemComparison(measure=nDCG @ 10, reference="ot", rung="atlas-28k"),
        execution=Execution(workers=1, micro_batch=64),
    )


def amounts() -> Study:
    """Three objectives at three amounts of bitext."""
    return Study(
        name="planted_amounts",
        version="2026.11.25",
        question="How little is enough?",
        base=_BASE,
        axes=cross(
            vary("objective", "objective", OBJECTIVES),
            vary("bitext", "bitext.lines", {str(lines): lines for lines in (250, 1000, 4000)}),
            rotations(2, LANGUAGES, low=0.1),
        ),
        measures=(AP, nDCG @ 10, Success @ 1),
        estimand=DataCurve(measure=AP, reference="ot", amount="250"),
        execution=Execution(workers=1, micro_batch=64),
    )


EPSILONS = (0.002, 0.005, 0.0126, 0.0316, 0.0794, 0.2, 0.5)


def optima() -> Study:
    """Seven epsilons under two joint bitexts and for one language alone."""
    joint = {
        name: tuple((code, 0.1 if (place % 2 == 0) == low else 1.0) for place, code in enumerate(LANGUAGES))
        for name, low in (("joint", True), ("swapped", False))
    }
    alone = {code: tuple((each, float(each == code)) for each in LANGUAGES) for code in ("sw",)}
    return Study(
        name="planted_optima",
        version="2026.11.26",
        question="Which epsilon is best?",
        base=_BASE,
        axes=cross(
            ladders.ATLAS.axis("atlas-13k"),
            vary("objective", "objective", {f"{epsilon:g}": Transport(epsilon=epsilon) for epsilon in EPSILONS}),
            vary("bitext", "bitext.exposure", joint | alone),
        ),
        measures=(nDCG @ 10, AP),
        estimand=EpsilonOptimum(measure=nDCG @ 10, joint=("joint", "swapped"), search="search_planted"),
        rivals=(),
        execution=Execution(workers=1, micro_batch=64),
    )


PAIRS = (("sw", "de"), ("te", "bn"))
UNSEEN_ROTATIONS = tuple(setting.label for setting in withheld(LANGUAGES, lines=6000, direct=PAIRS).settings)


def unseen(*, num_seeds: int = 2) -> Study:
    """Two objectives at one rung, the lines of each language withheld in turn."""
    return Study(
        name="planted_unseen",
        version="2026.11.26",
        question="What is lost on a language never seen?",
        base=_BASE,
        axes=cross(
            vary("objective", "objective", {label: OBJECTIVES[label] for label in ("ot", "mse")}),
            withheld(LANGUAGES, lines=6000, direct=PAIRS),
            seeds(num_seeds),
        ),
        measures=(nDCG @ 10, AP, Success @ 1),
        estimand=UnseenDegradation(measure=nDCG @ 10, reference="ot", against="mse", trained="all", direct="direct"),
        pairs=PAIRS,
        rivals=(Role.COPY_THROUGH, Role.DICTIONARY),
        execution=Execution(workers=1, micro_batch=64),
    )


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What is planted, on the logit of the teacher's share, as functions of x = log10(N / 10,000).

    ``shifts`` are added to the students of an objective, and half a logit for each doubling of 1,000 lines of bitext.
    ``correlation`` is that of queries about one entity (Gaussian copula), ``seed_noise`` the standard deviation of a
    training, in logits. With ``optima``, epsilons by exposure, a student loses ``bend`` logits per squared decade
    between its epsilon and that of its exposure.
    """

    level: float = 0.6
    level_slope: float = 0.5
    effect: float = 1.0
    effect_slope: float = -0.3
    correlation: float = 0.5
    seed_noise: float = 0.0
    num_entities: int = 60
    queries_per_entity: int = 5
    shifts: Mapping[str, float] = field(default_factory=dict)
    optima: Mapping[float, float] = field(default_factory=dict)
    bend: float = 1.0

    def loss_at(self, run: Student, exposure: float) -> float:
        if exposure not in self.optima or not isinstance(run.objective, Transport):
            return 0.0
        return self.bend * float(np.log10(run.objective.epsilon / self.optima[exposure])) ** 2

    def effect_at(self, size: int) -> float:
        return self.effect + self.effect_slope * float(np.log10(size / 1e4))

    def logit(self, size: int, language: str, exposure: float) -> float:
        offset = 0.4 * np.cos(2.0 * LANGUAGES.index(language))
        side = 0.5 if exposure == 1.0 else -0.5
        return float(self.level + offset + self.level_slope * np.log10(size / 1e4) + side * self.effect_at(size))


def graded_scores(truth: Truth, means: Mapping[str, float], rng: np.random.Generator) -> dict[str, Any]:
    """Per-query rows whose expected score in each language is exactly the given mean.

    A query counts as answered when a uniform variable falls below the mean; the variables of one entity correlate,
    and the same query has the same variable in every language and run that shares the generator's state.
    """
    entity = np.repeat(np.arange(truth.num_entities), truth.queries_per_entity)
    shared = rng.standard_normal(truth.num_entities)[entity]
    own = rng.standard_normal(entity.size)
    uniform = norm.cdf(np.sqrt(truth.correlation) * shared + np.sqrt(1 - truth.correlation) * own)
    rows: dict[str, list[Any]] = {name: [] for name in ("language", "query", "entity", "seen", "cognate", *MEASURES)}
    for code, mean in means.items():
        score: NDArray[np.float64] = (uniform < mean).astype(np.float64)
        rows["language"] += [code] * entity.size
        rows["query"] += [f"q{place:04d}" for place in range(entity.size)]
        rows["entity"] += [f"e{place:03d}" for place in entity]
        rows["seen"] += [place % 3 > 0 for place in range(entity.size)]
        rows["cognate"] += [place % 7 == 0 for place in range(entity.size)]
        rows["nDCG@10"] += score.tolist()
        rows["AP"] += (0.9 * score).tolist()
        rows["Success@1"] += score.tolist()
    return rows


Columns = Callable[[Point, Mapping[str, Any]], Mapping[str, Sequence[float]]]
"""Further columns of a run's per-query rows."""


def no_columns(point: Point, rows: Mapping[str, Any]) -> Mapping[str, Sequence[float]]:
    return {}


def write_store(
    root: Path,
    declared: Study,
    truth: Truth,
    *,
    seed: int = 0,
    states: Mapping[str, str] | None = None,
    columns: Columns = no_columns,
) -> str:
    """Record every run of a study under ``root`` and return the tracking address.

    ``states`` overrides the state of single runs by key; "absent" leaves a run out.
    """
    (root / "mlflow").mkdir(parents=True, exist_ok=True)
    uri = f"sqlite:///{root / 'mlflow' / 'mlflow.db'}"
    client = MlflowClient(tracking_uri=uri)
    experiment = client.create_experiment(declared.name, artifact_location=str(root / "mlflow" / "artifacts"))
    tags = {"harness.study": declared.name, "harness.version": declared.version, "harness.kind": "study"}
    parent = client.create_run(experiment, tags=tags, run_name=f"{declared.name} {declared.version}").info.run_id
    for place, point in enumerate(expand(declared)):
        state = (states or {}).get(point.key, "finished")
        if state != "absent":
            _write_run(
                client, experiment, parent, declared, point, truth, state, seed, place, root / "scratch", columns
            )
    return uri


def _write_run(
    client: MlflowClient,
    experiment: str,
    parent: str,
    declared: Study,
    point: Point,
    truth: Truth,
    state: str,
    seed: int,
    place: int,
    scratch: Path,
    columns: Columns,
) -> None:
    tags = {
        "mlflow.parentRunId": parent,
        "harness.study": declared.name,
        "harness.version": declared.version,
        "harness.kind": "run",
        "harness.key": point.key,
        "harness.role": str(point.role),
        "harness.state": state,
        "harness.flags": "still improving" if state == "flagged" else "",
        "harness.revision": "synthetic",
        "harness.evaluation": "e" + point.key,
        **{f"harness.{name}": value for name, value in point.labels.as_dict().items()},
    }
    run = client.create_run(experiment, tags=tags, run_name=f"{point.role} {place}").info.run_id
    recorded = flatten(point.run)
    if not isinstance(point.run, Teacher | Preparatory):
        recorded = {name: value for name, value in recorded.items() if not name.startswith("teacher.")}
        recorded["teacher"] = run_key(teacher_of(point.run))
    count = parameters_of(point.run)
    recorded |= {"parameters.non_embedding": str(count.non_embedding), "parameters.total": str(count.total)}
    client.log_batch(run, params=[Param(name, value) for name, value in recorded.items()], tags=[RunTag("x", "y")])
    if isinstance(point.run, Student) and point.role is Role.STUDENT:
        client.log_batch(run, metrics=list(_journal(place, point)))
    # One generator state per store: the same queries are asked of every run.
    rows = graded_scores(truth, _means(truth, point, seed, place), np.random.default_rng(seed))
    folder = scratch / point.key
    folder.mkdir(parents=True)
    parquet.write_table(arrow.table(rows | dict(columns(point, rows))), folder / "per_query.parquet")
    (folder / "measures.json").write_text(json.dumps(_measures(rows, point)))
    client.log_artifacts(run, str(folder), "evaluation")
    client.set_terminated(run)


def records(declared: Study, truth: Truth, *, seed: int = 0, columns: Columns = no_columns) -> dict[str, RunRecord]:
    """The runs of :func:`write_store` as they ought to be read back, without a store."""
    found = {}
    for place, point in enumerate(expand(declared)):
        rows = graded_scores(truth, _means(truth, point, seed, place), np.random.default_rng(seed))
        measures = _measures(rows, point)
        count = parameters_of(point.run)
        sizes = {"parameters.non_embedding": str(count.non_embedding), "parameters.total": str(count.total)}
        found[point.key] = RunRecord(
            key=point.key,
            role=str(point.role),
            labels=Labels(**point.labels.as_dict()),
            state="finished",
            flags=(),
            revision="synthetic",
            parameters=flatten(point.run) | sizes,
            measures=measures["measures"],
            exposure=measures["exposure"],
            collection="synthetic",
            split="test",
            queries=query_scores(
                rows["language"],
                rows["query"],
                rows["entity"],
                rows["seen"],
                rows["cognate"],
                {measure: rows[measure] for measure in MEASURES} | dict(columns(point, rows)),
            ),
            series={},
        )
    return found


def _means(truth: Truth, point: Point, seed: int, place: int) -> dict[str, float]:
    size = parameters_of(point.run).non_embedding
    match point.role:
        case Role.TEACHER:
            return {"en": TEACHER_SCORE}
        case Role.STUDENT:
            assert isinstance(point.run, Student)
            noise = truth.seed_noise * float(np.random.default_rng([seed, 7, place]).standard_normal())
            noise += truth.shifts.get(point.labels.objective, 0.0) + 0.5 * float(np.log2(point.run.bitext.lines / 1000))
            logits = {
                code: truth.logit(size, code, share) - truth.loss_at(point.run, share)
                for code, share in point.run.bitext.exposure
            }
            if point.labels.rotation in UNSEEN_ROTATIONS:
                own = 0.5 if isinstance(point.run.bitext, Bitext) and point.run.bitext.direct else 0.0
                logits |= {pair_name(pair): logits[pair[0]] - 0.5 + own for pair in PAIRS}
            return {code: TEACHER_SCORE / (1 + np.exp(-value - noise)) for code, value in logits.items()}
        case Role.UNTRAINED:
            return dict.fromkeys(LANGUAGES, 0.02)
        case Role.DICTIONARY:
            assert isinstance(point.run, LookUp)
            assert point.run.bitext is not None
            return {code: 0.45 if share == 1.0 else 0.2 for code, share in point.run.bitext.exposure}
        case Role.COPY_THROUGH:
            return {code: 0.25 if code in ("de", "fr", "sw") else 0.03 for code in LANGUAGES}
        case Role.TRANSLATED | Role.TRANSLATOR | Role.PRETRAINING | Role.TRANSLATE_TRAIN | Role.SYNTHETIC_TRAIN:
            raise ValueError(f"the made-up study has no {point.role} run")


def _measures(rows: Mapping[str, Any], point: Point) -> dict[str, Any]:
    languages = np.array(rows["language"])
    codes = list(dict.fromkeys(rows["language"]))
    means = {
        measure: {code: float(np.array(rows[measure])[languages == code].mean()) for code in codes if "-" not in code}
        for measure in MEASURES
    }
    bitext = getattr(point.run, "bitext", None)
    return {
        "schema": 1,
        "run": point.key,
        "evaluation": "e" + point.key,
        "collection": "synthetic",
        "split": "test",
        "measures": means,
        "slices": {},
        "queries": {code: int((languages == code).sum()) for code in codes},
        "exposure": dict(bitext.exposure) if bitext is not None else {},
    }


def _journal(place: int, point: Point) -> Iterator[MlflowMetric]:
    size = parameters_of(point.run).non_embedding
    for step in range(0, 1501, 50):
        decay = float(np.exp(-step / 300))
        floor = 0.35 - 0.05 * float(np.log10(size / 1e4))
        values = {
            "loss": floor + 0.6 * decay + 0.01 * float(np.sin(step)),
            "loss_held_out": floor + 0.02 + 0.6 * decay,
            "learning_rate": 1e-3 * min(1.0, (step + 1) / 100) * (1 - step / 1500),
            "gradient_norm": 0.2 + 2 * decay,
            "transport.iterations": 40 + 100 * (1 - decay) + place,
            "transport.marginal_error": 9e-5,
            "transport.converged": 1.0,
        }
        for name, value in values.items():
            yield MlflowMetric(name, value, 1_700_000_000_000 + step, step)


def flatten(value: Any, path: str = "") -> dict[str, str]:
    """Dotted fields of a schema value, as text."""
    if isinstance(value, Enum):
        return {path: str(value.value)}
    if is_dataclass(value) and not isinstance(value, type):
        flat: dict[str, str] = {}
        for field in fields(value):
            flat |= flatten(getattr(value, field.name), f"{path}.{field.name}" if path else field.name)
        return flat
    return {path: str(value)}
