"""Serializers: objects too large for a pickle, kept beside it.

>>> import dask.array, fsspec
>>> protocols = {FILE_PROTOCOL: fsspec.filesystem("memory")}
>>> serializer = DaskArraySerializer()
>>> pid = serializer.pickle(dask.array.arange(6, chunks=4), protocols)
>>> serializer.unpickle(pid, protocols).sum().compute()
np.int64(15)
>>> serializer.remove(pid, protocols)
"""

from __future__ import annotations

try:
    import dask.array as _dask_array  # noqa: F401
except ImportError as error:
    raise ImportError(
        "zarrstore.serializers needs dask: pip install 'zarrstore[dask]', and for files "
        "'zarrstore[dask,hdf5]'"
    ) from error

from zarrstore.serializers.dask_array import DaskArraySerializer
from zarrstore.serializers.protocols import FILE_PROTOCOL, S3_PROTOCOL, MissingProtocolError

__all__ = ["FILE_PROTOCOL", "S3_PROTOCOL", "DaskArraySerializer", "MissingProtocolError"]
