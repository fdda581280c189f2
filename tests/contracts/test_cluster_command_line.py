"""The command line of cluster is a contract as that of harness is; see test_command_line.py."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from cluster.__main__ import app
from studies.schema.sources import TOP

FROZEN = {
    "up": ["NAME", "--cpus", "--port"],
    "down": ["NAME"],
    "preflight": ["STUDY", "--storage", "--target", "--tracking-uri"],
    "submit": ["STUDY", "--follow", "--no-preflight", "--storage", "--target", "--tracking-uri"],
    "status": ["STUDY", "--target"],
    "logs": ["STUDY", "--follow", "--target"],
    "stop": ["STUDY", "--now", "--target"],
    "render": ["STUDY", "--target"],
}


def cluster(*words: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(TOP), "HOME": str(home), "XDG_STATE_HOME": str(home / "state")}
    command = [sys.executable, "-m", "cluster", *words]
    return subprocess.run(command, cwd=home, capture_output=True, text=True, check=False, timeout=60, env=environment)


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
        (["up", "lokal"], ["'lokal'", "did you mean local?"]),
        (["up", "slurm"], ["slurm", "| sbatch"]),
        (["submit", "frist_look", "--target", "local"], ["'frist_look'", "did you mean first_look?"]),
        (["submit", "first_look", "--target", "kuberay-job"], ["handed over as a whole", "| kubectl apply -f -"]),
        (["submit", "first_look", "--target", "local", "--storage", "here"], ["'here'", "relative"]),
        (["status", "first_look", "--target", "local"], ["no cluster 'local' runs", "python -m cluster up local"]),
        (["render", "first_look", "--target", "tunnel"], ["no manifest"]),
    ],
)
def test_mistake_gives_one_line_that_says_what_to_change(words: list[str], named: list[str], tmp_path: Path) -> None:
    result = cluster(*words, home=tmp_path)
    assert result.returncode == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert all(words in line for words in named), line


def test_password_in_a_tracking_uri_is_refused_and_not_repeated(tmp_path: Path) -> None:
    uri = "https://user:password-7f3a@mlflow.example.org"
    result = cluster("submit", "first_look", "--target", "local", "--tracking-uri", uri, home=tmp_path)
    assert result.returncode == 2
    assert "MLFLOW_TRACKING_PASSWORD" in result.stderr
    assert "7f3a" not in result.stdout + result.stderr


def test_commands_that_find_nothing_leave_nothing(tmp_path: Path) -> None:
    assert cluster("down", "local", home=tmp_path).stdout == "local was not up\n"
    cluster("status", "first_look", "--target", "local", home=tmp_path)
    assert list(tmp_path.iterdir()) == []
