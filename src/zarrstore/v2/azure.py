"""`ABSStore`: Azure Blob Storage, as zarr 2 knows it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import urlsplit

from zarrstore.abc import Store
from zarrstore.keys import join
from zarrstore.stores.object import ObjectStore
from zarrstore.v2.store import DimensionSeparator, V2Store, normalize_path, restored

__all__ = ["ABSStore"]

_SCOPE = "https://storage.azure.com/.default"


class ABSStore(V2Store):
    """A store in a container of Azure Blob Storage, one blob a key.

    Parameters
    ----------
    container : str, optional
        Its name, if ``client`` is not given.
    prefix : str, default ""
        A path in it that is put before every key.
    account_name, account_key : str, optional
        If ``client`` is not given; without a key what the container lets anybody read.
    blob_service_kwargs : mapping, optional
        ``{"is_emulated": True}`` for the emulator on its usual port.
    dimension_separator : {".", "/"}, optional
    client : azure.storage.blob.ContainerClient, optional
        Says where the container is and how it is reached: by a key, a shared access signature,
        or a credential of azure-identity. It is not called.

    Raises
    ------
    ImportError, StoreURLError
        If the package obstore is not installed (``pip install 'zarrstore[obstore]'``).

    Notes
    -----
    Requests go through obstore, many at once. Usable after ``close()``. One with a credential of
    azure-identity opens in its process only. A pickle is without the client.

    Examples
    --------
    >>> ABSStore("container", "data.zarr", account_name="me", account_key="c2VjcmV0")
    <ABSStore az://container/data.zarr>
    """

    _closes: ClassVar[bool] = False

    def __init__(
        self,
        container: str | None = None,
        prefix: str | None = "",
        account_name: str | None = None,
        account_key: str | None = None,
        blob_service_kwargs: Mapping[str, Any] | None = None,
        dimension_separator: DimensionSeparator | None = None,
        client: Any = None,
    ) -> None:
        self.prefix = normalize_path(prefix)
        self.client = client
        if client is not None:
            container, account_name = client.container_name, client.account_name
            store = _of_client(client, self.prefix)
        elif container is None:
            raise TypeError("give client, or container and account_name")
        else:
            options = _options(account_name, account_key, dict(blob_service_kwargs or {}))
            store = ObjectStore.from_url(join(f"az://{container}", self.prefix), options)
        self.container = container
        self.account_name = account_name
        self.account_key = account_key
        super().__init__(store, dimension_separator=dimension_separator)

    def __reduce__(self) -> tuple[Any, ...]:
        return restored, (type(self), self._store, {**self.__dict__, "client": None})


def _options(name: str | None, key: str | None, service: dict[str, Any]) -> dict[str, Any]:
    emulated = service.pop("is_emulated", False)
    if service:
        raise TypeError(f"blob_service_kwargs {sorted(service)} are not known; give client")
    if emulated:
        return {"connection_string": "UseDevelopmentStorage=true"}
    return {"account_name": name, "account_key": key, "anon": key is None}


def _of_client(client: Any, prefix: str) -> Store:
    """Return a store of the container that a client is for."""
    container = client.container_name
    parts = urlsplit(client.url)
    path = parts.path.rstrip("/").removesuffix(f"/{container}")
    endpoint = f"{parts.scheme}://{parts.netloc}{path}"
    credential = client.credential
    if hasattr(credential, "get_token"):
        return _by_token(client, credential, endpoint, prefix)
    text = f"BlobEndpoint={endpoint};AccountName={client.account_name}"
    options: dict[str, Any] = {}
    if hasattr(credential, "account_key"):
        text += f";AccountKey={credential.account_key}"
    elif parts.query or hasattr(credential, "signature"):
        signature = parts.query or credential.signature
        text += f";SharedAccessSignature={signature}"
    else:
        options["anon"] = True
    options["connection_string"] = text
    return ObjectStore.from_url(join(f"az://{container}", prefix), options)


def _by_token(client: Any, credential: Any, endpoint: str, prefix: str) -> Store:
    from obstore.store import AzureStore

    def token() -> Any:
        found = credential.get_token(_SCOPE)
        return {"token": found.token, "expires_at": datetime.fromtimestamp(found.expires_on, UTC)}

    account: Any = AzureStore(
        client.container_name,
        prefix=prefix or None,
        account_name=client.account_name,
        endpoint=endpoint,
        credential_provider=token,
        client_options={"allow_http": endpoint.startswith("http:")},
    )
    return ObjectStore(account)
