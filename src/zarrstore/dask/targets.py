"""Where an array is written, and how it becomes visible: metadata comes last.

A new array has no metadata until all of its chunks are there, so nobody can open it half written.
An array that is replaced stays as it is: the chunks of the new one get keys that the old one does
not use (``c.0.0`` beside ``c/0/0``), and the metadata is swapped when all are there. A note beside
the array says meanwhile what is being written, so that a write that was broken off can go on.
"""

from __future__ import annotations

import dataclasses
import itertools
import pickle
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import cloudpickle
import msgspec

from zarrstore.abc import Capability, Store
from zarrstore.errors import (
    ConflictError,
    NodeExistsError,
    NotShareableError,
    UnsupportedOperationError,
)
from zarrstore.fan_out import each_bounded, map_bounded
from zarrstore.format.array_spec import compile_spec
from zarrstore.format.documents import dumps
from zarrstore.hierarchy.array_core import ArrayCore
from zarrstore.hierarchy.creating import NewNode, write_document
from zarrstore.hierarchy.formats import FORMATS, AnyArrayDocument, format_of
from zarrstore.hierarchy.group_core import GroupCore, open_node
from zarrstore.hierarchy.nodes import not_found
from zarrstore.hierarchy.options import AccessMode, ArrayOptions, config_of
from zarrstore.hierarchy.options_v2 import array_document
from zarrstore.hierarchy.resizing import chunks_stored
from zarrstore.keys import join

__all__ = [
    "NOTE_KEY",
    "Target",
    "begin",
    "check_can_replace",
    "clear_old",
    "find_target",
    "finish",
    "tidy_up",
]

NOTE_KEY = ".zarrstore-write"
"""Beside an array that is being written: what it is to be."""

Kind: TypeAlias = Literal["new", "swap", "replace", "update"]


@dataclass(frozen=True)
class Target:
    """An array that is to be written.

    Parameters
    ----------
    core : ArrayCore
        As it is to be; its metadata may not be stored yet.
    kind : {"new", "swap", "replace", "update"}
        ``new``: there is none. ``swap``: it takes the place of `old`, with other keys.
        ``replace``: the same with the keys of the old one, so that the data waits elsewhere until
        all of it is there. ``update``: it is there, and its elements are changed.
    old : document, optional
        Of the array whose place it takes.
    number : str
        Of this write.
    staged : bool
        Whether all of it is computed, and waits elsewhere, before anything is written.
    """

    core: ArrayCore
    kind: Kind
    old: AnyArrayDocument | None = None
    number: str = ""
    staged: bool = False

    @property
    def staging(self) -> str:
        """The path below which data waits, if it has to."""
        return join(self.core.path, f"{NOTE_KEY}-{self.number}")

    def __reduce__(self) -> tuple[Any, ...]:
        parts = self.core, self.kind, self.old, self.number, self.staged
        return _unpickled, (cloudpickle.dumps(parts),)


@dataclass(frozen=True)
class _Elsewhere:
    """In the place of a target that lives in another process: using it raises the error.

    A scheduler that cannot unpickle a task may wait for ever.
    """

    error: NotShareableError

    @property
    def core(self) -> ArrayCore:
        raise self.error


def _unpickled(data: bytes) -> Any:
    try:
        return Target(*pickle.loads(data))  # noqa: S301
    except NotShareableError as error:
        return _Elsewhere(error)


class _Note(msgspec.Struct):
    number: str
    document: dict[str, dict[str, Any]]
    cleared: bool = False


async def find_target(
    store: Store, path: str, mode: AccessMode, options: ArrayOptions, resume: bool
) -> Target:
    """Find out what there is at a path, and what is to be there; nothing is written.

    Raises
    ------
    NodeExistsError
        If the mode must not change what is there, or a write was broken off there.
    NodeNotFoundError
        If the mode needs an array.
    ValueError
        If what is to go on is not what was begun.
    """
    questions: list[Callable[[Store, str], Awaitable[Any]]] = [open_node, _read_note]
    if mode in ("a", "w-") and not resume:
        questions.append(_is_empty)
    node, note, *is_empty = await map_bounded(lambda ask: ask(store, path), questions)
    if isinstance(node, GroupCore):
        raise NodeExistsError(
            f"{node.url} is a group, and an array is to be written there; delete the group, or "
            "give another path",
            store=store.url,
            key=path,
        )
    if node is None and mode in ("r", "r+"):
        raise not_found(store, path, "array")
    if node is not None and mode == "w-":
        raise NodeExistsError(
            f"there is already an array at {node.url}; mode 'w' replaces it, and 'r+' writes into "
            "it" + ("; there is nothing to resume" if resume and note is None else ""),
            store=store.url,
            key=path,
        )
    if node is not None and mode in ("a", "r+"):
        if resume:
            raise ValueError(
                f"resume= goes on with a new array, and {node.url} is there: write into it again, "
                "which has the same outcome however often it is done"
            )
        node.write_empty_chunks = config_of(options).write_empty_chunks
        return Target(node, "update", number=uuid.uuid4().hex)
    target = await _new_target(store, path, node, options)
    if not resume:
        if mode != "w":
            _check_nothing(store, path, note, all(is_empty))
        return target
    return _resumed(target, note)


def _resumed(target: Target, note: _Note | None) -> Target:
    """Return a target that goes on with what a note tells of."""
    url = target.core.url
    if note is None:
        raise ValueError(f"there is nothing to resume at {url}: no write was broken off there")
    if _json(target.core.document) != note.document:
        raise ValueError(
            f"the write that was broken off at {url} was of an array with other metadata; begin "
            "anew with mode='w'"
        )
    # what waits somewhere since then is deleted at the end
    return dataclasses.replace(target, number=note.number, staged=note.cleared)


async def _new_target(
    store: Store, path: str, node: ArrayCore | None, options: ArrayOptions
) -> Target:
    new = NewNode(store, path, overwrite=True)  # what is there is known
    default = 3 if node is None else node.document.zarr_format
    format = await new.find_format(options.get("zarr_format"), default=default)
    document = array_document(options, format.version)
    kind: Kind = "new"
    if node is not None:
        kind = "swap"
        if _keys_meet(document, node.document):
            for change in _other_keys(options, format.version):
                other = array_document({**options, **change}, format.version)
                if not _keys_meet(other, node.document):
                    document = other
                    break
            else:
                kind = "replace"
    write_empty = config_of(options).write_empty_chunks
    core = ArrayCore(store, path, document, compile_spec(document), write_empty)
    old = None if node is None else node.document
    return Target(core, kind, old, uuid.uuid4().hex)


def _keys_meet(a: AnyArrayDocument, b: AnyArrayDocument) -> bool:
    """Tell whether chunks of two arrays in one place may have the same key."""
    first, second = [compile_spec(each) for each in (a, b)]
    keys = {spec.keys.key((0,) * len(spec.shape)) for spec in (first, second)}
    return len(keys) == 1


def _other_keys(options: Mapping[str, Any], version: int) -> list[ArrayOptions]:
    """Return options by which chunks get other keys, unless the keys are asked for."""
    if options.get("chunk_key_encoding") or options.get("dimension_separator"):
        return []
    if version == 2:
        return [{"dimension_separator": "/"}, {"dimension_separator": "."}]
    return [
        {"chunk_key_encoding": {"name": "default", "separator": "/"}},
        {"chunk_key_encoding": {"name": "default", "separator": "."}},
        {"chunk_key_encoding": {"name": "v2", "separator": "."}},
    ]


def _json(document: AnyArrayDocument) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(dumps(format_of(document).files(document)))
    return found


async def _read_note(store: Store, path: str) -> _Note | None:
    data = await store.get(join(path, NOTE_KEY))
    return None if data is None else msgspec.json.decode(data, type=_Note)


async def _is_empty(store: Store, path: str) -> bool:
    return Capability.LIST not in store.capabilities or await store.is_empty(path)


def _check_nothing(store: Store, path: str, note: _Note | None, is_empty: bool) -> None:
    """Refuse to mix with chunks that something else has left there."""
    if note is None and is_empty:
        return
    what = (
        "keys that belong to no array or group"
        if note is None
        else "an array of which the write was broken off, or is under way"
    )
    raise NodeExistsError(
        f"there are {what} at {store.url}, path {path!r}; "
        + ("" if note is None else "resume=True goes on with it, ")
        + "mode='w' begins anew",
        store=store.url,
        key=path,
    )


async def begin(target: Target, mode: AccessMode, resume: bool) -> frozenset[str]:
    """Make room for a write, and note that it is under way; return the keys that are complete.

    What a write that was broken off has left is deleted, unless this one goes on with it. An
    array that is there is left as it is.
    """
    store, path = target.core.store, target.core.path
    if target.kind == "update":
        return frozenset()
    if resume:
        if target.kind == "replace":
            return frozenset()
        return frozenset([key async for key, _ in chunks_stored(store, path, target.core.spec)])
    can_delete = Capability.DELETE in store.capabilities
    if mode == "w" and can_delete:
        if target.kind == "new":
            await store.delete_dir(path)
        else:
            await _delete_leftovers(target)
    note = _Note(target.number, _json(target.core.document))
    data = msgspec.json.encode(note)
    key = join(path, NOTE_KEY)
    if Capability.CREATE_EXCLUSIVE not in store.capabilities:
        await store.set(key, data)
    elif not await store.set_if_not_exists(key, data):
        raise ConflictError(
            f"another write to {target.core.url} began at this moment; one of the two can go on",
            store=store.url,
            key=key,
        )
    return frozenset()


async def _delete_leftovers(target: Target) -> None:
    """Delete what a write that was broken off has left beside an array."""
    core = target.core
    if Capability.LIST in core.store.capabilities:
        async for name in core.store.list_dir(core.path):
            if name.startswith(f"{NOTE_KEY}-"):
                await core.store.delete_dir(join(core.path, name))
    if target.kind == "swap":
        await _delete_chunks(core)
    await core.store.delete(join(core.path, NOTE_KEY))


async def clear_old(target: Target) -> None:
    """Delete the array whose keys the new one takes, once the data of that is safe elsewhere.

    Does so once, however often it is called: it must not delete what came in the place of it.
    """
    if target.kind != "replace":
        return
    core = target.core
    note = await _read_note(core.store, core.path)
    if note is None or note.number != target.number or note.cleared:
        return
    for format in FORMATS:
        for name in format.names:
            await core.store.delete(join(core.path, name))
    assert target.old is not None
    await _delete_chunks(ArrayCore(core.store, core.path, target.old, compile_spec(target.old)))
    note.cleared = True
    await core.store.set(join(core.path, NOTE_KEY), msgspec.json.encode(note))


async def finish(target: Target) -> None:
    """Write the metadata, now that everything else is there. Done again, it changes nothing.

    Raises
    ------
    NodeExistsError
        If there is another node now.
    """
    core = target.core
    if target.kind == "update":
        return
    if target.kind == "swap":
        await write_document(core.store, core.path, core.document)
        for format in FORMATS:
            for name in format.names if format is not core.format else ():
                await core.store.delete(join(core.path, name))
        return
    new = NewNode(core.store, core.path)
    try:
        await new.find_format(core.document.zarr_format)
        await new.write(core.document, attributes_first=True)
    except NodeExistsError:
        stored = await core.format.read(core.store, core.path)
        if stored != core.document:
            raise


async def tidy_up(target: Target) -> None:
    """Delete what is of no use any more once the array is complete."""
    core = target.core
    if Capability.DELETE not in core.store.capabilities:
        return
    if target.kind == "swap":
        assert target.old is not None
        spec = compile_spec(target.old)
        await _delete_chunks(ArrayCore(core.store, core.path, target.old, spec))
    if target.staged:
        await core.store.delete_dir(target.staging)
    if target.kind != "update":
        await core.store.delete(join(core.path, NOTE_KEY))


async def _delete_chunks(core: ArrayCore) -> None:
    keys = [key async for key in _chunk_keys(core)]
    await each_bounded(core.store.delete, keys, count=len(keys))


async def _chunk_keys(core: ArrayCore) -> AsyncIterator[str]:
    if Capability.LIST in core.store.capabilities:
        async for key, _ in chunks_stored(core.store, core.path, core.spec):
            yield key
        return
    for coords in itertools.product(*map(range, core.spec.grid.grid_shape)):
        yield join(core.path, core.spec.keys.key(coords))


def check_can_replace(target: Target) -> None:
    """Raise `UnsupportedOperationError` if an array would have to be deleted and cannot be."""
    store = target.core.store
    if target.old is not None and Capability.DELETE not in store.capabilities:
        raise UnsupportedOperationError(
            f"{store.url} cannot delete, which the array that is replaced must be; write to "
            "another path",
            store=store.url,
            key=target.core.path,
        )
