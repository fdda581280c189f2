"""CLDR as Babel ships it, without Babel's inheritance: a locale's own words and its parents', never English ones.

Babel merges a locale with its parents and answers from the result, so Hindi in Latin letters names hundreds
of things in Indian English. Its loader can leave the merging out, but caches either form under one name: what
it returns depends on who asked first. So the locale files are read here, as they lie in the installed
package.
"""

import pickle
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from babel import localedata
from babel.core import get_global

ENGLISH = "en"
ROOT = "root"

Tables = Mapping[str, Any]
"""A locale's data by table: ``territories``, ``languages``, ``list_patterns`` and so on."""


@cache
def own_tables(locale: str) -> Tables:
    """What the locale itself states, nothing inherited; shared between callers, not to be changed."""
    tables: Tables = pickle.loads(Path(localedata.resolve_locale_filename(locale)).read_bytes())
    return tables


def lineage(language: str) -> Iterator[Tables]:
    """The tables of the language's locale, then of its parents, ending before English and the root."""
    locale: str = get_global("language_aliases").get(language, language)
    if not localedata.exists(locale):
        raise ValueError(f"Babel has no locale data for language {language!r}; name one by its CLDR code, such as 'sw'")
    yield own_tables(locale)
    while (locale := _parent(locale)) != ROOT and locale.partition("_")[0] != ENGLISH:
        yield own_tables(locale)


def _parent(locale: str) -> str:
    """The locale that CLDR inherits from; one in a script unusual for its language inherits from the root only."""
    exceptional: str | None = get_global("parent_exceptions").get(locale)
    base, _, last = locale.rpartition("_")
    unusual = len(last) == 4 and last not in get_global("likely_subtags").get(base, "").split("_")
    return exceptional or (ROOT if unusual else base or ROOT)
