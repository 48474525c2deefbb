"""`Client`: a collection of a server, and what goes wrong with it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar

from zarrstore.errors import AccessDeniedError, BackendError
from zarrstore.runtime import ForkSafeLock, PerProcess
from zarrstore.stores._mongodb.options import secrets_in, with_defaults
from zarrstore.stores._report import DENIED, Entry, Report

__all__ = ["Client", "ClientReport"]

_DENIED: Entry = (AccessDeniedError, DENIED)
_ERRORS: dict[str, Entry] = {
    "NotPrimaryError": (AccessDeniedError, "this server is a replica; write to its primary"),
    "NetworkTimeout": (BackendError, "the server did not answer in time; see socketTimeoutMS"),
    "WaitQueueTimeoutError": (BackendError, "too many requests at once; raise maxPoolSize"),
    "ConnectionFailure": (BackendError, "check the server's address, and that it is running"),
}
_CODES: dict[object, Entry] = {
    13: _DENIED,
    18: _DENIED,
    86: (BackendError, "drop the index of its keys that is not unique"),
    11000: (BackendError, "two documents have one key; delete one of them"),
    14031: (BackendError, "the server's disk is full; free some space"),
}


class ClientReport(Report):
    """The report on a server."""

    errors = _ERRORS

    def is_missing(self, _: Exception) -> bool:
        return False

    def entry(self, error: Exception) -> Entry:
        return _CODES.get(getattr(error, "code", None)) or super().entry(error)

    def said(self, error: Exception) -> str:
        # what follows repeats the answer, or all that is known of the servers
        return super().said(error).partition(", full error: ")[0].partition(", Timeout: ")[0]


class _Shared:
    """A client of pymongo, for all stores of one server: it has threads of its own."""

    _all: ClassVar[dict[tuple[int, str], _Shared]] = {}
    _lock = ForkSafeLock()

    def __init__(self, place: tuple[int, str], options: Mapping[str, Any]) -> None:
        from pymongo import MongoClient

        self._place = place
        self._users = 0
        self.client: Any = MongoClient(**with_defaults(options))

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> _Shared:
        # those of a parent stay: they are not to be touched after a fork, not even by deletion
        place = os.getpid(), repr(sorted(options.items()))
        with cls._lock:
            shared = cls._all.get(place)
            if shared is None:
                shared = cls._all[place] = cls(place, options)
            shared._users += 1
            return shared

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users:
                return
            del self._all[self._place]
        self.client.close()


class Client:
    """A collection, whose connections are made at first use and anew after a fork.

    Parameters
    ----------
    database, collection : str
    options : mapping
        Of ``pymongo.MongoClient``.

    Raises
    ------
    ImportError
        If pymongo is not installed.
    ValueError
        If it takes no such names or options.
    """

    def __init__(self, database: str, collection: str, options: Mapping[str, Any]) -> None:
        try:
            from pymongo.errors import PyMongoError
        except ImportError as error:
            raise ImportError(
                "MongoDBStore needs a package that is not installed: "
                "pip install 'zarrstore[mongodb]'"
            ) from error
        self._place = database, collection
        self._options = options
        self._process = PerProcess(self._open, lambda opened: opened[0].leave())
        self._indexed_by: int | None = None
        try:
            self._process.get()
        except PyMongoError as error:
            report = ClientReport("", secrets_in(options))
            raise ValueError(report.clean(str(error))) from None

    def _open(self) -> tuple[_Shared, Any]:
        from bson.codec_options import CodecOptions
        from pymongo.errors import ConfigurationError

        database, name = self._place
        shared = _Shared.of(self._options)
        try:
            if not shared.client.write_concern.acknowledged:
                raise ConfigurationError("w=0 asks for no answer, so that no failure would be told")
            # whatever the caller's options have documents decoded to
            return shared, shared.client.get_database(database, CodecOptions())[name]
        except Exception:
            shared.leave()
            raise

    @property
    def collection(self) -> Any:
        """The collection of pymongo."""
        return self._process.get()[1]

    def writable(self) -> Any:
        """Return the collection, in which no key can be there twice from now on."""
        collection = self.collection
        if self._indexed_by != os.getpid():
            collection.create_index("key", unique=True)
            self._indexed_by = os.getpid()
        return collection

    def close(self) -> None:
        """Leave the client to others; the last one ends its connections and threads."""
        self._process.close()
