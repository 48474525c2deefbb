"""Dask arrays and arrays in stores: planned writes that lose nothing.

>>> import dask.array as da
>>> from zarrstore.dask import from_zarr, to_zarr
>>> result = to_zarr(da.ones((100, 100), chunks=(10, 10)), "memory://ones", chunks=(15, 15))
>>> from_zarr("memory://ones").sum().compute()
np.float64(10000.0)
"""

from __future__ import annotations

try:
    import dask.array as _  # noqa: F401 - what is missing is said here
except ImportError as error:
    raise ImportError("zarrstore.dask needs dask: pip install 'zarrstore[dask]'") from error

from zarrstore.dask.datasets import dataset_to_zarr, plan_dataset
from zarrstore.dask.errors import AlignmentError
from zarrstore.dask.meta import computing_meta
from zarrstore.dask.plan import ArrayPlan, StorePlan
from zarrstore.dask.reading import from_zarr
from zarrstore.dask.receipts import Written
from zarrstore.dask.results import ArrayResult, StoreResult, StoreTask
from zarrstore.dask.writing import plan_store, store, store_dask, to_zarr

__all__ = [
    "AlignmentError",
    "ArrayPlan",
    "ArrayResult",
    "StorePlan",
    "StoreResult",
    "StoreTask",
    "Written",
    "computing_meta",
    "dataset_to_zarr",
    "from_zarr",
    "plan_dataset",
    "plan_store",
    "store",
    "store_dask",
    "to_zarr",
]
