"""What happens on resubmission, and what a job server is told: never a secret."""

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.job_submission import JobStatus

from cluster.access import Access
from cluster.command import Stamps
from cluster.jobs import Attach, Attempt, Nothing, Submit, check_tracking_uri, decide, request
from studies.first_look import STUDY

HERE = {"sources": "0123456789ab", "storage": "/data"}
SECRETS = {
    "RAY_AUTH_TOKEN": "token-7f3a",
    "MLFLOW_TRACKING_PASSWORD": "password-7f3a",
    "HF_TOKEN": "hub-7f3a",
    "AWS_SECRET_ACCESS_KEY": "cloud-7f3a",
}


def attempt(
    status: JobStatus, number: int = 1, *, sources: str = HERE["sources"], storage: str = HERE["storage"]
) -> Attempt:
    return Attempt(number=number, submission_id=f"s-1-{number}", status=status, sources=sources, storage=storage)


statuses = st.sampled_from(list(JobStatus))
histories = st.lists(statuses, max_size=4).map(lambda found: [attempt(s, n + 1) for n, s in enumerate(found)])


@given(known=histories, owed=st.sampled_from([None, 0, 3]))
def test_decision_attaches_to_what_runs_repeats_no_number_and_rests_only_after_success(
    known: list[Attempt], owed: int | None
) -> None:
    match decide(known, owed=owed, **HERE):
        case Attach(attempt=last):
            assert last is known[-1]
            assert not last.status.is_terminal()
        case Nothing(attempt=last):
            assert last is known[-1]
            assert last.status is JobStatus.SUCCEEDED
            assert not owed
        case Submit(number=number):
            assert number == len(known) + 1
            assert not known or known[-1].status.is_terminal()
            assert not known or known[-1].status is not JobStatus.SUCCEEDED or owed


def test_success_of_other_sources_or_over_another_storage_is_not_ours() -> None:
    others = attempt(JobStatus.SUCCEEDED, sources="ffffffffffff"), attempt(JobStatus.SUCCEEDED, storage="/elsewhere")
    for other, named in zip(others, ("ffffffffffff", "/elsewhere"), strict=True):
        decision = decide([other], owed=0, **HERE)
        assert isinstance(decision, Submit)
        assert named in decision.reason


def test_study_that_runs_over_another_storage_is_not_attached_to() -> None:
    with pytest.raises(ValueError, match="runs over /elsewhere, not over /data; wait for its end, or stop it"):
        decide([attempt(JobStatus.RUNNING, storage="/elsewhere")], owed=None, **HERE)


def asked(python: str = "python") -> tuple[Access, Stamps]:
    where = Access(address="http://127.0.0.1:8265", python=python, token=SECRETS["RAY_AUTH_TOKEN"])
    return where, Stamps(sources=HERE["sources"], revision="abcdef012345")


def test_submission_is_named_by_study_version_and_attempt() -> None:
    where, stamps = asked()
    first = request(STUDY, 1, where, stamps, storage="/data")
    assert first == request(STUDY, 1, where, stamps, storage="/data")
    assert first.submission_id == f"first_look-{STUDY.version}-1"
    assert first.entrypoint == "python -m harness run first_look --storage /data"
    assert first.metadata["sources"] == first.env_vars["HARNESS_SOURCES"] == HERE["sources"]
    assert first.metadata["revision"] == first.env_vars["HARNESS_REVISION"] == "abcdef012345"


def test_interpreter_named_by_its_path_is_pinned_for_driver_and_workers() -> None:
    where, stamps = asked("/opt/my env/bin/python")
    pinned = request(STUDY, 1, where, stamps, storage="/data")
    assert pinned.entrypoint.startswith("'/opt/my env/bin/python' -m harness")
    assert pinned.runtime_env(Path("/w"))["py_executable"] == "/opt/my env/bin/python"
    assert "py_executable" not in request(STUDY, 1, *asked(), storage="/data").runtime_env(Path("/w"))


def test_request_holds_no_secret_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    where, stamps = asked()
    sent = request(STUDY, 1, where, stamps, storage="/data", tracking_uri="https://mlflow.example.org")
    told = json.dumps([dataclasses.asdict(sent), sent.runtime_env(Path("/w"))]) + repr(sent) + repr(where)
    assert "7f3a" not in told
    assert "https://mlflow.example.org" in sent.entrypoint


@pytest.mark.parametrize(
    "uri",
    ["https://user:password-7f3a@mlflow.example.org", "https://mlflow.example.org?token=hub-7f3a", "sqlite:///7f3a.db"],
)
def test_tracking_uri_with_credentials_or_without_a_server_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match="tracking URI") as error:
        check_tracking_uri(uri)
    assert "password-7f3a" not in str(error.value)
    assert "hub-7f3a" not in str(error.value)
