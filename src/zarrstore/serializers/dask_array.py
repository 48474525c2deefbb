"""`DaskArraySerializer`: dask arrays kept beside a pickle."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any, ClassVar

import dask.array as da

from zarrstore.serializers._hdf5 import read_file, write_file
from zarrstore.serializers._zarr import read_folder, remove_folder, write_folder
from zarrstore.serializers.protocols import (
    FILE_PROTOCOL,
    S3_PROTOCOL,
    file_protocol,
    has,
    remove_file,
    s3_protocol,
)

__all__ = ["DaskArraySerializer"]

_PID = re.compile(r"dask-[0-9a-f]{32}\.(hdf5|zarr)")


class DaskArraySerializer:
    """Writes a dask array to a file or a bucket, and makes a lazy one of it again.

    For the ``persistent_id`` and ``persistent_load`` of `pickle`, which would keep the graph of
    a dask array with all that it holds, rather than its elements.

    What ``protocols`` has says where an array goes: with ``FILE_PROTOCOL`` to a file of HDF5
    (which needs ``zarrstore[hdf5]``), with ``S3_PROTOCOL`` to Zarr in a folder; with both, to a
    file. The array that comes back has the same chunks, dtype and mask, and reads a block when
    it is computed, in any process that the file object or client can be sent to.

    Examples
    --------
    >>> import dask.array, fsspec
    >>> from zarrstore.serializers import S3_PROTOCOL
    >>> client = fsspec.filesystem("memory")  # or s3fs.S3FileSystem(...)
    >>> protocols = {S3_PROTOCOL: {"client": client, "folder": "bucket/arrays"}}
    >>> serializer = DaskArraySerializer()
    >>> pid = serializer.pickle(dask.array.ones((5, 4), chunks=((2, 3), 4)), protocols)
    >>> again = serializer.unpickle(pid, protocols)
    >>> again.chunks, again.sum().compute()
    (((2, 3), (4,)), np.float64(20.0))
    >>> serializer.remove(pid, protocols)
    """

    serializer_class: ClassVar[type[Any]] = da.Array
    """What it serializes."""

    @staticmethod
    def pickle(array: da.Array, protocols: Mapping[str, Any]) -> str:
        """Compute an array and write it; return the identifier that `unpickle` takes.

        Parameters
        ----------
        array : dask.array.Array
        protocols : dict
            ``FILE_PROTOCOL``: an object with ``open(name, mode)`` and ``remove(name)``, or
            ``rm`` as of fsspec, which is asked for a new name; ``S3_PROTOCOL``: a dict with
            ``client``, an `s3fs.S3FileSystem`, and ``folder``, in which there will be a new one.

        Raises
        ------
        MissingProtocolError
            If there is neither protocol.
        ValueError
            If the array has chunks of unknown sizes; nothing was computed.
        TypeError
            If its elements are objects that are no text, or not those of numpy.

        Notes
        -----
        Each block is written by the task that computes it, to a chunk of its own. Where it goes
        to a file and the scheduler has other processes, blocks are written in this one. If
        something fails, nothing is left behind.
        """
        if not isinstance(array, da.Array):
            raise TypeError(f"a dask array is needed, not {type(array).__name__}")
        name = f"dask-{uuid.uuid4().hex}"
        if has(protocols, FILE_PROTOCOL) or not has(protocols, S3_PROTOCOL):
            pid = f"{name}.hdf5"
            write_file(array, file_protocol(protocols), pid)
        else:
            pid = f"{name}.zarr"
            write_folder(array, *s3_protocol(protocols), pid)
        return pid

    @staticmethod
    def unpickle(pid: str, protocols: Mapping[str, Any]) -> da.Array:
        """Return the array of an identifier, lazily.

        Raises
        ------
        MissingProtocolError
            If the protocol that it was written by is not there.
        FileNotFoundError
            If the array is not; later, from what computes it, if it was removed meanwhile.
        CorruptDataError
            If it was not written to the end.
        ValueError
            If it is no identifier.
        """
        if _is_file(pid):
            return read_file(file_protocol(protocols), pid)
        return read_folder(*s3_protocol(protocols), pid)

    @staticmethod
    def remove(pid: str, protocols: Mapping[str, Any]) -> None:
        """Delete the array of an identifier; those that were unpickled from it are lost.

        Raises
        ------
        MissingProtocolError, FileNotFoundError, ValueError
            As `unpickle`.
        """
        if _is_file(pid):
            remove_file(file_protocol(protocols), pid)
        else:
            remove_folder(*s3_protocol(protocols), pid)


def _is_file(pid: Any) -> bool:
    found = _PID.fullmatch(pid) if isinstance(pid, str) else None
    if found is None:
        raise ValueError(f"{pid!r} is no identifier that DaskArraySerializer.pickle returned")
    return found[1] == "hdf5"
