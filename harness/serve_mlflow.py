"""The MLflow server's process: it makes its database in one piece, then serves.

MLflow makes the tables of an empty database in dozens of migrations, which SQLite does not undo: a server that is
killed between two would leave a database that no server takes. A program of its own, started by path:
``python -P serve_mlflow.py DATABASE ARGUMENTS...``, the arguments being those of ``mlflow server``.
"""

import sys
from pathlib import Path

from mlflow.cli import cli


def make(database: Path) -> None:
    """Make an empty database with all its tables under another name, and give it its own when it is whole."""
    partial = database.with_name(f"{database.name}.new")
    for left in database.parent.glob(f"{partial.name}*"):
        left.unlink()
    cli(["db", "upgrade", f"sqlite:///{partial}"], standalone_mode=False)
    partial.rename(database)


def main(database: Path, arguments: list[str]) -> None:
    if not database.exists():
        make(database)
    cli(["server", "--backend-store-uri", f"sqlite:///{database}", *arguments])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
