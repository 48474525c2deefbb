"""Where an array is written, and how it becomes visible: metadata comes last.

A new array has no metadata until all of its chunks are there, so nobody can open it half written.
An array that is replaced stays as it is: the chunks of the new one get keys that the old one does
not use (`zarrstore.hierarchy.replacing`). A note beside the array says meanwhile what is being
written, so that a write that was broken off can go on, and whose turn it is: of two writes that
replace one array, the second takes the note, and the first is refused from then on.
"""

from __future__ import annotations

import dataclasses
import pickle
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import cloudpickle

from zarrstore.abc import Capability, Store
from zarrstore.dask.current import difference
from zarrstore.dask.notes import (
    NOTE_KEY,
    Note,
    as_json,
    change_note,
    conflict,
    own_note,
    read_note,
    take_note,
)
from zarrstore.errors import ConflictError, NodeExistsError, NotShareableError
from zarrstore.fan_out import map_bounded
from zarrstore.format.array_spec import compile_spec
from zarrstore.hierarchy import replacing
from zarrstore.hierarchy.array_core import ArrayCore
from zarrstore.hierarchy.chunk_namings import choose, meets, naming_of, next_namings
from zarrstore.hierarchy.chunk_uses import CLAIM_NAME, use_at
from zarrstore.hierarchy.creating import NewNode
from zarrstore.hierarchy.formats import FORMATS, AnyArrayDocument
from zarrstore.hierarchy.nodes import not_found
from zarrstore.hierarchy.options import AccessMode, ArrayOptions, config_of
from zarrstore.hierarchy.options_v2 import array_document
from zarrstore.hierarchy.replacing import (
    SameNamesError,
    array_at,
    chunks_by_naming,
    create,
    delete_chunks,
    fence,
    put_in_place,
)
from zarrstore.hierarchy.resizing import chunks_stored
from zarrstore.keys import join

__all__ = [
    "NOTE_KEY",
    "Target",
    "begin",
    "check_can_replace",
    "check_own",
    "clear_old",
    "find_target",
    "finish",
    "tidy_up",
]

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
    before : str
        The number of the write whose place this one takes, if there was one.
    contested : bool
        Whether that one, if it has not ended, may be writing to the same keys.
    resumed : bool
        Whether a write goes on that was broken off, of an array that is new or replaced.
    noted : bool
        Whether it is noted which parts of an update are done, so that it can go on.
    """

    core: ArrayCore
    kind: Kind
    old: AnyArrayDocument | None = None
    number: str = ""
    staged: bool = False
    before: str = ""
    contested: bool = False
    resumed: bool = False
    noted: bool = False

    @property
    def staging(self) -> str:
        """The path below which data waits, if it has to, and is noted what is done."""
        return join(self.core.path, f"{NOTE_KEY}-{self.number}")

    @property
    def naming(self) -> str:
        """How the chunks are named."""
        return naming_of(self.core.spec)

    def __reduce__(self) -> tuple[Any, ...]:
        parts = tuple([getattr(self, each.name) for each in dataclasses.fields(self)])
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
    questions: list[Callable[[Store, str], Awaitable[Any]]] = [array_at, read_note, _claimed]
    if mode in ("a", "w-"):
        questions.append(_is_empty)
    node, note, claimed, *is_empty = await map_bounded(lambda ask: ask(store, path), questions)
    if node is None and mode in ("r", "r+"):
        raise not_found(store, path, "array")
    begun = note if resume else None
    is_there = begun is not None and (begun.cleared or not begun.same_names)
    if begun and is_there and node is not None and as_json(node.document) == begun.document:
        # it is complete, but for what is to be deleted; one with the same names may be the old one
        version = options.get("zarr_format") or node.document.zarr_format
        asked: ArrayOptions = {**options, "zarr_format": version}
        named = [naming_of(node.spec)]
        target = await _new_target(store, path, None, asked, begun, claimed, named)
        target = dataclasses.replace(target, kind="swap", old=node.document)
        return _resumed(target, begun)
    if node is not None and mode == "w-":
        raise NodeExistsError(
            f"there is already an array at {node.url}; mode 'w' replaces it, and 'r+' writes into "
            "it" + ("; there is nothing to resume" if resume and note is None else ""),
            store=store.url,
            key=path,
        )
    if node is not None and mode in ("a", "r+"):
        node.write_empty_chunks = config_of(options).write_empty_chunks
        return Target(node, "update", number=uuid.uuid4().hex)
    if begun is None and mode != "w":
        _check_nothing(store, path, note, all(is_empty))
    wanted = None if begun is None else begun.using
    target = await _new_target(store, path, node, options, note or Note(), claimed, wanted)
    return target if begun is None else _resumed(target, begun)


def _resumed(target: Target, note: Note) -> Target:
    """Return a target that goes on with what a note tells of."""
    url = target.core.url
    if as_json(target.core.document) != note.document:
        raise ValueError(
            f"the write that was broken off at {url} was of an array with other metadata; begin "
            "anew with mode='w'"
        )
    # what waits somewhere since then is deleted at the end
    return dataclasses.replace(target, number=note.number, staged=note.cleared, resumed=True)


async def _new_target(
    store: Store,
    path: str,
    node: ArrayCore | None,
    options: ArrayOptions,
    note: Note,
    claimed: list[str],
    wanted: list[str] | None,
) -> Target:
    """Return what is to be, with names for its chunks that nobody uses, as far as can be.

    Parameters
    ----------
    note : Note
        Of another write, whose place this one may take.
    claimed : list of str
        How chunks are named that savers write or delete.
    wanted : list of str, optional
        How the chunks are named of a write that goes on.
    """
    new = NewNode(store, path, overwrite=True)  # what is there is known
    default = 3 if node is None else node.document.zarr_format
    format = await new.find_format(options.get("zarr_format"), default=default)
    document = array_document(options, format.version)
    now = None if node is None else naming_of(node.spec)
    naming = naming_of(compile_spec(document))
    if options.get("chunk_key_encoding") or options.get("dimension_separator"):
        ways: dict[str, Any] = {} if now is not None and meets(naming, [now]) else {naming: {}}
    else:
        ways = next_namings(format.version, len(document.shape), now)
    if wanted is not None:
        ways = {each: ways[each] for each in wanted if each in ways}
    written = [] if wanted is not None else [*note.still_left, *note.using]
    chosen = choose(ways, claimed, written)
    kind: Kind = "new" if node is None else "swap"
    if chosen is not None:
        document = array_document({**options, **ways[chosen]}, format.version)
    elif meets(naming, claimed) or (node is None and wanted is None):
        raise conflict(store, path, f"a saver writes there, unless the key {CLAIM_NAME!r} is old")
    elif node is not None:
        kind = "replace"
    write_empty = config_of(options).write_empty_chunks
    core = ArrayCore(store, path, document, compile_spec(document), write_empty)
    return Target(
        core,
        kind,
        None if node is None else node.document,
        uuid.uuid4().hex,
        before=note.number,
        contested=chosen is not None and meets(chosen, written),
    )


async def _claimed(store: Store, path: str) -> list[str]:
    return (await use_at(store, path, CLAIM_NAME)).now


async def _is_empty(store: Store, path: str) -> bool:
    return Capability.LIST not in store.capabilities or await store.is_empty(path)


def _check_nothing(store: Store, path: str, note: Note | None, is_empty: bool) -> None:
    """Refuse to mix with chunks that something else has left there."""
    if note is None and is_empty:
        return
    what = (
        "there are keys that belong to no array or group"
        if note is None
        else "there is an array of which the write was broken off, or is under way,"
    )
    raise NodeExistsError(
        f"{what} at {store.url}, path {path!r}; "
        + ("" if note is None else "resume=True goes on with it, ")
        + "mode='w' begins anew",
        store=store.url,
        key=path,
    )


async def begin(target: Target, mode: AccessMode) -> frozenset[str]:
    """Make room for a write, and note that it is under way; return the keys that are complete.

    What a write that was broken off has left is deleted, unless this one goes on with it. An
    array that is there is left as it is.
    """
    store, path = target.core.store, target.core.path
    if target.kind == "update":
        return frozenset()
    if target.resumed:
        if target.kind == "replace":
            return frozenset()
        return frozenset([key async for key, _ in chunks_stored(store, path, target.core.spec)])
    same_names = target.kind == "replace"
    await take_note(target.core, target.number, target.before, same_names=same_names)
    try:
        await _check_names(target)
        if mode == "w" and Capability.DELETE in store.capabilities:
            await _delete_leftovers(target)
    except Exception:
        with suppress(Exception):
            await store.delete(join(path, NOTE_KEY))
        raise
    return frozenset()


async def _check_names(target: Target) -> None:
    """Look again for others who use the same names, now that they can see who uses them here."""
    store, path = target.core.store, target.core.path
    questions: list[Callable[[Store, str], Awaitable[Any]]] = [_claimed]
    if target.kind == "swap":
        questions.append(_named)
    elif target.kind == "new":
        questions += [format.exists for format in FORMATS]
    claimed, *found = await map_bounded(lambda ask: ask(store, path), questions)
    used = [*claimed, *(found if target.kind == "swap" else ())]
    if meets(target.naming, used) or (target.kind == "new" and any(found)):
        raise conflict(store, path, "another wrote at this moment")


async def _named(store: Store, path: str) -> str:
    """Return how the chunks of the array that is there are named; empty if there is none."""
    now = await array_at(store, path)
    return "" if now is None else naming_of(now.spec)


async def _delete_leftovers(target: Target) -> None:
    """Delete what a write that was broken off has left beside an array."""
    core = target.core
    if target.contested and target.old is not None:
        # who is about to put in its place what is deleted now
        await fence(ArrayCore(core.store, core.path, target.old, compile_spec(target.old)))
    if Capability.LIST in core.store.capabilities:
        async for name in core.store.list_dir(core.path):
            if name.startswith(f"{NOTE_KEY}-"):
                await core.store.delete_dir(join(core.path, name))
    if target.kind != "replace":
        await delete_chunks(core.store, core.path, [target.naming], [core.spec])


async def check_own(target: Target) -> None:
    """Raise `ConflictError` if another write has taken the place of this one."""
    if target.kind != "update":
        await own_note(target.core, target.number)


async def clear_old(target: Target) -> None:
    """Delete the array whose keys the new one takes, once the data of that is safe elsewhere.

    Does so once, however often it is called: it must not delete what came in the place of it.

    Raises
    ------
    ConflictError
        If another write has taken the place of this one.
    """
    if target.kind != "replace":
        return
    core = target.core
    if (await own_note(core, target.number)).cleared:
        return
    for format in FORMATS:
        for name in format.names:
            await core.store.delete(join(core.path, name))
    assert target.old is not None
    spec = compile_spec(target.old)
    await delete_chunks(core.store, core.path, [naming_of(spec)], [spec])
    await change_note(core, target.number, cleared=True)


async def finish(target: Target) -> None:
    """Write the metadata, now that everything else is there. Done again, it changes nothing.

    Raises
    ------
    NodeExistsError
        If there is another node now.
    ConflictError
        If another write has taken the place of this one.
    """
    core = target.core
    if target.kind == "update":
        return
    if target.kind == "swap":
        try:
            await put_in_place(core, lambda: check_own(target))
        except SameNamesError:
            await check_own(target)
            await _check_is_there(core)
        return
    try:
        await create(core, lambda: check_own(target))
    except NodeExistsError:
        stored = await core.format.read(core.store, core.path)
        if stored != core.document:
            raise


async def _check_is_there(core: ArrayCore) -> None:
    """Raise `ConflictError` unless an array is there already, of whatever length by now."""
    now = await array_at(core.store, core.path)
    if now is None or difference(now.spec, core.spec) is not None:
        raise conflict(core.store, core.path, "another array of the same names came meanwhile")


async def tidy_up(target: Target) -> None:
    """Delete what is of no use any more once the array is complete."""
    store, path = target.core.store, target.core.path
    if Capability.DELETE not in store.capabilities:
        return
    if target.staged or target.noted:
        await store.delete_dir(target.staging)
    if target.kind == "update":
        return
    try:
        await check_own(target)
        if target.kind == "swap":
            await _delete_old_chunks(target)
    except ConflictError:
        return  # what is there is for another to tidy up
    await store.delete(join(path, NOTE_KEY))


async def _delete_old_chunks(target: Target) -> None:
    """Delete all chunks but those of the array that is there, and those that others use.

    Those of one naming at a time: there has to be one for who would begin meanwhile.
    """
    core = target.core
    store, path = core.store, core.path
    assert target.old is not None
    old = compile_spec(target.old)
    can_list = Capability.LIST in store.capabilities
    for naming in await chunks_by_naming(store, path) if can_list else [naming_of(old)]:
        if naming == target.naming:
            continue
        await change_note(core, target.number, using=[naming])
        if not meets(naming, [*await _claimed(store, path), await _named(store, path)]):
            await delete_chunks(store, path, [naming], [old])


def check_can_replace(target: Target) -> None:
    """Raise `UnsupportedOperationError` if a store cannot have an array replaced, or made last."""
    if target.kind != "update":
        core = target.core
        replacing.check_can_replace(core.store, core.path, target.old is not None)
