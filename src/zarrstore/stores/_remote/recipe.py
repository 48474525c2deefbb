"""How to make an fsspec filesystem again: in another process, on another loop, or at first use."""

from __future__ import annotations

import io
from typing import Any

from zarrstore.errors import StoreURLError
from zarrstore.redaction import redact
from zarrstore.stores._report import secrets_of

__all__ = ["EXTRAS", "Recipe"]

_OWN_LOOP = ("asynchronous", "loop", "skip_instance_cache")
_S3_CONFIG = {
    # botocore's older default waits ten seconds before it says that a server is down
    "retries": {"mode": "standard", "total_max_attempts": 3},
    # its default of ten leaves the other requests waiting, whatever is allowed to be under way
    "max_pool_connections": 128,
}
EXTRAS = {
    "abfs": "azure",
    "abfss": "azure",
    "adl": "azure",
    "az": "azure",
    "gcs": "gcs",
    "gs": "gcs",
    "http": "http",
    "https": "http",
    "s3": "s3",
    "s3a": "s3",
}
"""The extra of this package that a scheme needs."""


class Recipe:
    """The class of a filesystem and its arguments, without the filesystem itself.

    Compares by them. The repr shows none of them: they hold credentials.

    Parameters
    ----------
    cls : type
        A subclass of ``fsspec.AbstractFileSystem``.
    args : tuple
    options : dict
        Filesystems among the arguments stand as recipes themselves.
    chain : str, optional
        A URL of several links (``zip://a::s3://b``), which then stands for ``args``.
    """

    def __init__(
        self,
        cls: Any,
        args: tuple[Any, ...] = (),
        options: dict[str, Any] | None = None,
        chain: str | None = None,
    ) -> None:
        self.cls = cls
        self.args = args
        self.options = dict(options or {})
        self.chain = chain

    @classmethod
    def of(cls, fs: Any) -> Recipe:
        """Return the recipe of a filesystem that exists."""
        options = {
            name: _written(value)
            for name, value in fs.storage_options.items()
            if name not in _OWN_LOOP
        }
        return cls(type(fs), tuple(_written(value) for value in fs.storage_args), options)

    @classmethod
    def of_url(cls, url: str, options: dict[str, Any]) -> tuple[Recipe, str]:
        """Return the recipe of the filesystem that a URL names, and the path in it.

        No I/O happens: a filesystem that connects when it is made does so at first use.

        Raises
        ------
        StoreURLError
            If the protocol is unknown, or its package is not installed.
        """
        from fsspec.core import get_filesystem_class, split_protocol

        options = {name: value for name, value in options.items() if name not in _OWN_LOOP}
        first, _, rest = url.partition("::")
        protocol = split_protocol(first)[0] or (first if rest else "file")
        try:
            fs_class = get_filesystem_class(protocol)
        except ValueError as error:
            raise StoreURLError(
                f"fsspec knows no protocol {protocol!r}, asked for by {redact(url)!r}; "
                "check the URL, or install the package that provides it",
                store=redact(url),
            ) from error
        except ImportError as error:
            extra = EXTRAS.get(protocol)
            install = f"pip install 'zarrstore[{extra}]'" if extra else str(error)
            raise StoreURLError(
                f"{redact(url)!r} needs a package that is not installed: {install}",
                store=redact(url),
            ) from error
        if rest:
            return cls(fs_class, (), options, chain=url), ""
        options = {**(options.pop(protocol, None) or {}), **options}
        found = fs_class._get_kwargs_from_urls(url)
        return cls(fs_class, (), {**found, **options}), fs_class._strip_protocol(url)

    @property
    def protocol(self) -> str:
        """The first protocol of the class: ``"s3"``, ``"file"`` ..."""
        protocol = self.cls.protocol
        return str(protocol if isinstance(protocol, str) else protocol[0])

    @property
    def is_async(self) -> bool:
        """Whether the filesystem runs on an event loop."""
        if self._is_directory:
            # one that shows a directory of another claims to be, and is what that one is
            return self._inner().is_async
        flag = self.cls.async_impl
        return flag if isinstance(flag, bool) else bool(self.make()[0].async_impl)

    @property
    def _is_directory(self) -> bool:
        from fsspec.implementations.dirfs import DirFileSystem

        return issubclass(self.cls, DirFileSystem)

    def _inner(self) -> Recipe:
        """Return the recipe of the filesystem below this one."""
        for value in (*self.args, *self.options.values()):
            if isinstance(value, Recipe):
                return value
        if self.chain is not None:
            return Recipe.of_url(self.chain.partition("::")[2], {})[0]
        target = {"target_protocol": "file", **self.options}["target_protocol"]
        return Recipe.of_url(f"{target}://", {})[0]

    @property
    def is_over_http(self) -> bool:
        """Whether this is a cache over HTTP, whose paths are whole URLs."""
        inner = self.options.get("fs")
        return (
            self.options.get("target_protocol") in ("http", "https")
            or (isinstance(inner, Recipe) and inner.protocol == "http")
            or (self.chain or "").rpartition("::")[2].startswith(("http://", "https://"))
        )

    @property
    def is_memory(self) -> bool:
        """Whether the data live in this process."""
        return self.protocol == "memory" or any(
            value.is_memory if isinstance(value, Recipe) else _names_memory(value)
            for value in (self.chain, *self.args, *self.options.values())
        )

    @property
    def is_shareable(self) -> bool:
        """Whether another process can make the same filesystem."""
        return not self.is_memory and all(
            _is_data(value) for value in (*self.args, *self.options.values())
        )

    def make(self) -> tuple[Any, str]:
        """Make the filesystem, apart from all others; return it and the path its URL names."""
        options = {name: _made(value) for name, value in self.options.items()}
        if self.chain is not None:
            from fsspec.core import url_to_fs

            fs, path = url_to_fs(self.chain, **options, skip_instance_cache=True)
            # the path has become the directory that is shown, and is not to be entered again
            return fs, "" if self._is_directory else str(path)
        args = [_made(value) for value in self.args]
        if self.protocol == "s3":
            options["config_kwargs"] = {**_S3_CONFIG, **(options.get("config_kwargs") or {})}
        return self.cls(*args, **options, skip_instance_cache=True), ""

    def secrets(self) -> frozenset[str]:
        """Return the credentials among the arguments, which no message may show."""
        return frozenset(secrets_of("", [*self.args, self.options]))

    def url(self, path: str) -> str:
        """Return the URL of a path, credentials redacted."""
        if self.chain is not None:
            return redact(self.chain)
        if "://" in path:
            return redact(path)
        host = str(self.options.get("host") or "")
        path = path.lstrip("/") if self.protocol == "memory" else path
        url = f"{self.protocol}://{host}{'/' if host and path[:1] != '/' else ''}{path}"
        inner = self.options.get("fo", self.args[0] if self.args else None)
        if isinstance(inner, str):
            target = self.options.get("target_protocol")
            url += "::" + (f"{target}://{inner}" if target and "://" not in inner else inner)
        return redact(url)

    def _key(self) -> tuple[Any, ...]:
        return self.cls, self.chain, _frozen(self.args), _frozen(self.options)

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, Recipe) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def __reduce__(self) -> tuple[Any, ...]:
        return Recipe, (self.cls, self.args, self.options, self.chain)

    def __repr__(self) -> str:
        return f"<recipe of a {self.cls.__name__}>"


def _written(value: Any) -> Any:
    """Replace the filesystems in an argument by their recipes."""
    from fsspec import AbstractFileSystem

    if isinstance(value, AbstractFileSystem):
        return Recipe.of(value)
    if type(value) is dict:
        return {name: _written(item) for name, item in value.items() if name not in _OWN_LOOP}
    if type(value) in (list, tuple):
        return type(value)(_written(item) for item in value)
    return value


def _made(value: Any) -> Any:
    if isinstance(value, Recipe):
        return value.make()[0]
    if type(value) is dict:
        return {name: _made(item) for name, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_made(item) for item in value)
    return value


def _names_memory(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_names_memory, value.values()))
    return isinstance(value, str) and (value == "memory" or "memory://" in value)


def _is_data(value: Any) -> bool:
    """Tell whether an argument means the same in every process, unlike an open file."""
    if isinstance(value, Recipe):
        return value.is_shareable
    if isinstance(value, dict):
        return all(_is_data(item) for pair in value.items() for item in pair)
    if isinstance(value, list | tuple | set | frozenset):
        return all(map(_is_data, value))
    if value is None or isinstance(value, str | bytes | int | float | bool):
        return True
    if isinstance(value, io.IOBase) or hasattr(value, "read"):
        return False
    import pickle

    try:
        pickle.dumps(value)
    except Exception:  # noqa: BLE001  whatever it raises, it cannot be sent
        return False
    return True


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return frozenset((name, _frozen(item)) for name, item in value.items())
    if isinstance(value, list | tuple):
        return tuple(map(_frozen, value))
    if isinstance(value, set):
        return frozenset(map(_frozen, value))
    try:
        hash(value)
    except TypeError:
        return id(value)
    return value
