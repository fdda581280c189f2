"""What processes import: a second here is a second before the first step of every study, several times over."""

import os
import subprocess
import sys

import pytest

SELDOM_NEEDED = ("mlflow", "ir_datasets", "ot", "sentence_transformers")
FOR_WORKERS = ("torch", "transformers", "deepspeed")


@pytest.mark.parametrize(
    ("process", "modules", "without"),
    [
        ("driver", "harness.runner, harness.search_runner", FOR_WORKERS + SELDOM_NEEDED),
        ("controller", "harness.remote, harness.elastic, harness.torch_group", FOR_WORKERS + SELDOM_NEEDED),
        ("train worker", "harness.train", SELDOM_NEEDED),
    ],
)
def test_process_imports_nothing_that_only_others_need(process: str, modules: str, without: tuple[str, ...]) -> None:
    assert loaded(f"import {modules}", without) == [], process


def test_deepspeed_comes_without_the_compiler_that_it_would_import_for_muon() -> None:
    program = (
        "import os; from harness.sharding import _compiling_nothing\n"
        "with _compiling_nothing():\n    import deepspeed.runtime.zero.muon.muon_optimizer\n"
        "assert 'TORCHDYNAMO_DISABLE' not in os.environ"
    )
    assert loaded(program, ("torch._inductor.compile_fx",)) == []


def loaded(program: str, modules: tuple[str, ...]) -> list[str]:
    """Those of ``modules`` that an interpreter has after a program."""
    asked = f"{program}\nimport sys\nprint('loaded', *sorted(set({modules!r}) & set(sys.modules)))"
    environment = {name: value for name, value in os.environ.items() if name != "TORCHDYNAMO_DISABLE"}
    done = subprocess.run(
        [sys.executable, "-c", asked], env=environment, capture_output=True, text=True, check=True, timeout=100
    )
    return done.stdout.splitlines()[-1].split()[1:]
