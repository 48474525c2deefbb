"""How the chunks of an array may be named: three ways in Zarr v3, two in Zarr v2.

A naming is written as what its keys begin with: ``c/``, ``c.``, and without a letter ``0.``, ``0/``
or, for one dimension or none, ``0``. By turns they let a new array stand beside the old one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from zarrstore.format.array_spec import ArraySpec
from zarrstore.format.chunk_grids import ChunkKeys
from zarrstore.hierarchy.options import ArrayOptions

__all__ = ["choose", "meets", "naming_of", "naming_of_key", "next_namings"]

_KEYS = {
    "c/": re.compile(r"c(/[0-9]+)*"),
    "c.": re.compile(r"c(\.[0-9]+)+"),
    "0": re.compile(r"[0-9]+"),
    "0.": re.compile(r"[0-9]+(\.[0-9]+)+"),
    "0/": re.compile(r"[0-9]+(/[0-9]+)+"),
}
"""The namings, by what the keys of chunks look like."""

_TURNS = {"c/": 0, "c.": 1, "0": 2, "0.": 2, "0/": 3}

_WAYS: dict[int, list[tuple[ChunkKeys, ArrayOptions]]] = {
    3: [
        (ChunkKeys(name, separator), {"chunk_key_encoding": {"name": name, "separator": separator}})
        for name, separator in (("default", "/"), ("default", "."), ("v2", "."))
    ],
    2: [
        (ChunkKeys("v2", "."), {"dimension_separator": "."}),
        (ChunkKeys("v2", "/"), {"dimension_separator": "/"}),
    ],
}


def naming_of(spec: ArraySpec) -> str:
    """Return how the chunks of an array are named.

    Examples
    --------
    >>> from zarrstore.format.array_spec import compile_spec
    >>> from zarrstore.hierarchy.options_v2 import array_document
    >>> [naming_of(compile_spec(array_document({"shape": (4, 4)}, version))) for version in (3, 2)]
    ['c/', '0.']
    """
    return naming_of_key(spec.keys.key((0,) * len(spec.shape))) or ""


def naming_of_key(name: str) -> str | None:
    """Return how a chunk is named that has this key in its array; ``None`` for other keys."""
    return next((naming for naming, keys in _KEYS.items() if keys.fullmatch(name)), None)


def meets(naming: str, others: Collection[str]) -> bool:
    """Tell whether a key of one naming may be, or lie below or above, one of some others.

    Examples
    --------
    >>> meets("c.", ["c/", "0"]), meets("0/", ["0"]), meets("0.", ["0"])
    (False, True, False)
    """
    return naming in others or (naming in ("0", "0/") and not {"0", "0/"}.isdisjoint(others))


def next_namings(version: int, ndim: int, now: str | None) -> dict[str, ArrayOptions]:
    """Return how the chunks of a new array can be named, each with the options that ask for it.

    Parameters
    ----------
    version : int
        Of the format.
    ndim : int
        The number of the new array's dimensions.
    now : str, optional
        How those of the array that it replaces are: what comes after it by turns is first.

    Examples
    --------
    >>> list(next_namings(3, 2, "c.")), list(next_namings(2, 2, "0."))
    (['0.', 'c/'], ['0/'])
    >>> list(next_namings(2, 1, "0"))  # there is no other
    []
    """
    found: dict[str, ArrayOptions] = {}
    for keys, options in _WAYS[version]:
        found.setdefault(naming_of_key(keys.key((0,) * ndim)) or "", options)
    turn = -1 if now is None else _TURNS[now]
    names = sorted(found, key=lambda naming: (_TURNS[naming] - turn) % len(_TURNS))
    return {each: found[each] for each in names if now is None or not meets(each, [now])}


def choose(
    namings: Iterable[str], never: Collection[str], rather_not: Sequence[str] = ()
) -> str | None:
    """Return the first of some namings that meets no other, ``None`` if there is none.

    Parameters
    ----------
    namings : iterable of str
    never : collection of str
        What it must not meet.
    rather_not : sequence of str
        What it must meet only if there is no other way; the worst is the last.
    """

    def badness(naming: str) -> int:
        return max((at + 1 for at, bad in enumerate(rather_not) if meets(naming, [bad])), default=0)

    return min((each for each in namings if not meets(each, never)), key=badness, default=None)
