"""Where a store of obstore comes from: given as an object, or made of a URL and options."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Protocol, runtime_checkable

from zarrstore.redaction import redact
from zarrstore.stores._object.objects import (
    AzureObjects,
    GoogleObjects,
    HTTPObjects,
    LocalObjects,
    MemoryObjects,
    Objects,
)
from zarrstore.stores._object.options import (
    NotTranslatable,
    Options,
    checked_endpoint,
    class_of,
)
from zarrstore.stores._object.s3 import S3Options, region_of_bucket
from zarrstore.stores._report import secrets_of

__all__ = ["Given", "Source", "URLSource", "source_of_url"]

_RETRIES: dict[str, Any] = {
    "max_retries": 5,
    "retry_timeout": timedelta(seconds=60),
    "backoff": {
        "init_backoff": timedelta(milliseconds=100),
        "max_backoff": timedelta(seconds=5),
        "base": 2,
    },
}
"""obstore's own would try for three minutes before it says that a server is down."""
_TIMEOUTS = {"timeout": "10m", "read_timeout": "30s", "connect_timeout": "5s"}

_AZURE = "core.windows.net"
_ILLEGAL = frozenset(("", ".", ".."))

_KINDS: dict[str, type[Objects]] = {
    "S3Store": Objects,
    "GCSStore": GoogleObjects,
    "AzureStore": AzureObjects,
    "HTTPStore": HTTPObjects,
    "LocalStore": LocalObjects,
    "MemoryStore": MemoryObjects,
}


@runtime_checkable
class Source(Protocol):
    """How to get a store of obstore. Compares by where it is and how it is reached."""

    url: str
    """Credentials redacted."""
    kind: type[Objects]
    shareable: bool
    """Whether another process can get the same one."""

    def make(self) -> Any:
        """Return the store of obstore. May block, to find out how it is reached."""

    def secrets(self) -> list[str]:
        """Return the credentials that no message may show."""


class Given:
    """A store of obstore that the caller made.

    Parameters
    ----------
    store : obstore.store.ObjectStore
    """

    def __init__(self, store: Any) -> None:
        name = class_of(store)
        if name is None:
            raise TypeError(
                f"an ObjectStore is made of a store of obstore, not of {type(store).__name__}; "
                "ObjectStore.from_url takes a URL"
            )
        self._store = store
        self.kind = _KINDS[name]
        self.url = redact(_url_of(name, store))
        self.shareable = name != "MemoryStore" and _can_be_pickled(store)

    def make(self) -> Any:
        return self._store

    def secrets(self) -> list[str]:
        return list(secrets_of("", dict(getattr(self._store, "config", {}))))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Given):
            return NotImplemented
        return type(self._store) is type(other._store) and bool(self._store == other._store)

    def __hash__(self) -> int:
        return hash(self.url)

    def __reduce__(self) -> tuple[Any, ...]:
        return Given, (self._store,)


def _url_of(name: str, store: Any) -> str:
    prefix = str(getattr(store, "prefix", None) or "")
    config = dict(getattr(store, "config", {}))
    if name == "HTTPStore":
        return str(store.url)
    if name == "LocalStore":
        return f"file://{prefix or '/'}"
    if name == "MemoryStore":
        return f"memory://<obstore at {id(store):#x}>"
    scheme = {"S3Store": "s3", "GCSStore": "gs"}.get(name, "az")
    place = config.get("bucket") or config.get("container_name") or ""
    return f"{scheme}://{place}/{prefix}".rstrip("/")


def _can_be_pickled(store: Any) -> bool:
    import pickle

    try:
        pickle.dumps(store)
    except Exception:  # noqa: BLE001  whatever it raises, it cannot be sent
        return False
    return True


class URLSource(ABC):
    """A URL and the options of its fsspec filesystem, in obstore's terms.

    Parameters
    ----------
    url : str
    options : mapping
        As fsspec's filesystems name them.
    alike : bool, default False
        Whether to refuse what obstore opens in another way than fsspec would.

    Raises
    ------
    NotTranslatable
        If an option does not mean the same to obstore.
    """

    kind: type[Objects] = Objects
    shareable = True
    has_user = False
    """Whether an ``@`` may stand in the URL, before the name of the host."""
    has_bucket = True
    """Whether the path is that of a prefix in a bucket, which obstore wants without ``//``."""

    def __init__(self, url: str, options: Mapping[str, Any], *, alike: bool = False) -> None:
        self._full = url
        self._options = dict(options)
        self._place, _, path = url.partition("://")[2].partition("/")
        self._path = path.strip("/")
        if not self._place or "?" in url or ("@" in self._place and not self.has_user):
            raise NotTranslatable(f"the form of {redact(url)!r}")
        if self.has_bucket and path and not _ILLEGAL.isdisjoint(path.rstrip("/").split("/")):
            raise NotTranslatable(f"an empty segment, '.' or '..' in {redact(url)!r}")
        self.url = redact(url.rstrip("/"))
        self._read(alike)

    @abstractmethod
    def _read(self, alike: bool) -> None:
        """Translate the options."""

    @abstractmethod
    def make(self) -> Any:
        """Return the store of obstore."""

    def _given(self, protocol: str) -> Options:
        """Return the options, and those that fsspec is configured to add."""
        from fsspec.config import conf

        return Options(protocol, {**conf.get(protocol, {}), **self._options})

    def secrets(self) -> list[str]:
        return list(secrets_of("", self._options))

    def _key(self) -> tuple[Any, ...]:
        return type(self), self._full.rstrip("/"), repr(sorted(self._options.items()))

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, URLSource) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._full, self._options)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"


class S3Source(URLSource):
    """``s3://bucket/prefix``, as s3fs opens it."""

    def _read(self, alike: bool) -> None:
        if self._place.startswith("arn:"):
            raise NotTranslatable("the ARN of an access point")
        self._asked = S3Options(self._given("s3"))
        if alike:
            self._asked.settings()

    def make(self) -> Any:
        settings = self._asked.settings()
        if settings.endpoint is None:
            settings = replace(settings, region=region_of_bucket(self._place, settings.region))
        config, provider = settings.config()
        return _stores().S3Store(
            self._place,
            prefix=self._path or None,
            config=config,
            credential_provider=provider,
            client_options=_client(config["endpoint"]),
            retry_config=_RETRIES,
        )


class GoogleSource(URLSource):
    """``gs://bucket/prefix``, as gcsfs opens it: its ``token`` and ``endpoint_url``."""

    kind = GoogleObjects

    def _read(self, alike: bool) -> None:
        given = self._given("gcs")
        given.take("project", "access")
        token, endpoint = given.take("token"), given.take("endpoint_url")
        given.end()
        emulator = os.environ.get("STORAGE_EMULATOR_HOST") if endpoint is None else None
        if emulator:
            if alike:
                raise NotTranslatable("STORAGE_EMULATOR_HOST")
            endpoint = emulator if "://" in emulator else f"http://{emulator}"
            token = token or "anon"
        self._config: dict[str, Any] = {}
        if token == "anon":  # noqa: S105
            self._config["skip_signature"] = True
        elif isinstance(token, str) and os.path.isfile(token):
            self._config["application_credentials"] = token
        elif token is not None:
            raise NotTranslatable("the option 'token' other than 'anon' or a file's path")
        elif alike:
            raise NotTranslatable("credentials of Google Cloud that are not given")
        if endpoint is not None:
            self._config["base_url"] = checked_endpoint(endpoint)

    def make(self) -> Any:
        return _stores().GCSStore(
            self._place,
            prefix=self._path or None,
            config=self._config,
            # for writing, obstore would look for credentials all the same
            credential_provider=_nobody if "skip_signature" in self._config else None,
            client_options=_client(self._config.get("base_url")),
            retry_config=_RETRIES,
        )


def _nobody() -> dict[str, Any]:
    """Return a token that emulators take, and Google refuses."""
    return {"token": "anonymous", "expires_at": None}


class AzureSource(URLSource):
    """``az://container/prefix``, as adlfs opens it: an account, and its key or signature."""

    kind = AzureObjects
    has_user = True

    def _read(self, alike: bool) -> None:
        given = self._given("abfs")
        container, _, host = self._place.partition("@")
        self._container = container
        said = _connection(given.take("connection_string"))
        self._config: dict[str, Any] = {
            "account_name": given.take("account_name")
            or said.get("accountname")
            or host.partition(".")[0],
            "account_key": given.take("account_key") or said.get("accountkey"),
            "sas_key": given.take("sas_token") or said.get("sharedaccesssignature"),
            "skip_signature": given.take("anon"),
            "endpoint": _blob_endpoint(said, host),
            "use_emulator": said.get("usedevelopmentstorage", "").lower() == "true",
        }
        given.end()
        self._config = {name: value for name, value in self._config.items() if value}
        if "endpoint" in self._config:
            checked_endpoint(self._config["endpoint"])
        credentials = {"account_key", "sas_key", "skip_signature"} & set(self._config)
        if alike and ("account_name" not in self._config or not credentials):
            raise NotTranslatable("an account of Azure, or its credentials, that are not given")

    def make(self) -> Any:
        return _stores().AzureStore(
            self._container,
            prefix=self._path or None,
            config=self._config,
            client_options=_client(self._config.get("endpoint")),
            retry_config=_RETRIES,
        )

    def secrets(self) -> list[str]:
        return list(secrets_of("", {**self._options, **self._config}))


_OF_CONNECTION = {
    "accountkey",
    "accountname",
    "defaultendpointsprotocol",
    "endpointsuffix",
    "sharedaccesssignature",
    "usedevelopmentstorage",
}


def _connection(text: str | None) -> dict[str, str]:
    """Return the fields of a connection string of Azure, their names in lower case."""
    fields = (field.partition("=") for field in (text or "").strip("; ").split(";"))
    said = {name.strip().lower(): value.strip() for name, _, value in fields}
    if any(name not in _OF_CONNECTION and not name.endswith("endpoint") for name in said if name):
        raise NotTranslatable("the option 'connection_string'")  # which may be a secret as a whole
    if text and said.keys().isdisjoint(("accountname", "blobendpoint", "usedevelopmentstorage")):
        raise NotTranslatable("the option 'connection_string' without AccountName")
    return said


def _blob_endpoint(said: dict[str, str], host: str) -> str | None:
    """Return where an account is, if that is not where Azure's are by default."""
    if "blobendpoint" in said:
        return said["blobendpoint"].rstrip("/")
    protocol = said.get("defaultendpointsprotocol", "https")
    suffix = said.get("endpointsuffix", _AZURE)
    if (suffix, protocol) != (_AZURE, "https"):
        return f"{protocol}://{said.get('accountname')}.blob.{suffix}"
    if host and not host.endswith(_AZURE):  # of another country's cloud
        return f"https://{host.replace('.dfs.', '.blob.', 1)}"
    return None


class HTTPSource(URLSource):
    """``https://host/path``, read only."""

    kind = HTTPObjects
    has_bucket = False

    def _read(self, alike: bool) -> None:
        if alike:
            raise NotTranslatable("HTTP, where fsspec lists by index pages")
        given = self._given("http")
        self._headers = {"Accept-Encoding": "identity", **(given.take("headers") or {})}
        given.end()

    def make(self) -> Any:
        options = {**_client(self._full), "default_headers": self._headers}
        return _stores().HTTPStore(self._full, client_options=options, retry_config=_RETRIES)


def _stores() -> Any:
    from obstore import store

    return store


def _client(address: str | None) -> dict[str, Any]:
    return {**_TIMEOUTS, "allow_http": (address or "").lower().startswith("http:")}


_SOURCES: dict[str, type[URLSource]] = {
    "s3": S3Source, "s3a": S3Source,
    "gs": GoogleSource, "gcs": GoogleSource,
    "az": AzureSource, "abfs": AzureSource, "abfss": AzureSource,
    "http": HTTPSource, "https": HTTPSource,
}  # fmt: skip


def source_of_url(url: str, options: Mapping[str, Any], *, alike: bool = False) -> URLSource:
    """Return the source that a URL names; see `URLSource`."""
    return _SOURCES[url.partition("://")[0].lower()](url, options, alike=alike)
