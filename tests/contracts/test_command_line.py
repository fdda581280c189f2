"""The command line is a contract: its words are frozen here, and what a person gets wrong is told in a line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from harness.__main__ import app
from studies.first_look import STUDY
from studies.schema.storage import Storage

ROOT = Path(__file__).resolve().parents[2]

# A new flag is a decision: most wishes are better a field of a study or of its execution.
FROZEN = {
    "plan": ["STUDY", "--storage"],
    "run": ["STUDY", "--only", "--storage", "--tracking-uri"],
    "status": ["STUDY", "--storage"],
    "search": ["SEARCH", "--storage", "--tracking-uri"],
    "show": ["KEY", "STUDY", "--storage"],
    "stop": ["STUDY", "--storage"],
    "drill": ["NAME", "--list"],
    "export": ["DIRECTORY", "KEY", "STUDY", "--storage"],
    "serve": ["--allowed-hosts", "--artifacts", "--backend", "--host", "--port"],
    "ui": ["--host", "--port", "--rebuild", "--storage"],
    "gc": ["--storage", "--yes"],
}


def harness(*words: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
    )


def test_command_line_has_exactly_the_frozen_commands_and_flags() -> None:
    group = get_command(app)
    found = {}
    for name, command in getattr(group, "commands").items():  # noqa: B009
        words = [p.metavar if p.param_type_name == "argument" else p.opts[0] for p in command.params]
        found[name] = sorted(words, key=lambda word: (word.startswith("-"), word))
        assert command.help, f"{name} has no help"
        assert all(getattr(parameter, "help", None) for parameter in command.params), f"a flag of {name} has no help"
    assert found == FROZEN


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["status", "frist_look"], ["'frist_look'", "did you mean first_look?"]),
        (["plan", "schema"], ["'schema'", "first_look"]),
        (["run", "search_epsilon_lr"], ["is a search", "python -m harness search search_epsilon_lr"]),
        (["search", "first_look"], ["is a study", "python -m harness run first_look"]),
        (["search", "search_epsilon_rl"], ["did you mean search_epsilon_lr?"]),
        (["show", "search_epsilon_lr", "zz"], ["'zz'", "python -m harness plan search_epsilon_lr"]),
        (["run", "first_look", "--only", "atlas-29k"], ["'atlas-29k'", "did you mean atlas-28k?"]),
        (["show", "first_look", "zz"], ["'zz'", "python -m harness plan first_look"]),
        (["status", "first_look", "--storage", "here"], ["'here'", "relative", "write '/"]),
        (["status", "first_look", "--storage", "s3://bucket/runs"], ["'s3'", "file:"]),
        (["drill", "volcano"], ["'volcano'", "worker", "all"]),
        (["serve", "--artifacts", "/tmp/a", "--backend", "sqlite:///a.db"], ["'sqlite'", "postgresql://USER@HOST"]),
        (["serve", "--artifacts", "/tmp/a", "--backend", "postgresql://u:pw@h/d"], ["a secret", "PGPASSWORD"]),
        (["ui", "--storage", "/nowhere/at/all"], ["/nowhere/at/all", "run a study there first"]),
    ],
)
def test_mistake_gives_one_line_that_says_what_to_change(words: list[str], named: list[str], storage: Path) -> None:
    result = harness(*words, HARNESS_STORAGE=str(storage))
    assert result.returncode == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert all(words in line for words in named), line


def test_mistake_shows_where_it_was_found_when_debugging() -> None:
    assert "Traceback" in harness("status", "frist_look", HARNESS_DEBUG="1").stderr


@pytest.mark.parametrize("words", [["explode"], ["plan"], ["run", "first_look", "--fast"]])
def test_unknown_words_exit_as_bad_input(words: list[str]) -> None:
    assert harness(*words).returncode == 2


def test_commands_that_look_answer_from_anywhere_and_write_nothing(storage: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    looks = [[command, name] for command in ("plan", "status", "stop") for name in ("first_look", "search_epsilon_lr")]
    for words in (*looks, ["gc"]):
        result = harness(*words, cwd=elsewhere, HARNESS_STORAGE=str(storage))
        assert (result.returncode, result.stderr) == (0, "")
        assert str(storage) in result.stdout
    assert list(storage.iterdir()) == list(elsewhere.iterdir()) == []


def test_storage_is_the_flag_then_the_variable_then_the_data_home(tmp_path: Path) -> None:
    flag, variable, home = (str(tmp_path / name) for name in ("flag", "variable", "home"))
    both = harness("gc", "--storage", flag, HARNESS_STORAGE=variable, XDG_DATA_HOME=home)
    one = harness("gc", HARNESS_STORAGE=variable, XDG_DATA_HOME=home)
    none = harness("gc", XDG_DATA_HOME=home)
    user = harness("gc", XDG_DATA_HOME="relative", HOME=home)
    assert flag in both.stdout
    assert variable in one.stdout
    assert f"{home}/harness-storage" in none.stdout
    assert f"{home}/.local/share/harness-storage" in user.stdout


def test_gc_deletes_only_when_told_to(storage: Path) -> None:
    place = Storage.at(storage)
    with place.publish(place.embeddings("0123456789abcdef", "passages-1")) as folder:
        (folder / "vectors").write_bytes(b"v" * 5000)
    before = sorted(storage.rglob("*"))
    said = harness("gc", HARNESS_STORAGE=str(storage)).stdout
    assert sorted(storage.rglob("*")) == before
    assert "embeddings/0123456789abcdef" in said
    assert "5 KiB can be freed" in said
    assert "freed 5 KiB" in harness("gc", "--yes", HARNESS_STORAGE=str(storage)).stdout
    assert not folder.parent.exists()


def test_stop_asks_only_a_driver_that_runs(storage: Path) -> None:
    place = Storage.at(storage)
    assert "nothing runs" in harness("stop", "first_look", HARNESS_STORAGE=str(storage)).stdout
    assert not place.stop_request(STUDY.name).exists()
    with place.lease(place.study_lease(STUDY.name)):
        said = harness("stop", "first_look", HARNESS_STORAGE=str(storage)).stdout
    assert f"process {os.getpid()}" in said
    assert place.stop_request(STUDY.name).exists()


def test_ui_beyond_loopback_warns_that_nobody_is_asked_for_a_password(storage: Path) -> None:
    assert "password" in harness("ui", "--host", "0.0.0.0", HARNESS_STORAGE=str(storage)).stderr
    assert "password" not in harness("ui", HARNESS_STORAGE=str(storage)).stderr
