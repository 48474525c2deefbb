"""Stores on database servers: `RedisStore`."""

from __future__ import annotations

from typing import Any, ClassVar

from zarrstore.stores import redis
from zarrstore.v2.store import DimensionSeparator, V2Store

__all__ = ["RedisStore"]


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
