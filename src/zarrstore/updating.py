"""`update`: a value changed on top of what others write to it meanwhile."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Literal, TypeAlias

from zarrstore.abc import ABSENT, Absent, Capability, Store, Version
from zarrstore.errors import ConflictError
from zarrstore.operations import Buffer
from zarrstore.runtime import PerProcess, pause
from zarrstore.stores._turns import Turns
from zarrstore.stores.wrappers.base import WrapperStore
from zarrstore.stores.wrappers.prefix import PrefixStore

__all__ = ["Expect", "turn", "until_no_conflict", "update"]

Expect: TypeAlias = Version | Literal[Absent.ABSENT] | None
"""What a conditional ``set`` expects; ``None`` is an unconditional one."""

_ATTEMPTS = 1000
_LONGEST_PAUSE = 0.05


async def update(
    store: Store, key: str, change: Callable[[Buffer | None], Awaitable[Buffer | None]]
) -> None:
    """Replace a value by what a coroutine function makes of it, and lose no change of others.

    Parameters
    ----------
    store : Store
    key : str
    change : coroutine function
        Called with the value, ``None`` if there is none, and returns what to write. ``None``
        deletes the key, or leaves it out. May be called more than once. With compare-and-swap a
        key that is there must not be deleted: nothing would notice a change made meanwhile.

    Raises
    ------
    ConflictError
        As `until_no_conflict`.
    """

    async def attempt(expect: Expect) -> None:
        old = None if expect is ABSENT else await store.get(key)
        new = await change(old)
        if new is not None:
            await store.set(key, new, expect=expect)
        elif old is not None:
            await store.delete(key)

    await until_no_conflict(store, key, attempt)


async def until_no_conflict(
    store: Store, key: str, attempt: Callable[[Expect], Awaitable[None]]
) -> None:
    """Read, change and write a value, again and again until no other changed it meanwhile.

    Where the store has compare-and-swap, changes by threads and by processes are all kept: one
    that came too late is made again, on top of the others. Elsewhere only those of this process
    are, which takes them in turn.

    Parameters
    ----------
    store : Store
    key : str
    attempt : coroutine function
        Reads the value, changes it, and writes it with ``expect=`` what it is called with.

    Raises
    ------
    ConflictError
        If others changed the key during each of a thousand attempts.
    """
    swaps = Capability.COMPARE_AND_SWAP in store.capabilities
    if swaps and await _succeeds(store, key, attempt):
        return
    # those of this process in turn: many attempts in vain would take longer than to wait
    async with turn(store, key):
        if not swaps:
            await attempt(None)
            return
        for number in range(1, _ATTEMPTS):
            if await _succeeds(store, key, attempt):
                return
            longest = min(_LONGEST_PAUSE, 0.0005 * 2 ** min(number, 10))
            await pause(random.uniform(0, longest))  # noqa: S311
    raise ConflictError(
        f"{key!r} in {store.url} was changed by others {_ATTEMPTS} times in a row; try again",
        store=store.url,
        key=key,
    )


async def _succeeds(store: Store, key: str, attempt: Callable[[Expect], Awaitable[None]]) -> bool:
    stat = await store.stat(key)  # before the value, so that it can only be too old
    try:
        await attempt(ABSENT if stat is None else stat.version)
    except ConflictError:
        return False
    return True


# a task that had its turn while the process was forked does not exist in the child
_turns = PerProcess(Turns)


def turn(store: Store, key: str) -> AbstractAsyncContextManager[None]:
    """Let one caller of this process at a time change a key; entered in the store's home."""
    return _turns.get().of(_innermost(store, key))


def _innermost(store: Store, key: str) -> tuple[Store, str]:
    """Return the store that wrappers stand for, and the key there: others may use it directly."""
    while isinstance(store, WrapperStore) and store._home is store.store._home:
        if isinstance(store, PrefixStore):
            key = store.prefix + key
        store = store.store
    return store, key
