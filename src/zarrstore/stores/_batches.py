"""Many values at a time, for databases that move them in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import islice
from typing import Any, TypeVar

from zarrstore.abc import Version

__all__ = ["batches", "lists_of", "portions", "version_of_content"]

T = TypeVar("T")

_MOST_AT_ONCE = 256
_BYTES_AT_ONCE = 2**20


def batches(
    keys: Iterable[T], read: Callable[[Sequence[T]], list[bytes | None]]
) -> Iterator[list[bytes | None]]:
    """Yield values as a function reads them, as many at once as are not too large.

    >>> list(batches(["a", "b"], lambda keys: [key.encode() for key in keys]))
    [[b'a', b'b']]
    """
    keys = iter(keys)
    count = 8
    while some := list(islice(keys, count)):
        values = read(some)
        yield values
        mean = sum(map(len, filter(None, values))) // len(values)
        count = max(1, min(_MOST_AT_ONCE, 4 * count, _BYTES_AT_ONCE // max(1, mean)))


def lists_of(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of up to ``size`` items, each taken when the one before it was used.

    What the iterable raises comes out after the items before it.

    Examples
    --------
    >>> list(lists_of("abcde", 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    taken: list[T] = []
    iterator = iter(items)
    while True:
        try:
            item = next(iterator)
        except StopIteration:
            break
        except Exception:
            if taken:
                yield taken
            raise
        taken.append(item)
        if len(taken) == size:
            yield taken
            taken = []
    if taken:
        yield taken


def portions(
    items: Iterable[tuple[T, Any]], nbytes: int = _BYTES_AT_ONCE
) -> Iterator[list[tuple[T, Any]]]:
    """Yield some items at a time, of a size; if taking them fails, those before come first.

    >>> list(portions([("a", b"1"), ("b", b"2"), ("c", b"3")], 80))
    [[('a', b'1'), ('b', b'2')], [('c', b'3')]]
    """
    some: list[tuple[T, Any]] = []
    left = nbytes
    try:
        for item in items:
            some.append(item)
            left -= len(item[1]) + 64
            if left < 0:
                yield some
                some, left = [], nbytes
    except Exception:
        if some:
            yield some
        raise
    if some:
        yield some


def version_of_content(value: Any) -> Version:
    """Return a version for a value whose database has no place for one.

    >>> version_of_content(b"1") == version_of_content(b"2")
    False
    """
    return sha256(value).hexdigest()[:32]
