"""Seeing which hooks of a store are called, and failing them."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from zarrstore.abc import Store
from zarrstore.errors import BackendError

__all__ = ["below", "failing_hooks", "has_hook", "watched_hooks"]

HOOKS = (
    "_get", "_get_range", "_get_ranges", "_get_many", "_get_into", "_get_each", "_stat", "_exists",
    "_set", "_set_if", "_set_many", "_set_each", "_delete", "_delete_dir", "_list", "_list_dir",
    "_is_empty", "_getsize_prefix",
)  # fmt: skip


def has_hook(store: Store, name: str) -> bool:
    """Tell whether a store wrote an optional hook of its own."""
    return getattr(type(store), name) is not getattr(Store, name)


def below(store: Store) -> list[Store]:
    """Return the stores that a wrapper stands on, which it has as ``store``; the next one first."""
    found: list[Store] = []
    inner = getattr(store, "store", None)
    while isinstance(inner, Store) and inner not in found:
        found.append(inner)
        inner = getattr(inner, "store", None)
    return found


@contextmanager
def _replaced(store: Store, hooks: dict[str, Callable[..., Any]]) -> Iterator[None]:
    # hooks are looked up on the store each time, so an attribute of the object goes first
    vars(store).update(hooks)
    try:
        yield
    finally:
        for name in hooks:
            vars(store).pop(name, None)


class _CountedList(list[str]):
    """A list that counts what is taken from it, and not what it holds."""

    counts: Counter[str]

    def __iter__(self) -> Iterator[str]:
        return _counted(super().__iter__(), self.counts)


def _counted(names: Iterator[str], counts: Counter[str]) -> Iterator[str]:
    for name in names:
        counts["keys"] += 1
        yield name


async def _counted_async(names: AsyncIterator[str], counts: Counter[str]) -> AsyncIterator[str]:
    try:
        async for name in names:
            counts["keys"] += 1
            yield name
    finally:
        if hasattr(names, "aclose"):
            await names.aclose()


def _counting(names: Any, counts: Counter[str]) -> Any:
    """Return what a hook listed, so that it counts what is taken from it."""
    if isinstance(names, AsyncIterator):
        return _counted_async(names, counts)
    if isinstance(names, Iterator):
        return _counted(names, counts)
    if type(names) is list:
        names = _CountedList(names)
        names.counts = counts
    return names


@contextmanager
def watched_hooks(store: Store) -> Iterator[Counter[str]]:
    """Count the calls of the hooks of a store meanwhile; ``"keys"`` are the names it listed."""
    counts: Counter[str] = Counter()

    def watching(name: str) -> Callable[..., Any]:
        hook = getattr(store, name)

        def call(*args: Any) -> Any:
            counts[name] += 1
            result = hook(*args)
            return _counting(result, counts) if name in ("_list", "_list_dir") else result

        return call

    with _replaced(store, {name: watching(name) for name in HOOKS}):
        yield counts


@contextmanager
def failing_hooks(store: Store) -> Iterator[None]:
    """Make each hook of a store fail meanwhile, as if its backend did."""

    def fail(*_: Any) -> Any:
        raise BackendError("the backend fails, as the check wants it to", store=store.url)

    with _replaced(store, dict.fromkeys(HOOKS, fail)):
        yield
