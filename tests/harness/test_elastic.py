"""How many workers an elastic group gets, and what a rank says when its neighbour's machine is taken."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.train.v2._internal.execution.scaling_policy import NoopDecision, ResizeDecision
from ray.train.v2._internal.execution.worker_group import WorkerGroupState
from ray.train.v2.api.config import ScalingConfig

from harness.elastic import DividingPolicy, Notices

SIZES = (1, 2, 4, 8)
CORES = 2


def policy(cores_by_node: dict[str, float], *, leaving: frozenset[str] = frozenset()) -> DividingPolicy:
    """One over nodes with so many cores, some of them announced to go; Ray's coordinator is not asked."""

    class Given(DividingPolicy):
        def _maybe_send_resource_request(self) -> None:
            pass

        def _get_reserved_resources(self) -> dict[str, dict[str, float]]:
            return {node: {"CPU": cores} for node, cores in cores_by_node.items()}

    made = Given(
        ScalingConfig(
            num_workers=(SIZES[0], SIZES[-1]),
            resources_per_worker={"CPU": CORES},
            elastic_resize_monitor_interval_s=0,
        ),
        SIZES,
    )
    made._leaving = leaving
    return made


@given(
    cores=st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 12).map(float)),
    leaving=st.frozensets(st.sampled_from("abcdef")),
)
def test_group_that_starts_has_the_most_workers_that_divide_and_have_places_on_machines_that_stay(
    cores: dict[str, float], leaving: frozenset[str]
) -> None:
    places = sum(int(number // CORES) for node, number in cores.items() if node not in leaving)
    decision = policy(cores, leaving=leaving).make_decision_for_non_running_worker_group()
    if places < SIZES[0]:
        assert isinstance(decision, NoopDecision)
        return
    assert isinstance(decision, ResizeDecision)
    assert decision.num_workers <= places
    assert decision.num_workers in SIZES
    assert not [size for size in SIZES if decision.num_workers < size <= places]


@given(running=st.sampled_from(SIZES), places=st.integers(0, 12))
def test_group_that_runs_is_only_ever_made_larger(running: int, places: int) -> None:
    state = WorkerGroupState(start_time=0.0, workers=[], placement_group_handle=None, sync_actor=None)  # type: ignore[arg-type]
    state.__dict__["workers"] = [None] * running
    decision = policy({"a": float(places * CORES)}).make_decision_for_running_worker_group(state, None)
    larger = [size for size in SIZES if running < size <= places]
    if larger:
        assert isinstance(decision, ResizeDecision)
        assert decision.num_workers == larger[-1]
    else:
        assert isinstance(decision, NoopDecision)


def test_what_breaks_under_notice_is_told_after_the_time_is_over_and_at_once_without() -> None:
    noticed, quiet = Notices(), Notices()
    noticed._over_at = time.time() + 1.2
    for notices, least, most in ((noticed, 1.1, 10.0), (quiet, 0.0, 0.5)):
        began = time.time()
        with pytest.raises(RuntimeError, match="connection closed by peer"), notices.outlasted():
            raise RuntimeError("connection closed by peer")
        assert least <= time.time() - began <= most
