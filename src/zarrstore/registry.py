"""What `open_store` accepts, and how a URL becomes a store.

A URL is a root, ``scheme://...``, and any number of adapters after it, ``|name:path``
(`ZEP 8 <https://zarr.dev/zeps/draft/ZEP0008.html>`_). Another package adds a scheme with an
entry point of the group ``zarrstore.stores``, and an adapter with one of ``zarrstore.adapters``.
"""

from __future__ import annotations

import functools
import importlib
import os
import re
import stat
import sys
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from importlib.metadata import entry_points
from typing import Any, Literal, TypeAlias, get_args

from zarrstore.abc import Store
from zarrstore.errors import StoreURLError
from zarrstore.redaction import redact
from zarrstore.stores._object.options import SCHEMES, is_obstore
from zarrstore.stores._remote.recipe import EXTRAS
from zarrstore.sync import SyncStore

__all__ = ["Engine", "OpenRequest", "StoreLike", "known_adapters", "known_schemes", "make_store"]

StoreLike: TypeAlias = Any
"""What `make_store` accepts."""


Engine: TypeAlias = Literal["obstore", "fsspec"]
"""What opens URLs of S3, Google Cloud, Azure and HTTP."""

_ENGINES = get_args(Engine)
_ENGINE_VARIABLE = "ZARRSTORE_ENGINE"


@dataclass(frozen=True, slots=True, repr=False)
class OpenRequest:
    """What a scheme or an adapter is asked to open.

    Parameters
    ----------
    url : str
        The part of the URL that is this handler's: ``scheme://...`` or ``name:path``.
    read_only : bool
    storage_options : mapping
        For the backend, as given by the user.
    below : OpenRequest or None
        For an adapter: what stands before the ``|``.
    engine : {"obstore", "fsspec"} or None
        What is to open a URL that both can.
    """

    url: str
    read_only: bool = False
    storage_options: Mapping[str, Any] = field(default_factory=dict)
    below: OpenRequest | None = None
    engine: Engine | None = None

    def __repr__(self) -> str:
        below = "" if self.below is None else f", below={self.below!r}"
        return f"OpenRequest({redact(self.url)!r}, read_only={self.read_only}{below})"

    @property
    def rest(self) -> str:
        """The URL without its scheme (``scheme://`` or ``name:``)."""
        if self.below is not None:
            return self.url.partition(":")[2]
        return re.sub(r"\A[\w+.-]+:(//)?", "", self.url)

    def open(self) -> Store:
        """Open what this request asks for."""
        if self.below is not None:
            return _adapter(self)(self)
        return _root(self)


Handler: TypeAlias = Callable[[OpenRequest], Store]

_SCHEME = re.compile(r"\A(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+)://")
_ADAPTER = re.compile(r"\A(?P<name>[A-Za-z][A-Za-z0-9+.-]*):")
_ALMOST_URL = re.compile(r"\A(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):(?!//|:)(?P<slash>/?)")
_NO_PATH = re.compile(r"\A[^/\\]*://")


@functools.cache
def _load(module: str, name: str, package: str = "stores") -> Any:
    """Import a backend when it is first asked for."""
    return getattr(importlib.import_module(f"zarrstore.{package}.{module}"), name)


def _open_memory(request: OpenRequest) -> Store:
    name, _, path = request.rest.partition("/")
    if not name:
        raise StoreURLError(
            f"{request.url!r} names no store: use 'memory://name', or None for a new one"
        )
    _no_options(request, "memory")
    store: Store = _load("memory", "MemoryStore")(name=name, read_only=request.read_only)
    return _below(store, path)


def _open_file(request: OpenRequest) -> Store:
    return _open_path(_without_localhost(request.rest), request)


def _without_localhost(path: str) -> str:
    return path.removeprefix("localhost") if path.startswith("localhost/") else path


def _open_path(path: str, request: OpenRequest) -> Store:
    """Open a local path: a zip file, or a directory."""
    if not path:
        raise StoreURLError(f"{request.url!r} has an empty path; use '.' for this directory")
    if "\0" in path:
        raise StoreURLError(f"{path!r} is no path: it has a NUL character")
    path = os.path.expanduser(path)
    named = path.rstrip("/")
    kind = _kind_of(named or path)
    if kind != stat.S_IFDIR:
        if named.lower().endswith(".zip") or (
            kind == stat.S_IFREG and _begins_with(named, b"PK\x03\x04", b"PK\x05\x06")
        ):
            _no_options(request, "a zip file")
            return _open_zip_file(named, request.read_only)
        if kind == stat.S_IFREG:
            if _begins_with(named, b"SQLite format 3\0"):
                options = request.storage_options
                found: Store = _load("sqlite", "SQLiteStore")(
                    named, read_only=request.read_only, **options
                )
                return found
            raise StoreURLError(
                f"{named!r} is a file, and neither a zip file nor an SQLite database: a store is "
                "one of these, or a directory"
            )
    durable = bool(request.storage_options.get("durable", False))
    _no_options(request, "a local directory", "durable")
    store: Store = _load("local", "LocalStore")(path, read_only=request.read_only, durable=durable)
    return _load("wrappers.n5", "N5Store")(store) if named.lower().endswith(".n5") else store


def _kind_of(path: str) -> int | None:
    """Return what there is at a path, as ``st_mode`` has it; ``None`` for nothing."""
    try:
        return stat.S_IFMT(os.stat(path).st_mode)
    except (OSError, ValueError):
        return None


def _begins_with(path: str, *beginnings: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(16).startswith(beginnings)
    except OSError:
        return False


def _open_zip_file(path: str, read_only: bool) -> Store:
    store: Store = _load("zip", "ZipStore")(path, mode="r" if read_only else "a")
    return store


def _no_options(request: OpenRequest, kind: str, *allowed: str) -> None:
    if not request.storage_options:
        return
    unknown = sorted(set(request.storage_options) - set(allowed))
    if unknown:
        takes = f"takes only {', '.join(allowed)}" if allowed else "takes none"
        raise TypeError(
            f"storage_options {unknown} do not fit {redact(request.url)!r}: {kind} {takes}"
        )


def _open_remote(request: OpenRequest) -> Store:
    """Open a URL by the engine asked for; by default obstore, where that means the same."""
    known = request.url.partition("://")[0] in SCHEMES
    engine = request.engine or (_default_engine() if known else "fsspec")
    options = dict(request.storage_options)
    found: Store | None = None
    if engine == "obstore":
        found = _load("object", "ObjectStore").from_url(request.url, options, request.read_only)
    elif engine is None:
        found = _load("object", "ObjectStore").from_url_if_alike(
            request.url, options, request.read_only
        )
    if found is None:
        found = _load("remote", "RemoteStore").from_url(
            request.url, options or None, request.read_only
        )
    return found


def _default_engine() -> Engine | None:
    return _checked_engine(os.environ.get(_ENGINE_VARIABLE) or None, f"{_ENGINE_VARIABLE}=")


def _checked_engine(engine: Any, name: str = "engine=") -> Engine | None:
    if engine is not None and engine not in _ENGINES:
        raise ValueError(f"{name}{engine!r} is none of {', '.join(map(repr, _ENGINES))}")
    known: Engine | None = engine
    return known


def _open_zip_adapter(request: OpenRequest) -> Store:
    below = request.below or OpenRequest("")
    if below.url and below.below is None and (local := _local_path(below.url)) is not None:
        _no_options(below, "a zip file")
        return _below(_open_zip_file(local, request.read_only), request.rest)
    if not below.url:
        raise StoreURLError(f"{redact('|' + request.url)!r} has nothing before the '|'")
    url, slash, key = below.url.rpartition("/")
    if not slash or not key or url.endswith("/"):
        raise StoreURLError(f"{redact(below.url)!r} before '|zip:' does not name a file")
    parent = replace(below, url=url, read_only=True)
    archive: Store = _load("zip", "ZipStore").from_store(parent.open(), key, close_store=True)
    return _below(archive, request.rest)


def _local_path(url: str) -> str | None:
    if "::" in url:
        return None
    scheme = _SCHEME.match(url)
    if scheme is None:
        return os.path.expanduser(url)
    if scheme["scheme"].lower() != "file":
        return None
    return os.path.expanduser(_without_localhost(url[scheme.end() :]))


def _open_n5_adapter(request: OpenRequest) -> Store:
    if request.below is None or not request.below.url:
        raise StoreURLError(f"{redact('|' + request.url)!r} has nothing before the '|'")
    store, n5 = request.below.open(), _load("wrappers.n5", "N5Store")
    return _below(store if isinstance(store, n5) else n5(store), request.rest)


def _below(store: Store, path: str) -> Store:
    path = path.strip("/")
    if not path:
        return store
    view: Store = _load("wrappers.prefix", "PrefixStore")(store, path)
    return view


def _open_by_class(module: str, name: str) -> Handler:
    """Return what opens a URL by the ``from_url`` of a store, or of a wrapper, imported then."""

    def opened(request: OpenRequest) -> Store:
        try:
            store_class = _load(module, name)
        except ImportError as error:  # which says what to install
            url = redact(request.url)
            raise StoreURLError(f"cannot open {url!r}: {error}", store=url) from error
        store: Store = store_class.from_url(request.url, request.storage_options, request.read_only)
        return store

    return opened


_SCHEMES: dict[str, Handler] = {
    "dbm": _open_by_class("dbm", "DBMStore"),
    "file": _open_file,
    "lmdb": _open_by_class("lmdb", "LMDBStore"),
    "memory": _open_memory,
    "mongodb": _open_by_class("mongodb", "MongoDBStore"),
    "mongodb+srv": _open_by_class("mongodb", "MongoDBStore"),
    "redis": _open_by_class("redis", "RedisStore"),
    "redis+unix": _open_by_class("redis", "RedisStore"),
    "rediss": _open_by_class("redis", "RedisStore"),
    "sqlite": _open_by_class("sqlite", "SQLiteStore"),
}
_ADAPTERS: dict[str, Handler] = {"n5": _open_n5_adapter, "zip": _open_zip_adapter}


def _plugins(group: str) -> dict[str, Any]:
    """Return the entry points of other packages; a name that is there twice is an error."""
    own = _SCHEMES if group == "zarrstore.stores" else _ADAPTERS
    found: dict[str, Any] = {}
    for point in entry_points(group=group):
        there = found.get(point.name)
        if point.name in own or (there is not None and there.value != point.value):
            taken = "zarrstore itself" if there is None else there.value
            raise StoreURLError(
                f"two packages register {point.name!r} in {group}: {point.value} and {taken}; "
                "uninstall one"
            )
        found[point.name] = point
    return found


def _plugin(group: str, name: str) -> Handler | None:
    point = _plugins(group).get(name)
    if point is None:
        return None
    loaded = point.load()
    handler: Handler = getattr(loaded, "from_request", loaded)
    return handler


def known_schemes() -> list[str]:
    """Return the URL schemes that can be opened here, fsspec's included."""
    from fsspec.registry import available_protocols

    return sorted({*_SCHEMES, *_plugins("zarrstore.stores"), *available_protocols()})


def known_adapters() -> list[str]:
    """Return the adapters that may stand after ``|`` in a URL."""
    return sorted({*_ADAPTERS, *_plugins("zarrstore.adapters")})


def _root(request: OpenRequest) -> Store:
    found = _SCHEME.match(request.url)
    if "::" in request.url:
        return _open_remote(request)
    if found is None:
        if _NO_PATH.match(request.url):
            raise _unknown_scheme(request.url.partition("://")[0], redact(request.url))
        _no_engine(request)
        return _open_path(request.url, request)
    scheme = found["scheme"].lower()
    request = replace(request, url=scheme + request.url[len(scheme) :])
    handler = _SCHEMES.get(scheme) or _plugin("zarrstore.stores", scheme)
    if scheme in _SCHEMES:
        _no_engine(request)
    if handler is not None:
        return handler(request)
    if not _is_known_to_fsspec(scheme):
        raise _unknown_scheme(scheme, redact(request.url))
    return _open_remote(request)


def _is_known_to_fsspec(scheme: str) -> bool:
    from fsspec.registry import known_implementations
    from fsspec.registry import registry as loaded

    return scheme in loaded or scheme in known_implementations


def _unknown_scheme(scheme: str, shown: str) -> StoreURLError:
    return StoreURLError(
        f"unknown scheme {scheme!r} in {shown!r}; known are {', '.join(known_schemes())}; "
        "a package adds one with an entry point of the group 'zarrstore.stores'"
    )


def _adapter(request: OpenRequest) -> Handler:
    found = _ADAPTER.match(request.url)
    name = (found["name"] if found else request.url).lower()
    handler = _ADAPTERS.get(name) or _plugin("zarrstore.adapters", name)
    if handler is None:
        raise StoreURLError(
            f"unknown adapter {request.url!r} after '|'; known are {', '.join(known_adapters())} "
            "(as in 's3://bucket/x.zip|zip:inner/'); give a pathlib.Path for a local name that "
            "has a '|' in it"
        )
    return handler


def _no_engine(request: OpenRequest) -> None:
    if request.engine is not None:
        raise TypeError(f"engine= goes with URLs of {', '.join(sorted(SCHEMES))}, and no others")


def _parse(
    url: str, read_only: bool, storage_options: Mapping[str, Any], engine: Engine | None = None
) -> OpenRequest:
    almost = _ALMOST_URL.match(url)
    scheme = almost["scheme"].lower() if almost else ""
    if almost is not None and (scheme in _SCHEMES or scheme in EXTRAS):
        root = "/" if scheme == "file" and almost["slash"] else ""
        raise StoreURLError(
            f"{redact(url)!r} is neither a path nor a URL: did you mean "
            f"{redact(f'{scheme}://{root}{url[almost.end() :]}')!r}? "
            "Give a pathlib.Path for a local name that begins so"
        )
    first, *adapters = url.split("|")
    request = OpenRequest(first, read_only, storage_options, engine=engine)
    for adapter in adapters:
        request = OpenRequest(adapter, read_only, {}, request)
    return request


def make_store(
    store_like: StoreLike = None,
    *,
    read_only: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    engine: Engine | None = None,
) -> Store:
    """Return the store that a URL, path, mapping or other object stands for, without I/O.

    Parameters
    ----------
    store_like : optional
        A `Store` or its blocking face; a path or ``file://`` URL (a directory, or a zip file);
        ``memory://name``; a URL of any fsspec scheme, chains included; a pipeline such as
        ``s3://bucket/x.zip|zip:inner/``; ``None`` for a new `MemoryStore`; a dict or any
        mutable mapping; an ``FSMap``, a ``UPath``, or ``(filesystem, path)`` of fsspec; a store
        of obstore or of zarr-python 3.
    read_only : bool, default False
        If true, a store that is given is viewed read-only.
    storage_options : mapping, optional
        Options of the backend, for URLs and paths only.
    engine : {"obstore", "fsspec"}, optional
        What opens URLs of S3, Google Cloud, Azure and HTTP. By default what the environment
        variable ``ZARRSTORE_ENGINE`` names; else obstore if it is installed and the options mean
        the same to it, and fsspec if not.

    Raises
    ------
    StoreURLError
        If a URL has an unknown scheme or adapter, or one whose package is not installed.
    TypeError
        If the object is of no kind that is accepted.
    """
    if storage_options is not None and not isinstance(storage_options, Mapping):
        raise TypeError(f"storage_options are a mapping, not {type(storage_options).__name__}")
    if isinstance(store_like, str):
        engine = _checked_engine(engine)
        return _parse(store_like, read_only, storage_options or {}, engine).open()
    if engine is not None:
        raise TypeError(f"engine= goes with a URL, not with {type(store_like).__name__}")
    if isinstance(store_like, os.PathLike) and not hasattr(store_like, "storage_options"):
        store_like = os.fspath(store_like)
        if isinstance(store_like, str):
            return _open_path(store_like, OpenRequest(store_like, read_only, storage_options or {}))
    if storage_options:
        raise TypeError(
            "storage_options go with a URL or a path, not with "
            f"{type(store_like).__name__}; give them to the store itself"
        )
    store = _from_object(store_like, read_only)
    return store.with_read_only() if read_only and not store.read_only else store


def _from_object(given: Any, read_only: bool) -> Store:
    if isinstance(given, Store):
        return given
    if isinstance(given, SyncStore) and isinstance(given.store, Store):
        return given.store
    if given is None or isinstance(given, dict):
        store: Store | None = _load("memory", "MemoryStore")(given, read_only=read_only)
    elif _is_of("zarr.abc.store", "Store", given):
        store = _load("zarr", "from_zarr", "interop")(given)
    elif is_obstore(given):
        store = _load("object", "ObjectStore")(given, read_only=read_only)
    else:
        store = _from_fsspec(given, read_only)
    if store is None and isinstance(given, MutableMapping):
        store = _load("mapping", "MappingStore")(given, read_only=read_only)
        if getattr(given, "_dimension_separator", None) == "/":  # a store of zarr-python 2
            store = _load("wrappers.nested", "NestedStore")(store)
    if store is None:
        raise TypeError(
            f"cannot open a store from {type(given).__name__}; accepted are a Store, a path or "
            "URL string, a pathlib.Path, None (a new MemoryStore), a dict or MutableMapping, an "
            "FSMap, a UPath, a tuple (fsspec filesystem, path), and a store of obstore or of "
            "zarr-python 3"
        )
    return store


def _from_fsspec(given: Any, read_only: bool) -> Store | None:
    """Return the store of a ``UPath``, an ``FSMap`` or a filesystem with a path, if it is one."""
    remote = _load("remote", "RemoteStore") if _is_of_fsspec(given) else None
    if remote is None:
        return None
    store: Store
    if isinstance(given, tuple):
        store = remote(given[0], given[1], read_only=read_only)
    elif isinstance(given, MutableMapping):
        store = remote.from_mapper(given, read_only=read_only)
    elif not given.protocol or given.protocol in ("file", "local"):
        store = _open_path(os.fspath(given), OpenRequest(os.fspath(given), read_only))
    else:
        store = remote.from_upath(given, read_only=read_only)
    return store


def _is_of_fsspec(given: Any) -> bool:
    if isinstance(given, tuple):
        return len(given) == 2 and hasattr(given[0], "protocol")
    if isinstance(given, MutableMapping):
        return hasattr(given, "fs") and hasattr(given, "root")
    return all(hasattr(given, name) for name in ("fs", "path", "storage_options"))


def _is_of(module: str, name: str, given: object) -> bool:
    """Tell whether an object is of a class of a module, which it has imported if it is."""
    there = sys.modules.get(module)
    return there is not None and isinstance(given, getattr(there, name))
