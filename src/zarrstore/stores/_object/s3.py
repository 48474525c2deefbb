"""S3 as s3fs opens it: what its options, the environment and AWS profiles mean, for obstore."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from zarrstore.stores._object.options import NotTranslatable, Options, checked_endpoint

__all__ = ["S3Options", "S3Settings", "region_of_bucket"]

_DEFAULT_REGION = "us-east-1"
_LIFE = timedelta(minutes=9)
"""botocore renews what has less than ten minutes to live."""
_CLIENT_NAMES = {
    "endpoint_url": "endpoint_url",
    "region_name": "region_name",
    "aws_access_key_id": "key",
    "aws_secret_access_key": "secret",
    "aws_session_token": "token",
}
_PROFILE_SETTINGS = ("addressing_style", "use_accelerate_endpoint", "use_dualstack_endpoint")


class S3Options:
    """What is given of a bucket, in s3fs's words.

    Parameters
    ----------
    given : Options

    Raises
    ------
    NotTranslatable
        If an option is not known to mean the same to obstore.
    """

    def __init__(self, given: Options) -> None:
        client = dict(given.take("client_kwargs") or {})
        for name in [name for name in client if name in _CLIENT_NAMES]:
            given.put(_CLIENT_NAMES[name], client.pop(name))
        if client:
            raise NotTranslatable(f"the option client_kwargs[{min(client)!r}]")
        self._profile, self._token = given.take("profile"), given.take("token")
        self._key, self._secret = given.take("key", "username"), given.take("secret", "password")
        self._endpoint, self._region = given.take("endpoint_url"), given.take("region_name")
        self._anonymous, self._pays = bool(given.take("anon")), bool(given.take("requester_pays"))
        if given.take("use_ssl") is False and not self._endpoint:
            raise NotTranslatable("the option use_ssl=False")
        given.end()
        if self._endpoint:
            checked_endpoint(self._endpoint)
        if bool(self._key) != bool(self._secret):
            raise NotTranslatable(f"the option {'key' if self._key else 'secret'!r} alone")

    def settings(self) -> S3Settings:
        """Find the settings that s3fs would use. Reads the files of profiles.

        Raises
        ------
        NotTranslatable
            If a setting of the profile is not known to mean the same to obstore.
        """
        found = _Profile(self._profile)
        endpoint = self._endpoint or found.endpoint
        fixed = _fixed(self._key, self._secret, self._token) if self._key else None
        return S3Settings(
            endpoint=checked_endpoint(endpoint) if endpoint else None,
            region=self._region or found.region or _DEFAULT_REGION,
            anonymous=self._anonymous,
            requester_pays=self._pays,
            credentials=fixed or found.credentials,
        )


@dataclass(frozen=True)
class S3Settings:
    """What is to be known to open a bucket.

    Credentials are found when they are first needed, and not kept here.
    """

    endpoint: str | None
    """``None`` is Amazon's own, of the bucket's region."""
    region: str
    anonymous: bool
    requester_pays: bool
    credentials: Callable[[], dict[str, Any]] = field(repr=False)

    def config(self) -> tuple[dict[str, Any], Callable[[], dict[str, Any]] | None]:
        """Return the configuration of the store of obstore, and what gives it credentials."""
        endpoint = self.endpoint
        if endpoint is None:
            domain = "amazonaws.com.cn" if self.region.startswith("cn-") else "amazonaws.com"
            endpoint = f"https://s3.{self.region}.{domain}"
        config: dict[str, Any] = {"endpoint": endpoint, "region": self.region}
        if self.requester_pays:
            config["request_payer"] = True
        if self.anonymous:
            config["skip_signature"] = True
            return config, None
        # a function even for keys: beside them obstore would take a token from the environment
        return config, self.credentials


class _Profile:
    """What botocore finds in the environment and in the files of a profile."""

    def __init__(self, name: str | None) -> None:
        try:
            import botocore.session
            from botocore.configprovider import ConfiguredEndpointProvider
            from botocore.exceptions import ProfileNotFound
        except ImportError as error:
            raise NotTranslatable(
                "S3 without botocore, which finds profiles and credentials (pip install botocore)"
            ) from error
        self._session: Any = botocore.session.Session(profile=name)
        try:
            scoped = self._session.get_scoped_config()
        except ProfileNotFound as error:
            raise NotTranslatable(str(error)) from error
        for setting in _PROFILE_SETTINGS:
            if (scoped.get("s3") or {}).get(setting) not in (None, "auto", "path", "false"):
                raise NotTranslatable(f"the profile's setting s3.{setting}")
        ignored = self._session.get_config_variable("ignore_configured_endpoint_urls")
        provider = ConfiguredEndpointProvider(self._session.full_config, scoped, "s3")
        self.endpoint: str | None = None if ignored else provider.provide()
        self.region: str | None = self._session.get_config_variable("region")
        self._found: Any = None

    def credentials(self) -> dict[str, Any]:
        """Return credentials as obstore takes them; called again before they expire."""
        if self._found is None:
            self._found = self._session.get_credentials()
        if self._found is None:
            raise LookupError("no AWS credentials in the options, the environment or a profile")
        frozen = self._found.get_frozen_credentials()
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": datetime.now(UTC) + _LIFE,
        }


def _fixed(key: str, secret: str, token: str | None) -> Callable[[], dict[str, Any]]:
    credentials = {
        "access_key_id": key,
        "secret_access_key": secret,
        "token": token,
        "expires_at": None,
    }
    return lambda: credentials


def region_of_bucket(bucket: str, region: str, address: str = "https://s3.amazonaws.com") -> str:
    """Return the region that Amazon says a bucket is in; ``region`` if it does not say.

    Anyone may ask. botocore is redirected to it, which obstore is not. Blocks.
    """
    request = urllib.request.Request(f"{address}/{bucket}", method="HEAD")  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            headers = answer.headers
    except urllib.error.HTTPError as error:
        headers = error.headers
        error.close()
    except OSError:
        return region
    return str(headers.get("x-amz-bucket-region") or region)
