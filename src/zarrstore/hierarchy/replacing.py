"""Putting a new array in the place of another, so that a reader finds one of them, whole.

The metadata is one key, which is changed in one step; chunks are many. So the chunks of the new
array get keys that those of the old one have not (`zarrstore.hierarchy.chunk_namings`). Who writes
or deletes chunks in this way says at a key of the array how they are named, looks then what others
say, and leaves theirs alone (`zarrstore.hierarchy.chunk_uses`).
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any, TypeAlias

from zarrstore.abc import Capability, Store
from zarrstore.errors import (
    ConflictError,
    NodeExistsError,
    ReadOnlyError,
    UnsupportedOperationError,
)
from zarrstore.fan_out import each_bounded, map_bounded
from zarrstore.format.array_spec import ArraySpec
from zarrstore.hierarchy.array_core import ArrayCore
from zarrstore.hierarchy.chunk_namings import meets, naming_of, naming_of_key
from zarrstore.hierarchy.creating import NewNode
from zarrstore.hierarchy.formats import FORMATS, RESERVED_NAMES, V2, AnyArrayDocument
from zarrstore.hierarchy.group_core import open_node
from zarrstore.keys import join
from zarrstore.redaction import join_url
from zarrstore.updating import Expect, until_no_conflict

__all__ = [
    "SameNamesError",
    "array_at",
    "check_can_replace",
    "chunks_by_naming",
    "create",
    "delete_chunks",
    "fence",
    "put_in_place",
]

Check: TypeAlias = Callable[[], Awaitable[None]]

_ATTEMPTS = 100


class SameNamesError(Exception):
    """The chunks of the array that is there now are named as those of the new one."""


async def array_at(store: Store, path: str) -> ArrayCore | None:
    """Return the array at a path, ``None`` if there is nothing.

    Raises
    ------
    NodeExistsError
        If it is a group.
    """
    node = await open_node(store, path)
    if node is None or isinstance(node, ArrayCore):
        return node
    raise NodeExistsError(
        f"{node.url} is a group, and an array is to be written there; delete the group, or give "
        "another path",
        store=store.url,
        key=path,
    )


def check_can_replace(store: Store, path: str, is_there: bool) -> None:
    """Raise unless a store can have an array replaced, or made after its chunks.

    Raises
    ------
    ReadOnlyError, UnsupportedOperationError
    """
    if store.read_only:
        raise ReadOnlyError(
            f"{store.url} was opened read-only; open it with mode 'r+' or 'a' to write",
            store=store.url,
        )
    if store._documents_first:
        raise UnsupportedOperationError(
            f"{store.url} has no place for chunks before there is metadata, which is to be written "
            "last; create the array first, with create_array, and write into it",
            store=store.url,
            key=path,
        )
    if is_there and Capability.DELETE not in store.capabilities:
        raise UnsupportedOperationError(
            f"{store.url} cannot delete, which the array that is replaced must be; write to "
            "another path",
            store=store.url,
            key=path,
        )


async def chunks_by_naming(store: Store, path: str) -> dict[str, list[str]]:
    """Return the keys of all chunks below a path, by how they are named.

    Raises
    ------
    NodeExistsError
        If there are arrays or groups below it.
    """
    prefix = f"{path}/" if path else ""
    found: dict[str, list[str]] = {}
    async for key in store.list_prefix(path):
        name = key.removeprefix(prefix)
        if "/" in name and name.rpartition("/")[2] in RESERVED_NAMES:
            raise NodeExistsError(
                f"there are arrays or groups below {join_url(store.url, path)}, where an array is "
                "to be; delete them, or give another path",
                store=store.url,
                key=path,
            )
        naming = naming_of_key(name)
        if naming is not None:
            found.setdefault(naming, []).append(key)
    return found


async def delete_chunks(
    store: Store, path: str, namings: Collection[str], specs: Iterable[ArraySpec] = ()
) -> None:
    """Delete the chunks below a path that are named in certain ways.

    Parameters
    ----------
    store : Store
    path : str
    namings : collection of str
    specs : iterable of ArraySpec
        Of the arrays that they are of, for stores that cannot list them.

    Raises
    ------
    NodeExistsError
        If there are arrays or groups below the path.
    """
    if Capability.LIST in store.capabilities:
        found = await chunks_by_naming(store, path)
        keys = [key for naming in namings for key in found.get(naming, ())]
    elif Capability.DELETE not in store.capabilities:
        return
    else:
        keys = [
            join(path, spec.keys.key(coords))
            for spec in specs
            if naming_of(spec) in namings
            for coords in itertools.product(*map(range, spec.grid.grid_shape))
        ]
    await each_bounded(store.delete, keys, count=len(keys))


async def create(core: ArrayCore, check: Check | None = None) -> None:
    """Write the metadata of an array whose chunks are there.

    Parameters
    ----------
    core : ArrayCore
    check : coroutine function, optional
        Raises an error if that is no longer to be.

    Raises
    ------
    NodeExistsError
        If there is a node.
    """
    new = NewNode(core.store, core.path)

    async def look() -> None:
        await new.find_format(core.document.zarr_format)

    await map_bounded(lambda each: each(), [look] if check is None else [look, check])
    await new.write(core.document, attributes_first=True)


async def put_in_place(core: ArrayCore, check: Check) -> AnyArrayDocument | None:
    """Make an array whose chunks are there the one at its path; return the one that was.

    One that another has changed or put there meanwhile is replaced like any other.

    Parameters
    ----------
    core : ArrayCore
    check : coroutine function
        Raises `ConflictError` if it is no longer to be: called when it is known what is there, of
        which nothing may change after that, where the store has compare-and-swap.

    Raises
    ------
    SameNamesError
        If the chunks of the one that is there now are named alike; nothing was changed.
    NodeExistsError
        If there is a group.
    """
    for _ in range(_ATTEMPTS):
        replaced = await _replace(core, check)
        if replaced is not None:
            try:
                await check()
            except ConflictError:
                if core.format is V2 and replaced.zarr_format == 3:
                    raise  # the next step would have shown it
            else:
                await _delete_other_formats(core)
            return replaced
        try:
            await create(core, check)
        except NodeExistsError:
            if await array_at(core.store, core.path) is None:
                raise  # something else is in the way
        else:
            return None
    raise ConflictError(
        f"{core.url} is created and deleted by others all the time; try again",
        store=core.store.url,
        key=core.path,
    )


async def _replace(core: ArrayCore, check: Check) -> AnyArrayDocument | None:
    """Write the metadata over that of the array that is there, if there is one; return that."""
    store, path = core.store, core.path
    name, data = next(iter(core.format.encode(core.document).items()))
    replaced: AnyArrayDocument | None = None
    refused: ConflictError | None = None

    async def attempt(expect: Expect) -> None:
        nonlocal replaced, refused
        now = await array_at(store, path)
        replaced = None if now is None else now.document
        if now is None:
            return
        if meets(naming_of(core.spec), [naming_of(now.spec)]):
            raise SameNamesError
        try:
            await check()
        except ConflictError as error:
            refused = error  # raised here it would be tried again
            return
        await _put_attributes(core, now)
        await store.set(join(path, name), data, expect=expect)

    await until_no_conflict(store, join(path, name), attempt)
    if refused is not None:
        raise refused
    return replaced


async def _put_attributes(core: ArrayCore, now: ArrayCore) -> None:
    """Write the attributes that Zarr v2 has at a key of their own, if they are not there."""
    if len(core.format.names) == 1 or (
        now.format is core.format and now.document.attributes == core.document.attributes
    ):
        return
    name = core.format.attributes_name(core.document)
    data = core.format.encode(core.document).get(name)
    if data is not None:
        await core.store.set(join(core.path, name), data)
    elif Capability.DELETE in core.store.capabilities:
        await core.store.delete(join(core.path, name))


async def _delete_other_formats(core: ArrayCore) -> None:
    """Delete metadata of the other version of the format, perhaps of one who was killed here."""
    others = [name for format in FORMATS if format is not core.format for name in format.names]
    keys = [join(core.path, name) for name in others]
    await each_bounded(core.store.delete, keys, count=len(keys))


async def fence(core: ArrayCore) -> None:
    """Refuse what others may be about to put in the place of an array.

    They do so on the condition of its version, which is another one after this.
    """
    key = join(core.path, core.format.node_name(core.document))

    async def attempt(expect: Expect) -> None:
        data: Any = await core.store.get(key)
        if data is not None:
            same = bytes(data).rstrip(b"\n")  # another value, that says the same
            await core.store.set(key, same + b"\n" * (len(same) == len(data)), expect=expect)

    if Capability.COMPARE_AND_SWAP in core.store.capabilities:
        await until_no_conflict(core.store, key, attempt)
