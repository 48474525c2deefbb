"""Stores on database servers: `MongoDBStore` and `RedisStore`."""

from __future__ import annotations

from typing import Any, ClassVar

from zarrstore.stores import mongodb, redis
from zarrstore.v2.store import DimensionSeparator, V2Store

__all__ = ["MongoDBStore", "RedisStore"]


class RedisStore(V2Store):
    """A store on a Redis or Valkey server, one string a key.

    Parameters
    ----------
    prefix : str, default "zarr"
        The names there are the prefix, a colon and the key.
    dimension_separator : {".", "/"}, optional
    **kwargs
        As for ``redis.Redis``: ``host``, ``port``, ``db`` ...

    Raises
    ------
    ImportError
        If the package redis is not installed (``pip install 'zarrstore[redis]'``).

    Notes
    -----
    Keys and prefixes are compared as they are: ``*``, ``?`` and ``[`` stand for themselves.
    Usable after ``close()``.

    Examples
    --------
    >>> RedisStore(host="localhost", password="secret")
    <RedisStore redis://localhost:6379/0?prefix=zarr>
    """

    _closes: ClassVar[bool] = False

    def __init__(
        self,
        prefix: str = "zarr",
        dimension_separator: DimensionSeparator | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            redis.RedisStore(prefix, **kwargs), dimension_separator=dimension_separator
        )


class MongoDBStore(V2Store):
    """A store in a collection of MongoDB, one document a key.

    Parameters
    ----------
    database : str, default "mongodb_zarr"
    collection : str, default "zarr_collection"
    dimension_separator : {".", "/"}, optional
    **kwargs
        As for ``pymongo.MongoClient``: ``host``, ``port`` ...

    Raises
    ------
    ImportError
        If the package pymongo is not installed (``pip install 'zarrstore[mongodb]'``).

    Notes
    -----
    A value has 16 MiB less 4 KiB at most.

    Examples
    --------
    >>> MongoDBStore("data", host="localhost")
    <MongoDBStore mongodb://localhost:27017/data/zarr_collection>
    """

    def __init__(
        self,
        database: str = "mongodb_zarr",
        collection: str = "zarr_collection",
        dimension_separator: DimensionSeparator | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            mongodb.MongoDBStore(database, collection, **kwargs),
            dimension_separator=dimension_separator,
        )
