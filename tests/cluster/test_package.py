"""A job gets the sources, all of them and nothing else; what is too large is refused by name."""

import os
from pathlib import Path

import pytest

from cluster.package import LEFT_AT_HOME, LIMIT_BYTES, copy, package
from studies.schema.sources import TOP, sources_hash


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    top = tmp_path / "checkout"
    for name in ("harness/__main__.py", "studies/one.py", "cluster/two.py", "analysis/page.html"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(f"# {name}\n")
    return top


def test_package_leaves_histories_environments_caches_and_results_at_home(checkout: Path) -> None:
    before = package(checkout)
    for name in (".git/objects/pack", ".venv/lib/x.py", ".harness/runs/a", ".mypy_cache/x", "reports/p.html"):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text("x")
    for name in ("studies/__pycache__/one.pyc", "harness/x.pyc", "mlruns/0/meta", "x.egg-info/PKG-INFO", ".env"):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text("SECRET=1")
    assert package(checkout) == before
    assert [path.as_posix() for path, _ in before.files] == [
        "analysis/page.html",
        "cluster/two.py",
        "harness/__main__.py",
        "studies/one.py",
    ]


def test_package_of_this_repository_holds_every_source_that_can_change_a_number(tmp_path: Path) -> None:
    found = package(TOP)
    copy(found, tmp_path)
    assert sources_hash(tmp_path) == found.sources == sources_hash(TOP)
    assert found.size < LIMIT_BYTES / 4


def test_links_are_not_followed_out_of_the_checkout(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (checkout / "link").symlink_to(tmp_path / "secret")
    os.symlink(tmp_path, checkout / "folder", target_is_directory=True)
    assert {path.parts[0] for path, _ in package(checkout).files} == {"analysis", "cluster", "harness", "studies"}


def test_directory_that_is_too_large_is_refused_with_its_largest_entries(checkout: Path) -> None:
    for name, size in (("corpus/a.bin", 20), ("corpus/b.bin", 10), ("dump.bin", 5), ("small.bin", 1)):
        (checkout / name).parent.mkdir(exist_ok=True)
        with (checkout / name).open("wb") as stream:
            stream.truncate(size * 2**20)
    with pytest.raises(ValueError, match=r"is 36\.0 MiB and may be 32; largest: corpus/ \(30\.0 MiB\), dump\.bin"):
        package(checkout)


def test_directory_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="submit from a checkout"):
        package(tmp_path)


def test_plain_submission_leaves_the_same_at_home() -> None:
    ignored = {line.strip("/") for line in (TOP / ".rayignore").read_text().splitlines() if line[0] != "#"}
    hidden = {name for name in ignored if name.startswith(".")}
    assert {name.removeprefix("tests/") for name in ignored - hidden} <= set(LEFT_AT_HOME)
    assert ".*" in LEFT_AT_HOME
