"""Find a study or a search by its name, and the runs of a study that a person means."""

import difflib
import importlib
import pkgutil
from typing import TypeVar

import studies
from studies.schema.search import PREFIX, Search
from studies.schema.study import Point, Study, expand

_NOT_A_QUESTION = frozenset(
    {"schema", "catalogue", "languages", "ladders", "bases", "published_bases", "collections"}
    | {"local_collections", "parallel_texts", "supervised"}
)
"""Modules of ``studies`` that studies are made of."""

_Declared = TypeVar("_Declared", Study, Search)


def names() -> tuple[str, ...]:
    """Names of the modules that may hold a study, sorted; none is imported."""
    return tuple(name for name in _modules() if not name.startswith(PREFIX))


def search_names() -> tuple[str, ...]:
    """Names of the modules that may hold a search, sorted; none is imported."""
    return tuple(name for name in _modules() if name.startswith(PREFIX))


def find(name: str) -> Study:
    """The study ``STUDY`` of ``studies.<name>``; ValueError naming what there is when there is none."""
    if name in search_names():
        raise ValueError(
            f"{name} is a search, not a study; python -m harness search {name} runs it, and plan, status, show and "
            "report take its name"
        )
    return _read(name, names(), "study", "STUDY", Study)


def find_search(name: str) -> Search:
    """The search ``SEARCH`` of ``studies.<name>``; ValueError naming what there is when there is none."""
    if name in names():
        raise ValueError(f"{name} is a study, not a search; python -m harness run {name} runs it")
    return _read(name, search_names(), "search", "SEARCH", Search)


def find_any(name: str) -> Study | Search:
    """The study or the search of that name; the beginning of the name says which it is."""
    if name in search_names():
        return find_search(name)
    if name in names():
        return find(name)
    raise ValueError(f"there is no study or search {name!r}; {_suggest(name, (*names(), *search_names()))}")


def every_study() -> tuple[Study, ...]:
    """All studies that exist; raises ValueError at the first that cannot be read."""
    return tuple(find(name) for name in names())


def every_search() -> tuple[Search, ...]:
    """All searches that exist; raises ValueError at the first that cannot be read."""
    return tuple(find_search(name) for name in search_names())


def _modules() -> tuple[str, ...]:
    found = (module.name for module in pkgutil.iter_modules(studies.__path__))
    return tuple(sorted(name for name in found if name not in _NOT_A_QUESTION))


def _read(name: str, existing: tuple[str, ...], what: str, variable: str, kind: type[_Declared]) -> _Declared:
    """The declaration in ``studies.<name>``, made sure to be of its kind and of that name."""
    plural = {"study": "studies", "search": "searches"}[what]
    if name not in existing:
        raise ValueError(f"there is no {what} {name!r}; {_suggest(name, existing, what=plural)}")
    try:
        module = importlib.import_module(f"studies.{name}")
    except ValueError as error:
        raise ValueError(f"studies/{name}.py declares a {what} that cannot be run: {error}") from error
    declared = getattr(module, variable, None)
    if not isinstance(declared, kind):
        raise ValueError(
            f"studies/{name}.py defines no {variable}; give it {variable} = {kind.__name__}(name={name!r}, ...)"
        )
    if declared.name != name:
        raise ValueError(f"the {what} in studies/{name}.py is named {declared.name!r}; file and {what} share one name")
    return declared


def select(study: Study, only: str) -> tuple[Point, ...]:
    """The points of a study that ``only`` names: a rung's label, a key, or the beginning of one key."""
    return _chosen(study.name, expand(study), only)


def find_point(name: str, points: tuple[Point, ...], key: str) -> Point:
    """The one point, of those of a study or a search, whose key begins with ``key``."""
    found = _chosen(name, points, key)
    if len(found) > 1:
        keys = ", ".join(point.key for point in found)
        raise ValueError(f"{key!r} is a rung with {len(found)} runs: {keys}; name one of these keys")
    return found[0]


def _chosen(name: str, points: tuple[Point, ...], only: str) -> tuple[Point, ...]:
    of_rung = tuple(point for point in points if point.labels.rung == only)
    if of_rung:
        return of_rung
    of_key = tuple(point for point in points if only and point.key.startswith(only))
    if len(of_key) == 1:
        return of_key
    if of_key:
        keys = ", ".join(point.key for point in of_key)
        raise ValueError(f"{only!r} begins {len(of_key)} keys of {name}: {keys}; write more digits")
    rungs = tuple(dict.fromkeys(point.labels.rung for point in points if point.labels.rung != "-"))
    raise ValueError(
        f"{only!r} is neither a rung nor a key of {name}; "
        f"python -m harness plan {name} lists the keys; {_suggest(only, rungs, what='rungs')}"
    )


def _suggest(wrong: str, existing: tuple[str, ...], *, what: str = "studies") -> str:
    if not existing:
        return f"there are no {what} yet"
    close = difflib.get_close_matches(wrong, existing, n=1)
    listed = f"the {what} are {', '.join(existing)}"
    return f"did you mean {close[0]}? ({listed})" if close else listed
