"""What the integration tests share: one collection, one undisturbed study, one session of Ray."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.data.atlas import declare
from harness.drills.command import Command, start_harness
from harness.drills.scene import Home, go_home
from harness.drills.tiny import LANGUAGES, VOCABULARY, write_study
from studies.schema.storage import Storage
from tests.integration.curves import Curves, train_all
from tests.integration.starting import NewStudies, Start


@pytest.fixture(scope="session")
def revision() -> str:
    """The revision of the small collection with what is installed."""
    return declare(LANGUAGES, VOCABULARY).revision


@pytest.fixture
def new_studies(tmp_path: Path) -> NewStudies:
    """Make a folder with a study named tiny, declared by an expression."""

    def write(call: str) -> Path:
        folder = tmp_path / "studies"
        folder.mkdir(exist_ok=True)
        write_study(folder, call)
        return folder

    return write


@pytest.fixture
def start() -> Iterator[Start]:
    """Start the command line; whatever still runs when the test ends is killed."""
    started: list[Command] = []

    def begin(storage: Storage, studies: Path, *words: str, log: Path | None = None) -> Command:
        started.append(start_harness(storage, studies, *words, log=log))
        return started[-1]

    yield begin
    for command in started:
        command.end()


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The tiny study, run to its end without a disturbance; tests may look, and add to it what changes nothing."""
    return go_home(tmp_path_factory.mktemp("home") / "home")


@pytest.fixture(scope="session")
def curves(revision: str, tmp_path_factory: pytest.TempPathFactory) -> Curves:
    """One student under many executions, and some cut short and gone on with; see :mod:`tests.integration.curves`."""
    return train_all(revision, tmp_path_factory.mktemp("curves"))
