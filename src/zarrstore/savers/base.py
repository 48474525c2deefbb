"""`Saver`: what savers of every format share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from zarrstore.savers.values import as_values

__all__ = ["Approach", "NDArray", "Saver"]

NDArray: TypeAlias = np.ndarray[Any, Any]

Approach: TypeAlias = Literal["append", "overwrite", "update"]
"""What `Saver.save` does with what is there."""


class Saver(ABC):
    """Saves results to a dataset in a file: the base of savers.

    One for another format implements `_append`, `_overwrite` and `_update`, which are given
    numpy arrays; what was wrong with the data or the call has been refused before.

    Parameters
    ----------
    file_path : object
        Where to save.
    dataset_name : str, default "dataset"
        Of the dataset in it.
    approach : {"append", "overwrite", "update"}, default "append"

    Raises
    ------
    ValueError
        If the approach is unknown.

    Examples
    --------
    >>> class Lists(Saver):
    ...     def _append(self, values, options):
    ...         self.file_path.setdefault(self.dataset_name, []).extend(values.tolist())
    ...     def _overwrite(self, values, options):
    ...         self.file_path[self.dataset_name] = values.tolist()
    ...     def _update(self, values, indices, options):
    ...         self.file_path[self.dataset_name][indices] = values.tolist()
    >>> found = {}
    >>> Lists(found, "a").save([1, 2])
    >>> Lists(found, "a", approach="update").save(3, indices=0)
    >>> found
    {'a': [3, 2]}
    """

    def __init__(
        self, file_path: Any, dataset_name: str = "dataset", approach: Approach = "append"
    ) -> None:
        if approach not in get_args(Approach):
            known = ", ".join(map(repr, get_args(Approach)))
            raise ValueError(f"approach is one of {known}, not {approach!r}")
        if not isinstance(dataset_name, str):
            raise TypeError(f"dataset_name is a str, not {type(dataset_name).__name__}")
        self.file_path = file_path
        self.dataset_name = dataset_name
        self.approach: Approach = approach

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.dataset_name!r} approach={self.approach!r}>"

    def save(self, data: Any, indices: Any = None, **kwargs: Any) -> None:
        """Save data, by the saver's approach.

        Parameters
        ----------
        data : array-like
            A list of results becomes a numpy array. What is appended is one result or several,
            along the first dimension; of an empty list, which tells neither dtype nor shape,
            nothing is.
        indices : int, list, array, slice or tuple of them, optional
            Where to update; goes with that approach only.
        **kwargs
            For the creation of the dataset. ``dtype`` says what data is made into, too.

        Raises
        ------
        TypeError
            If data is ragged, or of objects that are no text, or of another kind than what is
            there; the message says what to do.
        ValueError
            If ``indices`` are missing, or given where nothing is updated; if data does not fit
            the shape of what is there, or would lose something in its dtype.
        FileNotFoundError
            If there is nothing to update.
        """
        if self.approach != "update":
            if indices is not None:
                raise ValueError(f"indices go with approach='update', not {self.approach!r}")
        elif indices is None:
            raise ValueError("approach='update' needs indices: which part is to be updated")
        if self.approach == "append" and kwargs.get("dtype") is None and _is_empty_list(data):
            return
        values = as_values(data, kwargs.get("dtype"))
        if self.approach == "append":
            self._append(values if values.ndim else values.reshape(1), kwargs)
        elif self.approach == "overwrite":
            self._overwrite(values, kwargs)
        else:
            self._update(values, indices, kwargs)

    @abstractmethod
    def _append(self, values: NDArray, options: Mapping[str, Any]) -> None:
        """Add values, of one dimension or more, behind what is there; create it if missing."""

    @abstractmethod
    def _overwrite(self, values: NDArray, options: Mapping[str, Any]) -> None:
        """Put values in the place of what is there; create it if missing."""

    @abstractmethod
    def _update(self, values: NDArray, indices: Any, options: Mapping[str, Any]) -> None:
        """Write values to a part of what is there; `FileNotFoundError` if there is nothing."""


def _is_empty_list(data: Any) -> bool:
    return isinstance(data, list | tuple) and not data
