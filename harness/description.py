"""A run's description as dotted paths and short texts, which is how the command line and MLflow show it."""

from collections.abc import Iterator, Mapping, Sequence

from studies.schema.cost import parameters_of
from studies.schema.key import Json, canonical, described_key
from studies.schema.published_teacher import PublishedTeacher
from studies.schema.run import Pretraining, Supervised, Teacher, Translator
from studies.schema.storage import Storage, write_json_atomic
from studies.schema.study import Point

_NEEDED = tuple(kind.__name__ for kind in (Pretraining, PublishedTeacher, Supervised, Teacher, Translator))
"""Types of the runs that another run's description can hold."""

SEPARATORS = " ,="
"""What stands between the items of a list; a list with one of them inside an item is not joined."""


def described(run: Mapping[str, Json]) -> dict[str, str]:
    """Every choice that identifies a run, from its canonical description; runs that it needs stand there by key."""
    choices = dict(run)
    for name, value in run.items():
        if isinstance(value, dict) and value.get("type") in _NEEDED:
            choices[name] = described_key(value)
    return dict(flattened(choices))


def flattened(value: Json, path: str = "") -> Iterator[tuple[str, str]]:
    """Dotted paths and texts; names of types are left out but for an objective's, which stands for a formula."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name != "type" or path.partition(".")[0] == "objective":
                yield from flattened(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for place, inner in enumerate(value):
            yield from flattened(inner, f"{path}.{place}")
    else:
        yield path, _text(value)


def _text(value: Json) -> str:
    """``de ru ar`` for a list of names, ``de=1, ru=0.1`` for pairs of a name and a number."""
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value).removesuffix(".0")
        case str():
            return value
        case list():
            pairs = all(isinstance(item, list) and len(item) == 2 for item in value)
            rows = [[_text(part) for part in item] if isinstance(item, list) else [_text(item)] for item in value]
            if any(character in text for row in rows for text in row for character in SEPARATORS):
                return str(value)
            return ", ".join("=".join(row) for row in rows) if pairs else " ".join(row[0] for row in rows)
        case dict():
            raise TypeError(f"{value!r} has no short text inside a list; declare it as a field of its own")


def describe(storage: Storage, points: Sequence[Point]) -> None:
    """Write what each run is into its directory; the same bytes whoever writes them."""
    for point in points:
        path = storage.description(point.key)
        if not path.exists():
            counts = parameters_of(point.run)
            write_json_atomic(
                path,
                {
                    "schema": 1,
                    "key": point.key,
                    "run": canonical(point.run),
                    "parameters": {"non_embedding": counts.non_embedding, "total": counts.total},
                },
            )
