"""`Options`: what an author may say about the store under test."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from zarrstore.abc import Store

__all__ = ["Options"]

_PLAIN = ("a", "a/b", "a/b/c/d", "missing", "m/1499", "thread10/15")


@dataclass(frozen=True, slots=True)
class Options:
    """What an author may say about the store under test.

    Each is an attribute, or a method, of `StoreTests` as well.

    Parameters
    ----------
    many_keys : int, default 1500
        How many keys "many" are. Above 1,000 a backend that lists in pages has to ask for a
        second one; fewer are quicker where each request is slow.
    examples : int, default 20
        How many random sequences of operations are compared with those on a ``dict``.
    timeout : float or None, default 120
        After how many seconds over one face a behaviour has failed, because the store hangs;
        ``None`` waits for ever.
    allows_key : callable, optional
        Tells of a key (a str) whether the store takes it; all legal keys by default. The store
        then has to take what it allows, and to refuse the rest with an error of zarrstore's.
        Up to 24 lower-case letters, digits and ``/`` are used in any case.
    max_value_size : int, optional
        The largest value that the store takes, in bytes, 256 at least; it has to refuse a larger
        one with an error of zarrstore's.
    append_only : bool, default False
        Whether a key that is there cannot be written again: it has to be refused with an error of
        zarrstore's.
    seed : callable, optional
        Returns a store that holds the values of a ``dict``: for a store that cannot be written,
        which is then asked all that is about reading.
    reopen : callable, optional
        Returns, for a store, another over the same data, opened anew. By default the pickle of a
        store that is ``SHARED`` is one.
    failing : callable, optional
        Returns, for a store, a context manager in which its backend fails: the disk, the server.

    Examples
    --------
    >>> Options(many_keys=100, allows_key=str.islower).allows("a/B")
    False
    """

    many_keys: int = 1500
    examples: int = 20
    timeout: float | None = 120.0
    allows_key: Callable[[str], bool] | None = None
    max_value_size: int | None = None
    append_only: bool = False
    seed: Callable[[dict[str, bytes]], Store] | None = None
    reopen: Callable[[Store], Store] | None = None
    failing: Callable[[Store], AbstractContextManager[object]] | None = None

    def __post_init__(self) -> None:
        if self.max_value_size is not None and self.max_value_size < 256:
            raise ValueError(f"max_value_size is 256 or more, not {self.max_value_size}")
        if refused := [key for key in _PLAIN if not self.allows(key)]:
            raise ValueError(f"allows_key refuses {refused}, which the kit cannot do without")

    def allows(self, key: str) -> bool:
        """Tell whether the store takes a key."""
        return self.allows_key is None or bool(self.allows_key(key))

    def size(self, size: int) -> int:
        """Return a size in bytes, or the largest that the store takes."""
        return size if self.max_value_size is None else min(size, self.max_value_size)
