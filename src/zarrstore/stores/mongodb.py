"""`MongoDBStore`: a collection of MongoDB, one document a key, as zarr 2 lays them out."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, Literal, Self

from zarrstore.abc import BlockingStore, Stat, Version
from zarrstore.byte_range import ByteRequest
from zarrstore.errors import StoreURLError, UnsupportedOperationError
from zarrstore.operations import Absent, Buffer, Then, Versioned
from zarrstore.readable import Receive
from zarrstore.redaction import redact
from zarrstore.requests import part_of
from zarrstore.stores._arguments import check_installed
from zarrstore.stores._batches import batches, portions, version_of_content
from zarrstore.stores._mongodb.client import Client, ClientReport
from zarrstore.stores._mongodb.options import options_of, secrets_in, server_of

__all__ = ["MongoDBStore"]

_KEY, _VALUE, _VERSION = "key", "value", "version"
_KEY_ALONE = {"_id": 0, _KEY: 1}  # which an index has
_SIZE = {"$binarySize": f"${_VALUE}"}
_LARGEST_VALUE = 2**24 - 2**12
"""In bytes: a document is 16 MiB at most, its key and the names of its fields included."""

_PAGE = 1000


class MongoDBStore(BlockingStore):
    """Keep each value in a document of a collection of MongoDB.

    Parameters
    ----------
    database : str, default "mongodb_zarr"
    collection : str, default "zarr_collection"
    read_only : bool, default False
    **options
        As for ``pymongo.MongoClient``: ``host`` (a name, or a URI), ``port``, ``username``,
        ``password``, ``tls`` ... The four timeouts ``socketTimeoutMS``, ``connectTimeoutMS``,
        ``serverSelectionTimeoutMS`` and ``waitQueueTimeoutMS`` are 10000 by default.

    Raises
    ------
    ImportError
        If the package pymongo is not installed (``pip install 'zarrstore[mongodb]'``).
    TypeError, ValueError
        If it knows no such option.

    Notes
    -----
    Nothing is connected before the first use. A read whose connection is lost is tried once
    again, and so is a write to a replica set; what fails then raises `BackendError` or
    `AccessDeniedError`, and the store goes on when the server does.

    A document has the fields ``key`` and ``value`` of zarr 2, and ``version``, which zarr 2
    ignores. The first write makes a unique index of the keys. Writes are atomic, and conditional
    writes hold between all writers of the server, zarr 2 included.

    A value has 16 MiB less 4 KiB at most; a larger one raises `UnsupportedOperationError`. A part
    of a value is cut from the whole, which the server sends.

    Examples
    --------
    >>> MongoDBStore("data", host="localhost", password="secret", username="me")
    MongoDBStore('mongodb://localhost:27017/data/zarr_collection')
    """

    _delete_tells = True

    def __init__(
        self,
        database: str = "mongodb_zarr",
        collection: str = "zarr_collection",
        *,
        read_only: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(read_only=read_only)
        self._location_of = {"database": database, "collection": collection, **options}
        self._url = f"{server_of(options)}/{database}/{collection}"
        self._report = ClientReport(self._url, secrets_in(options))
        self._client = Client(database, collection, options)
        weakref.finalize(self, self._client.close)  # pymongo warns of a client left open

    @classmethod
    def from_url(
        cls,
        url: str,
        storage_options: Mapping[str, Any] | None = None,
        read_only: bool = False,
    ) -> Self:
        """Open ``mongodb://host:port/database/collection``, without I/O.

        Parameters
        ----------
        url : str
            ``mongodb://`` or ``mongodb+srv://``, with options of pymongo in its query. As in
            MongoDB's own URLs the database is the one that knows the user, unless there is
            ``authSource``.
        storage_options : mapping, optional
            More options of ``pymongo.MongoClient``, such as ``username`` and ``password``.
        read_only : bool, default False

        Raises
        ------
        StoreURLError
            If the URL or an option means nothing to pymongo, or that is not installed.

        Examples
        --------
        >>> MongoDBStore.from_url("mongodb://me:secret@localhost/data/a?tls=true")
        MongoDBStore('mongodb://localhost/data/a')
        """
        shown = redact(url)
        check_installed("pymongo", "mongodb", shown)
        try:
            options = {**(storage_options or {}), **options_of(url)}
            return cls(read_only=read_only, **options)
        except (ValueError, TypeError) as error:
            why = redact(str(error))
            raise StoreURLError(f"cannot open {shown!r}: {why}", store=shown) from None

    @property
    def url(self) -> str:
        return self._url

    def _location(self) -> dict[str, Any]:
        return self._location_of

    def _close(self) -> None:
        self._client.close()

    def _document(self, key: str, fields: Mapping[str, Any] | None = None) -> Any:
        with self._report.during("read", key):
            return self._client.collection.find_one({_KEY: key}, fields)

    def _get(self, key: str) -> Any:
        document = self._document(key)
        return None if document is None else self._value_of(document)

    def _value_of(self, document: Mapping[str, Any]) -> bytes:
        value = document.get(_VALUE)
        if isinstance(value, bytes):
            return value
        raise self._report.corrupt(
            document[_KEY], f"the document has {type(value).__name__} for a value, not binary data"
        )

    def _get_ranges(self, key: str, byte_ranges: Sequence[ByteRequest]) -> list[Buffer] | None:
        value = self._get(key)
        return None if value is None else [part_of(value, each) for each in byte_ranges]

    def _get_versioned(
        self, key: str, byte_ranges: Sequence[ByteRequest], then: Then | None
    ) -> Versioned | None:
        document = self._document(key)
        if document is None:
            return None
        value = self._value_of(document)
        parts = [part_of(value, each) for each in byte_ranges]
        if then is not None:
            parts += [part_of(value, each) for each in then(parts, len(value))]
        return Versioned(parts, len(value), self._version_of(document))

    def _stat(self, key: str) -> Stat | None:
        found = self._document(key, {_VERSION: 1, "size": _SIZE})
        if found is not None and not isinstance(found.get(_VERSION), str):  # of zarr 2
            found = self._document(key)
            if found is not None:
                found["size"] = len(self._value_of(found))
        return None if found is None else Stat(found["size"], self._version_of(found))

    def _exists(self, key: str) -> bool:
        return self._document(key, _KEY_ALONE) is not None

    def _get_many(self, requests: Sequence[tuple[str, ByteRequest | None]]) -> list[Any]:
        values = self._values(key for key, _ in requests)
        return [
            value if value is None or byte_range is None else part_of(value, byte_range)
            for (_, byte_range), value in zip(requests, values, strict=True)
        ]

    def _get_each(self, keys: Iterable[str], receive: Receive) -> None:
        for index, value in enumerate(self._values(keys)):
            receive(index, value)

    def _values(self, keys: Iterable[str]) -> Iterator[bytes | None]:
        return chain.from_iterable(batches(keys, self._read))

    def _read(self, keys: Sequence[str]) -> list[bytes | None]:
        with self._report.during("read", keys[0]):
            documents = self._client.collection.find({_KEY: {"$in": keys}}).to_list()
            found = {document[_KEY]: self._value_of(document) for document in documents}
            return [found.get(key) for key in keys]
        raise AssertionError

    def _new(self, key: str, value: bytes) -> dict[str, Any]:
        """Make the document of a value, with a version that no other ever has."""
        from bson.objectid import ObjectId

        if len(value) > _LARGEST_VALUE:
            raise UnsupportedOperationError(
                f"the value of {key!r} has {len(value)} bytes, and {self.url} takes no more than "
                f"{_LARGEST_VALUE}: a document of MongoDB has 16 MiB at most; write smaller chunks",
                store=self.url,
                key=key,
            )
        return {_KEY: key, _VALUE: value, _VERSION: str(ObjectId())}

    def _set(self, key: str, value: bytes) -> Version:
        document = self._new(key, value)
        with self._report.during("write", key):
            self._client.writable().replace_one({_KEY: key}, document, upsert=True)
        return str(document[_VERSION])

    def _set_if(self, key: str, value: bytes, expect: Version | Literal[Absent.ABSENT]) -> Version:
        document = self._new(key, value)
        with self._report.during("write", key):
            collection = self._client.writable()
            if isinstance(expect, Absent):
                if not _inserted(collection, document):
                    raise self._conflict(key, expect, None)
            elif not _replaced(collection, {_KEY: key, _VERSION: expect}, document):
                self._swap_of_zarr_2(collection, document, expect)
        return str(document[_VERSION])

    def _swap_of_zarr_2(self, collection: Any, document: dict[str, Any], expect: Version) -> None:
        """Write a value if that of zarr 2, which gives no version, is as expected, or raise."""
        key = document[_KEY]
        there = collection.find_one({_KEY: key})
        found = None if there is None else self._version_of(there)
        if found == expect:
            same = {_KEY: key, _VALUE: there[_VALUE], _VERSION: there.get(_VERSION)}
            if _replaced(collection, same, document):
                return
        raise self._conflict(key, expect, found)

    def _version_of(self, document: Mapping[str, Any]) -> Version:
        version = document.get(_VERSION)
        if isinstance(version, str):
            return version
        return version_of_content(self._value_of(document))

    def _set_many(self, items: Iterable[tuple[str, bytes]]) -> None:
        from pymongo import ReplaceOne
        from pymongo.errors import BulkWriteError, WriteError

        for some in portions(items):
            changes = [ReplaceOne({_KEY: key}, self._new(key, value), True) for key, value in some]
            with self._report.during("write", some[0][0]):
                try:
                    self._client.writable().bulk_write(changes)  # in order
                except BulkWriteError as error:
                    # its own text repeats values
                    first: Any = [*error.details["writeErrors"], {}][0]
                    why = first.get("errmsg", "the write was not acknowledged")
                    raise WriteError(why, first.get("code")) from None

    def _set_each(self, items: Iterable[tuple[str, bytes]]) -> None:
        self._set_many(items)

    def _delete(self, key: str) -> bool:
        with self._report.during("delete", key):
            # of zarr 2 there may be several
            return bool(self._client.collection.delete_many({_KEY: key}).deleted_count)
        raise AssertionError

    def _delete_dir(self, prefix: str) -> None:
        with self._report.during("delete", prefix):
            self._client.collection.delete_many(_below(prefix))

    def _list(self, prefix: str) -> Iterator[str]:
        seen: set[str] = set()  # one that is deleted and written again meanwhile comes twice
        with self._report.during("list", prefix):
            cursor = self._client.collection.find(_below(prefix), _KEY_ALONE, batch_size=_PAGE)
        try:
            while True:
                with self._report.during("list", prefix):
                    page = [document[_KEY] for document in islice(cursor, _PAGE)]
                if not page:
                    return
                fresh = [key for key in dict.fromkeys(page) if key not in seen]
                seen.update(fresh)
                yield from fresh
        finally:
            cursor.close()

    def _is_empty(self, prefix: str) -> bool:
        with self._report.during("list", prefix):
            return self._client.collection.find_one(_below(prefix), _KEY_ALONE) is None
        raise AssertionError

    def _getsize_prefix(self, prefix: str) -> int:
        total = {"$group": {"_id": None, "size": {"$sum": _SIZE}}}
        with self._report.during("list", prefix):
            found = self._client.collection.aggregate([{"$match": _below(prefix)}, total]).to_list()
            return int(found[0]["size"]) if found else 0
        raise AssertionError


def _below(prefix: str) -> dict[str, Any]:
    """Return the query of the keys that start with a prefix, which is empty or ends with "/"."""
    if not prefix:
        return {_KEY: {"$gte": ""}}
    return {_KEY: {"$gte": prefix, "$lt": f"{prefix[:-1]}0"}}  # what comes after "/"


def _inserted(collection: Any, document: Mapping[str, Any]) -> bool:
    from pymongo.errors import DuplicateKeyError

    try:
        collection.insert_one(document)
    except DuplicateKeyError:
        return False
    return True


def _replaced(collection: Any, there: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    return bool(collection.replace_one(there, document).matched_count)
