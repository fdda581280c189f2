"""Tokens are found in Ray's order and shown nowhere; an address where nothing answers says how to start it."""

import socket
from pathlib import Path

import pytest

from cluster.access import NotReached, Refused, access, connect, storage_of
from cluster.catalogue import find
from cluster.targets import ExistingRay


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without a token, and an environment without one."""
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE", "HARNESS_STORAGE", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def there(port: int = 8265) -> ExistingRay:
    return ExistingRay(name="there", address=f"http://127.0.0.1:{port}", storage="/data")


def test_token_is_the_variable_then_its_file_then_the_one_at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert access(there()).token is None
    (home / ".ray").mkdir()
    (home / ".ray" / "auth_token").write_text("at-home\n")
    assert access(there()).token == "at-home"
    (home / "named").write_text("in-a-file")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(home / "named"))
    assert access(there()).token == "in-a-file"
    monkeypatch.setenv("RAY_AUTH_TOKEN", "in-the-environment")
    assert access(there()).token == "in-the-environment"
    assert "in-the-environment" not in repr(access(there()))
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    assert access(there()).token is None


def test_token_file_that_is_not_there_is_an_error_not_an_open_door(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(home / "absent"))
    with pytest.raises(ValueError, match="absent, which holds no token"):
        access(there())


@pytest.mark.usefixtures("home")
def test_address_where_nothing_answers_is_told_with_its_remedy() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(NotReached, match="nothing answers") as error:
            connect(there(taken.getsockname()[1]))
    assert "ssh -L" in error.value.remedy
    assert not isinstance(error.value, Refused)


@pytest.mark.usefixtures("home")
def test_target_without_a_server_says_how_it_is_handed_over() -> None:
    with pytest.raises(NotReached, match=r"no job server before its job runs.*\| sbatch"):
        access(find("slurm"))


def test_storage_is_as_named_or_the_targets_own(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert storage_of(there(), "") == "/data"
    assert storage_of(there(), "file:///elsewhere") == "/elsewhere"
    assert storage_of(find("kuberay-job"), "") == "/mnt/harness"
    assert storage_of(find("local"), "") == str(home / ".local/share/harness-storage")
    monkeypatch.setenv("HARNESS_STORAGE", "/here")
    assert (storage_of(find("local"), ""), storage_of(there(), "")) == ("/here", "/data")
    with pytest.raises(ValueError, match="relative"):
        storage_of(there(), "here")
