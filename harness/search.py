"""Ray Tune's side of a search: trials that train through Ray Train, a sampler, and a judge at the milestones.

Every trial is a run in storage. Before a trial trains, its point stands in the search's ledger; before it goes on past
a milestone, the verdict does. Tune's own snapshots are never read: a search that was killed is rebuilt from the ledger
and the runs, sampler and judge are told what they knew, and what was under way goes on from its checkpoint.
"""

import hashlib
import logging
import os
import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, assert_never, cast

import optuna
import ray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from ray import tune
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from harness import fleet
from harness.description import describe
from harness.groups import group_for
from harness.milestones import Milestones, scores_so_far
from harness.remote import Evaluator, Task
from harness.trials import Closed, closed, final_score
from studies.schema.execution import Execution
from studies.schema.key import run_key
from studies.schema.published_teacher import PublishedTeacher
from studies.schema.record import State
from studies.schema.rung import Rung
from studies.schema.search import Search, run_of
from studies.schema.space import Choice, LogUniform, Parameter, Uniform, Value, stable
from studies.schema.state import read_state
from studies.schema.storage import Storage, lease_owner
from studies.schema.trials import LedgerWriter, Trial, Verdict, point_of, read_ledger, rung_of

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.2

STEP, SCORE, KEY, NUMBER = "step", "score", "key", "trial"
"""Names in what a trial reports to Tune and in what it is given."""

NEXT_TO_NOTHING = {"memory": 1.0}
"""What a trial claims beside its worker group, which has the CPUs: it only waits. Tune has it claim something, and a
part of a core would be a core less for workers."""

QUIET = {
    # Tune would write every result to three kinds of files of its own; ours are the journal and the ledger.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "RAY_AIR_NEW_OUTPUT": "0",
}


class Crew:
    """Brings a search home in the background; ``problems`` says what went wrong, in words."""

    def __init__(self, search: Search, storage: Storage, writer: LedgerWriter) -> None:
        self.problems: list[str] = []
        self._search = search
        self._storage = storage
        self._writer = writer
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        # It would print the traceback of a trial that breaks off; what went wrong is among the problems.
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    @property
    def is_working(self) -> bool:
        return self._thread.is_alive()

    def wait(self) -> None:
        self._thread.join()

    def _work(self) -> None:
        try:
            placed = Evaluator.options(num_gpus=self._search.evaluator_gpus)  # type: ignore[attr-defined]
            evaluator = placed.remote(self._storage, self._search.execution.threads)
            self._bring_teacher(evaluator)
            for rung in self._search.all_rungs:
                if not self._storage.stop_request(self._search.name).exists():
                    self._tune(rung, evaluator)
        except Exception as error:
            logger.debug("the search ended", exc_info=True)
            self.problems.append(f"the search stopped: {fleet.last_line(error)}")

    def _bring_teacher(self, evaluator: Any) -> None:
        """Train the teacher if nobody has; its validation score is what trials are compared with."""
        teacher = self._search.base.teacher
        if isinstance(teacher, PublishedTeacher):
            if self._search.asks_teacher:
                ray.get(evaluator.evaluate.remote(teacher, self._search.evaluation))
            return
        key = run_key(teacher)
        if not read_state(self._storage, key).state.is_final:
            task = Task(study=self._search.name, key=key, run=teacher, execution=self._search.execution)
            fleet.trainer(self._search.name, self._storage, [task]).fit()
        found = read_state(self._storage, key)
        if found.state.has_result:
            ray.get(evaluator.evaluate.remote(teacher, self._search.evaluation))
        elif found.state.is_final:
            raise ValueError(f"the teacher {key} is {found.state}: {found.reason}")

    def _tune(self, rung: Rung, evaluator: Any) -> None:
        """Ask for the trials that a rung still owes."""
        search, storage = self._search, self._storage
        trials = [trial for trial in self._writer.ledger.trials if trial.rung == rung.name]
        done = {trial.number: end for trial in trials if (end := closed(search, storage, trial))}
        left = search.trials_on(rung) - len(done)
        if left <= 0:
            return
        unfinished = [trial for trial in trials if trial.number not in done]
        sampler = Sampler(search, storage, self._writer, rung, unfinished)
        sampler.tell([(trial, done[trial.number]) for trial in trials if trial.number in done])
        keys = {trial.key for trial in trials}
        past = [verdict for verdict in self._writer.ledger.verdicts if verdict.key in keys]
        name = f"{search.name}-{rung.name}"
        shutil.rmtree(storage.root / "ray" / name, ignore_errors=True)
        trainable = tune.with_parameters(follow, search=search, storage=storage, evaluator=evaluator)
        results = tune.Tuner(
            tune.with_resources(trainable, tune.PlacementGroupFactory([NEXT_TO_NOTHING])),
            tune_config=tune.TuneConfig(
                search_alg=sampler,
                scheduler=Judge(search, self._writer, past),
                num_samples=left,
                max_concurrent_trials=at_once(search.execution, _resources(search)),
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(name=name, storage_path=str(storage.root / "ray"), verbose=0),
        ).fit()
        self.problems += [f"a trial broke off: {fleet.last_line(error)}" for error in results.errors]


def _resources(search: Search) -> dict[str, float]:
    """What the cluster has beside the GPU that trials are scored with, which is held until the search ends."""
    found = dict(ray.cluster_resources())
    return found | {"GPU": found.get("GPU", 0.0) - search.evaluator_gpus}


def at_once(execution: Execution, resources: Mapping[str, float]) -> int:
    """How many trials train at once, so that no worker group waits for another that waits for it.

    Raises ValueError when the cluster cannot hold a single one.
    """
    needs = {"CPU": execution.workers * execution.threads, "GPU": execution.workers * execution.gpus_per_worker}
    fits = min(int(resources.get(name, 0.0) // number) for name, number in needs.items() if number)
    if fits < 1:
        needed = " and ".join(f"{number} {name}" for name, number in needs.items() if number)
        has = " and ".join(f"{resources.get(name, 0.0):g} {name}" for name in needs)
        raise ValueError(
            f"a trial needs {needed}, the cluster has {has} beside what scores trials; lower the workers or threads of "
            "the search"
        )
    return fits


class Sampler(OptunaSearch):
    """Optuna's TPE sampler; a point enters the ledger before Tune hears of it."""

    def __init__(
        self, search: Search, storage: Storage, writer: LedgerWriter, rung: Rung, unfinished: Sequence[Trial]
    ) -> None:
        """``unfinished`` trials come first, then the search's own points by hand, then sampled ones."""
        known = [dict(trial.values) for trial in writer.ledger.trials if trial.rung == rung.name]
        own = [values for values in map(_rounded, search.points_by_hand(rung)) if values not in known]
        super().__init__(
            space={parameter.name: _distribution(parameter) for parameter in search.space},
            metric=SCORE,
            mode="max",
            seed=_seed(search.seed, rung.name, len(known)),
            points_to_evaluate=[*(dict(trial.values) for trial in unfinished), *own],
        )
        self._search = search
        self._root = storage
        self._writer = writer
        self._rung = rung
        self._open = list(unfinished)
        self._of: dict[str, Trial] = {}

    def tell(self, past: Sequence[tuple[Trial, Closed]]) -> None:
        """Teach the sampler what earlier trials came to."""
        for trial, end in past:
            # Optuna wants no value of a trial that was not trained to its end.
            score: Any = end.score
            self.add_evaluated_point(
                dict(trial.values),
                score,
                error=end.state is State.FAILED,
                pruned=end.state is State.PRUNED,
                # Optuna counts these from 0, and Tune's reports from 1.
                intermediate_values=[end.reached[0], *end.reached] if end.reached else None,
            )

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        if self._root.stop_request(self._search.name).exists():
            return cast(None, Searcher.FINISHED)
        asked = super().suggest(trial_id)
        assert asked is not None
        trial = self._enter(_rounded(asked))
        self._of[trial_id] = trial
        return {NUMBER: trial.number}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """What became of a trial is what storage says; one that was pruned, or failed, has no value."""
        trial = self._of[trial_id]
        state = State.FAILED if trial.key is None else read_state(self._root, trial.key).state
        has_value = state.has_result and not error
        super().on_trial_complete(trial_id, result if has_value else None, error or state is State.FAILED)

    def _enter(self, values: Mapping[str, Value]) -> Trial:
        for trial in self._open:
            if dict(trial.values) == values:
                self._open.remove(trial)
                return trial
        trial = self._writer.add_trial(self._search, self._rung, values)
        if trial.key is not None:
            describe(self._root, [point_of(self._search, trial)])
        return trial


class Judge(FIFOScheduler):
    """ASHA whose verdicts are entered in the ledger; a trial reads them there, saves itself and ends."""

    def __init__(self, search: Search, writer: LedgerWriter, past: Sequence[Verdict]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._search = search
        self._writer = writer
        self._verified = {run_key(run_of(search, each.rung, each.values)) for each in search.verify}
        self._asha: ASHAScheduler | None = None
        if search.halving is not None:
            self._asha = ASHAScheduler(
                time_attr=STEP,
                metric=SCORE,
                mode="max",
                max_t=search.base.schedule.steps,
                grace_period=search.halving.first,
                reduction_factor=search.halving.factor,
            )
        for verdict in past:
            self._goes_on(verdict.key, verdict.step, verdict.score)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        key, step, score = result[KEY], result[STEP], result[SCORE]
        if step in self._search.milestones and step not in self._writer.ledger.judged(key):
            # A verifying trial has to reach its end, whatever others on its rung scored.
            goes_on = self._goes_on(key, step, score) or key in self._verified
            self._writer.add_verdict(Verdict(key=key, step=step, score=score, goes_on=goes_on))
        return str(TrialScheduler.CONTINUE)

    def _goes_on(self, key: str, step: int, score: float) -> bool:
        """ASHA knows a trial by its run's key, which is the same after a restart; without it every trial goes on."""
        if self._asha is None:
            return True
        trial: Any = SimpleNamespace(trial_id=key)
        controller: Any = None
        self._asha.on_trial_add(controller, trial)
        return self._asha.on_trial_result(controller, trial, {STEP: step, SCORE: score}) != TrialScheduler.STOP


def follow(config: dict[str, Any], *, search: Search, storage: Storage, evaluator: Any) -> None:
    """One trial, as Tune calls it: train its run unless that was done, and report what it scores."""
    trial = read_ledger(storage.ledger(search.name, search.version)).trials[config[NUMBER]]
    if trial.key is None:
        return
    run = run_of(search, rung_of(search, trial), trial.values)
    while lease_owner(storage.run_lease(trial.key)) is not None:
        time.sleep(POLL_SECONDS)
    if not read_state(storage, trial.key).state.is_final:
        _train(search, storage, trial)
    if read_state(storage, trial.key).state.has_result:
        ray.get(evaluator.evaluate.remote(run, search.evaluation))
        score = final_score(search, storage, run)
        tune.report({KEY: trial.key, STEP: search.base.schedule.steps, SCORE: score})


def _train(search: Search, storage: Storage, trial: Trial) -> None:
    """Train a trial, and tell Tune of each milestone that was not judged yet."""
    assert trial.key is not None
    ledger = storage.ledger(search.name, search.version)
    milestones = Milestones(steps=search.milestones, evaluation=search.evaluation, ledger=ledger)
    run = run_of(search, rung_of(search, trial), trial.values)
    task = Task(study=search.name, key=trial.key, run=run, execution=search.execution, milestones=milestones)
    group = group_for(storage, task)
    group.lay(task)
    told = set(read_ledger(ledger).judged(trial.key))
    while group.is_at_work():
        for step, score in scores_so_far(storage, trial.key, milestones).items():
            if step not in told:
                told.add(step)
                tune.report({KEY: trial.key, STEP: step, SCORE: score})
        time.sleep(POLL_SECONDS)


def _distribution(parameter: Parameter) -> BaseDistribution:
    match parameter.domain:
        case LogUniform(low=low, high=high):
            return FloatDistribution(low, high, log=True)
        case Uniform(low=low, high=high):
            return FloatDistribution(low, high)
        case Choice(values=values):
            return CategoricalDistribution([label for label, _ in values])
        case unknown:
            assert_never(unknown)


def _rounded(values: Mapping[str, Value]) -> dict[str, Value]:
    return {name: value if isinstance(value, str) else stable(value) for name, value in values.items()}


def _seed(seed: int, rung: str, asked: int) -> int:
    """A seed for the sampler of a rung after ``asked`` trials: a search that goes on must not draw the same again."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{rung}/{asked}".encode()).digest()[:4], "big")
