"""Sampler and judge of a search: what they enter, what they are told again, and that they go on as if never stopped."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.evaluation_key import key_of
from harness.journal import Journal
from harness.search import KEY, NUMBER, SCORE, STEP, Judge, Sampler, at_once
from harness.trials import closed, entries, impossible, owed
from studies.ladders import ATLAS
from studies.schema.execution import Execution
from studies.schema.record import State, validation_name
from studies.schema.search import Search, Verification
from studies.schema.space import Choice, Parameter
from studies.schema.state import write_state
from studies.schema.storage import Storage
from studies.schema.trials import LedgerWriter, Trial, Verdict, point_of, read_ledger
from studies.search_epsilon_lr import SEARCH

RUNG = SEARCH.base.rung
CLIP = Parameter(name="clip", path="optimiser.clip_norm", domain=Choice(values=(("at 1", 1.0), ("at 0", 0.0))))


@pytest.fixture
def place(storage: Path) -> Storage:
    return Storage.at(storage)


@pytest.fixture
def writer(place: Storage) -> LedgerWriter:
    return LedgerWriter(place.ledger(SEARCH.name, SEARCH.version))


def ask(sampler: Sampler, *names: str) -> list[int]:
    found = []
    for name in names:
        asked = sampler.suggest(name)
        assert asked is not None
        found.append(asked[NUMBER])
    return found


def end(place: Storage, trial: Trial, state: State, scores: Iterable[float] = (), final: float | None = None) -> None:
    """Leave what a trial leaves behind."""
    assert trial.key is not None
    with Journal(place.journal(trial.key)) as journal:
        for step, score in zip(SEARCH.milestones, scores, strict=False):
            journal.append(step, {validation_name(SEARCH.measure): score})
    write_state(place, trial.key, state)
    if final is not None:
        run = point_of(SEARCH, trial).run
        with place.publish(place.evaluation(trial.key, key_of(run, SEARCH.evaluation))) as folder:
            measures = {str(SEARCH.measure): {"de": final - 0.1, "sw": final + 0.1}}
            (folder / "measures.json").write_text(json.dumps({"schema": 1, "measures": measures}))


def test_first_points_come_first_and_every_point_is_in_the_ledger_before_tune_has_it(
    place: Storage, writer: LedgerWriter
) -> None:
    sampler = Sampler(SEARCH, place, writer, RUNG, [])
    assert ask(sampler, "a", "b", "c") == [0, 1, 2]
    trials = read_ledger(writer.path).trials
    assert dict(trials[0].values) == SEARCH.first[0]
    assert all(place.description(trial.key or "").exists() for trial in trials)
    assert len({trial.key for trial in trials}) == 3


def test_grid_is_asked_for_as_it_is_written_and_a_larger_size_only_at_what_is_verified(
    place: Storage, writer: LedgerWriter
) -> None:
    points = [{"epsilon": epsilon, "learning_rate": 0.006} for epsilon in (0.03, 0.3, 0.05)]
    larger = ATLAS.rungs[3][0]
    grid = replace(
        SEARCH,
        halving=None,
        trials=2,
        first=tuple(points[:2]),
        verify=(Verification(rung=larger, values=points[2]),),
    )
    for rung in grid.all_rungs:
        sampler = Sampler(grid, place, writer, rung, [])
        for number in range(grid.trials_on(rung)):
            sampler.suggest(f"{rung.name}-{number}")
    trials = writer.ledger.trials
    assert [dict(trial.values) for trial in trials] == points
    assert [trial.rung for trial in trials] == [SEARCH.base.rung.name] * 2 + [larger.name]
    assert owed(grid, place) == 3
    judge = Judge(grid, writer, [])
    judge.on_trial_result(None, None, {KEY: trials[1].key, STEP: 400, SCORE: 0.0})
    assert writer.ledger.verdicts == ()


def test_search_that_goes_on_takes_up_what_was_cut_short_and_draws_no_point_again(
    place: Storage, writer: LedgerWriter
) -> None:
    ask(Sampler(SEARCH, place, writer, RUNG, []), *"abcdef")
    before = writer.ledger.trials
    end(place, before[0], State.FINISHED, (0.3, 0.4), final=0.5)
    end(place, before[1], State.PRUNED, (0.1,))
    end(place, before[2], State.FAILED)
    again = LedgerWriter(writer.path)
    ends = [(trial, found) for trial in before if (found := closed(SEARCH, place, trial))]
    assert [trial.number for trial, _ in ends] == [0, 1, 2]
    sampler = Sampler(SEARCH, place, again, RUNG, before[3:])
    sampler.tell(ends)
    assert ask(sampler, *"uvw") == [3, 4, 5]
    assert again.ledger.trials == before
    assert ask(sampler, *"xyz") == [6, 7, 8]
    assert len({trial.key for trial in again.ledger.trials}) == 9


def test_closed_trials_count_and_a_trained_one_without_evaluation_is_owed(place: Storage, writer: LedgerWriter) -> None:
    ask(Sampler(SEARCH, place, writer, RUNG, []), *"abc")
    one, two, three = writer.ledger.trials
    end(place, one, State.FLAGGED, (0.3, 0.4), final=0.5)
    end(place, two, State.PRUNED, (0.1,))
    end(place, three, State.FINISHED, (0.3, 0.4))
    finished, pruned = closed(SEARCH, place, one), closed(SEARCH, place, two)
    assert finished is not None
    assert finished.score == pytest.approx(0.5)
    assert finished.reached == (0.3, 0.4)
    assert pruned is not None
    assert (pruned.score, pruned.reached) == (None, (0.1,))
    assert closed(SEARCH, place, three) is None
    assert owed(SEARCH, place) == SEARCH.trials - 2


def test_sampler_that_asks_for_no_run_has_a_failed_trial_on_record_and_goes_on(
    place: Storage, writer: LedgerWriter
) -> None:
    search = replace(SEARCH, space=(CLIP,), first=())
    sampler = Sampler(search, place, writer, RUNG, [])
    names = [str(number) for number in range(8)]
    for name in names:
        ask(sampler, name)
        sampler.on_trial_complete(name)
    refused = [trial for trial in writer.ledger.trials if trial.key is None]
    assert 0 < len(refused) < len(names)
    for trial in refused:
        found = closed(search, place, trial)
        assert found is not None
        assert found.state is State.FAILED
    assert len(impossible(search, place)) == len(refused)


def test_stop_request_ends_the_asking(place: Storage, writer: LedgerWriter) -> None:
    sampler = Sampler(SEARCH, place, writer, RUNG, [])
    place.stop_request(SEARCH.name).parent.mkdir(parents=True, exist_ok=True)
    place.stop_request(SEARCH.name).touch()
    asked: Any = sampler.suggest("a")
    assert asked == Sampler.FINISHED
    assert not writer.ledger.trials


SCORES = (0.5, 0.4, 0.6, 0.1, 0.7, 0.3, 0.65, 0.2)


def judged(judge: Judge, search: Search, numbers: Iterable[int]) -> None:
    for number in numbers:
        for step in search.milestones:
            result: dict[str, Any] = {KEY: f"{number:016x}", STEP: step, SCORE: SCORES[number]}
            judge.on_trial_result(None, None, result)


def test_judge_gives_up_what_is_below_the_better_half_at_a_milestone(writer: LedgerWriter) -> None:
    judge = Judge(SEARCH, writer, [])
    judged(judge, SEARCH, range(len(SCORES)))
    at_first = [verdict.goes_on for verdict in writer.ledger.verdicts if verdict.step == SEARCH.milestones[0]]
    # Each against the median of those that came before it; the first has nobody before it.
    assert at_first == [True, False, True, False, True, False, True, False]


def test_judge_that_was_stopped_decides_as_if_it_never_was(storage: Path, writer: LedgerWriter) -> None:
    judged(Judge(SEARCH, writer, []), SEARCH, range(len(SCORES)))
    broken = LedgerWriter(storage / "other")
    judged(Judge(SEARCH, broken, []), SEARCH, range(4))
    judged(Judge(SEARCH, broken, broken.ledger.verdicts), SEARCH, range(4, len(SCORES)))
    assert broken.ledger == writer.ledger


def test_judge_never_changes_its_mind(writer: LedgerWriter) -> None:
    judge = Judge(SEARCH, writer, [])
    judged(judge, SEARCH, [0, 0, 0])
    steps = [verdict.step for verdict in writer.ledger.verdicts]
    assert steps == list(SEARCH.milestones)
    assert writer.ledger.judged(f"{0:016x}") == {
        step: Verdict(key=f"{0:016x}", step=step, score=SCORES[0], goes_on=True) for step in SEARCH.milestones
    }


@pytest.mark.parametrize(
    ("execution", "resources", "number"),
    [
        (Execution(workers=1), {"CPU": 2.0}, 2),
        (Execution(workers=1, threads=2), {"CPU": 5.0}, 2),
        (Execution(workers=2), {"CPU": 2.0}, 1),
        (Execution(workers=1, gpus_per_worker=1), {"CPU": 16.0, "GPU": 3.0}, 3),
    ],
)
def test_as_many_trials_at_once_as_worker_groups_fit(
    execution: Execution, resources: dict[str, float], number: int
) -> None:
    assert at_once(execution, resources) == number


@pytest.mark.parametrize("execution", [Execution(workers=3), Execution(workers=1, gpus_per_worker=1)])
def test_cluster_that_cannot_hold_one_trial_is_refused(execution: Execution) -> None:
    with pytest.raises(ValueError, match=r"a trial needs .* the cluster has 2 CPU"):
        at_once(execution, {"CPU": 2.0})


def test_mlflow_is_shown_every_run_once_with_what_was_sampled(place: Storage, writer: LedgerWriter) -> None:
    ask(Sampler(SEARCH, place, writer, RUNG, []), *"ab")
    values = dict(writer.ledger.trials[0].values)
    writer.add_trial(SEARCH, RUNG, values)
    teacher, first, _ = entries(SEARCH, place)
    assert teacher.role == "teacher"
    assert first.labels["value.epsilon"] == "0.03"
    assert first.labels["value.learning_rate"] == "0.006"
    assert first.name == "trial 0 · epsilon 0.03 · learning_rate 0.006"
