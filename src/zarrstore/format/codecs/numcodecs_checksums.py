"""Checksums of numcodecs, as ``numcodecs.crc32`` and the like.

Names and configurations are those of https://numcodecs.readthedocs.io/en/stable/checksum32.html.
"""

from __future__ import annotations

import zlib
from abc import abstractmethod
from typing import Any, ClassVar

import google_crc32c
import numpy as np
from numcodecs import fletcher32, jenkins

from zarrstore.errors import CorruptDataError, MetadataError
from zarrstore.format.codecs.base import decoded_size_differs
from zarrstore.format.codecs.numcodecs_bytes import NumcodecsBytes, integer
from zarrstore.operations import Buffer

__all__ = ["Adler32", "Crc32", "Fletcher32", "JenkinsLookup3", "NumcodecsCrc32c"]


class _Checksum(NumcodecsBytes):
    """Four bytes before the data or after it, which reading verifies."""

    members: ClassVar[tuple[str, ...]] = ("location",)
    _default_location: ClassVar[str] = "start"

    def __init__(self, location: str | None = None) -> None:
        if location not in ("start", "end", None):
            raise MetadataError(
                f"codecs: {self.name}.location is 'start' or 'end', not {location!r}"
            )
        self.location = location or self._default_location

    def configuration(self) -> dict[str, Any]:
        # older versions of numcodecs do not know the member
        return {} if self.location == self._default_location else {"location": self.location}

    @abstractmethod
    def _checksum(self, data: Buffer) -> int:
        """Return the checksum, 32 bits without sign."""

    def encode(self, data: Buffer) -> bytes:
        checksum = self._checksum(data).to_bytes(4, "little")
        parts = (checksum, data) if self.location == "start" else (data, checksum)
        return b"".join(parts)

    def decode(self, data: Buffer, size: int | None, limit: int) -> memoryview:
        if len(data) < 4:
            raise CorruptDataError(
                f"{self.name} data has {len(data)} bytes, too few for a checksum"
            )
        view = memoryview(data)
        start = self.location == "start"
        stored, content = (view[:4], view[4:]) if start else (view[-4:], view[:-4])
        if len(content) > limit or (size is not None and len(content) != size):
            raise decoded_size_differs(self.name, limit if size is None else size, len(content))
        found = self._checksum(content).to_bytes(4, "little")
        if found != stored:
            raise CorruptDataError(
                f"{self.name} checksum does not match: stored {bytes(stored).hex()}, found "
                f"{found.hex()}"
            )
        return content.toreadonly()

    def encoded_size(self, size: int) -> int:
        return size + 4

    def largest_encoded_size(self, size: int) -> int:
        return size + 4


class Crc32(_Checksum):
    """Put a CRC-32 checksum before the data.

    Parameters
    ----------
    location : {"start", "end"}, optional

    Examples
    --------
    >>> Crc32().encode(b"abc").hex()
    'c2412435616263'
    """

    name = "numcodecs.crc32"

    def _checksum(self, data: Buffer) -> int:
        return zlib.crc32(data)


class Adler32(_Checksum):
    """Put an Adler-32 checksum before the data.

    Parameters
    ----------
    location : {"start", "end"}, optional

    Examples
    --------
    >>> Adler32().encode(b"abc").hex()
    '27014d02616263'
    """

    name = "numcodecs.adler32"

    def _checksum(self, data: Buffer) -> int:
        return zlib.adler32(data)


class NumcodecsCrc32c(_Checksum):
    """Put a CRC-32C checksum after the data; `Crc32c` does the same.

    Parameters
    ----------
    location : {"start", "end"}, optional

    Examples
    --------
    >>> NumcodecsCrc32c().encode(b"abc").hex()
    '616263b73f4b36'
    """

    name = "numcodecs.crc32c"
    _default_location = "end"

    def _checksum(self, data: Buffer) -> int:
        # the library takes no memoryview, and a copy would cost as much as the checksum
        value: int = google_crc32c.value(np.frombuffer(data, np.uint8))
        return value


class Fletcher32(_Checksum):
    """Put a Fletcher-32 checksum after the data, as HDF5 does.

    Examples
    --------
    >>> Fletcher32().encode(b"abc").hex()
    '61626362c4c525'
    """

    name = "numcodecs.fletcher32"
    members = ()
    _default_location = "end"

    def __init__(self) -> None:
        super().__init__()

    def _checksum(self, data: Buffer) -> int:
        # numcodecs has no checksum alone, and none of nothing
        encoded: bytes = fletcher32.Fletcher32().encode(data) if len(data) else bytes(4)
        return int.from_bytes(encoded[-4:], "little")


class JenkinsLookup3(_Checksum):
    """Put Bob Jenkins's lookup3 checksum after the data, as HDF5 does for its metadata.

    Parameters
    ----------
    initval : int, default 0
        What the checksum starts with.
    prefix : list of int, optional
        Bytes that are checked before the data.

    Examples
    --------
    >>> JenkinsLookup3().encode(b"abc").hex()
    '6162633176390e'
    """

    name = "numcodecs.jenkins_lookup3"
    members = ("initval", "prefix")
    _default_location = "end"

    def __init__(self, initval: int = 0, prefix: Any = None) -> None:
        super().__init__()
        self.initval = integer(self.name, "initval", initval, 0, 2**32 - 1)
        try:
            self.prefix = None if prefix is None else [*bytes(prefix)]
        except (TypeError, ValueError):
            raise MetadataError(
                f"codecs: {self.name}.prefix is a list of bytes, not {prefix!r}"
            ) from None

    def configuration(self) -> dict[str, Any]:
        return {"initval": self.initval, **({"prefix": self.prefix} if self.prefix else {})}

    def _checksum(self, data: Buffer) -> int:
        checked = data if self.prefix is None else bytes(self.prefix) + bytes(data)
        value: int = jenkins.jenkins_lookup3(checked, self.initval)
        return value
