"""Which code is running: a git revision where there is one, and a hash of the sources always."""

import os
from functools import cache

from studies.schema.sources import REVISION_STAMP, SOURCES_STAMP, TOP, git_revision, sources_hash


@cache
def code_revision() -> str:
    """The revision as ``<git revision>[+changes] sources <hash>``; the first part is missing where git has none.

    Raises ValueError where other sources run than were submitted.
    """
    sources = check_sources()
    revision = os.environ.get(REVISION_STAMP) or git_revision(TOP)
    return f"{revision} sources {sources}" if revision else f"sources {sources}"


def check_sources() -> str:
    """The hash of the sources that run; ValueError where it is not the one that a submission stamped."""
    found = sources_hash(TOP)
    stamped = os.environ.get(SOURCES_STAMP)
    if stamped and stamped != found:
        raise ValueError(
            f"sources {stamped} were submitted and {found} run here, from {TOP}; a package of that name is installed "
            "before the submitted one, or an old upload was used: remove it from the image or the nodes, submit again"
        )
    return found
