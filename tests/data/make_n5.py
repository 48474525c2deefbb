"""Write `n5.zip`, an N5 container, with zarr-python 2.18.7: ``python make_n5.py``."""

import tempfile
import warnings
import zipfile
from pathlib import Path

import numcodecs
import numpy as np
import zarr

warnings.simplefilter("ignore")  # N5 is deprecated there

DTYPES = ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f4", "f8")
COMPRESSORS = {
    "gzip": numcodecs.GZip(2),
    "zlib": numcodecs.Zlib(3),
    "bzip2": numcodecs.BZ2(1),
    "xz": numcodecs.LZMA(preset=1),
    "lzma": numcodecs.LZMA(format=2),
    "lz4": numcodecs.LZ4(),
    "zstd": numcodecs.Zstd(3),
    "blosc": numcodecs.Blosc("lz4", 5, 1),
}


def write(root):
    group = zarr.open_group(zarr.N5Store(root), mode="w")
    group.attrs["title"] = "n5"
    values = np.arange(35).reshape(5, 7)
    types = group.create_group("types")
    types.attrs["units"] = "nm"
    for dtype in DTYPES:
        data = values.astype(dtype)
        types.create_dataset(dtype, data=data, chunks=(3, 4), compressor=None)
    for name, compressor in COMPRESSORS.items():
        data = values.astype("f4") / 3
        group.create_dataset(f"codecs/{name}", data=data, chunks=(3, 4), compressor=compressor)
    gzip = numcodecs.GZip(1)
    one = group.create_dataset("one", data=np.arange(5, dtype="i2"), chunks=2, compressor=gzip)
    one.attrs["resolution"] = [4, 4]
    for level in range(2):
        data = np.arange(24, dtype="u2").reshape(2, 3, 4) * (level + 1)
        group.create_dataset(f"pyramid/{level}", data=data, chunks=(1, 2, 2), compressor=gzip)


with tempfile.TemporaryDirectory() as directory:
    write(directory)
    with zipfile.ZipFile(Path(__file__).with_name("n5.zip"), "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(Path(directory).rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(directory))
