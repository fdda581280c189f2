"""The declared collection, built once for all tests that read it."""

import pytest

from harness.assemble import collection
from harness.data.atlas import AtlasData
from studies.bases import ATLAS_TWELVE
from studies.schema.storage import Storage


@pytest.fixture(scope="session")
def atlas_storage(tmp_path_factory: pytest.TempPathFactory) -> Storage:
    """A storage root that holds the collection of the studies; tests write runs of their own names into it."""
    storage = Storage.at(tmp_path_factory.mktemp("atlas").resolve())
    collection(storage, ATLAS_TWELVE)
    return storage


@pytest.fixture(scope="session")
def atlas(atlas_storage: Storage) -> AtlasData:
    """The collection of the studies, in memory."""
    return collection(atlas_storage, ATLAS_TWELVE)
