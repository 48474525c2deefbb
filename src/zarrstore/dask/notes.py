"""The note beside an array that is being written: by whom, and what is to be there."""

from __future__ import annotations

from typing import Any

import msgspec

from zarrstore.abc import ABSENT, Capability, Store
from zarrstore.errors import ConflictError
from zarrstore.format.documents import dumps
from zarrstore.hierarchy.array_core import ArrayCore
from zarrstore.hierarchy.chunk_namings import naming_of
from zarrstore.hierarchy.chunk_uses import NOTE_NAME as NOTE_KEY
from zarrstore.hierarchy.chunk_uses import Use
from zarrstore.hierarchy.formats import AnyArrayDocument, format_of
from zarrstore.keys import join
from zarrstore.updating import Expect, until_no_conflict

__all__ = [
    "NOTE_KEY",
    "Note",
    "as_json",
    "change_note",
    "conflict",
    "own_note",
    "read_note",
    "take_note",
]


class Note(Use):
    """What is stored at the key."""

    number: str = ""
    """Of the write."""
    document: dict[str, Any] | None = None
    """The metadata that is to be."""
    cleared: bool = False
    """Whether an array with the same keys has been deleted."""
    same_names: bool = False
    """Whether its chunks have the names of those of the array that it replaces."""
    waits: bool = False
    """Whether all that is to be there waits elsewhere: what is there may be old or new."""
    whole: bool = True
    """Whether each chunk that is there is complete: one task has written it."""


def as_json(document: AnyArrayDocument) -> dict[str, Any]:
    """Return a document as a note has it."""
    found: dict[str, Any] = msgspec.json.decode(dumps(format_of(document).files(document)))
    return found


def conflict(store: Store, path: str, why: str) -> ConflictError:
    """Make the error of a write that does not begin."""
    return ConflictError(
        f"the array at path {path!r} in {store.url} was not written: {why}; when that has ended, "
        "write it again",
        store=store.url,
        key=path,
    )


async def read_note(store: Store, path: str) -> Note | None:
    """Return the note beside an array, ``None`` if there is none."""
    data = await store.get(join(path, NOTE_KEY))
    try:
        return None if data is None else msgspec.json.decode(data, type=Note)
    except msgspec.MsgspecError:
        return Note(number="unknown")


async def take_note(core: ArrayCore, number: str, before: str, *, same_names: bool = False) -> None:
    """Note that an array is being written.

    Parameters
    ----------
    core : ArrayCore
        As it is to be.
    number : str
        Of the write.
    before : str
        The number of the one whose place it takes; empty if there is none.
    same_names : bool, default False
        Whether its chunks have the names of those of the array that it replaces.

    Raises
    ------
    ConflictError
        If another has come in between.
    """
    store, path = core.store, core.path
    key = join(path, NOTE_KEY)
    # one that came in between is noticed, where the store can tell, when this one is written
    stat = await store.stat(key) if before else None
    found = (await read_note(store, path) if before else None) or Note()
    left, left_at = found.taken_over()
    note = Note(
        [naming_of(core.spec)],
        left,
        left_at,
        None,
        number,
        as_json(core.document),
        same_names=same_names,
    )
    expect: Expect = stat.version if stat else ABSENT
    needed = Capability.CREATE_EXCLUSIVE if stat is None else Capability.COMPARE_AND_SWAP
    if needed not in store.capabilities:
        expect = None
    try:
        if found.number != before:
            raise conflict(store, path, "another write began at this moment")
        await store.set(key, msgspec.json.encode(note), expect=expect)
    except ConflictError as error:
        raise conflict(store, path, "another write began at this moment") from error


async def own_note(core: ArrayCore, number: str) -> Note:
    """Return the note of a write.

    Raises
    ------
    ConflictError
        If another has taken its place.
    """
    note = await read_note(core.store, core.path)
    if note is None or note.number != number:
        other = "it has ended, or was deleted" if note is None else "another began in its place"
        raise ConflictError(
            f"this write to {core.url} cannot go on: {other}; write the array again",
            store=core.store.url,
            key=core.path,
        )
    return note


async def change_note(core: ArrayCore, number: str, **changes: Any) -> None:
    """Change what the note of a write says.

    Raises
    ------
    ConflictError
        If another has taken its place.
    """
    key = join(core.path, NOTE_KEY)
    is_own = True  # an error of a conflict would have it tried again

    async def attempt(expect: Expect) -> None:
        nonlocal is_own
        note = await read_note(core.store, core.path)
        is_own = note is not None and note.number == number
        if note is not None and is_own:
            changed = msgspec.json.encode(msgspec.structs.replace(note, **changes))
            await core.store.set(key, changed, expect=expect)

    await until_no_conflict(core.store, key, attempt)
    if not is_own:
        await own_note(core, number)
