"""Dask arrays in HDF5 files: one dataset for the elements, and one for the mask.

Numbers are stored as such. Of other dtypes that have a fixed size the bytes are, in one more
dimension, and text is of variable length: HDF5 has no types that keep all of them.
"""

from __future__ import annotations

import functools
import io
import json
import math
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any, TypeAlias

import dask.array as da
import numpy as np

from zarrstore.errors import CorruptDataError
from zarrstore.serializers._blocks import Source, Target, lazy, write_blocks
from zarrstore.serializers._layout import Layout, layout_of
from zarrstore.serializers.protocols import opened, remove_file

__all__ = ["read_file", "write_file"]

NDArray: TypeAlias = np.ndarray[Any, Any]

_ATTRIBUTE = "zarrstore.serializers"
_NUL = b"\0", b"\xc0\x80"
"""What ends text in HDF5, and what stands for it, which no UTF-8 has."""
_MAX_UNUSED = 1.5
"""Of what is used; HDF5 has chunks of one shape only, which reach beyond the array."""
_PIECE = 2**20
"""In bytes."""
_MAX_CHUNK = 2**32 - 1
"""In bytes; HDF5 has no larger chunks."""


@functools.cache
def _h5py() -> ModuleType:
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            "arrays are pickled to files with h5py: pip install 'zarrstore[hdf5]'"
        ) from error
    found: ModuleType = h5py
    return found


def write_file(array: da.Array, opener: Any, name: str) -> None:
    """Write a dask array to a file, which is opened when the array is computed."""
    layout = layout_of(array)
    h5py = _h5py()
    with tempfile.TemporaryFile() as made:
        with h5py.File(made, "w") as file:
            target = _Target(file, layout)
            fill_value = write_blocks(array, target, anywhere=False)
            document = layout.to_document(fill_value)
            file.attrs[_ATTRIBUTE] = np.frombuffer(json.dumps(document).encode(), np.uint8)
        made.seek(0)
        try:
            with opened(opener, name, "wb") as file:
                while piece := made.read(_PIECE):
                    _write_all(file, piece)
        except BaseException:
            with suppress(Exception):
                remove_file(opener, name)
            raise


def read_file(opener: Any, name: str) -> da.Array:
    """Return the dask array in a file, which is opened for each block that is computed."""
    with _opened(opener, name) as file:
        stored = file.attrs.get(_ATTRIBUTE)
        if stored is None:
            raise CorruptDataError(f"{name} holds no dask array", key=name)
        document = json.loads(bytes(np.asarray(stored)))
    return lazy(_Source(opener, name, *Layout.from_document(document)))


def _write_all(file: Any, data: bytes) -> None:
    """Write bytes to a file that may take fewer than it is given, as raw ones do."""
    while data:
        count = file.write(data)
        if count is None and not isinstance(file, io.RawIOBase):
            return  # it does not say
        if not count:
            raise OSError(f"{type(file).__name__}.write took none of {len(data)} bytes")
        data = data[count:]


@contextmanager
def _opened(opener: Any, name: str) -> Iterator[Any]:
    with opened(opener, name, "rb") as file:
        try:
            with _h5py().File(_seeking(file), "r") as found:
                yield found
        except (KeyError, OSError) as error:
            if isinstance(error, OSError) and (type(error), error.errno) != (OSError, None):
                raise  # of the file itself; those of HDF5 have no number
            raise CorruptDataError(f"{name} is damaged: {error}", key=name) from error


def _seeking(file: Any) -> Any:
    """Return a file that can seek, and reads as much as it is asked for."""
    seekable = getattr(file, "seekable", None)
    if not callable(getattr(file, "seek", None)) or (seekable is not None and not seekable()):
        return io.BytesIO(file.read())
    return io.BufferedReader(file) if isinstance(file, io.RawIOBase) else file


class _Target(Target):
    """Datasets of a file that is written."""

    def __init__(self, file: Any, layout: Layout) -> None:
        self.layout = layout
        self._lock = threading.Lock()
        pairs = layout.stored.items()
        self._datasets = {name: _dataset(file, name, layout, dtype) for name, dtype in pairs}

    def write(self, name: str, region: tuple[slice, ...], values: NDArray) -> None:
        """Write a block; one at a time, as HDF5 does."""
        encoded = _encoded(values)
        with self._lock:
            self._datasets[name][region] = encoded


class _Source(Source):
    """Datasets of a file, which is opened for each part that is read."""

    def __init__(self, opener: Any, name: str, layout: Layout, fill_value: Any) -> None:
        super().__init__(layout, fill_value)
        self._opener = opener
        self._name = name

    def read(self, box: tuple[slice, ...]) -> list[NDArray]:
        """Return a part of each dataset."""
        stored = self.layout.stored
        with _opened(self._opener, self._name) as file:
            found = [np.asarray(file[name][box]) for name in stored]
        return [_decoded(*pair) for pair in zip(found, stored.values(), strict=True)]


def _is_native(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "biufc"


def _dataset(file: Any, name: str, layout: Layout, dtype: np.dtype[Any]) -> Any:
    shape, chunks, stored = layout.shape, _chunks(layout), dtype
    if dtype.kind == "T":
        stored = _h5py().string_dtype()
    elif not _is_native(dtype):
        shape, chunks = (*shape, dtype.itemsize), (*chunks, dtype.itemsize)
        stored = np.dtype(np.uint8)
    nbytes = math.prod(chunks) * max(16, dtype.itemsize)
    is_one = all(len(lengths) == 1 for lengths in layout.chunks)
    if is_one or 0 in shape or nbytes > _MAX_CHUNK:
        return file.create_dataset(name, shape, stored)
    return file.create_dataset(name, shape, stored, chunks=chunks)


def _chunks(layout: Layout) -> tuple[int, ...]:
    """Return the shape of chunks: of the longest block, unless much of the last ones is unused."""
    pairs = list(zip(layout.shape, layout.longest, strict=True))
    whole = math.prod([math.ceil(length / longest) * longest for length, longest in pairs])
    if whole <= _MAX_UNUSED * math.prod(layout.shape):
        return layout.longest
    return tuple(
        [max(1, math.ceil(length / max(1, round(length / longest)))) for length, longest in pairs]
    )


def _encoded(values: NDArray) -> NDArray:
    if _is_native(values.dtype):
        return values
    if values.dtype.kind == "T":
        made = np.empty(values.shape, object)
        for at in np.ndindex(values.shape):
            text: Any = values[at]
            made[at] = text.encode().replace(*_NUL)
        return made
    raw = np.frombuffer(values.tobytes(), np.uint8)
    return raw.reshape(*values.shape, values.dtype.itemsize)


def _decoded(stored: NDArray, dtype: np.dtype[Any]) -> NDArray:
    if _is_native(dtype):
        return stored
    if dtype.kind == "T":
        made = np.empty(stored.shape, dtype)
        for at in np.ndindex(stored.shape):
            encoded: Any = stored[at]
            made[at] = encoded.replace(*reversed(_NUL)).decode()
        return made
    return np.frombuffer(bytearray(stored.tobytes()), dtype).reshape(stored.shape[:-1])
