"""The direction of imports: who may know whom, and what studies and analysis do without."""

import subprocess
import sys
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("studies", "harness", "cluster", "analysis")
FOUNDATIONS = tuple(
    f"studies.{name}"
    for name in (
        "schema",
        "languages",
        "ladders",
        "bases",
        "published_bases",
        "catalogue",
        "collections",
        "local_collections",
        "parallel_texts",
        "supervised",
    )
)
HEAVY = ("torch", "deepspeed", "ray", "transformers", "ot")


@pytest.fixture(scope="module")
def studies_graph() -> grimp.ImportGraph:
    return grimp.build_graph("studies", include_external_packages=True, cache_dir=None)


def _within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def test_contracts_cover_every_package_that_exists() -> None:
    existing = {name for name in PACKAGES if (ROOT / name / "__init__.py").exists()}
    text = (ROOT / "pyproject.toml").read_text()
    declared = text.split("root_packages = [")[1].split("]")[0]
    assert {name.strip(' "') for name in declared.split(",")} == existing


def test_studies_import_only_the_standard_library_and_ir_measures(studies_graph: grimp.ImportGraph) -> None:
    allowed = (*sys.stdlib_module_names, "studies", "ir_measures")
    for module in studies_graph.modules:
        if not _within(module, ("studies",)):
            continue
        for imported in studies_graph.find_modules_directly_imported_by(module):
            assert _within(imported, allowed), f"{module} imports {imported}"


def test_studies_that_ask_a_question_import_only_the_foundations(studies_graph: grimp.ImportGraph) -> None:
    questions = {
        module for module in studies_graph.modules if module.startswith("studies.") and not _within(module, FOUNDATIONS)
    }
    for module in questions:
        own = {name for name in studies_graph.find_modules_directly_imported_by(module) if _within(name, ("studies",))}
        assert all(_within(name, FOUNDATIONS) for name in own), f"{module} imports {sorted(own)}"


@pytest.mark.parametrize("package", ["studies", "analysis"])
def test_package_imports_without_loading_a_heavy_library(package: str) -> None:
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted((ROOT / package).rglob("*.py"))
        if path.name not in ("__init__.py", "__main__.py")
    ]
    assert modules
    program = (
        f"import importlib, sys\nfor name in {modules!r}:\n    importlib.import_module(name)\n"
        f"print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False, timeout=100
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == []
