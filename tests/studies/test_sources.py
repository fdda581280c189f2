"""The hash of the sources moves with every source that can change a number, and with nothing else."""

import subprocess
from pathlib import Path

import pytest

from studies.schema import sources


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("studies/one.py", "harness/two.py", "harness/deep/three.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"# {name}\n")
    return tmp_path


def test_hash_of_sources_changes_with_every_source(tree: Path) -> None:
    hashes = [sources.sources_hash(tree)]
    for name in ("studies/one.py", "harness/two.py", "harness/deep/three.py", "harness/deep/new.py"):
        (tree / name).write_text("x = 1\n")
        hashes.append(sources.sources_hash(tree))
    (tree / "harness/deep/new.py").rename(tree / "harness/deep/renamed.py")
    hashes.append(sources.sources_hash(tree))
    (tree / "harness/deep/three.py").unlink()
    hashes.append(sources.sources_hash(tree))
    assert len(set(hashes)) == len(hashes)


def test_hash_of_sources_does_not_move_with_what_changes_no_number(tree: Path) -> None:
    before = sources.sources_hash(tree)
    for name in ("analysis/figure.py", "tests/test_one.py", "harness/notes.md", "harness/two.pyc"):
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_text("changed")
    assert sources.sources_hash(tree) == before


def test_hash_of_sources_is_of_contents_and_not_of_where_they_lie(
    tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "copy"
    tree_before = sources.sources_hash(tree)
    tree.rename(elsewhere)
    assert sources.sources_hash(elsewhere) == tree_before


def test_revision_of_a_repository_says_when_sources_differ_from_it(tree: Path) -> None:
    def git(*words: str) -> None:
        identity = ("-c", "user.name=tester", "-c", "user.email=tester@localhost")
        subprocess.run(["git", *identity, *words], cwd=tree, check=True, capture_output=True, timeout=20)

    assert sources.git_revision(tree) is None
    git("init")
    git("add", ".")
    git("commit", "--message", "first")
    clean = sources.git_revision(tree)
    assert clean is not None
    assert len(clean) == 12
    (tree / "README.md").write_text("words")
    assert sources.git_revision(tree) == clean
    (tree / "harness" / "two.py").write_text("x = 2\n")
    assert sources.git_revision(tree) == f"{clean}+changes"
