"""`computing_meta`: functions of blocks that dask calls to learn what they return."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np

__all__ = ["computing_meta"]

P = ParamSpec("P")
T = TypeVar("T")


def computing_meta(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function of blocks so that dask does not run it to learn what it returns.

    ``dask.array.map_blocks``, ``blockwise`` and ``reduction`` call a function with
    ``computing_meta=True`` for that if its signature has such a parameter. What is decorated has
    it, and returns an empty array then, without calling the function. Give them ``dtype=``:
    without it ``map_blocks`` runs the function on one element to find it out.

    Parameters
    ----------
    function : callable
        With side effects, such as a write; or one that fails on an array without elements.

    Examples
    --------
    >>> import dask.array as da
    >>> @computing_meta
    ... def written(block):
    ...     return np.array([[f"{block.size} elements"]], dtype=object)
    >>> blocks = da.ones((4, 4), chunks=2)
    >>> da.map_blocks(written, blocks, chunks=(1, 1), dtype=object).compute()[0, 0]
    '4 elements'
    """

    @functools.wraps(function)
    def called(*args: Any, computing_meta: bool = False, **kwargs: Any) -> Any:
        if computing_meta:
            return np.empty(0, dtype=object)
        return function(*args, **kwargs)

    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())
    if "computing_meta" not in signature.parameters:
        at = len(parameters)
        if parameters and parameters[-1].kind is inspect.Parameter.VAR_KEYWORD:
            at -= 1
        keyword = inspect.Parameter("computing_meta", inspect.Parameter.KEYWORD_ONLY, default=False)
        parameters.insert(at, keyword)
    # of what is wrapped dask would see the signature, and never pass the keyword
    called.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return cast("Callable[P, T]", called)
