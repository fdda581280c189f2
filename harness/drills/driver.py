"""python -m harness.drills.driver FOLDER ...: the harness, with the studies of a folder beside its own."""

import sys

import studies
from harness.__main__ import app

if __name__ == "__main__":
    studies.__path__.append(sys.argv.pop(1))
    app(prog_name="python -m harness")
