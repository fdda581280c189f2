"""The code revision is that of a submission's stamps, and refuses sources that were not submitted."""

import pytest

from harness import revision
from studies.schema.sources import REVISION_STAMP, SOURCES_STAMP, TOP, sources_hash


def test_revision_carries_the_stamps_where_there_are_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REVISION_STAMP, "0123456789ab")
    monkeypatch.setenv(SOURCES_STAMP, sources_hash(TOP))
    assert revision.code_revision.__wrapped__() == f"0123456789ab sources {sources_hash(TOP)}"


def test_sources_that_were_not_submitted_are_refused_with_both_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SOURCES_STAMP, "0" * 12)
    with pytest.raises(ValueError, match=rf"{'0' * 12} were submitted and {sources_hash(TOP)} run here"):
        revision.check_sources()


def test_sources_without_a_stamp_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SOURCES_STAMP, raising=False)
    assert revision.check_sources() == sources_hash(TOP)
