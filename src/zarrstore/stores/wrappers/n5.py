"""`N5Store`: an N5 container, as a store of Zarr v2."""

from __future__ import annotations

import math
import random
import re
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Literal

from zarrstore.abc import ABSENT, Capability, Store, Version
from zarrstore.byte_range import OffsetByteRequest
from zarrstore.errors import (
    ConflictError,
    CorruptDataError,
    MetadataError,
    UnsupportedOperationError,
)
from zarrstore.keys import join
from zarrstore.operations import Absent, Buffer
from zarrstore.runtime import PerProcess, pause
from zarrstore.stores._n5.blocks import read_header
from zarrstore.stores._n5.metadata import (
    ARRAY,
    ATTRIBUTES,
    DOCUMENTS,
    GROUP,
    USER,
    Dataset,
    array_to_n5,
    array_to_zarr,
    dataset_of,
    documents,
    dumps,
    group_to_n5,
    parsed,
    with_user_attributes,
)
from zarrstore.stores._nested import NestedArray, NestedChunksStore
from zarrstore.stores._turns import Turns

__all__ = ["N5Store"]

_V3 = "zarr.json"
_CHUNK = re.compile(r"[0-9]+(?:\.[0-9]+)*").fullmatch
_ATTEMPTS = 1000

Members = dict[str, Any]


class N5Store(NestedChunksStore):
    """Read and write an `N5 <https://github.com/saalfeldlab/n5>`_ container as Zarr v2.

    Datasets are arrays and all other nodes groups: each ``attributes.json`` appears as the
    documents of Zarr v2, and each block as a chunk. Dimensions are reversed, as N5 has them in
    Fortran order.

    Parameters
    ----------
    store : Store
        The container. Closed when this one is closed.
    read_only : bool, default False

    Raises
    ------
    MetadataError
        For an array that N5 cannot have: other data types than numbers, another fill value than
        0, filters, or ``order="F"``.
    UnsupportedOperationError
        For a key that is neither of Zarr v2 nor can be kept beside it: ``zarr.json``,
        ``attributes.json``, paths of numbers such as ``a/0/1`` below a dataset ``a``, where its
        blocks lie, and chunks such as ``b/0.1`` where there is no dataset ``b``.

    Notes
    -----
    The codec of the chunks is ``n5_wrapper``, whose name and configuration are those of
    zarr-python 2. A block is written only if its header is that of the dataset's blocks.
    A group need not have an ``attributes.json``, if there is a node below it.

    Examples
    --------
    >>> from zarrstore.stores.memory import MemoryStore
    >>> import zarrstore
    >>> data = {}
    >>> array = zarrstore.create_array(N5Store(MemoryStore(data)), name="a", data=[[1, 2, 3]])
    >>> sorted(data)
    ['a/0/0', 'a/attributes.json', 'attributes.json']
    """

    _foreign_format = 2
    _order = -1
    _node_names = (ATTRIBUTES,)

    def __init__(self, store: Store, *, read_only: bool = False) -> None:
        super().__init__(store, read_only=read_only)
        self._datasets: dict[str, Dataset] = {}
        self._turns = PerProcess(Turns)

    def _location(self) -> dict[str, Any]:
        return {"store": self._inner}

    def _is_virtual(self, key: str) -> bool:
        return key.rpartition("/")[2] in DOCUMENTS

    def _read_back(self, key: str, value: Buffer) -> Buffer:
        path, _, name = key.rpartition("/")
        if name == ARRAY:
            attributes = array_to_n5(parsed(value, repr(key)), None, not path)
            return self._encoded(path, name, attributes) or value
        return value

    def _place_of(self, path: str) -> str:
        return f"{join(path, ATTRIBUTES)!r} in {self.url}"

    def _attributes_of(self, path: str, data: Buffer | None) -> Members | None:
        """Return the attributes of a node from what is stored, and note its dataset."""
        if data is None:
            self._datasets.pop(path, None)
            return None
        attributes = parsed(data, self._place_of(path))
        dataset = self._named(path, dataset_of, attributes)
        if dataset is None:
            self._datasets.pop(path, None)
        else:
            self._datasets[path] = dataset
        return attributes

    def _named(self, path: str, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function, and say in its errors where the document is."""
        try:
            return function(*args)
        except MetadataError as error:
            raise MetadataError(
                f"{self._place_of(path)}: {error}", store=self.url, key=join(path, ATTRIBUTES)
            ) from error

    async def _attributes(self, path: str) -> Members | None:
        return self._attributes_of(path, await self._inner.get(join(path, ATTRIBUTES)))

    async def _dataset(self, path: str) -> Dataset | None:
        """Return the dataset at a path: as it was when it was seen last, if it was one then."""
        if path not in self._datasets:
            await self._attributes(path)
        return self._datasets.get(path)

    def _encoded(self, path: str, name: str, attributes: Members | None) -> bytes | None:
        """Return a document of a node that has some attributes."""
        found = documents(attributes)
        if name not in found:
            return None
        document = found[name]
        if name == ARRAY:
            document = self._named(path, array_to_zarr, attributes)
        return dumps(document)

    async def _virtual(self, keys: Sequence[str]) -> list[Buffer | None]:
        paths = {key.rpartition("/")[0]: None for key in keys}
        stored = await self._inner.get_many([join(path, ATTRIBUTES) for path in paths])
        attributes = {
            path: self._attributes_of(path, data) for path, data in zip(paths, stored, strict=True)
        }
        found: list[Buffer | None] = []
        for key in keys:
            path, _, name = key.rpartition("/")
            there = attributes[path]
            if there is None and name == GROUP and await self._is_implied(path):
                there = {}
            found.append(self._encoded(path, name, there))
        return found

    async def _virtual_versioned(self, key: str) -> tuple[Buffer, Version | None] | None:
        path, _, name = key.rpartition("/")
        found = await self._inner.get_versioned(join(path, ATTRIBUTES), [OffsetByteRequest(0)])
        if found is None:
            return await super()._virtual_versioned(key)
        value = self._encoded(path, name, self._attributes_of(path, found.parts[0]))
        return None if value is None else (value, found.version)

    async def _is_implied(self, path: str) -> bool:
        """Tell whether a node without attributes is a group, since there are nodes below it."""
        if Capability.LIST not in self._inner.capabilities:
            return False
        if await self._array_above(path) is not None:
            return False
        pending = [f"{path}/" if path else ""]
        while pending:
            prefix = pending.pop(0)
            names = [name async for name in self._inner.list_dir(prefix)]
            if ATTRIBUTES in names:
                return True
            pending += [f"{prefix}{name}/" for name in names]
        return False

    async def _array_at(self, path: str) -> NestedArray | None:
        try:
            dataset = await self._dataset(path)
        except MetadataError:  # to read the document says what is wrong
            return None
        return None if dataset is None else NestedArray(len(dataset.shape))

    def _is_foreign(self, name: str) -> bool:
        return name in (ATTRIBUTES, _V3)

    def _cannot_hold(self, key: str) -> UnsupportedOperationError:
        return UnsupportedOperationError(
            f"the N5 container {self.url} cannot hold the key {key!r}: it has the documents of "
            "Zarr v2 (.zarray, .zgroup, .zattrs), chunks such as '0.1' of arrays that are there, "
            "and keys that are not where blocks lie; create an array first, with zarr_format=2",
            store=self.url,
            key=key,
        )

    async def _check(self, key: str, value: Any) -> None:
        """Raise for a chunk that is no block of its dataset, which would not be read again."""
        await super()._check(key, value)
        path, _, name = key.rpartition("/")
        if not _CHUNK(name):
            return
        count = name.count(".") + 1
        for attempt in range(2):
            dataset = await self._dataset(path)
            if dataset is None:
                return
            try:
                if count != max(1, len(dataset.shape)):
                    raise CorruptDataError(f"the dataset has {len(dataset.shape)} dimensions")
                start, shape = read_header(value, dataset.block_shape)
                size = start + math.prod(shape) * dataset.itemsize
                if dataset.is_raw and len(value) != size:
                    raise CorruptDataError(f"{size} bytes are expected, and it has {len(value)}")
            except CorruptDataError as error:
                if attempt:
                    raise self._no_block(key, error) from error
                self._datasets.pop(path, None)  # another may have replaced it
            else:
                return

    def _no_block(self, key: str, error: CorruptDataError) -> CorruptDataError:
        return CorruptDataError(
            f"the chunk {key!r} for {self.url} is not written: it is no block of its N5 dataset "
            f"({error}); open the array anew, so that it has the codec 'n5_wrapper'",
            store=self.url,
            key=key,
        )

    async def _set_virtual(
        self, key: str, value: Any, expect: Version | Literal[Absent.ABSENT] | None
    ) -> Version | None:
        path, _, name = key.rpartition("/")
        document = parsed(value, f"{key!r} for {self.url}")

        def change(there: Members | None) -> Members:
            if name == ARRAY:
                return array_to_n5(document, there, not path)
            return group_to_n5(there) if name == GROUP else with_user_attributes(there, document)

        return await self._edit(path, name, change, expect)

    async def _edit(
        self,
        path: str,
        name: str,
        change: Callable[[Members | None], Members],
        expect: Version | Literal[Absent.ABSENT] | None = None,
    ) -> Version | None:
        """Change the attributes of a node, on top of what others change meanwhile."""
        key = join(path, ATTRIBUTES)
        swaps = Capability.COMPARE_AND_SWAP in self._inner.capabilities
        async with self._turns.get().of(key):
            for attempt in range(_ATTEMPTS):
                found = await self._inner.get_versioned(key, [OffsetByteRequest(0)])
                there = self._attributes_of(path, None if found is None else found.parts[0])
                version = None if found is None else found.version
                if expect is not None:
                    present = name in documents(there)
                    if present if expect is ABSENT else not present or version != expect:
                        raise self._conflict(join(path, name), expect, version)
                data = dumps(self._named(path, change, there))
                self._attributes_of(path, data)
                if not swaps:
                    return await self._inner.set(key, data)
                try:
                    return await self._inner.set(key, data, expect=version or ABSENT)
                except ConflictError as error:
                    if attempt == _ATTEMPTS - 1:
                        raise self._conflict(join(path, name), expect, error.found) from error
                    await pause(random.uniform(0, 0.0005 * 2 ** min(attempt, 7)))  # noqa: S311
        return None

    async def _delete_virtual(self, key: str) -> None:
        path, _, name = key.rpartition("/")
        there = await self._attributes(path)
        if name not in documents(there):
            return
        if name == USER:
            await self._edit(path, name, lambda now: with_user_attributes(now, {}))
        else:
            self._datasets.pop(path, None)
            await self._inner.delete(join(path, ATTRIBUTES))

    async def _delete_dir(self, prefix: str) -> Any:
        self._datasets.clear()
        return await super()._delete_dir(prefix)

    async def _documents_at(self, path: str) -> list[str]:
        try:
            return list(documents(await self._attributes(path)))
        except MetadataError:
            return [GROUP]  # to read it says what is wrong

    async def _list(self, prefix: str) -> AsyncIterator[str]:
        nodes: set[str] = set()
        known: dict[str, NestedArray | None] = {}
        async for below in self._inner.list_prefix(prefix):
            path, _, name = below.rpartition("/")
            if name == ATTRIBUTES:
                nodes.add(path)
                for document in await self._documents_at(path):
                    yield join(path, document)
            elif name != _V3:
                key = await self._above(below, known)
                if key.startswith(prefix):
                    yield key
        for path in _groups_above(nodes):
            if f"{path}/".startswith(prefix) if path else not prefix:
                yield join(path, GROUP)

    async def _list_dir(self, prefix: str) -> AsyncIterator[str]:
        path = prefix.rstrip("/")
        below = [name async for name in self._inner.list_dir(prefix)]
        names = await self._names(prefix, below)
        if names is None:
            names = [name for name in below if not self._is_foreign(name)]
            if ATTRIBUTES in below:
                names += await self._documents_at(path)
            elif below and await self._is_implied(path):
                names.append(GROUP)
        for name in names:
            yield name


def _groups_above(nodes: set[str]) -> set[str]:
    """Return the paths above some nodes, at which there is none."""
    found: set[str] = set()
    for node in nodes:
        path = node
        while path:
            path = path.rpartition("/")[0]
            if path in nodes or path in found:
                break
            found.add(path)
    return found
