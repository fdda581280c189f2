"""python -m harness: plan, run and look after studies.

The libraries that train take ten seconds to import, so only the commands that need them do.
"""

from harness.commands import keep, look, work
from harness.commands.application import app

__all__ = ["app", "keep", "look", "work"]

if __name__ == "__main__":
    app()
