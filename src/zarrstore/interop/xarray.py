"""Datasets of xarray, written as planned.

xarray makes the metadata and encodes the variables, as for its own ``to_zarr``, over a store of
drafts, so that nothing is written yet. The elements are then written as those of any dask array,
and the metadata last.

>>> import dask.array as da, xarray as xr
>>> dataset = xr.Dataset({"rain": (("day", "x"), da.ones((5, 4), chunks=(1, 4)))})
>>> dataset_to_zarr(dataset, "memory://rain", encoding={"rain": {"chunks": (3, 4)}}).verify()
2
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args, overload

import numpy as np

try:
    import dask.array as da
    from xarray import Dataset, decode_cf
    from xarray.backends import ZarrStore
except ImportError as error:
    raise ImportError(
        "zarrstore.interop.xarray needs xarray and dask: pip install 'zarrstore[xarray]'"
    ) from error

from zarrstore.abc import Store
from zarrstore.chunks import Progress
from zarrstore.dask.checks import check_source
from zarrstore.dask.orders import Order, target_in
from zarrstore.dask.plan import Align, StorePlan, pieces_of
from zarrstore.dask.results import StoreResult, StoreTask
from zarrstore.dask.staging import able_to_resume
from zarrstore.dask.targets import Target
from zarrstore.dask.writing import new_spec, plan_order, task_of
from zarrstore.errors import NodeExistsError, ReadOnlyError
from zarrstore.format.chunk_grids import RegularGrid
from zarrstore.format.codecs.sharding_indexed import ShardingIndexed
from zarrstore.hierarchy import functions
from zarrstore.hierarchy.array import Array
from zarrstore.hierarchy.group_core import open_node
from zarrstore.hierarchy.likes import like_options
from zarrstore.hierarchy.opening import open_array
from zarrstore.hierarchy.options import AccessMode
from zarrstore.interop._drafts import Documents, Drafts
from zarrstore.interop.zarr import to_zarr
from zarrstore.keys import join
from zarrstore.redaction import join_url
from zarrstore.registry import StoreLike
from zarrstore.runtime import drive_inline

__all__ = ["dataset_to_zarr", "plan_dataset"]

DatasetMode: TypeAlias = Literal["w", "w-", "a", "a-", "r+"]
Encoding: TypeAlias = Mapping[Any, Mapping[str, Any]]

_OF_TIMES = ("units", "calendar", "dtype")
_APPENDING_KEY = ".zarrstore-append"
"""In an array that is appended to, where no one lists it: who comes meanwhile is told so."""


@overload
def dataset_to_zarr(
    dataset: Any,
    store_like: StoreLike,
    path: str = "",
    *,
    mode: DatasetMode | None = None,
    encoding: Encoding | None = None,
    append_dim: Any = None,
    region: Any = None,
    align: Align = "auto",
    compute: Literal[True] = True,
    progress: Progress | bool | None = None,
    resume: bool = False,
    scheduler: Any = None,
    zarr_format: int | None = None,
    consolidated: bool | None = None,
    write_empty_chunks: bool | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> StoreResult: ...
@overload
def dataset_to_zarr(
    dataset: Any,
    store_like: StoreLike,
    path: str = "",
    *,
    mode: DatasetMode | None = None,
    encoding: Encoding | None = None,
    append_dim: Any = None,
    region: Any = None,
    align: Align = "auto",
    compute: Literal[False],
    progress: Progress | bool | None = None,
    resume: bool = False,
    scheduler: Any = None,
    zarr_format: int | None = None,
    consolidated: bool | None = None,
    write_empty_chunks: bool | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> StoreTask: ...
def dataset_to_zarr(
    dataset: Any,
    store_like: StoreLike,
    path: str = "",
    *,
    mode: DatasetMode | None = None,
    encoding: Encoding | None = None,
    append_dim: Any = None,
    region: Any = None,
    align: Align = "auto",
    compute: bool = True,
    progress: Progress | bool | None = None,
    resume: bool = False,
    scheduler: Any = None,
    zarr_format: int | None = None,
    consolidated: bool | None = None,
    write_empty_chunks: bool | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> StoreResult | StoreTask:
    """Write a dataset of xarray as its ``to_zarr`` does; no element is lost, however it is cut.

    Parameters
    ----------
    dataset : xarray.Dataset
    store_like : optional
        Whatever `zarrstore.open_store` accepts, or a group.
    path : str, default ""
        Of the group in the store; the root by default.
    mode, append_dim, region, zarr_format, consolidated, write_empty_chunks
        As for ``Dataset.to_zarr``, with the same defaults. With ``w`` the dataset that is there
        stays until the new one is complete. ``consolidated`` is as with `consolidate_metadata`.
    encoding : mapping, optional
        As for ``Dataset.to_zarr``; ``chunks`` and ``shards`` may be ``"auto"``, and are of new
        variables in blocks of several shapes.
    align, compute, progress, resume, scheduler, storage_options
        As in `to_zarr`.

    Returns
    -------
    StoreResult
        With an `ArrayResult` for each variable that was written.

    Raises
    ------
    ConflictError
        If another appends at this time, or was broken off: ``resume=True`` appends in its place.
    ValueError
        What xarray raises where variables do not fit those that are there.

    Examples
    --------
    >>> import dask.array as da, xarray as xr
    >>> days = xr.Dataset({"rain": (("day", "x"), da.ones((5, 4), chunks=(1, 4)))})
    >>> result = dataset_to_zarr(days, "rain.zarr", encoding={"rain": {"chunks": (3, 4)}})
    >>> result = dataset_to_zarr(days, "rain.zarr", append_dim="day")
    >>> result.plan.partial, result[0].array.shape
    (1, (10, 4))
    """

    how = _How(
        _mode(mode, append_dim, region), encoding or {}, append_dim, region, resume, zarr_format,
        consolidated, write_empty_chunks,
    )  # fmt: skip
    place = _place(dataset, store_like, path, storage_options)
    draft = _drafted(dataset, *place, how)
    draft.plan(align)  # or it is refused
    documents = draft.documents
    documents.begin_appending(resume)
    try:
        if documents.have_changed():  # by who appended a moment ago
            draft = _drafted(dataset, *place, how)
        where, publish = scheduler if compute else False, draft.documents.publish
        task = task_of(draft.orders, align, "safe", None, where, publish)
    except BaseException:
        documents.end_appending()
        raise
    return task.compute(scheduler=scheduler, progress=progress) if compute else task


def plan_dataset(
    dataset: Any,
    store_like: StoreLike,
    path: str = "",
    *,
    mode: DatasetMode | None = None,
    encoding: Encoding | None = None,
    append_dim: Any = None,
    region: Any = None,
    align: Align = "auto",
    zarr_format: int | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> StorePlan:
    """Plan what `dataset_to_zarr` would do. Nothing is computed or written.

    Parameters
    ----------
    dataset, store_like, path, mode, encoding, append_dim, region, align, zarr_format
        As there.
    storage_options : mapping, optional

    Examples
    --------
    >>> import dask.array as da, xarray as xr
    >>> days = xr.Dataset({"rain": (("day", "x"), da.ones((50, 4), chunks=(1, 4)))})
    >>> plan = plan_dataset(days, {}, encoding={"rain": {"chunks": (5, 4), "shards": (20, 4)}})
    >>> plan[0].unit, plan[0].nunits, plan.conflicts, plan.has_one_writer
    ('shard', 3, 3, True)
    """
    mode = _mode(mode, append_dim, region)
    how = _How(mode, encoding or {}, append_dim, region, zarr_format=zarr_format)
    return _drafted(dataset, *_place(dataset, store_like, path, storage_options), how).plan(align)


@dataclass(frozen=True)
class _How:
    """What is said to xarray."""

    mode: DatasetMode
    encoding: Encoding
    append_dim: Any
    region: Any
    resume: bool = False
    zarr_format: int | None = None
    consolidated: bool | None = None
    write_empty_chunks: bool | None = None

    @property
    def replaces(self) -> bool:
        """Whether nothing of what is there is looked at."""
        return self.mode in ("w", "w-")


@dataclass(frozen=True)
class _Draft:
    orders: list[Order]
    documents: Documents

    def plan(self, align: Align) -> StorePlan:
        return StorePlan([plan_order(order, align) for order in self.orders])


class _Backend(ZarrStore):
    def set_variables(self, variables: Any, *args: Any, **kwargs: Any) -> None:
        """Refuse times in other units than those that are there: xarray would only warn."""
        for name in variables.keys() & set(self.array_keys()):
            there = self.open_store_variable(name).attrs  # type: ignore[no-untyped-call]
            new = variables[name].attrs
            if "units" in new and not np.array_equal(_decoded(new), _decoded(there)):
                raise ValueError(
                    f"the times of {name!r} cannot be stored in {there.get('units')!r}, as those "
                    f"that are there: they would need {new['units']!r}; round them, or write the "
                    "dataset anew, with other units in the encoding"
                )
        super().set_variables(variables, *args, **kwargs)


def _decoded(attributes: Mapping[str, Any]) -> Any:
    """Return what 0 and 1 mean, if they are times."""
    known = {name: attributes[name] for name in _OF_TIMES if name in attributes}
    example = Dataset({"a": ("b", [0, 1], known)})
    return decode_cf(example, decode_timedelta="dtype" in known)["a"].values


class _Writer:
    """Takes what xarray would write."""

    def __init__(self) -> None:
        self.given: list[tuple[Any, Any, Any]] = []

    def add(self, source: Any, target: Any, region: Any = None) -> None:
        self.given.append((source, target, region))


def _mode(mode: DatasetMode | None, append_dim: Any, region: Any) -> DatasetMode:
    """Return the mode, by default as xarray's."""
    if mode is None:
        return "a" if append_dim is not None else "r+" if region is not None else "w-"
    if mode not in get_args(DatasetMode):
        raise ValueError(f"mode is one of {', '.join(get_args(DatasetMode))}, not {mode!r}")
    if append_dim is not None and mode not in ("a", "a-"):
        raise ValueError(f"append_dim= goes with mode 'a' or 'a-', not {mode!r}")
    if region is not None and mode not in ("a", "a-", "r+"):
        raise ValueError(
            f"a region is of a dataset that is there, and mode {mode!r} makes a new one"
        )
    return mode


def _place(
    dataset: Any, store_like: StoreLike, path: str, storage_options: Mapping[str, Any] | None
) -> tuple[Store, str]:
    if not isinstance(dataset, Dataset):
        raise TypeError(
            f"a Dataset of xarray is needed, not {type(dataset).__name__}; "
            "DataArray.to_dataset(name=...) makes one"
        )
    at = drive_inline(functions.place, store_like, path, "a", storage_options)
    if at.store.read_only:
        raise ReadOnlyError(
            f"{at.store.url} was opened read-only; open it with mode 'r+' or 'a' to write",
            store=at.store.url,
        )
    return at.store, at.path


def _drafted(dataset: Any, store: Store, path: str, how: _How) -> _Draft:
    """Let xarray say what is to be written where; nothing is written."""
    node = store._home.drive(open_node, store, path) if how.replaces else None
    if node is not None and how.mode == "w-":
        raise NodeExistsError(
            f"there is already a dataset at {join_url(store.url, path)}; mode 'w' replaces it, 'a' "
            "adds to it, region= and append_dim= write into it",
            store=store.url,
            key=path,
        )
    if node is not None and how.zarr_format is None:
        how = replace(how, zarr_format=node.document.zarr_format)
    drafts = Drafts(store, hidden=how.replaces)
    region = dict(how.region) if isinstance(how.region, Mapping) else how.region
    backend = _Backend.open_group(
        to_zarr(drafts), mode=how.mode, group=path or None, append_dim=how.append_dim,
        write_region=region, safe_chunks=False, zarr_format=how.zarr_format,
        write_empty=how.write_empty_chunks,
    )  # fmt: skip
    there = set(backend.array_keys())
    dataset = backend._validate_and_autodetect_region(dataset)
    encoding = {name: dict(given) for name, given in how.encoding.items()}
    backend._validate_encoding(encoding)
    dataset = _with_chunks(dataset, encoding, there)
    writer = _Writer()
    dataset.dump_to_store(backend, writer=writer, encoding=encoding)
    # xarray gives them in no order
    in_order = [join(path, str(name)) for name in dataset.variables]
    writer.given.sort(key=lambda given: in_order.index(given[1].path))
    kept = frozenset([key.removeprefix(path).strip("/").partition("/")[0] for key in drafts.made])
    orders = [
        _order(given, drafts, store, how, is_there=given[1].basename in there)
        for given in writer.given
    ]
    note = None
    if how.append_dim is not None:
        along = [n for n in sorted(there) if how.append_dim in backend.open_store_variable(n).dims]
        note = join(join(path, along[0]), _APPENDING_KEY)
    documents = Documents(
        store,
        path,
        drafts.made,
        drafts.read,
        kept if how.mode == "w" else None,
        how.mode != "r+" and how.consolidated is not False,
        note,
    )
    return _Draft(orders, documents)


def _order(
    given: tuple[Any, Any, Any], drafts: Drafts, store: Store, how: _How, *, is_there: bool
) -> Order:
    """Return how a variable is written that xarray has encoded."""
    source, array, region = given
    core = open_array(drafts, path=array.path, mode="r")._core
    core = replace(core, store=store, write_empty_chunks=array.config.write_empty_chunks)
    if not isinstance(source, da.Array):
        source = da.from_array(source, chunks=-1, name=False)
    if is_there:
        target = Target(core, "update", number=uuid.uuid4().hex)
        if how.resume:
            target = store._home.drive(able_to_resume, target, region)
        # who appends next, when an append was broken off, may have other data
        return Order(source, target, region, "r+", "" if how.append_dim is None else source.name)
    for key in [key for key in drafts.made if key.startswith(f"{array.path}/")]:
        del drafts.made[key]  # written with the elements
    options = {
        "attributes": dict(core.document.attributes),
        "write_empty_chunks": core.write_empty_chunks,
    }
    mode: AccessMode = "w" if how.mode == "w" else "w-"
    like = like_options(Array(core), options)
    if mode == "w" and "chunk_key_encoding" not in how.encoding.get(array.basename, {}):
        # xarray's default; others may be needed for what is to take the place of an array
        like.pop("chunk_key_encoding", None)
        like.pop("dimension_separator", None)
    target = store._home.drive(target_in, store, array.path, mode, like, how.resume)
    return Order(source, target, None, mode)


def _with_chunks(dataset: Any, encoding: dict[Any, dict[str, Any]], there: set[str]) -> Any:
    """Say the chunks and shards of new variables where xarray would refuse to choose them."""
    dataset = dataset.copy()
    for name, variable in dataset.variables.items():
        if name in there or variable.chunks is None:  # what is not in blocks is not loaded here
            continue
        check_source(variable.data)
        given = encoding.get(name, variable.encoding)
        chunks, shards = given.get("chunks"), given.get("shards")
        is_regular = all(isinstance(pieces_of(lengths), int) for lengths in variable.chunks)
        if "auto" not in (chunks, shards) and (chunks or (is_regular and not shards)):
            continue
        dtype = variable.dtype if variable.dtype.kind in "biufc" else np.dtype("int64")
        spec = new_spec(variable.data, chunks=chunks, shards=shards, dtype=dtype)
        if isinstance(spec.grid, RegularGrid):
            sharding = spec.codecs[0]
            if isinstance(sharding, ShardingIndexed):
                given |= {"chunks": sharding.chunk_shape, "shards": spec.grid.chunk_shape}
            else:
                given |= {"chunks": spec.grid.chunk_shape}
    return dataset
